//! PUSH: the input is sent.

use std::sync::{Arc, Weak};

use serverlink::{Socket, SocketType};

use crate::{
    args::SendArgs,
    failure::Failure,
    input::{Envelope, Input},
    output::{Kind, Style},
    session::{self, Session},
};

pub(super) fn run(socket_type: SocketType, args: SendArgs) -> u8 {
    let SendArgs { common, input } = args;
    let style = Style::new(Kind::Messages, &common.run, &common.framing, false);
    let framing = common.framing.clone();
    let role = move |session: &Arc<Session>, socket: Socket| {
        let mut input = Input::open(input, &framing, Envelope::None, session.run.count)?;
        while let Some(message) = input.next()? {
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
