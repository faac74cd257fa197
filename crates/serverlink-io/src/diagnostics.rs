//! Events for `tracing`, at the debug level, if the feature of that name is on.
//!
//! Without it every function here is empty.

#![cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "what would be told of"))]

use std::io;

use crate::{Direction, errors, sys::RawDescriptor};

macro_rules! debug {
    ($($argument:tt)+) => {
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "serverlink_io", $($argument)+);
    };
}

/// A port was made.
#[inline]
pub(crate) fn opened(backend: &'static str) {
    debug!(backend, "port opened");
}

/// A backend that was to be tried before others does not start.
#[inline]
pub(crate) fn passed_over(backend: &'static str, error: &io::Error) {
    debug!(backend, %error, "backend passed over");
}

/// A port was stopped.
#[inline]
pub(crate) fn stopped(backend: &'static str) {
    debug!(backend, "port stopped");
}

/// A descriptor was registered or watched.
#[inline]
pub(crate) fn registered(descriptor: RawDescriptor) {
    debug!(descriptor, "registered");
}

/// A registration was retired.
#[inline]
pub(crate) fn retired(descriptor: RawDescriptor) {
    debug!(descriptor, "retired");
}

/// What is pending in one direction is to be cancelled.
#[inline]
pub(crate) fn cancelling(direction: Direction) {
    debug!(?direction, "cancelling");
}

/// An operation failed, and how the platform's table sorts its error.
#[inline]
pub(crate) fn failed(descriptor: RawDescriptor, call: errors::Call, error: &io::Error) {
    debug!(
        descriptor,
        operation = ?call,
        code = error.raw_os_error(),
        class = errors::action(call, error).map(tracing::field::debug),
        %error,
        "operation failed"
    );
}
