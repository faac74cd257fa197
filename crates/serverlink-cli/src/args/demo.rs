//! Options of `serverlink demo`.

use clap::Args;

use super::link::backend;
use crate::values;

/// `demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Send for so many seconds
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// DEALER clients of the ROUTER server
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) clients: u16,
    /// Bytes of each message, at least 24 for its number and time
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = message_size)]
    pub(crate) size: usize,
    /// I/O backend, or the first of several that starts, see `serverlink backends`
    /// [default: $SERVERLINK_BACKEND, or else the best]
    #[arg(long, value_name = "NAME,…", value_parser = backend)]
    pub(crate) backend: Option<String>,
    /// Print the results as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

fn message_size(text: &str) -> Result<usize, String> {
    match values::size(text)? {
        0..24 => Err("it must be at least 24 bytes".into()),
        size @ ..=1_048_576 => Ok(size),
        _ => Err("it must be at most 1MiB".into()),
    }
}
