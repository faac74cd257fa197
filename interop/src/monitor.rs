//! What happens to the connections of a libzmq socket.

use std::sync::atomic::{AtomicUsize, Ordering};

use zmq::SocketEvent;

use crate::PATIENCE;

/// The events of a libzmq socket, in order, each to be seen once.
pub struct Monitor {
    events: zmq::Socket,
    nowhere: String,
}

impl Monitor {
    pub(crate) fn new(context: &zmq::Context, socket: &zmq::Socket) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let endpoint = format!("inproc://monitor-{number}");
        socket.monitor(&endpoint, i32::from(SocketEvent::ALL.to_raw())).unwrap();
        let events = context.socket(zmq::PAIR).unwrap();
        // An event that finds no room stops libzmq's I/O thread.
        events.set_rcvhwm(0).unwrap();
        events.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
        events.connect(&endpoint).unwrap();
        Self { events, nowhere: format!("inproc://no-monitor-{number}") }
    }

    /// Ends the events. A socket that is closed while nobody reads them stops libzmq's I/O thread.
    pub(crate) fn stop(&self, socket: &zmq::Socket) {
        // Another monitor, of no events, takes the place of this one.
        socket.monitor(&self.nowhere, 0).unwrap();
    }

    /// The next event: its number, its value, and the endpoint.
    #[track_caller]
    #[must_use]
    pub fn next_event(&self) -> (u16, u32, String) {
        let message = self.events.recv_multipart(0).unwrap();
        let (number, value) = message[0].split_at(2);
        (
            u16::from_ne_bytes(number.try_into().unwrap()),
            u32::from_ne_bytes(value.try_into().unwrap()),
            String::from_utf8(message[1].clone()).unwrap(),
        )
    }

    /// Waits until a handshake is done. On a WebSocket libzmq tells of two: one opens it, the other one is
    /// ZMTP's.
    #[track_caller]
    pub(crate) fn wait_for_handshake(&self) {
        let mut told = 0;
        loop {
            let (number, _, endpoint) = self.next_event();
            told += usize::from(number == SocketEvent::HANDSHAKE_SUCCEEDED.to_raw());
            if told == if endpoint.starts_with("ws") { 2 } else { 1 } {
                return;
            }
        }
    }

    /// Waits for the first of `wanted`, forgetting all events before it.
    #[track_caller]
    pub fn wait_for(&self, wanted: &[SocketEvent]) -> SocketEvent {
        loop {
            let message = self
                .events
                .recv_multipart(0)
                .unwrap_or_else(|error| panic!("libzmq told of none of {wanted:?}: {error}"));
            let kind = u16::from_le_bytes([message[0][0], message[0][1]]);
            let event = SocketEvent::from_raw(kind);
            if wanted.contains(&event) {
                return event;
            }
        }
    }
}
