//! Ctrl-C.

use std::{
    process,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::exit;

/// Has `tell` called on Ctrl-C; it returns whether somebody listens. If that brings no end and
/// Ctrl-C comes again, the process ends at once.
pub(crate) fn notify(tell: impl Fn() -> bool + Send + 'static) {
    let again = AtomicBool::new(false);
    // Where no handler can be set, the system's own ends the process.
    let _ = ctrlc::set_handler(move || {
        if again.swap(true, Relaxed) || !tell() {
            process::exit(i32::from(exit::INTERRUPTED));
        }
    });
}
