//! What a context that does not end tells `tracing`.
#![cfg(feature = "tracing")]

use std::{
    fmt,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use serverlink::{Context, SocketType};

#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "serverlink" && *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

#[test]
fn a_context_that_waits_for_long_warns_of_what_it_waits_for() {
    let context = Context::new().unwrap();
    let pull = context.socket(SocketType::Pull).unwrap();
    pull.bind("inproc://pull").unwrap();
    let warnings = Warnings::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let end = || context.terminate();
            tracing::subscriber::with_default(warnings.clone(), end);
        });
        // After five seconds.
        let start = Instant::now();
        while warnings.0.lock().unwrap().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(30), "it says nothing");
            thread::park_timeout(Duration::from_millis(1));
        }
        drop(pull);
    });
    let told = warnings.0.lock().unwrap();
    assert!(told[0].contains("a PULL socket is open, bound to inproc://pull"), "{told:?}");
}
