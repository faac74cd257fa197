//! REP, ROUTER and SERVER: what arrives is printed, and may be replied to.

use serverlink::{Frame, Message, Socket, SocketType};

use super::arrivals::Arrivals;
use crate::{
    args::ReplyArgs,
    failure::Failure,
    output::{Kind, Style},
    session::{self, Session},
};

/// What is replied.
#[derive(Debug)]
enum Reply {
    /// Nothing.
    None,
    /// What came.
    Echo,
    /// Always this.
    Fixed(Frame),
}

pub(super) fn run(socket_type: SocketType, args: ReplyArgs) -> u8 {
    let ReplyArgs { common, output, reply, echo } = args;
    let routed = socket_type == SocketType::Router;
    let kind = if routed { Kind::Routed } else { Kind::Messages };
    let style = Style::new(kind, &common.run, &common.framing, output.raw);
    let reply = match reply {
        Some(text) => Reply::Fixed(Frame::from(&text[..])),
        // A REP socket receives nothing more before it has replied; a SERVER is like it.
        None if echo || !routed => Reply::Echo,
        None => Reply::None,
    };
    session::run(
        socket_type,
        &common,
        style,
        |_| Ok(()),
        move |session, socket| serve(session, socket, &reply, routed),
    )
}

/// Prints what comes, and sends it back.
pub(super) fn echo(session: &Session, socket: &Socket) -> Result<(), Failure> {
    serve(session, socket, &Reply::Echo, false)
}

fn serve(session: &Session, socket: &Socket, reply: &Reply, routed: bool) -> Result<(), Failure> {
    let mut arrivals = Arrivals::new(session, socket);
    while let Some(request) = arrivals.next()? {
        session.print(&request)?;
        let answer = match reply {
            Reply::None => continue,
            Reply::Echo => request,
            Reply::Fixed(body) => {
                let envelope = if routed { envelope(&request) } else { 0 };
                let answer: Message = request.iter().take(envelope).chain([body]).collect();
                match request.routing_id() {
                    Some(id) => answer.with_routing_id(id),
                    None => answer,
                }
            }
        };
        session.reply(socket, answer)?;
        session.sent.pause();
    }
    Ok(())
}

/// How many frames of a routed message are its way back: the routing id, and all up to an empty
/// frame, if there is one with a body behind it, as REQ sockets send it.
fn envelope(message: &Message) -> usize {
    let body = message.len().saturating_sub(1);
    let empty = message.iter().take(body).skip(1).position(|frame| frame.is_empty());
    1 + empty.map_or(0, |frames| frames + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_ends_with_the_empty_frame_if_there_is_one() {
        for (frames, expected) in [
            (&["id", "body"][..], 1),
            (&["id", "", "body"], 2),
            (&["id", "hop", "", "body"], 3),
            (&["id", ""], 1),
            (&["id"], 1),
        ] {
            assert_eq!(envelope(&frames.iter().copied().collect()), expected, "{frames:?}");
        }
    }
}
