//! mio, which on Windows makes readiness of completions.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpListener,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener as MioListener, TcpStream},
};

use crate::Result;

const LISTENER: Token = Token(usize::MAX);
/// As many as the engine takes at a time.
const EVENTS: usize = 256;

pub(super) fn serve(listener: TcpListener, connections: usize) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = MioListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut streams: Vec<Option<TcpStream>> = Vec::with_capacity(connections);
    let mut going = connections;
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; 64 * 1024];
    while going > 0 {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(index) = event.token();
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut streams)?;
            } else if let Some(slot) = streams.get_mut(index)
                && let Some(stream) = slot
                && !send_back(stream, &mut buffer)?
            {
                *slot = None;
                going -= 1;
            }
        }
    }
    Ok(())
}

fn accept(listener: &MioListener, poll: &Poll, streams: &mut Vec<Option<TcpStream>>) -> Result<()> {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nodelay(true)?;
                let token = Token(streams.len());
                poll.registry().register(&mut stream, token, Interest::READABLE)?;
                streams.push(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends back what there is; false at the end.
fn send_back(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<bool> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Ok(false),
            // One message at a time: there is room for it. Windows reports again only after a read
            // that found nothing.
            Ok(read) => stream.write_all(&buffer[..read])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
