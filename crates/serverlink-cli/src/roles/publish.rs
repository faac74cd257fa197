//! PUB and XPUB: the input is published, perhaps once there are subscribers.

use std::sync::{
    Arc,
    mpsc::{self, Receiver, RecvTimeoutError, Sender},
};

use serverlink::{Frame, Socket, SocketType};

use super::{
    arrivals::Arrivals,
    both_ways::{self, Ended},
    send::{self, Recipients},
};
use crate::{
    args::{PublishArgs, RunArgs},
    exit,
    failure::Failure,
    input::{Envelope, Input},
    output::{Kind, Style, subscription},
    session::{self, Session},
};

pub(super) fn run(socket_type: SocketType, args: PublishArgs) -> u8 {
    let style = Style::new(Kind::Subscriptions, &args.common.run, &args.common.framing, false);
    let common = args.common.clone();
    // A PUB socket does not tell who subscribes.
    let told = socket_type == SocketType::XPub || args.wait_subscribers > 0;
    let actual = if told { SocketType::XPub } else { SocketType::Pub };
    let prepare = move |socket: &Socket| {
        // Without it, the second subscriber of a topic would not be told.
        if told { socket.set_xpub_verbose(true) } else { Ok(()) }
    };
    session::run(actual, &common, style, prepare, move |session, socket| {
        publish(session, socket, args, socket_type == SocketType::XPub)
    })
}

fn publish(
    session: &Arc<Session>,
    socket: &Arc<Socket>,
    args: PublishArgs,
    print: bool,
) -> Result<(), Failure> {
    let PublishArgs { common, input, topic, prefix, wait_subscribers } = args;
    let envelope = match (topic, prefix) {
        (Some(topic), _) => Envelope::Topic(Frame::from(topic)),
        (None, Some(prefix)) => Envelope::Prefix(prefix.into_bytes()),
        (None, None) => Envelope::None,
    };
    let mut input = Input::open(input, &common.framing, envelope, common.run.count)?;
    if socket.socket_type() == SocketType::Pub {
        return send::all(session, &Arc::downgrade(socket), &mut input, &Recipients::OfThePattern);
    }
    let (subscribed, subscriptions) = mpsc::channel();
    let sending = move |session: &Session, socket: &_| {
        wait(&subscriptions, wait_subscribers, &session.run)?;
        send::all(session, socket, &mut input, &Recipients::OfThePattern)
    };
    let receiving = move |session: &Session, socket: &_| watch(session, socket, print, &subscribed);
    both_ways::run(session, socket, sending, receiving, |ended| matches!(ended, Ended::Sending))
}

/// Waits until so many subscriptions have come.
fn wait(subscriptions: &Receiver<()>, wanted: u64, run: &RunArgs) -> Result<(), Failure> {
    for come in 0..wanted {
        let next = match run.timeout {
            Some(timeout) => subscriptions.recv_timeout(timeout),
            None => subscriptions.recv().map_err(RecvTimeoutError::from),
        };
        if next == Err(RecvTimeoutError::Timeout) {
            return Err(Failure::new(
                exit::TIMED_OUT,
                format!("{come} of {wanted} subscriptions came in time"),
                "start the subscribers, or allow more --timeout",
            ));
        }
    }
    Ok(())
}

/// Counts the subscriptions as they come, and perhaps prints them.
fn watch(
    session: &Session,
    socket: &Socket,
    print: bool,
    subscribed: &Sender<()>,
) -> Result<(), Failure> {
    let mut arrivals = Arrivals::endless(session, socket);
    while let Some(message) = arrivals.next()? {
        if print {
            session.print(&message)?;
        }
        if let Some((true, _)) = subscription(&message) {
            // Nobody may be waiting any more.
            let _ = subscribed.send(());
        }
    }
    Ok(())
}
