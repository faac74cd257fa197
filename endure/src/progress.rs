//! What is shown while a pattern runs.

use std::{io::IsTerminal as _, sync::atomic::Ordering, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::world::World;

/// A bar on a terminal, and nothing elsewhere.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(name: &'static str, messages: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("{name} …");
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(messages).with_prefix(name);
        let form = "{prefix:16} {wide_bar} {percent:>3} % {msg}";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Shows how far the run is, and tells how much has happened.
    pub(crate) fn show(&self, world: &World) -> u64 {
        let sent = world.sent.load(Ordering::Relaxed);
        let received = world.received.load(Ordering::Relaxed);
        self.0.set_position(sent);
        self.0.set_message(format!("{sent} sent, {received} received"));
        sent + received
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
