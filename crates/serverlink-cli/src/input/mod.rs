//! Messages to send, one after the other.

mod arguments;
mod files;
mod generate;
mod pace;
mod records;
mod shape;

use serverlink::Message;

pub(crate) use shape::Envelope;

use self::{arguments::Arguments, files::Files, generate::Generator, pace::Pace, shape::Shape};
use crate::{
    args::{FramingArgs, InputArgs},
    failure::Failure,
};

/// The messages that a command line asks to send.
#[derive(Debug)]
pub(crate) struct Input {
    source: Source,
    shape: Shape,
    pace: Option<Pace>,
    remaining: Option<u64>,
}

#[derive(Debug)]
enum Source {
    Arguments(Arguments),
    Files(Files),
    Generated(Generator),
}

impl Input {
    /// What `args` ask for, at most `count` messages.
    pub(crate) fn open(
        args: InputArgs,
        framing: &FramingArgs,
        envelope: Envelope,
        count: Option<u64>,
    ) -> Result<Self, Failure> {
        let delimiter = args.multipart.then(|| framing.delimiter().to_vec());
        let pace = args.rate.map(Pace::new);
        let source = if let Some(size) = args.size {
            Source::Generated(Generator::new(size))
        } else if !args.messages.is_empty() {
            Source::Arguments(Arguments::new(args.messages, count.is_some()))
        } else {
            let cut = records::Cut::new(&args, framing.separator());
            Source::Files(Files::open(args.file, cut)?)
        };
        Ok(Self { source, shape: Shape::new(delimiter, envelope), pace, remaining: count })
    }

    /// The next message, at its time; `None` when there are no more.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, Failure> {
        if self.remaining == Some(0) {
            return Ok(None);
        }
        let body = match &mut self.source {
            Source::Arguments(arguments) => arguments.next(),
            Source::Files(files) => files.next()?,
            Source::Generated(generator) => Some(generator.next()),
        };
        let Some(body) = body else { return Ok(None) };
        let message = self.shape.message(body);
        if let Some(remaining) = &mut self.remaining {
            *remaining -= 1;
        }
        if let Some(pace) = &mut self.pace {
            pace.wait();
        }
        Ok(Some(message))
    }
}
