//! The exit statuses, which scripts may rely on. Misuse of the command line
//! exits with 2, as clap does.

/// Something ran and failed.
pub(crate) const FAILED: u8 = 1;
/// Nothing failed, but suites were left out for want of a prerequisite.
pub(crate) const INCOMPLETE: u8 = 3;
