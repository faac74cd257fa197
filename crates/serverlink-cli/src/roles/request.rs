//! REQ: each message of the input is sent, and its reply printed.

use std::sync::Arc;

use serverlink::{Error, Socket, SocketType};

use crate::{
    args::RequestArgs,
    exit,
    failure::Failure,
    input::{Envelope, Input},
    output::{Kind, Style},
    session::{self, Session},
};

pub(super) fn run(args: RequestArgs) -> u8 {
    let RequestArgs { common, input, output } = args;
    let style = Style::new(Kind::Messages, &common.run, &common.framing, output.raw);
    let framing = common.framing.clone();
    let role = move |session: &Arc<Session>, socket: &Arc<Socket>| {
        let mut input = Input::open(input, &framing, Envelope::None, session.run.count)?;
        while let Some(request) = input.next()? {
            session.send(socket, request)?;
            print_reply(session, socket)?;
        }
        Ok(())
    };
    session::run(SocketType::Req, &common, style, |_| Ok(()), role)
}

fn print_reply(session: &Session, socket: &Socket) -> Result<(), Failure> {
    let reply = match session.run.timeout {
        Some(timeout) => socket.recv_timeout(timeout),
        None => socket.recv(),
    };
    let reply = reply.map_err(|error| match (error, session.run.timeout) {
        (Error::WouldBlock, Some(timeout)) => Failure::new(
            exit::TIMED_OUT,
            format!("no reply came within {timeout:?}"),
            "see that the peer runs and replies, or allow more --timeout",
        ),
        (error, _) => Failure::library("no reply can be received", &error),
    })?;
    session.received.count(reply.byte_len());
    session.print(&reply)?;
    // The next message of the input may be long in coming.
    session.flush()
}
