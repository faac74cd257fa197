//! RFC 49, SCATTER and GATHER: a test for each thing that they shall do.

use std::{collections::HashSet, io::Write, net::TcpStream, thread};

use serverlink::SocketType;

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, errno, expect, expect_nothing,
    expect_numbers, fill, frames, number, number_in, scaled, shake_hands, socket, vacant,
};

#[test]
fn what_is_scattered_is_gathered_as_it_was() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (gather, scatter) = couple(&context, endpoint, SocketType::Gather, SocketType::Scatter);
        for size in [0, 1, 70, 71, 255, 256, 5000, 300_000] {
            let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
            scatter.send(body.clone()).unwrap();
            assert!(gather.recv().unwrap()[0] == body[..], "{size} bytes");
        }
    }
}

#[test]
fn scatter_only_sends_and_gather_only_receives() {
    let context = context();
    let (gather, scatter) =
        couple(&context, "inproc://sg", SocketType::Gather, SocketType::Scatter);
    let refused = gather.send("x").unwrap_err();
    assert_eq!(refused.error.errno_name(), "ENOTSUP");
    assert!(refused.to_string().contains("GATHER"), "{refused}");
    let refused = scatter.recv().unwrap_err();
    assert_eq!(refused.errno_name(), "ENOTSUP");
    assert!(refused.to_string().contains("SCATTER"), "{refused}");
}

#[test]
fn a_scatter_deals_messages_out_in_turn() {
    let context = context();
    let scatter = socket(&context, SocketType::Scatter);
    let gathers: Vec<_> = (0..3)
        .map(|_| {
            let (gather, endpoint) = bound(&context, SocketType::Gather, "tcp://127.0.0.1:*");
            scatter.connect(&endpoint).unwrap();
            gather
        })
        .collect();
    await_peers(&scatter, 3);
    (0..30).for_each(|n| scatter.send(number(n)).unwrap());
    let mut first = HashSet::new();
    for gather in &gathers {
        let start = number_in(&gather.recv().unwrap());
        assert!(first.insert(start) && start < 3);
        expect_numbers(gather, (start + 3..30).step_by(3));
    }
}

#[test]
fn a_gather_takes_from_every_peer_in_turn() {
    let context = context();
    let (gather, endpoint) = bound(&context, SocketType::Gather, "inproc://gather");
    let scatters: Vec<_> = (0..3u8)
        .map(|name| {
            let scatter = connected(&context, SocketType::Scatter, &endpoint);
            (0..10).for_each(|_| scatter.send([name]).unwrap());
            scatter
        })
        .collect();
    for _ in 0..10 {
        let round: HashSet<_> = scatters.iter().map(|_| gather.recv().unwrap()[0][0]).collect();
        assert_eq!(round.len(), 3, "each once");
    }
}

#[test]
fn a_scatter_with_nobody_to_send_to_waits() {
    let context = context();
    let scatter = socket(&context, SocketType::Scatter);
    assert_eq!(errno(scatter.try_send("x")), "EAGAIN");
    // For one that is to come there is a queue at once.
    let endpoint = vacant(&context);
    scatter.set_send_high_water_mark(5).unwrap();
    scatter.connect(&endpoint).unwrap();
    assert_eq!(fill(&scatter), 5);
    thread::scope(|scope| {
        scope.spawn(|| scatter.send(number(5)).unwrap());
        let (gather, _) = bound(&context, SocketType::Gather, &endpoint);
        expect_numbers(&gather, 0..6);
    });
}

#[test]
fn messages_of_several_frames_are_refused() {
    let context = context();
    let (gather, scatter) =
        couple(&context, "inproc://sg", SocketType::Gather, SocketType::Scatter);
    let refused = scatter.send(frames(["a", "b"])).unwrap_err();
    assert_eq!(refused.error.errno_name(), "EINVAL");
    assert_eq!(refused.message, frames(["a", "b"]));
    expect_nothing(&gather);
}

#[test]
fn messages_of_several_frames_are_discarded() {
    let context = context();
    let (gather, endpoint) = bound(&context, SocketType::Gather, "tcp://127.0.0.1:*");
    let mut peer = TcpStream::connect(endpoint.replace("tcp://", "")).unwrap();
    shake_hands(&mut peer, "SCATTER");
    peer.write_all(b"\x01\x01a\x00\x01b\x01\x00\x01\x00\x00\x00\x00\x04good").unwrap();
    expect(&gather, "good");
    expect_nothing(&gather);
}

#[test]
fn threads_share_a_scatter_and_a_gather() {
    const THREADS: u32 = 4;
    let each = scaled(5000);
    for endpoint in TRANSPORTS {
        let context = context();
        let (gather, scatter) = couple(&context, endpoint, SocketType::Gather, SocketType::Scatter);
        let mut seen: Vec<u32> = thread::scope(|scope| {
            let (scatter, gather) = (&scatter, &gather);
            for thread in 0..THREADS {
                scope.spawn(move || {
                    (0..each).for_each(|n| scatter.send(number(thread * each + n)).unwrap());
                });
            }
            let readers: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(move || {
                        (0..each).map(|_| number_in(&gather.recv().unwrap())).collect::<Vec<_>>()
                    })
                })
                .collect();
            readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
        });
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..THREADS * each), "each message once");
    }
}
