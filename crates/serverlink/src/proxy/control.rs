//! Commands by message.

use super::forward::State;
use crate::{Error, Message, ProxyStatistics, Result, Socket, SocketType};

/// Obeys one message, if there is one.
pub(super) fn obey(
    control: &Socket,
    state: &mut State,
    statistics: impl FnOnce() -> ProxyStatistics,
) -> Result<()> {
    let message = match control.try_recv() {
        Ok(message) => message,
        Err(Error::WouldBlock) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut answer = None;
    for command in &message {
        match &command[..] {
            b"PAUSE" => *state = State::Paused,
            b"RESUME" => *state = State::Active,
            b"TERMINATE" => *state = State::Terminated,
            b"STATISTICS" => answer = Some(()),
            // libzmq passes over what it does not know, too.
            _ => {}
        }
    }
    let answer = match answer {
        Some(()) => statistics().to_message(),
        None if control.socket_type() == SocketType::Rep => Message::from(""),
        None => return Ok(()),
    };
    match control.try_send(answer).map_err(Error::from) {
        Err(Error::Terminated) => Err(Error::Terminated),
        // Who asked has gone, or asks by a socket that hears nothing.
        _ => Ok(()),
    }
}
