//! What can go wrong.

use std::{error::Error, fmt};

/// The result of most functions.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why something could not be measured.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure of this explanation.
    pub(crate) fn new(explanation: impl Into<String>) -> Self {
        Self(explanation.into())
    }

    /// For `map_err`: what was being done, and what came of it.
    pub(crate) fn doing<E: fmt::Display>(what: &str) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
