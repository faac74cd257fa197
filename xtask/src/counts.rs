//! Counts of tests, read from what the test runners print.

use std::fmt;
use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) const ONE_PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const ONE_FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const ONE_SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// How many tests ran.
    pub(crate) fn executed(self) -> u64 {
        self.passed + self.failed
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped } = self;
        write!(formatter, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Whose report is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `cargo nextest run`, which ends with one `Summary` line.
    Nextest,
    /// `cargo test`, which prints a `test result:` line for each program.
    Libtest,
}

impl Runner {
    /// How many tests in `output` passed only when they were tried again.
    pub(crate) fn flaky(self, output: &str) -> u64 {
        let plain = without_escapes(output);
        // As in `counts`.
        let summary = match self {
            Self::Nextest => plain.lines().rev().find(|line| nextest_summary(line).is_some()),
            Self::Libtest => None,
        };
        let remark =
            |line: &str| line.split(" flaky").next()?.rsplit(['(', ' ']).next()?.parse().ok();
        summary.filter(|line| line.contains(" flaky")).and_then(remark).unwrap_or(0)
    }

    /// The counts in `output`; `None` where it holds no report.
    pub(crate) fn counts(self, output: &str) -> Option<Counts> {
        let plain = without_escapes(output);
        match self {
            // Tests may print anything: the last summary is nextest's own.
            Self::Nextest => plain.lines().rev().find_map(nextest_summary),
            Self::Libtest => {
                let mut results = plain.lines().filter_map(libtest_result).peekable();
                results.peek()?;
                let mut sum = Counts::default();
                results.for_each(|counts| sum += counts);
                Some(sum)
            }
        }
    }
}

/// What a sanitizer has reported, if it has: the line that says what it is.
pub(crate) fn sanitizers_report(output: &str) -> Option<&str> {
    /// As they begin their reports.
    const HEADS: &[&str] =
        &["ERROR: AddressSanitizer: ", "ERROR: LeakSanitizer: ", "WARNING: ThreadSanitizer: "];
    let is_report = |line: &&str| HEADS.iter().any(|head| line.contains(head));
    output.lines().find(is_report).map(str::trim)
}

/// Reads `Summary [ 1.2s] 5/6 tests run: 3 passed (1 slow), 2 timed out, 1 skipped`.
fn nextest_summary(line: &str) -> Option<Counts> {
    let (_, rest) = line.trim_start().strip_prefix("Summary [")?.split_once(']')?;
    let (run, endings) = rest.split_once(" run:")?;
    let run = run.trim().split(' ').next()?;
    let mut counts = Counts::default();
    for ending in without_remarks(endings).split(',') {
        let (number, how) = ending.trim().split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match how.trim() {
            "passed" => counts.passed += number,
            "skipped" => counts.skipped += number,
            // "failed", "exec failed", "timed out"
            _ => counts.failed += number,
        }
    }
    // "5/6": what an interruption kept from running has not passed.
    if let Some((started, planned)) = run.split_once('/') {
        let (started, planned): (u64, u64) = (started.parse().ok()?, planned.parse().ok()?);
        counts.failed += planned.saturating_sub(started);
    }
    Some(counts)
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; …`.
fn libtest_result(line: &str) -> Option<Counts> {
    let (_, endings) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for ending in endings.split(';') {
        let Some((number, how)) = ending.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match how {
            "passed" => counts.passed += number,
            "failed" => counts.failed += number,
            "ignored" => counts.skipped += number,
            _ => {}
        }
    }
    Some(counts)
}

/// `text` without what is in parentheses.
fn without_remarks(text: &str) -> String {
    let mut depth = 0_usize;
    text.chars()
        .filter(|&character| match character {
            '(' => {
                depth += 1;
                false
            }
            ')' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect()
}

/// `text` without the terminal's colour sequences (`ESC [ … letter`).
pub(crate) fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn counts(passed: u64, failed: u64, skipped: u64) -> Option<Counts> {
        Some(Counts { passed, failed, skipped })
    }

    #[test]
    fn nextest_summary_counts_every_ending() {
        let output = "\
     Summary [ 121.347s] 8 tests run: 2 passed (1 slow, 1 leaky), 3 failed (1 due to being leaky), \
                      1 exec failed, 2 timed out, 4 skipped\n        FAIL [   1.238s] (1/6) aborts\n";
        assert_eq!(Runner::Nextest.counts(output), counts(2, 6, 4));
    }

    #[test]
    fn a_report_of_the_first_try_is_found() {
        let output = "  TRY 1 FAIL [ 3.9s] (1) sends\n    WARNING: ThreadSanitizer: data race (pid=7)\n  \
                      FLAKY 2/2 [ 0.7s] (1/1) sends\n  Summary [ 5s] 1 test run: 1 passed (1 flaky), 0 skipped";
        assert_eq!(Runner::Nextest.counts(output), counts(1, 0, 0));
        assert_eq!(sanitizers_report(output), Some("WARNING: ThreadSanitizer: data race (pid=7)"));
        let output = "TRY 1 TIMEOUT [ 360s] (1) sends\nSummary [ 5s] 1 test run: 1 passed (1 flaky), 0 skipped";
        assert_eq!(sanitizers_report(output), None);
    }

    #[test]
    fn nextest_summary_of_one_test() {
        let output = "     Summary [   0.005s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(Runner::Nextest.counts(output), counts(1, 0, 0));
    }

    #[test]
    fn tests_not_run_for_an_interruption_count_as_failed() {
        let output = "Summary [ 9.0s] 5/7 tests run: 4 passed, 1 failed, 3 skipped";
        assert_eq!(Runner::Nextest.counts(output), counts(4, 3, 3));
    }

    #[test]
    fn the_last_nextest_summary_counts_and_colour_is_ignored() {
        let output = "    Summary [ 1s] 9 tests run: 9 passed, 0 skipped\n\
             \x1b[32;1m     Summary\x1b[0m [   0.1s] \x1b[1m2\x1b[0m tests run: \
             \x1b[1m2\x1b[0m \x1b[32;1mpassed\x1b[0m, \x1b[1m1\x1b[0m \x1b[33;1mskipped\x1b[0m\n";
        assert_eq!(Runner::Nextest.counts(output), counts(2, 0, 1));
    }

    #[test]
    fn tests_that_were_tried_again_are_told_of() {
        let output = "  Summary [ 1.0s] 9 tests run: 9 passed (1 slow, 2 flaky), 0 skipped\n";
        assert_eq!(Runner::Nextest.flaky(output), 2);
        let output = "  Summary [ 1.0s] 9 tests run: 9 passed (3 flaky), 0 skipped\n";
        assert_eq!(Runner::Nextest.flaky(output), 3);
        let output = "7 flaky\n  Summary [ 1.0s] 9 tests run: 9 passed, 0 skipped\n";
        assert_eq!(Runner::Nextest.flaky(output), 0);
    }

    #[test]
    fn libtest_results_of_all_programs_add_up() {
        let output = "\
running 3 tests
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s

test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
        assert_eq!(Runner::Libtest.counts(output), counts(7, 2, 1));
    }

    #[test]
    fn a_result_quoted_by_a_test_does_not_count() {
        let output = "    test result: ok. 3 passed; 0 failed; 0 ignored";
        assert_eq!(Runner::Libtest.counts(output), None);
    }

    #[test]
    fn a_build_failure_has_no_counts() {
        let output = "error: could not compile `serverlink` (lib) due to 1 previous error";
        assert_eq!(Runner::Nextest.counts(output), None);
        assert_eq!(Runner::Libtest.counts(output), None);
    }

    #[test]
    fn counts_print_as_the_closing_lines_want_them() {
        let text = Counts { passed: 12, failed: 0, skipped: 3 }.to_string();
        assert_eq!(text, "12 passed, 0 failed, 3 skipped");
    }
}
