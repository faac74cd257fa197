//! The exit codes: a contract with scripts. `--help` prints this table.

use std::fmt::Write as _;

/// Everything asked for was done.
pub(crate) const OK: u8 = 0;
/// Something failed while running.
pub(crate) const FAILED: u8 = 1;
/// The command line asks for something impossible.
pub(crate) const USAGE: u8 = 2;
/// The time allowed was over first.
pub(crate) const TIMED_OUT: u8 = 3;
/// Messages were lost, damaged or out of order where that is ruled out.
pub(crate) const LOST: u8 = 4;
/// Interrupted by Ctrl-C: 128 + SIGINT, as shells count.
pub(crate) const INTERRUPTED: u8 = 130;
/// Nobody reads standard output any more: 128 + SIGPIPE, as shells count.
pub(crate) const OUTPUT_CLOSED: u8 = 141;

/// Every code with its meaning, in the order `--help` shows them.
pub(crate) const TABLE: &[(u8, &str)] = &[
    (OK, "done; with --count: all messages; with --timeout alone: at least one came"),
    (FAILED, "a failure while running: address in use, unreadable file, ..."),
    (USAGE, "an invalid command line, endpoint or option value"),
    (TIMED_OUT, "--timeout was over: nothing came, or too little, or no peer took it"),
    (LOST, "demo: a message was lost, damaged or out of order"),
    (INTERRUPTED, "interrupted by Ctrl-C"),
    (OUTPUT_CLOSED, "standard output was closed by its reader"),
];

/// The table as `--help` prints it.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (code, meaning) in TABLE {
        let _ = writeln!(text, "  {code:>3}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_ascending() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
