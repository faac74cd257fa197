//! Sending.

use std::{
    io::{ErrorKind, Read},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use serverlink_io::{Event, Handle, Sending};

use crate::rig::{Inbox, Rig, narrow_pair, reset, scaled};

pub(crate) fn empty_sends_end_at_once(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    for buffers in [Vec::new(), vec![Bytes::new()], vec![Bytes::new(); 200]] {
        match handle.send(buffers.clone()) {
            Sending::Done { buffers: returned, sent: 0, result: Ok(()) } => {
                assert_eq!(returned, buffers);
            }
            other => panic!("nothing to send, but {other:?}"),
        }
    }
    let mut mixed = vec![Bytes::new(); 100];
    mixed.push(Bytes::from_static(b"a"));
    mixed.extend(vec![Bytes::new(); 100]);
    mixed.push(Bytes::from_static(b"b"));
    mixed.push(Bytes::new());
    assert!(matches!(handle.send(mixed), Sending::Done { sent: 2, result: Ok(()), .. }));
    let mut letters = [0; 2];
    far.read_exact(&mut letters).expect("both were sent");
    assert_eq!(letters, *b"ab");
    rig.settle();
    assert!(inbox.is_empty());
}

pub(crate) fn buffers_come_back_as_they_were(backend: &str) {
    let rig = Rig::new(backend);
    let (near, mut far) = narrow_pair();
    let inbox = Inbox::new();
    let handle = rig.port.register(near, inbox.clone()).expect("it registers");
    let given: Vec<Bytes> = (0..100_u8).map(|fill| Bytes::from(vec![fill; 40_000])).collect();
    let total: usize = given.iter().map(Bytes::len).sum();
    let places = |buffers: &[Bytes]| -> Vec<_> {
        buffers.iter().map(|buffer| (buffer.as_ptr(), buffer.len())).collect()
    };
    let before = places(&given);
    assert!(matches!(handle.send(given), Sending::Pending));
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; total];
        far.read_exact(&mut bytes).map(|()| bytes)
    });
    match rig.next(&inbox) {
        Event::Sent { buffers, sent, result: Ok(()) } => {
            assert_eq!(sent, total);
            assert_eq!(places(&buffers), before);
        }
        other => panic!("all is sent, but {other:?}"),
    }
    let got = reader.join().expect("no panic").expect("all arrives");
    assert!(got.chunks(40_000).zip(0..).all(|(chunk, fill)| chunk.iter().all(|b| *b == fill)));
}

pub(crate) fn a_second_send_is_refused(backend: &str) {
    let rig = Rig::new(backend);
    let (near, mut far) = narrow_pair();
    let inbox = Inbox::new();
    let handle = rig.port.register(near, inbox.clone()).expect("it registers");
    let size = 4 << 20;
    assert!(matches!(handle.send(vec![Bytes::from(vec![1; size])]), Sending::Pending));
    let second = vec![Bytes::from_static(b"second")];
    match handle.send(second.clone()) {
        Sending::Done { buffers, sent: 0, result: Err(error) } => {
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
            assert_eq!(buffers, second);
        }
        other => panic!("one is pending, but {other:?}"),
    }
    let error = handle.shutdown_send().expect_err("one is pending");
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).map(|_| bytes)
    });
    let event = rig.next(&inbox);
    assert!(matches!(event, Event::Sent { result: Ok(()), .. }), "{event:?}");
    handle.shutdown_send().expect("nothing is pending");
    let got = reader.join().expect("no panic").expect("the stream ends in order");
    assert_eq!(got.len(), size);
    assert!(got.iter().all(|byte| *byte == 1));
}

pub(crate) fn a_send_outlives_the_thread_that_began_it(backend: &str) {
    let rig = Rig::new(backend);
    let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| (n / 251) as u8).collect();
    // While somebody reads, and before anybody does.
    for early in (0..scaled(200)).map(|round| round % 4 > 0) {
        let (near, mut far) = narrow_pair();
        let inbox = Inbox::new();
        let handle = rig.port.register(near, inbox.clone()).expect("it registers");
        let handle = Arc::new(handle);
        let read = move || {
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).map(|_| bytes)
        };
        let given = vec![Bytes::from(bytes.clone())];
        let began = std::thread::spawn({
            let handle = handle.clone();
            move || handle.send(given)
        });
        let (sending, reader) = if early {
            let reader = std::thread::spawn(read);
            (began.join(), reader)
        } else {
            (began.join(), std::thread::spawn(read))
        };
        let result = match sending.expect("no panic") {
            Sending::Done { result, .. } if early => result,
            Sending::Done { .. } => panic!("there is no room"),
            Sending::Pending => match rig.next(&inbox) {
                Event::Sent { result, .. } => result,
                _ => panic!("the end of a send expected"),
            },
        };
        result.expect("all is sent");
        handle.shutdown_send().expect("nothing is pending");
        let got = reader.join().expect("no panic").expect("the stream ends in order");
        assert!(got == bytes, "{} bytes arrived of {}", got.len(), bytes.len());
    }
}

pub(crate) fn send_to_a_reset_peer_fails(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, far) = rig.connected();
    reset(far);
    // The first ones may still be taken.
    let error =
        rig.until("the failure", || match handle.send(vec![Bytes::from_static(b"anyone?")]) {
            Sending::Done { result: Err(error), .. } => Some(error),
            Sending::Done { .. } => {
                rig.port.wake();
                None
            }
            Sending::Pending => match rig.next(&inbox) {
                Event::Sent { result, .. } => result.err(),
                other => panic!("the end of a send expected, not {other:?}"),
            },
        });
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
    assert!(kinds.contains(&error.kind()), "{error}");
}

/// The kernel has room for all of the small ones at once: no report comes between them.
pub(crate) fn many_small_slices_follow_a_large_one(backend: &str) {
    const SMALL: usize = 5_000;
    let rig = Rig::new(backend);
    let (near, mut far) = narrow_pair();
    let inbox = Inbox::new();
    let handle = rig.port.register(near, inbox.clone()).expect("it registers");
    let mut buffers = vec![Bytes::from(vec![0; 4 << 20])];
    buffers.extend((0..SMALL).map(|index| Bytes::from(vec![(index % 251) as u8])));
    let total = (4 << 20) + SMALL;
    assert!(matches!(handle.send(buffers), Sending::Pending));
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; total];
        far.read_exact(&mut bytes).map(|()| bytes)
    });
    match rig.next(&inbox) {
        Event::Sent { sent, result: Ok(()), .. } => assert_eq!(sent, total),
        other => panic!("all is sent, but {other:?}"),
    }
    let got = reader.join().expect("no panic").expect("all arrives");
    assert!((0..SMALL).all(|index| got[(4 << 20) + index] == (index % 251) as u8));
}

/// One end of a connection that sends and receives at the same time.
struct End {
    handle: Handle,
    inbox: Arc<Inbox>,
    expected: Vec<u8>,
    received: usize,
    sent: bool,
}

impl End {
    fn process(&mut self, total: usize) {
        while let Some(event) = self.inbox.take() {
            match event {
                Event::Sent { sent, result, .. } => {
                    result.expect("the peer reads");
                    assert_eq!(sent, total);
                    assert!(!std::mem::replace(&mut self.sent, true), "sent twice");
                }
                Event::Received(Ok(bytes)) => {
                    self.take(&bytes);
                    if self.received < total {
                        self.handle.receive(Some(emptied(bytes))).expect("nothing is pending");
                    }
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "end of stream after {} bytes", self.received);
        let end = self.received + bytes.len();
        assert!(self.expected[self.received..end] == *bytes, "wrong bytes before {end}");
        self.received = end;
    }
}

fn emptied(mut bytes: BytesMut) -> BytesMut {
    bytes.clear();
    bytes
}

/// Megabytes in hundreds of slices, some of them empty, through buffers of a few kilobytes.
pub(crate) fn large_vectored_sends_both_ways(backend: &str) {
    let rig = Rig::new(backend);
    let total = scaled(9 << 20);
    let stream = |seed: u32| -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..total).map(|_| next()).collect()
    };
    let streams = [stream(1), stream(2)];
    let (near, far) = narrow_pair();
    let mut ends = [(near, 1), (far, 0)].map(|(socket, peer): (_, usize)| {
        let inbox = Inbox::new();
        let handle = rig.port.register(socket, inbox.clone()).expect("it registers");
        End { handle, inbox, expected: streams[peer].clone(), received: 0, sent: false }
    });
    for (end, stream) in ends.iter_mut().zip(&streams) {
        let whole = Bytes::from(stream.clone());
        let mut slices = Vec::new();
        let mut start = 0;
        while start < total {
            // From nothing to 30 kilobytes.
            let size = (slices.len() * 7_919 % 30_011).min(total - start);
            slices.push(whole.slice(start..start + size));
            start += size;
        }
        assert!(slices.len() > 64 && slices[0].is_empty());
        match end.handle.send(slices) {
            Sending::Pending => {}
            other => panic!("too much at once, but {other:?}"),
        }
        end.handle.receive(None).expect("nothing is pending");
    }
    rig.until("both streams", || {
        for end in &mut ends {
            end.process(total);
        }
        ends.iter().all(|end| end.sent && end.received == total).then_some(())
    });
}
