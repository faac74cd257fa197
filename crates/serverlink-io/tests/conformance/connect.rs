//! Connecting and half-closing.

use std::io::{ErrorKind, Read, Write};

use bytes::Bytes;
use serverlink_io::{Event, Sending};

use crate::rig::{Inbox, Rig, listener, received, stream};

pub(crate) fn connect_completes(backend: &str) {
    let rig = Rig::new(backend);
    let (listener, address) = listener();
    let inbox = Inbox::new();
    let handle = rig.port.register(stream(), inbox.clone()).expect("it registers");
    // A backend may hear something of a socket that is not connected; nothing may come of it.
    rig.settle();
    handle.connect(&address.into()).expect("nothing is pending");
    assert_eq!(
        handle.connect(&address.into()).expect_err("one is pending").kind(),
        ErrorKind::ResourceBusy
    );
    assert!(inbox.is_empty(), "completed within the call");
    let event = rig.next(&inbox);
    assert!(matches!(event, Event::Connected(Ok(()))), "{event:?}");
    assert_eq!(handle.peer_address().expect("it is connected").as_socket(), Some(address));

    let (mut far, peer) = listener.accept().expect("there it is");
    assert_eq!(handle.local_address().expect("it is connected").as_socket(), Some(peer));
    handle.receive(None).expect("nothing is pending");
    rig.settle();
    assert!(inbox.is_empty());
    far.write_all(b"hello").expect("it is connected");
    assert_eq!(received(rig.next(&inbox))[..], *b"hello");
    assert!(matches!(
        handle.send(vec![Bytes::from_static(b"world")]),
        Sending::Done { sent: 5, result: Ok(()), .. }
    ));
    let mut word = [0; 5];
    far.read_exact(&mut word).expect("it was sent");
    assert_eq!(word, *b"world");
    assert!(inbox.is_empty());
}

/// A listener that answers nobody for now: Linux drops what comes when the backlog is full.
#[cfg(target_os = "linux")]
fn full_listener() -> (socket2::Socket, Vec<std::net::TcpStream>, std::net::SocketAddr) {
    let listener = stream();
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any_port.into()).expect("loopback listens");
    listener.listen(0).expect("loopback listens");
    let address = listener.local_addr().expect("it listens").as_socket().expect("of IPv4");
    let moment = std::time::Duration::from_millis(100);
    let mut queued = Vec::new();
    while let Ok(client) = std::net::TcpStream::connect_timeout(&address, moment) {
        queued.push(client);
    }
    (listener, queued, address)
}

/// Right after its registration a socket counts as hung up; that is no end of a connect.
#[cfg(target_os = "linux")]
pub(crate) fn a_connect_under_way_is_awaited(backend: &str) {
    let rig = Rig::new(backend);
    let (listener, queued, address) = full_listener();
    let inbox = Inbox::new();
    let handle = rig.port.register(stream(), inbox.clone()).expect("it registers");
    handle.connect(&address.into()).expect("nothing is pending");
    rig.settle();
    assert!(inbox.is_empty());
    for _ in &queued {
        listener.accept().expect("it is in the backlog");
    }
    // The kernel tries again after a second.
    let event = rig.next(&inbox);
    assert!(matches!(event, Event::Connected(Ok(()))), "{event:?}");
    assert_eq!(handle.peer_address().expect("it is connected").as_socket(), Some(address));
}

#[cfg(target_os = "linux")]
pub(crate) fn cancel_ends_a_pending_connect(backend: &str) {
    let rig = Rig::new(backend);
    let (_listener, _queued, address) = full_listener();
    let inbox = Inbox::new();
    let handle = rig.port.register(stream(), inbox.clone()).expect("it registers");
    handle.connect(&address.into()).expect("nothing is pending");
    rig.settle();
    handle.cancel(serverlink_io::Direction::Outward);
    match rig.next(&inbox) {
        Event::Connected(Err(error)) => assert!(serverlink_io::is_cancelled(&error), "{error}"),
        other => panic!("cancellation expected, not {other:?}"),
    }
    rig.settle();
    assert!(inbox.is_empty());
}

pub(crate) fn refused_connect_says_so(backend: &str) {
    let rig = Rig::new(backend);
    let (listener, address) = listener();
    drop(listener);
    for _ in 0..10 {
        let inbox = Inbox::new();
        let handle = rig.port.register(stream(), inbox.clone()).expect("it registers");
        let error = match handle.connect(&address.into()) {
            Err(error) => error,
            Ok(()) => match rig.next(&inbox) {
                Event::Connected(Err(error)) => error,
                other => panic!("refusal expected, not {other:?}"),
            },
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        rig.settle();
        assert!(inbox.is_empty());
    }
}

pub(crate) fn half_close_leaves_the_other_direction(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    assert!(matches!(
        handle.send(vec![Bytes::from_static(b"question")]),
        Sending::Done { sent: 8, result: Ok(()), .. }
    ));
    handle.receive(None).expect("nothing is pending");
    handle.shutdown_send().expect("it is connected");
    let mut question = String::new();
    far.read_to_string(&mut question).expect("the stream ends");
    assert_eq!(question, "question");
    rig.settle();
    assert!(inbox.is_empty(), "only the sending half was shut down");
    match handle.send(vec![Bytes::from_static(b"more")]) {
        Sending::Done { sent: 0, result: Err(_), .. } => {}
        other => panic!("the sending half was shut down, but {other:?}"),
    }
    far.write_all(b"answer").expect("the other half works");
    assert_eq!(received(rig.next(&inbox))[..], *b"answer");
    drop(far);
    handle.receive(None).expect("nothing is pending");
    assert!(received(rig.next(&inbox)).is_empty());
}
