//! What is told on standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::{args::RunArgs, failure::Failure, traffic::Summary};

/// The manner of telling.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Bound {
        endpoint: &'a str,
    },
    #[serde(rename = "passed_over")]
    PassedOver {
        backend: &'a str,
    },
    Statistics {
        sent: &'a Summary,
        received: &'a Summary,
    },
    Error {
        message: &'a str,
        advice: &'a str,
        exit_code: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        errno: Option<&'static str>,
    },
}

impl Console {
    pub(crate) fn new(run: &RunArgs) -> Self {
        Self { json: run.json, quiet: run.quiet }
    }

    /// The socket listens at `endpoint`.
    pub(crate) fn bound(self, endpoint: &str) {
        if !self.quiet {
            self.tell(format!("bound to {endpoint}"), &Line::Bound { endpoint });
        }
    }

    /// An I/O backend that was to be tried before the one in use does not start, and why.
    pub(crate) fn passed_over(self, backend: &str) {
        if !self.quiet {
            self.tell(format!("not used: {backend}"), &Line::PassedOver { backend });
        }
    }

    /// What went through.
    pub(crate) fn statistics(self, sent: &Summary, received: &Summary) {
        let mut lines = Vec::new();
        for (direction, summary) in [("sent", sent), ("received", received)] {
            if summary.messages > 0 {
                lines.push(format!("{direction} {summary}"));
            }
        }
        if lines.is_empty() {
            lines.push("sent and received nothing".into());
        }
        self.tell(lines.join("\n"), &Line::Statistics { sent, received });
    }

    /// Why the command fails.
    pub(crate) fn failure(self, failure: &Failure) {
        let Failure { code, what, advice, errno } = failure;
        if what.is_empty() {
            return;
        }
        let mut text = format!("serverlink: {what}");
        if !advice.is_empty() {
            text.push_str("; ");
            text.push_str(advice);
        }
        let (exit_code, errno) = (*code, *errno);
        self.tell(text, &Line::Error { message: what, advice, exit_code, errno });
    }

    fn tell(self, text: String, line: &Line<'_>) {
        let mut text = if self.json { serde_json::to_string(line).unwrap_or(text) } else { text };
        text.push('\n');
        // One write, so that lines of several processes do not mix. Nobody there to read it is no
        // reason to fail.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}
