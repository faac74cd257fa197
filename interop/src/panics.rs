//! Panics, also of threads that nobody joins.

use std::{
    panic,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics from now on.
pub fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            print(info);
        }));
    });
}

/// How many there were since [`watch`].
#[must_use]
pub fn count() -> usize {
    PANICS.load(Ordering::Relaxed)
}
