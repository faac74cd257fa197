//! mio. On Windows it makes readiness of completions.

use std::{
    io::{ErrorKind, Read as _, Result, Write as _},
    net::TcpListener,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener as MioListener, TcpStream},
};

const LISTENER: Token = Token(usize::MAX);

/// How many events to take at a time, as many as our engine does.
pub(super) const EVENTS: usize = 256;

const BUFFER: usize = 64 * 1024;

/// Accepts so many connections and sends back what they bring, until all have ended.
pub(super) fn serve(listener: TcpListener, connections: usize) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = MioListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut streams: Vec<Option<TcpStream>> = Vec::with_capacity(connections);
    let mut going = connections;
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; BUFFER];
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
            Err(error) => return Err(error),
        }
    }
}

/// Sends back what there is; false at the end.
fn send_back(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<bool> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                // One message at a time: there is room for it.
                stream.write_all(&buffer[..read])?;
                // epoll(7): after less than was asked for, nothing is left. mio on Windows reports
                // again only after a read that found nothing.
                if cfg!(not(windows)) && read < buffer.len() {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}
