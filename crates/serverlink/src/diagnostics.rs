//! Events for `tracing`, at the debug level, if the feature of that name is on.
//!
//! Without it every function here is empty.

#![cfg_attr(not(feature = "tracing"), allow(unused_variables))]

use std::io;

macro_rules! debug {
    ($($argument:tt)+) => {
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "serverlink", $($argument)+);
    };
}

/// A listener cannot accept for the moment.
#[inline]
pub(crate) fn accept_paused(error: &io::Error) {
    debug!(code = error.raw_os_error(), %error, "accept paused");
}

/// A listener has accepted again.
#[inline]
pub(crate) fn accept_resumed() {
    debug!("accept resumed");
}

/// A listener will never accept again.
#[inline]
pub(crate) fn accept_ended(error: &io::Error) {
    debug!(code = error.raw_os_error(), %error, "accept ended");
}
