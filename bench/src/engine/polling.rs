//! polling.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use polling::{Event, Events, PollMode, Poller};

use super::{Answers, Engine, Wake};
use crate::failure::Result;

const LISTENER: usize = usize::MAX - 1;

const BUFFER: usize = 64 * 1024;

/// Readiness, level-triggered: the mode that needs fewest system calls here.
pub(super) struct Polling;

impl Engine for Polling {
    fn echo(listener: TcpListener, connections: usize) -> Result<()> {
        let poller = Poller::new()?;
        let mut streams: Vec<Option<TcpStream>> = Vec::with_capacity(connections);
        let served = serve(&poller, &listener, &mut streams, connections);
        // What was added must not be closed before it is taken out.
        for stream in streams.iter().flatten() {
            poller.delete(stream)?;
        }
        poller.delete(&listener)?;
        served
    }

    fn wakes(tell: impl FnOnce(Wake) -> Result<()>, answers: Arc<Answers>) -> Result<()> {
        let poller = Arc::new(Poller::new()?);
        let woken = poller.clone();
        tell(Box::new(move || {
            // If this failed, nobody would answer, and that be noticed.
            let _ = woken.notify();
        }))?;
        let mut events = Events::new();
        loop {
            events.clear();
            poller.wait(&mut events, None)?;
            if !answers.answer() {
                return Ok(());
            }
        }
    }
}

fn serve(
    poller: &Poller,
    listener: &TcpListener,
    streams: &mut Vec<Option<TcpStream>>,
    connections: usize,
) -> Result<()> {
    listener.set_nonblocking(true)?;
    // SAFETY: the caller takes the listener out before it goes.
    unsafe { poller.add_with_mode(listener, Event::readable(LISTENER), PollMode::Level)? };
    let mut going = connections;
    let mut events = Events::new();
    let mut buffer = vec![0; BUFFER];
    while going > 0 {
        events.clear();
        poller.wait(&mut events, None)?;
        for event in events.iter() {
            if event.key == LISTENER {
                accept(poller, listener, streams)?;
            } else if let Some(slot) = streams.get_mut(event.key)
                && let Some(stream) = slot
                && !send_back(stream, &mut buffer)?
            {
                poller.delete(&*stream)?;
                *slot = None;
                going -= 1;
            }
        }
    }
    Ok(())
}

fn accept(
    poller: &Poller,
    listener: &TcpListener,
    streams: &mut Vec<Option<TcpStream>>,
) -> Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let event = Event::readable(streams.len());
                streams.push(None);
                // SAFETY: the stream is taken out before it goes, here or by the caller.
                unsafe { poller.add_with_mode(&stream, event, PollMode::Level)? };
                if let Some(slot) = streams.last_mut() {
                    *slot = Some(stream);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends back what there is, or some of it; false at the end.
fn send_back(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<bool> {
    match stream.read(buffer) {
        Ok(read) => {
            // One message at a time: there is room for it.
            stream.write_all(&buffer[..read])?;
            Ok(read > 0)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error.into()),
    }
}
