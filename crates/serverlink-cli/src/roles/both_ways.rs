//! A socket that sends and receives at the same time, in two threads.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Weak, mpsc},
    thread,
};

use serverlink::Socket;

use crate::{failure::Failure, session::Session};

/// The direction that has come to its end.
#[derive(Debug)]
pub(super) enum Ended {
    Sending,
    Receiving,
}

/// Runs both, and asks `finished` after each end whether to wait for the other one too. A failure
/// ends everything.
///
/// The sending side may wait for input for ever. It gets the socket for one message at a time, so
/// that the socket can be closed meanwhile.
pub(super) fn run(
    session: &Arc<Session>,
    socket: &Arc<Socket>,
    send: impl FnOnce(&Session, &Weak<Socket>) -> Result<(), Failure> + Send + 'static,
    receive: impl FnOnce(&Session, &Socket) -> Result<(), Failure> + Send + 'static,
    mut finished: impl FnMut(Ended) -> bool,
) -> Result<(), Failure> {
    let (ends, inbox) = mpsc::channel();
    {
        let (session, socket, ends) = (Arc::clone(session), Arc::downgrade(socket), ends.clone());
        thread::spawn(move || {
            let ended = caught(|| send(&session, &socket));
            ends.send(ended.map(|()| Ended::Sending))
        });
    }
    {
        let (session, socket) = (Arc::clone(session), Arc::clone(socket));
        thread::spawn(move || {
            let ended = caught(|| receive(&session, &socket));
            ends.send(ended.map(|()| Ended::Receiving))
        });
    }
    while let Ok(ended) = inbox.recv() {
        if finished(ended?) {
            break;
        }
    }
    Ok(())
}

fn caught(work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Failure::panicked()))
}
