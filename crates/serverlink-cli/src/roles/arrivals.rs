//! What arrives, until the end: `--count` messages, or `--timeout` without any.

use std::time::Duration;

use serverlink::{Error, Message, Socket};

use crate::{exit, failure::Failure, session::Session};

/// The messages of one socket.
#[derive(Debug)]
pub(super) struct Arrivals<'a> {
    session: &'a Session,
    socket: &'a Socket,
    count: Option<u64>,
    timeout: Option<Duration>,
    remaining: Option<u64>,
}

impl<'a> Arrivals<'a> {
    pub(super) fn new(session: &'a Session, socket: &'a Socket) -> Self {
        let (count, timeout) = (session.run.count, session.run.timeout);
        Self { session, socket, count, timeout, remaining: count }
    }

    /// Messages without an end of their own.
    pub(super) fn endless(session: &'a Session, socket: &'a Socket) -> Self {
        Self { session, socket, count: None, timeout: None, remaining: None }
    }

    /// The next message, counted; `None` at the end.
    ///
    /// What was printed before is written only if there is none yet: output is flushed when
    /// idle, and else written in large blocks.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Failure> {
        if self.remaining == Some(0) {
            // The other direction may go on for long.
            self.session.flush()?;
            return Ok(None);
        }
        let message = match self.socket.try_recv() {
            Err(Error::WouldBlock) => {
                self.session.flush()?;
                self.wait()
            }
            tried => tried,
        };
        match message {
            Ok(message) => {
                self.session.received.count(message.byte_len());
                if let Some(remaining) = &mut self.remaining {
                    *remaining -= 1;
                }
                Ok(Some(message))
            }
            Err(Error::WouldBlock) => self.timed_out(),
            Err(error) => Err(Failure::library("no message can be received", &error)),
        }
    }

    fn wait(&self) -> serverlink::Result<Message> {
        match self.timeout {
            Some(timeout) => self.socket.recv_timeout(timeout),
            None => self.socket.recv(),
        }
    }

    /// Without `--count` it is the way to end once something came.
    fn timed_out(&self) -> Result<Option<Message>, Failure> {
        let received = self.session.received.messages();
        let timeout = self.timeout.unwrap_or_default();
        let what = match self.count {
            None if received > 0 => return Ok(None),
            None => format!("nothing came within {timeout:?}"),
            Some(count) => {
                format!("nothing more came within {timeout:?}; {received} of {count} messages came")
            }
        };
        let advice = "see that the peer runs and sends to this socket, or allow more --timeout";
        Err(Failure::new(exit::TIMED_OUT, what, advice))
    }
}
