//! The readable direction of a registration.

use std::{
    io, mem,
    sync::{Arc, MutexGuard},
};

use bytes::BytesMut;

use super::{
    Engine, Want,
    entry::{Live, Registration},
    source::{self, Tried},
};
use crate::{Direction, Event, errors, lock::lock};

pub(super) struct Inward {
    /// `None` once retired.
    pub(super) live: Option<Arc<Live>>,
    pub(super) operation: Reading,
    pub(super) readable: Readable,
    /// Stands in the engine's queue.
    pub(super) queued: bool,
}

/// What is pending.
#[derive(Default)]
pub(super) enum Reading {
    #[default]
    Idle,
    Accept,
    Receive(Option<BytesMut>),
    /// This half of a probe.
    Probe,
    /// Nothing any more but the event, which waits to be delivered. Boxed, for it is rare and large:
    /// with thousands of registrations, each cache line of one counts.
    Due(Box<Event>),
}

/// What is known of the descriptor since the poller's last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readable {
    /// The last attempt took all there was; a report will follow.
    No,
    Yes,
    /// The end or an error is to be read sooner or later, and no report may follow.
    HungUp,
}

impl Reading {
    /// Whether readiness helps.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Accept | Self::Receive(_) | Self::Probe)
    }

    /// Ends the operation, if there is one; true if its event is due now.
    pub(super) fn cancel(&mut self) -> bool {
        let event = match mem::take(self) {
            Self::Idle => return false,
            due @ Self::Due(_) => {
                *self = due;
                return true;
            }
            Self::Accept => Event::Accepted(Err(errors::cancelled())),
            Self::Receive(_) => Event::Received(Err(errors::cancelled())),
            Self::Probe => Event::Ready(Err(errors::cancelled())),
        };
        *self = Self::Due(Box::new(event));
        true
    }
}

impl Inward {
    pub(super) fn new(live: Arc<Live>) -> Self {
        Self { live: Some(live), operation: Reading::Idle, readable: Readable::No, queued: false }
    }

    pub(super) fn live(&self) -> io::Result<&Arc<Live>> {
        self.live.as_ref().ok_or_else(errors::retired)
    }

    /// Carries out what is pending; `None` if it has to wait.
    fn advance(&mut self, engine: &Engine) -> Option<Event> {
        let live = self.live.as_ref()?;
        match mem::take(&mut self.operation) {
            Reading::Idle | Reading::Probe => None,
            Reading::Due(event) => Some(*event),
            Reading::Accept => {
                let tried = match live.source.socket() {
                    Ok(socket) => source::accept(socket),
                    Err(error) => Tried::Finished(Err(error)),
                };
                match tried {
                    // There may be more connections: still readable.
                    Tried::Finished(result) => Some(Event::Accepted(result)),
                    Tried::WouldBlock => self.wait(Reading::Accept),
                }
            }
            Reading::Receive(given) => {
                let supplied = given.is_none();
                let mut buffer = given.unwrap_or_else(|| engine.buffers.take());
                let tried = match live.source.socket() {
                    Ok(socket) => source::receive(socket, &mut buffer),
                    Err(error) => Tried::Finished(Err(error)),
                };
                match tried {
                    Tried::Finished(Ok(received)) => {
                        engine.counters.received(received);
                        self.note(received, &buffer);
                        Some(Event::Received(Ok(buffer)))
                    }
                    Tried::Finished(Err(error)) => Some(Event::Received(Err(error))),
                    Tried::WouldBlock if supplied => {
                        engine.buffers.give(buffer);
                        self.wait(Reading::Receive(None))
                    }
                    Tried::WouldBlock => self.wait(Reading::Receive(Some(buffer))),
                }
            }
        }
    }

    fn wait(&mut self, operation: Reading) -> Option<Event> {
        self.operation = operation;
        self.readable = Readable::No;
        None
    }

    /// Concludes from a receive whether another one would find anything: one that left room has
    /// taken all there was (epoll(7), "Possible pitfalls"), except for the end.
    fn note(&mut self, received: usize, buffer: &BytesMut) {
        if received == 0 {
            self.readable = Readable::HungUp;
        } else if buffer.len() < buffer.capacity() && self.readable == Readable::Yes {
            self.readable = Readable::No;
        }
    }
}

impl Registration {
    pub(super) fn start_reading(&self, operation: Reading) -> io::Result<()> {
        let mut inward = lock(&self.inward);
        inward.live()?.source.socket()?;
        if !matches!(inward.operation, Reading::Idle) {
            return Err(errors::busy());
        }
        inward.operation = operation;
        match inward.readable {
            Readable::No => self.wanted(Want::Read),
            Readable::Yes | Readable::HungUp => {
                self.stand(&mut inward.queued, Direction::Inward);
            }
        }
        Ok(())
    }

    pub(super) fn serve_inward(&self, mut inward: MutexGuard<'_, Inward>) -> bool {
        if matches!(inward.operation, Reading::Probe) {
            drop(inward);
            return self.serve_probe();
        }
        let Some(event) = inward.advance(&self.engine) else {
            if inward.operation.waits() {
                self.wanted(Want::Read);
            }
            return false;
        };
        let Some(live) = inward.live.as_deref() else { return false };
        let (handler, descriptor) = (Arc::clone(&live.handler), live.source.descriptor());
        drop(inward);
        self.engine.counters.deliver(&*handler, descriptor, event);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream, UdpSocket},
        sync::Mutex,
        time::Duration,
    };

    use super::*;
    use crate::{
        Handler, PortOptions,
        sys::{
            Backend,
            readiness::{Readiness, Ready},
            select::Select,
        },
    };

    #[derive(Default)]
    struct Last(Mutex<Option<Event>>);

    impl Handler for Last {
        fn complete(&self, event: Event) {
            *lock(&self.0) = Some(event);
        }
    }

    /// A wrong answer would cost a call per message, or the rest of the stream.
    #[test]
    fn what_a_receive_leaves_decides_whether_the_next_one_tries() {
        let backend = Readiness::new(
            Select::new().expect("it starts"),
            &PortOptions { receive_buffer: 8, ..PortOptions::default() },
        );
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback listens");
        let address = listener.local_addr().expect("it has an address");
        let mut far = TcpStream::connect(address).expect("loopback connects");
        let (near, _) = listener.accept().expect("loopback accepts");
        let events = Arc::new(Last::default());
        let entry = backend.register(near.into(), events.clone()).expect("it registers");
        let registration = lock(&backend.engine.table).all().remove(0);
        let receive = || loop {
            if let Some(event) = lock(&events.0).take() {
                break (event, lock(&registration.inward).readable);
            }
            // Refused while pending; all the same here.
            let _ = entry.receive(None);
            backend.turn(Some(Duration::from_secs(60))).expect("it turns");
        };

        far.write_all(b"little").expect("it is connected");
        let (event, readable) = receive();
        assert!(matches!(&event, Event::Received(Ok(bytes)) if bytes[..] == *b"little"));
        assert_eq!(readable, Readable::No);

        far.write_all(b"more than fits").expect("it is connected");
        let (event, readable) = receive();
        assert!(matches!(&event, Event::Received(Ok(bytes)) if bytes[..] == *b"more tha"));
        assert_eq!(readable, Readable::Yes);
        let (event, readable) = receive();
        assert!(matches!(&event, Event::Received(Ok(bytes)) if bytes[..] == *b"n fits"));
        assert_eq!(readable, Readable::No);

        drop(far);
        let (event, readable) = receive();
        assert!(matches!(&event, Event::Received(Ok(bytes)) if bytes.is_empty()));
        assert_eq!(readable, Readable::HungUp);

        let token = registration.token();
        assert!(lock(&backend.engine.table).get(token).is_some());
        entry.retire();
        assert!(lock(&backend.engine.table).get(token).is_none());
    }

    /// The end is told of once; forgotten, it would be waited for in vain.
    #[test]
    fn a_late_report_does_not_undo_the_end() {
        let backend = Readiness::new(Select::new().expect("it starts"), &PortOptions::default());
        let socket = UdpSocket::bind("127.0.0.1:0").expect("there are sockets");
        let events = Arc::new(Last::default());
        let _entry = backend.register(socket.into(), events).expect("it registers");
        let registration = lock(&backend.engine.table).all().remove(0);
        for (hangup, expected) in
            [(false, Readable::Yes), (true, Readable::HungUp), (false, Readable::HungUp)]
        {
            let token = registration.token();
            registration.report(Ready { token, readable: true, writable: false, hangup });
            assert_eq!(lock(&registration.inward).readable, expected);
        }
    }
}
