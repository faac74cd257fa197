//! Where messages to send come from.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use crate::values;

/// Messages to send: standard input unless others are named.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// Send these messages instead of standard input's lines; --count repeats them
    #[arg(value_name = "MESSAGE", conflicts_with_all = ["file", "size"])]
    pub(crate) messages: Vec<OsString>,
    /// Send the lines of this file; - is standard input (repeatable)
    #[arg(long, short, value_name = "PATH")]
    pub(crate) file: Vec<PathBuf>,
    /// Send generated messages of so many bytes, like 64 or 1MiB: numbered text,
    /// --count of them or without end
    #[arg(long, short, value_name = "BYTES", value_parser = values::size)]
    #[arg(conflicts_with_all = ["file", "keep_newline", "whole", "chunk", "multipart"])]
    pub(crate) size: Option<usize>,
    /// Leave the newline (or NUL) in the messages; the receiver's --raw then gives the
    /// input back exactly, a missing newline at its end included
    #[arg(long, alias = "keep-separator")]
    pub(crate) keep_newline: bool,
    /// Send each file, or all of standard input, as one message
    #[arg(long, conflicts_with_all = ["keep_newline", "chunk"])]
    pub(crate) whole: bool,
    /// Cut the input into messages of so many bytes, whatever they are
    #[arg(long, value_name = "BYTES", value_parser = chunk, conflicts_with = "keep_newline")]
    pub(crate) chunk: Option<usize>,
    /// Split each message into frames at the --delimiter
    #[arg(long, short)]
    pub(crate) multipart: bool,
    /// Send so many messages a second, steadily
    #[arg(long, short, value_name = "N", value_parser = values::rate)]
    pub(crate) rate: Option<f64>,
}

fn chunk(text: &str) -> Result<usize, String> {
    match values::size(text)? {
        0 => Err("it must be at least 1 byte".into()),
        size => Ok(size),
    }
}
