//! Events for `tracing`, at the debug level but for one, if the feature of that name is on.
//!
//! Without it every function here is empty.

#![cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "what would be told of"))]

use std::{io, time::Duration};

use crate::TerminationReport;

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

/// A context waits, for so long already, for these to end: a warning.
pub(crate) fn context_waits(waited: Duration, report: &TerminationReport) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "serverlink",
        waited = ?waited,
        sockets = report.open.len(),
        connections = report.lingering.len(),
        "the context does not end:\n{report}"
    );
}
