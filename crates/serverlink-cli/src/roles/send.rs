//! PUSH, SCATTER and RADIO: the input is sent.

use std::sync::{Arc, Weak};

use serverlink::{Socket, SocketType};

use crate::{
    args::SendArgs,
    failure::Failure,
    input::{Envelope, Input},
    output::{Kind, Style},
    session::{self, Session},
};

/// Sends to a group, if one is named.
pub(super) fn run(socket_type: SocketType, group: Option<String>, args: SendArgs) -> u8 {
    let SendArgs { common, input } = args;
    let style = Style::new(Kind::Messages, &common.run, &common.framing, false);
    let framing = common.framing.clone();
    let role = move |session: &Arc<Session>, socket: Socket| {
        let mut input = Input::open(input, &framing, Envelope::None, session.run.count)?;
        while let Some(message) = input.next()? {
            let message = match &group {
                Some(group) => message.with_group(group),
                None => message,
            };
            session.send(&socket, message)?;
        }
        Ok(())
    };
    session::run(socket_type, &common, style, |_| Ok(()), role)
}

/// Sends the whole input, while there is a socket to send it with.
pub(super) fn all(
    session: &Session,
    socket: &Weak<Socket>,
    input: &mut Input,
) -> Result<(), Failure> {
    while let Some(message) = input.next()? {
        let Some(socket) = socket.upgrade() else { break };
        session.send(&socket, message)?;
    }
    session.sent.pause();
    Ok(())
}
