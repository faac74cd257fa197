//! Why the command ends before it has done what was asked, and what the user can do about it.

use std::{io, path::Path};

use serverlink::Error;

use crate::exit;

/// An end that is no success.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code, one of [`exit::TABLE`].
    pub(crate) code: u8,
    /// What went wrong. Empty: nothing needs to be said.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) advice: String,
    /// ZeroMQ's name of the error, where it is one of the library's.
    pub(crate) errno: Option<&'static str>,
}

impl Failure {
    pub(crate) fn new(code: u8, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code, what: what.into(), advice: advice.into(), errno: None }
    }

    /// What went wrong and what to do about it.
    pub(crate) fn text(&self) -> String {
        match &self.advice[..] {
            "" => self.what.clone(),
            advice => format!("{}; {advice}", self.what),
        }
    }

    /// The reader of standard output has gone: to be quiet about.
    pub(crate) fn output_closed() -> Self {
        Self::new(exit::OUTPUT_CLOSED, "", "")
    }

    /// Standard output cannot be written.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::output_closed();
        }
        Self::new(
            exit::FAILED,
            format!("cannot write to standard output: {error}"),
            "check where it is redirected to",
        )
    }

    /// A file with a key or a password cannot be used.
    pub(crate) fn file(action: &str, path: &Path, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::AlreadyExists => "choose another name: keys are not overwritten",
            _ => "check the path, and who may use it",
        };
        Self::new(exit::FAILED, format!("cannot {action} {}: {error}", path.display()), advice)
    }

    /// A defect of this program.
    pub(crate) fn panicked() -> Self {
        Self::new(exit::FAILED, "a defect in serverlink itself", "please report the text above")
    }

    /// What the library refused while `doing` something.
    pub(crate) fn library(doing: &str, error: &Error) -> Self {
        let (code, advice) = match error {
            Error::WouldBlock => {
                (exit::TIMED_OUT, "see that the peer runs, or allow more --timeout")
            }
            Error::InvalidEndpoint { .. }
            | Error::UnsupportedTransport { .. }
            | Error::IncompatibleTransport { .. }
            | Error::InvalidOption { .. } => (exit::USAGE, "correct it, or see --help"),
            Error::AddressInUse { .. } => (
                exit::FAILED,
                "stop what listens there, choose another port, or let the system choose one with port *",
            ),
            Error::AddressNotAvailable { .. } => {
                (exit::FAILED, "listen on all addresses with tcp://*:PORT")
            }
            _ => (exit::FAILED, ""),
        };
        let mut failure = Self::new(code, format!("{doing}: {error}"), advice);
        failure.errno = Some(error.errno_name());
        failure
    }

    /// For `map_err` on the library's results.
    pub(crate) fn while_doing<E: Into<Error>>(doing: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::library(doing, &error.into())
    }
}
