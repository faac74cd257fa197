//! How a port is made.

/// Options of a [`Port`](crate::Port).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PortOptions {
    /// The backend's name, one of [`backends`]; `None` takes the environment
    /// variable `SERVERLINK_BACKEND`, then the platform's best.
    pub backend: Option<String>,
    /// Size of the engine's own receive buffers, in bytes.
    pub receive_buffer: usize,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self { backend: None, receive_buffer: 64 * 1024 }
    }
}

/// The names of the backends of this platform, best first.
pub fn backends() -> &'static [&'static str] { &[] }
