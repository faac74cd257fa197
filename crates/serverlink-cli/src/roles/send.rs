//! PUSH, SCATTER and RADIO: the input is sent.

use std::sync::{Arc, Weak};

use serverlink::{Frame, Socket, SocketType};

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
    let role = move |session: &Arc<Session>, socket: &Arc<Socket>| {
        let mut input = Input::open(input, &framing, Envelope::None, session.run.count)?;
        while let Some(message) = input.next()? {
            let message = match &group {
                Some(group) => message.with_group(group),
                None => message,
            };
            session.send(socket, message)?;
        }
        Ok(())
    };
    session::run(socket_type, &common, style, |_| Ok(()), role)
}

/// Whom messages are for.
#[derive(Debug)]
pub(super) enum Recipients {
    /// The pattern knows.
    OfThePattern,
    /// Each goes to all who have these numbers.
    Numbers(Vec<u32>),
    /// Each goes to all of these, whose name is its first frame.
    Names(Vec<Frame>),
}

/// Sends the whole input, while there is a socket to send it with.
pub(super) fn all(
    session: &Session,
    socket: &Weak<Socket>,
    input: &mut Input,
    recipients: &Recipients,
) -> Result<(), Failure> {
    while let Some(message) = input.next()? {
        let Some(socket) = socket.upgrade() else { break };
        match recipients {
            Recipients::OfThePattern => session.send(&socket, message)?,
            Recipients::Numbers(numbers) => numbers.iter().try_for_each(|&number| {
                session.send(&socket, message.clone().with_routing_id(number))
            })?,
            Recipients::Names(names) => names.iter().try_for_each(|name| {
                let mut named = message.clone();
                named.push_front(name);
                session.send(&socket, named)
            })?,
        }
    }
    session.sent.pause();
    Ok(())
}
