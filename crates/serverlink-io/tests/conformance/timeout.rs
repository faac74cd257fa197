//! Giving up after a time, and being given up.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use serverlink_io::{Direction, Event, is_cancelled};

use crate::rig::{Call, Rig, received};

/// A timer that cancels is a time-out; what comes afterwards is for the next receive.
pub(crate) fn a_receive_that_times_out_loses_nothing(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    let handle = Arc::new(handle);
    for round in 0..10_u8 {
        handle.receive(None).expect("nothing is pending");
        let deadline = Instant::now() + Duration::from_millis(2);
        let late = handle.clone();
        let give_up = Arc::new(Call(move |_| late.cancel(Direction::Inward)));
        rig.port.set_timer(deadline, give_up, 0);
        match rig.next(&inbox) {
            Event::Received(Err(error)) => assert!(is_cancelled(&error), "{error}"),
            other => panic!("a time-out expected, not {other:?}"),
        }
        assert!(Instant::now() >= deadline, "early");
        far.write_all(&[round]).expect("it is connected");
        handle.receive(None).expect("nothing is pending any more");
        assert_eq!(received(rig.next(&inbox))[..], [round]);
    }
    rig.settle();
    assert!(inbox.is_empty());
}

/// The network's own: a peer whose window stays shut, as one that has gone without a word.
#[cfg(target_os = "linux")]
pub(crate) fn a_peer_that_takes_nothing_times_out(backend: &str) {
    use std::io::ErrorKind;

    use bytes::Bytes;
    use serverlink_io::Sending;

    use crate::rig::{Inbox, narrow_pair};

    let rig = Rig::new(backend);
    let (near, _far) = narrow_pair();
    near.set_tcp_user_timeout(Some(Duration::from_millis(100))).expect("a TCP socket");
    let inbox = Inbox::new();
    let handle = rig.port.register(near, inbox.clone()).expect("it registers");
    let given = vec![Bytes::from(vec![7; 1 << 20])];
    assert!(matches!(handle.send(given.clone()), Sending::Pending));
    match rig.next(&inbox) {
        Event::Sent { buffers, sent, result: Err(error) } => {
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            assert!(sent < 1 << 20);
            assert_eq!(buffers, given);
        }
        other => panic!("a time-out expected, not {other:?}"),
    }
    rig.settle();
    assert!(inbox.is_empty());
}
