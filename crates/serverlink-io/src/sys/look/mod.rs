//! poll(2) and its kin, for [`look_at`](crate::look_at).

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use signals::SignalMask;
#[cfg(unix)]
pub(crate) use unix::{look_at, look_at_with_signals};
#[cfg(windows)]
pub(crate) use windows::look_at;
