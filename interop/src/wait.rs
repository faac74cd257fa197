//! Waiting for what must happen.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything that must happen may take, on however busy a machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How often to look at what tells of no change by itself.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Waits until `condition` holds; what for is said in `what`.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Calls a function when it is dropped, also by a failing test: what ends other threads.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
