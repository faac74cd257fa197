//! Messages of all sizes arrive as they were sent.

use std::thread;

use serverlink::SocketType;
use serverlink_interop::{Contexts, Frames, Peer, Way, each_way, payload};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Around every limit in the protocol and in the libraries: inline bodies, short and long frames,
/// receive buffers, frames read straight into their own buffer.
const SIZES: [usize; 20] = [
    0,
    1,
    62,
    63,
    64,
    254,
    255,
    256,
    257,
    KIB,
    8 * KIB - 1,
    8 * KIB,
    8 * KIB + 1,
    64 * KIB - 1,
    64 * KIB,
    64 * KIB + 1,
    128 * KIB,
    128 * KIB + 1,
    MIB,
    16 * MIB,
];

const FRAME_COUNTS: [usize; 5] = [1, 2, 3, 17, 1000];

each_way!(
    single_frames_of_all_sizes,
    many_frames_some_of_them_empty,
    all_sizes_in_one_message,
    echoes_of_all_sizes,
);

fn body(len: usize) -> Vec<u8> {
    payload::bytes(len, len as u64)
}

/// The sender does not wait for what it sent to arrive.
fn carry(way: Way, messages: &[Frames]) {
    let contexts = Contexts::new();
    let [push, mut pull] = contexts.link(way, [SocketType::Push, SocketType::Pull], |_, _| {});
    thread::scope(|scope| {
        let pull: &mut Peer = &mut pull;
        scope.spawn(move || messages.iter().for_each(|message| pull.expect(message)));
        messages.iter().for_each(|message| push.send(message));
    });
}

fn single_frames_of_all_sizes(way: Way) {
    let upwards = SIZES.iter().map(|&size| vec![body(size)]);
    let downwards = SIZES.iter().rev().map(|&size| vec![body(size)]);
    carry(way, &upwards.chain(downwards).collect::<Vec<_>>());
}

fn many_frames_some_of_them_empty(way: Way) {
    let message =
        |count: usize, len: fn(usize) -> usize| (0..count).map(|i| body(len(i))).collect();
    let mut messages: Vec<Frames> = Vec::new();
    for count in FRAME_COUNTS {
        messages.push(message(count, |_| 0));
        messages.push(message(count, |i| i % 2 * 5));
        messages.push(message(count, |i| (i + 1) % 2 * 300));
        messages.push(message(count, |i| i * 37 % 1000));
    }
    carry(way, &messages);
}

fn all_sizes_in_one_message(way: Way) {
    let upwards: Frames = SIZES.iter().map(|&size| body(size)).collect();
    let mut downwards = upwards.clone();
    downwards.reverse();
    let alternating = upwards.iter().flat_map(|frame| [frame.clone(), Vec::new()]).collect();
    carry(way, &[upwards, downwards, alternating]);
}

/// There and back, so that the same connection carries large messages both ways.
fn echoes_of_all_sizes(way: Way) {
    let contexts = Contexts::new();
    let [req, rep] = contexts.link(way, [SocketType::Req, SocketType::Rep], |_, _| {});
    for size in SIZES {
        let message = [body(size), Vec::new(), body(size / 2)];
        req.send(&message);
        let request = rep.recv();
        rep.send(&request);
        req.expect(&message);
    }
}
