//! mio.

#[path = "../../echo/mio.rs"]
mod echo;

use std::{net::TcpListener, sync::Arc};

use mio::{Events, Poll, Token, Waker};

use self::echo::EVENTS;
use super::{Answers, Engine, Wake};
use crate::failure::Result;

const WAKER: Token = Token(0);

/// Readiness, edge-triggered.
pub(super) struct Mio;

impl Engine for Mio {
    fn echo(listener: TcpListener, connections: usize) -> Result<()> {
        Ok(echo::serve(listener, connections)?)
    }

    fn wakes(tell: impl FnOnce(Wake) -> Result<()>, answers: Arc<Answers>) -> Result<()> {
        let mut poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        tell(Box::new(move || {
            // If this failed, nobody would answer, and that be noticed.
            let _ = waker.wake();
        }))?;
        let mut events = Events::with_capacity(EVENTS);
        loop {
            poll.poll(&mut events, None)?;
            for _ in &events {
                if !answers.answer() {
                    return Ok(());
                }
            }
        }
    }
}
