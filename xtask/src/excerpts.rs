//! What failing tests said, cut from what the test runners print.

use crate::counts::{Runner, without_escapes};

/// How many lines of one test are kept, from its first.
const LINES: usize = 50;

impl Runner {
    /// What each failing test in `output` printed, the line that names it first.
    ///
    /// The other runner's report already ends with what failed: of it there is none.
    pub(crate) fn failures(self, output: &str) -> Vec<String> {
        match self {
            Self::Nextest => nextest_failures(&without_escapes(output)),
            Self::Libtest => Vec::new(),
        }
    }
}

fn nextest_failures(output: &str) -> Vec<String> {
    let mut failures: Vec<Vec<&str>> = Vec::new();
    let mut is_of_failure = false;
    for line in output.lines() {
        if line.trim_start().starts_with("Summary [") {
            // What follows names them again.
            break;
        }
        if let Some(status) = status(line) {
            is_of_failure = is_failure(status);
            if is_of_failure {
                failures.push(Vec::new());
            }
        }
        if let Some(failure) =
            failures.last_mut().filter(|lines| is_of_failure && lines.len() < LINES)
        {
            failure.push(line);
        }
    }
    failures.iter().map(|lines| lines.join("\n").trim_end().to_owned()).collect()
}

/// Reads the `TRY 1 FAIL` of `  TRY 1 FAIL [   0.020s] (2/5) program test`.
fn status(line: &str) -> Option<&str> {
    let (status, rest) = line.split_once(" [")?;
    let status = status.trim_start();
    let is_capital = |character: char| matches!(character, 'A'..='Z' | '0'..='9' | '-' | '+' | ' ');
    let is_status = !status.is_empty() && status.chars().all(is_capital) && rest.contains("s] (");
    is_status.then_some(status)
}

fn is_failure(status: &str) -> bool {
    let is_good = ["PASS", "SLOW", "LEAK", "SETUP", "TERMINATING"].contains(&status);
    !is_good && !status.ends_with(" PASS") && !status.ends_with(" SLOW")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
    Starting 5 tests across 1 binary
        PASS [   0.056s] (1/5) t a_ok
        \x1b[31mFAIL\x1b[0m [   0.397s] (2/5) t b_fails
  stderr ───
    left: [1]

   LEAK-FAIL [   0.541s] (3/5) t d_leaks
        SLOW [>  2.000s] (───) t c_hangs
 TERMINATING [>  4.000s] (───) t c_hangs
     TIMEOUT [   4.006s] (5/5) t c_hangs
    hanging
  TRY 2 PASS [   1.996s] (117/285) t e
     Summary [   4.064s] 5 tests run: 2 passed, 2 failed (1 due to being leaky), 1 timed out, 0 skipped
        FAIL [   0.397s] (2/5) t b_fails
error: test run failed
";

    #[test]
    fn each_failure_is_told_with_what_it_printed() {
        let failures = Runner::Nextest.failures(OUTPUT);
        let expected = [
            "        FAIL [   0.397s] (2/5) t b_fails\n  stderr ───\n    left: [1]",
            "   LEAK-FAIL [   0.541s] (3/5) t d_leaks",
            "     TIMEOUT [   4.006s] (5/5) t c_hangs\n    hanging",
        ];
        assert_eq!(failures, expected);
    }

    #[test]
    fn a_long_one_is_cut() {
        let mut output = "    FAIL [   0.397s] (2/5) t b_fails\n".to_owned();
        output.extend((0..1000).map(|n| format!("    {n}\n")));
        let failures = Runner::Nextest.failures(&output);
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].lines().count(), LINES);
        assert!(failures[0].contains("b_fails"));
    }
}
