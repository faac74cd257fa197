//! What is told on standard error.

use std::{
    fmt,
    io::{self, Write as _},
};

use serde::Serialize;
use serverlink::{ProxyCounts, ProxyStatistics};

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
    Refused {
        message: &'a str,
        advice: &'a str,
    },
    Statistics {
        sent: &'a Summary,
        received: &'a Summary,
    },
    Proxied {
        frontend: Passed,
        backend: Passed,
        dropped: u64,
    },
    Error {
        message: &'a str,
        advice: &'a str,
        exit_code: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        errno: Option<&'static str>,
    },
}

/// What has passed one side of a proxy.
#[derive(Serialize)]
struct Passed {
    frames_received: u64,
    bytes_received: u64,
    frames_sent: u64,
    bytes_sent: u64,
}

impl Passed {
    fn new(counts: &ProxyCounts) -> Self {
        Self {
            frames_received: counts.frames_received,
            bytes_received: counts.bytes_received,
            frames_sent: counts.frames_sent,
            bytes_sent: counts.bytes_sent,
        }
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames_received, bytes_received, frames_sent, bytes_sent } = self;
        write!(
            f,
            "received {frames_received} frames ({bytes_received} bytes), sent {frames_sent} \
             ({bytes_sent} bytes)"
        )
    }
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

    /// A peer is not to be talked to, which others are.
    pub(crate) fn refused(self, failure: &Failure) {
        if !self.quiet {
            let Failure { what, advice, .. } = failure;
            self.tell(failure.text(), &Line::Refused { message: what, advice });
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

    /// What has passed a proxy.
    pub(crate) fn proxied(self, statistics: &ProxyStatistics) {
        let (frontend, backend) =
            (Passed::new(&statistics.frontend), Passed::new(&statistics.backend));
        let dropped = statistics.dropped;
        let text = format!("frontend {frontend}; backend {backend}; {dropped} messages dropped");
        self.tell(text, &Line::Proxied { frontend, backend, dropped });
    }

    /// Why the command fails.
    pub(crate) fn failure(self, failure: &Failure) {
        let Failure { code, what, advice, errno } = failure;
        if what.is_empty() {
            return;
        }
        let text = format!("serverlink: {}", failure.text());
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
