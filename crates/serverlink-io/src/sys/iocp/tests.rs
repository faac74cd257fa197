//! The backend alone, without `Port`.

use std::{
    io,
    sync::{Arc, mpsc},
    time::Duration,
};

use bytes::Bytes;
use socket2::{Domain, SockAddr, Socket, Type};

use super::*;
use crate::{Event, Sending};

struct Forward(mpsc::Sender<Event>);

impl Handler for Forward {
    fn complete(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

fn handler() -> (Arc<Forward>, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel();
    (Arc::new(Forward(sender)), receiver)
}

fn next(port: &Iocp, events: &mpsc::Receiver<Event>) -> Event {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Ok(event) = events.try_recv() {
            return event;
        }
        assert!(Instant::now() < deadline, "no event");
        port.turn(Some(Duration::from_millis(100))).unwrap();
    }
}

fn listener() -> (Socket, SockAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(128).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn echoes() {
    let port = Iocp::new(&PortOptions::default()).unwrap();
    let (socket, address) = listener();
    let (h, listening) = handler();
    let l = port.register(socket, h).unwrap();
    l.accept().unwrap();
    let (h, connecting) = handler();
    let c = port.register(Socket::new(Domain::IPV4, Type::STREAM, None).unwrap(), h).unwrap();
    c.connect(&address).unwrap();
    let Event::Connected(Ok(())) = next(&port, &connecting) else { panic!() };
    let Event::Accepted(Ok((server, peer))) = next(&port, &listening) else { panic!() };
    assert_eq!(peer.as_socket(), c.local_address().unwrap().as_socket());
    let (h, serving) = handler();
    let s = port.register(server, h).unwrap();
    s.receive(None).unwrap();
    match c.send(vec![Bytes::from_static(b"hel"), Bytes::new(), Bytes::from_static(b"lo")]) {
        Sending::Done { sent: 5, result: Ok(()), .. } => {}
        Sending::Pending => {
            let Event::Sent { sent: 5, result: Ok(()), .. } = next(&port, &connecting) else {
                panic!()
            };
        }
        other => panic!("{other:?}"),
    }
    let Event::Received(Ok(data)) = next(&port, &serving) else { panic!() };
    assert_eq!(&data[..], b"hello");
    s.receive(None).unwrap();
    s.cancel(crate::Direction::Inward);
    let Event::Received(Err(error)) = next(&port, &serving) else { panic!() };
    assert!(crate::errors::is_cancelled(&error), "{error}");
    c.shutdown_send().unwrap();
    s.receive(None).unwrap();
    let Event::Received(Ok(data)) = next(&port, &serving) else { panic!() };
    assert!(data.is_empty());
    let _ = io::ErrorKind::Other;
}
