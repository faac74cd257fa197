//! The exit statuses, which scripts may rely on.

/// Everything that was asked for ran and passed.
pub(crate) const PASSED: u8 = 0;
/// Something ran and failed.
pub(crate) const FAILED: u8 = 1;
/// The command line made no sense; clap uses the same status.
pub(crate) const USAGE: u8 = 2;
/// Nothing failed, but suites were left out for want of a prerequisite.
pub(crate) const INCOMPLETE: u8 = 3;
