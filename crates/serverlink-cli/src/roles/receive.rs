//! PULL, GATHER, SUB, XSUB and DISH: what arrives is printed.

use serverlink::{Frame, Socket, SocketType};

use super::arrivals::Arrivals;
use crate::{
    args::{DishArgs, ReceiveArgs, SubscribeArgs},
    failure::Failure,
    output::{Kind, Style},
    session::{self, Session},
};

pub(super) fn pull(socket_type: SocketType, args: ReceiveArgs) -> u8 {
    let ReceiveArgs { common, output } = args;
    let style = Style::new(Kind::Messages, &common.run, &common.framing, output.raw);
    session::run(socket_type, &common, style, |_| Ok(()), |session, socket| all(session, socket))
}

pub(super) fn subscribe(socket_type: SocketType, args: SubscribeArgs) -> u8 {
    let SubscribeArgs { common, output, mut topic, pattern } = args;
    if topic.is_empty() && pattern.is_empty() {
        topic.push(String::new());
    }
    let style = Style::new(Kind::Messages, &common.run, &common.framing, output.raw);
    let subscribe = |socket: &Socket| {
        topic.iter().try_for_each(|topic| match socket_type {
            SocketType::Sub => socket.subscribe(topic),
            // An XSUB socket subscribes by sending: RFC 29, "The XSUB Socket Type".
            _ => Ok(socket.send([b"\x01", topic.as_bytes()].concat())?),
        })?;
        pattern.iter().try_for_each(|pattern| socket.psubscribe(pattern))
    };
    session::run(socket_type, &common, style, subscribe, |session, socket| all(session, socket))
}

pub(super) fn groups(args: DishArgs) -> u8 {
    let DishArgs { common, output, group } = args;
    let style = Style::new(Kind::Messages, &common.run, &common.framing, output.raw);
    let join = |socket: &Socket| group.iter().try_for_each(|group| socket.join(group));
    session::run(SocketType::Dish, &common, style, join, |session, socket| {
        let mut arrivals = Arrivals::new(session, socket);
        while let Some(mut message) = arrivals.next()? {
            let group = Frame::from(message.group().unwrap_or_default());
            message.push_front(group);
            session.print(&message)?;
        }
        Ok(())
    })
}

/// Prints until the end.
pub(super) fn all(session: &Session, socket: &Socket) -> Result<(), Failure> {
    let mut arrivals = Arrivals::new(session, socket);
    while let Some(message) = arrivals.next()? {
        session.print(&message)?;
    }
    Ok(())
}
