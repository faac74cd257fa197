//! How a port is made.

use std::time::Duration;

use crate::sys;

/// Options of a [`Port`](crate::Port).
///
/// ```
/// use serverlink_io::{Port, PortOptions};
///
/// let mut options = PortOptions::default();
/// options.backend = Some("select".to_owned());
/// assert_eq!(Port::new(&options)?.backend(), "select");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PortOptions {
    /// The backend's name, one of [`backends`], or several, separated by commas:
    /// the first that starts is used, or making the port fails.
    /// [`Port::passed_over`](crate::Port::passed_over) tells why others were
    /// not. `None` takes the environment variable `SERVERLINK_BACKEND`, if it
    /// is set and not empty, for that, then the platform's best that starts.
    pub backend: Option<String>,
    /// Size of the engine's own receive buffers, in bytes.
    pub receive_buffer: usize,
    /// Whether the thread in [`Port::run`](crate::Port::run) stays awake for a moment before it sleeps,
    /// as long as events follow each other quickly: as a [`Vigil`](crate::Vigil) has it. What comes
    /// within 50 µs of the last event then is handled without waking a processor, which uses the
    /// processor meanwhile.
    pub stay_awake: bool,
    /// For how long the thread in [`Port::run`](crate::Port::run) leaves the port alone after a turn
    /// that brought only what was said to be [unhurried](crate::Port::unhurried): what comes little by
    /// little is then handled together, and threads that are busy are disturbed less often. So long may
    /// also take to begin what other threads start meanwhile, and what the port cannot do at once.
    /// There are no pauses where they are shorter than what the system [can
    /// wait](crate::Port::timer_grain), as on Windows.
    pub pause: Option<Duration>,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self { backend: None, receive_buffer: 128 * 1024, stay_awake: false, pause: None }
    }
}

/// The names of the backends of this platform, best first; then `uring`, if it is there, which is
/// used only where it is named.
pub fn backends() -> &'static [&'static str] {
    const NAMES: [&str; sys::BACKENDS.len()] = {
        let mut names = [""; sys::BACKENDS.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = sys::BACKENDS[index].0;
            index += 1;
        }
        names
    };
    &NAMES
}
