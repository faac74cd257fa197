//! DEALER, PAIR, CLIENT and CHANNEL: the input is sent while what arrives is printed.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use serverlink::{Socket, SocketType};

use super::{
    both_ways::{self, Ended},
    receive,
    send::{self, Recipients},
};
use crate::{
    args::DuplexArgs,
    failure::Failure,
    input::{Envelope, Input},
    output::{Kind, Style},
    session::{self, Session},
};

pub(super) fn run(socket_type: SocketType, args: DuplexArgs) -> u8 {
    let style = Style::new(Kind::Messages, &args.common.run, &args.common.framing, args.output.raw);
    let common = args.common.clone();
    session::run(
        socket_type,
        &common,
        style,
        |_| Ok(()),
        move |session, socket| exchange(session, socket, args, Recipients::OfThePattern),
    )
}

/// Sends the input to `recipients`, while it prints what arrives.
pub(super) fn exchange(
    session: &Arc<Session>,
    socket: &Arc<Socket>,
    args: DuplexArgs,
    recipients: Recipients,
) -> Result<(), Failure> {
    let DuplexArgs { common, input, send_only, receive_only, .. } = args;
    if receive_only {
        return receive::all(session, socket);
    }
    // Somebody at a terminal would have to end the input by hand.
    let typed = input.messages.is_empty() && input.size.is_none() && io::stdin().is_terminal();
    let mut input = Input::open(input, &common.framing, Envelope::None, common.run.count)?;
    if send_only {
        return send::all(session, &Arc::downgrade(socket), &mut input, &recipients);
    }
    let mut sending = true;
    let mut receiving = true;
    let sending_side =
        move |session: &Session, socket: &_| send::all(session, socket, &mut input, &recipients);
    let watched = Arc::clone(session);
    both_ways::run(session, socket, sending_side, receive::all, move |ended| {
        match ended {
            Ended::Sending => sending = false,
            Ended::Receiving => receiving = false,
        }
        // With nothing more coming there may be input left, which --count asks to send.
        let all_came = Some(watched.received.messages()) == watched.run.count;
        !receiving && (!sending || typed || !all_came)
    })
}
