//! What sockets leave behind: nothing.
//!
//! A program of its own, whose tests run one at a time: they count what the whole process has.
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serverlink::{Context, Events, Message, PollItem, Socket, SocketType, poll};

const PATIENCE: Duration = Duration::from_secs(30);

/// Only one test of this program at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Processor time used so far.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms; the second field may hold anything.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = rest.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// How often threads have gone to sleep so far.
fn sleeps() -> u64 {
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status"));
    let counts = fs::read_dir("/proc/self/task").unwrap().map(|task| {
        // One may have ended meanwhile.
        let status = task.and_then(status).unwrap_or_default();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.map_or(0, |count| count.trim().parse::<u64>().unwrap())
    });
    counts.sum()
}

/// Resident memory, in bytes.
fn memory() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "in vain waited for {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn socket(context: &Context, socket_type: SocketType) -> Socket {
    let socket = context.socket(socket_type).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket.set_receive_timeout(Some(PATIENCE)).unwrap();
    socket.set_send_timeout(Some(PATIENCE)).unwrap();
    socket.set_reconnect_interval(Some(Duration::from_millis(10))).unwrap();
    socket
}

#[test]
fn connections_leave_no_descriptors() {
    let _alone = alone();
    let context = Context::new().unwrap();
    let pull = socket(&context, SocketType::Pull);
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let cycle = |n: u32| {
        let push = socket(&context, SocketType::Push);
        push.connect(&endpoint).unwrap();
        push.send(n.to_be_bytes()).unwrap();
        assert_eq!(pull.recv().unwrap(), Message::from(n.to_be_bytes()));
    };
    (0..5).for_each(cycle);
    eventually("the first peers to go", || pull.peer_count() == 0);
    let before = (descriptors(), threads());
    (0..200).for_each(cycle);
    eventually("the peers to go", || pull.peer_count() == 0);
    eventually("the descriptors to go", || (descriptors(), threads()) <= before);
}

#[test]
fn listeners_and_vain_attempts_leave_no_descriptors() {
    let _alone = alone();
    let context = Context::new().unwrap();
    let cycle = |_| {
        let pull = socket(&context, SocketType::Pull);
        let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
        pull.unbind(&endpoint).unwrap();
        let push = socket(&context, SocketType::Push);
        push.connect(&endpoint).unwrap();
        push.connect("tcp://localhost:9").unwrap();
        push.disconnect(&endpoint).unwrap();
        pull.bind("tcp://127.0.0.1:*").unwrap();
    };
    (0..5).for_each(cycle);
    eventually("resolvers to end", || threads() <= 4);
    let before = descriptors();
    (0..100).for_each(cycle);
    eventually("the descriptors to go", || descriptors() <= before);
    eventually("resolvers to end", || threads() <= 4);
}

#[test]
fn reconnecting_leaves_no_descriptors() {
    let _alone = alone();
    let context = Context::new().unwrap();
    let push = socket(&context, SocketType::Push);
    push.set_reconnect_interval(Some(Duration::from_millis(1))).unwrap();
    let endpoint = socket(&context, SocketType::Pull).bind("tcp://127.0.0.1:*").unwrap();
    push.connect(&endpoint).unwrap();
    let cycle = |n: u32| {
        let pull = socket(&context, SocketType::Pull);
        // Some backends give a port back a moment after it was given up.
        eventually("the port to be free", || pull.bind(&endpoint).is_ok());
        push.send(n.to_be_bytes()).unwrap();
        assert_eq!(pull.recv().unwrap(), Message::from(n.to_be_bytes()));
        drop(pull);
        eventually("the loss", || push.peer_count() == 0);
    };
    (0..5).for_each(cycle);
    let before = descriptors();
    (5..100).for_each(cycle);
    // An attempt may be under way.
    eventually("the descriptors to go", || descriptors() <= before + 1);
}

#[test]
fn contexts_leave_neither_descriptors_nor_threads() {
    let _alone = alone();
    let cycle = |n: u32| {
        let context = Context::builder().io_threads(1 + n as usize % 3).build().unwrap();
        let rep = socket(&context, SocketType::Rep);
        let endpoint = rep.bind("tcp://127.0.0.1:*").unwrap();
        rep.bind("inproc://rep").unwrap();
        for endpoint in [endpoint.as_str(), "inproc://rep"] {
            let req = socket(&context, SocketType::Req);
            req.connect(endpoint).unwrap();
            req.send("x").unwrap();
            rep.recv().unwrap();
            rep.send("y").unwrap();
            req.recv().unwrap();
        }
    };
    cycle(0);
    let before = (descriptors(), threads());
    (0..200).for_each(cycle);
    eventually("everything to go", || {
        println!("{:?} {:?}", (descriptors(), threads()), before);
        descriptors() <= before.0 && threads() <= before.1
    });
}

#[test]
fn an_idle_context_uses_no_processor() {
    let _alone = alone();
    let context = Context::builder().io_threads(4).build().unwrap();
    let pull = socket(&context, SocketType::Pull);
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let pushes: Vec<_> = (0..20)
        .map(|_| {
            let push = socket(&context, SocketType::Push);
            push.connect(&endpoint).unwrap();
            push
        })
        .collect();
    pushes.iter().for_each(|push| push.send("x").unwrap());
    pushes.iter().for_each(|_| drop(pull.recv().unwrap()));
    let (before, sleeps_before) = (processor_time(), sleeps());
    assert!(pull.recv_timeout(Duration::from_secs(1)).is_err());
    let (used, woken) = (processor_time() - before, sleeps() - sleeps_before);
    assert!(used <= Duration::from_millis(50), "{used:?} in a second of idleness");
    assert!(woken <= 100, "woken {woken} times in a second of idleness");
}

/// However quickly the answers before came.
#[test]
fn who_waits_for_an_answer_in_vain_uses_no_processor() {
    let _alone = alone();
    for endpoint in ["inproc://server", "tcp://127.0.0.1:*"] {
        let context = Context::new().unwrap();
        let server = socket(&context, SocketType::Dealer);
        let client = socket(&context, SocketType::Dealer);
        client.connect(&server.bind(endpoint).unwrap()).unwrap();
        for _ in 0..2 {
            thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        server.send(server.recv().unwrap()).unwrap();
                    }
                    (0..2).for_each(|_| drop(server.recv().unwrap()));
                });
                for _ in 0..1000 {
                    client.send("question").unwrap();
                    client.recv().unwrap();
                }
                for way in ["recv", "poll"] {
                    client.send("what is not answered").unwrap();
                    let before = processor_time();
                    if way == "recv" {
                        assert!(client.recv_timeout(Duration::from_secs(1)).is_err());
                    } else {
                        let mut items = [PollItem::socket(&client, Events::IN)];
                        assert_eq!(poll(&mut items, Some(Duration::from_secs(1))).unwrap(), 0);
                    }
                    let used = processor_time() - before;
                    let most = Duration::from_millis(50);
                    assert!(used <= most, "{endpoint}: {used:?} in a second of {way}");
                }
            });
        }
    }
}

#[test]
fn a_peer_that_reads_slowly_uses_no_processor() {
    let _alone = alone();
    let context = Context::new().unwrap();
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_high_water_mark(1000).unwrap();
    let push = socket(&context, SocketType::Push);
    push.set_send_high_water_mark(1000).unwrap();
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    // Of the small ones many are written at a time, of the large ones few.
    for size in [500, 100_000] {
        let (mut sent, mut seconds) = (0, 0);
        loop {
            while push.try_send(vec![0; size]).is_ok() {
                sent += 1;
            }
            let (time, sleeps_before) = (processor_time(), sleeps());
            // Until there is no room for so long that there will be none.
            if push.send_timeout(vec![0; size], Duration::from_secs(1)).is_ok() {
                sent += 1;
                continue;
            }
            let (used, woken) = (processor_time() - time, sleeps() - sleeps_before);
            if used <= Duration::from_millis(50) && woken <= 100 {
                break;
            }
            // On a busy machine some of what was sent was still on its way.
            seconds += 1;
            assert!(seconds < 5, "{used:?}, and woken {woken} times, in a second of waiting");
        }
        // And it goes on by itself.
        (0..sent).for_each(|_| drop(pull.recv_timeout(Duration::from_secs(10)).unwrap()));
    }
}

#[test]
fn memory_stays_bounded_under_a_slow_reader() {
    let _alone = alone();
    let context = Context::new().unwrap();
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_high_water_mark(100).unwrap();
    let push = socket(&context, SocketType::Push);
    push.set_send_high_water_mark(100).unwrap();
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let before = memory();
    let mut most = before;
    thread::scope(|scope| {
        scope.spawn(|| (0..20_000).for_each(|_| push.send(vec![7; 10_000]).unwrap()));
        for n in 0..20_000 {
            pull.recv().unwrap();
            if n % 100 == 0 {
                most = most.max(memory());
            }
        }
    });
    let grown = most - before;
    // 200 messages of 10 kB, twice over, and some chunks: not the 200 MB that passed.
    assert!(grown < 24 << 20, "{grown} bytes");
}

#[test]
fn peers_that_come_and_go_leave_no_memory() {
    let _alone = alone();
    let context = Context::new().unwrap();
    let router = socket(&context, SocketType::Router);
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    let cycle = |_| {
        let dealer = socket(&context, SocketType::Dealer);
        dealer.connect(&endpoint).unwrap();
        dealer.send(vec![1; 100_000]).unwrap();
        router.send(router.recv().unwrap()).unwrap();
        assert_eq!(dealer.recv().unwrap()[0].len(), 100_000);
    };
    (0..50).for_each(cycle);
    let before = memory();
    (0..300).for_each(cycle);
    let grown = memory().saturating_sub(before);
    // Less than one message for each: 30 MB have passed.
    assert!(grown < 10 << 20, "{grown} bytes");
}

#[test]
fn memory_stays_bounded_whoever_reads_slowly() {
    const SENDERS: usize = 4;
    const EACH: usize = 3000;
    const ROUND: usize = 1000;
    const SIZE: usize = 10_000;
    let _alone = alone();
    for (from, to) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Router),
        (SocketType::XPub, SocketType::Sub),
    ] {
        let context = Context::new().unwrap();
        let receiver = socket(&context, to);
        receiver.set_receive_high_water_mark(100).unwrap();
        if to == SocketType::Sub {
            receiver.subscribe("").unwrap();
        }
        let endpoint = receiver.bind("tcp://127.0.0.1:*").unwrap();
        let sent = AtomicUsize::new(0);
        let before = memory();
        let mut most = before;
        thread::scope(|scope| {
            for _ in 0..SENDERS {
                let sent = &sent;
                let sender = socket(&context, from);
                sender.set_send_high_water_mark(100).unwrap();
                if from == SocketType::XPub {
                    sender.set_xpub_nodrop(true).unwrap();
                }
                sender.connect(&endpoint).unwrap();
                scope.spawn(move || {
                    if from == SocketType::XPub {
                        sender.recv().unwrap();
                    }
                    sender.set_linger(Some(PATIENCE)).unwrap();
                    for _ in 0..EACH {
                        sender.send(vec![7; SIZE]).unwrap();
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..SENDERS * EACH / ROUND {
                // Everything is there that there is room for: nobody has gone on for a while.
                let (mut last, mut looks) = (usize::MAX, 0);
                eventually("all senders to wait", || {
                    let now = sent.load(Ordering::Relaxed);
                    looks = if now == last { looks + 1 } else { 0 };
                    last = now;
                    looks > 20
                });
                most = most.max(memory());
                (0..ROUND).for_each(|_| drop(receiver.recv().unwrap()));
            }
        });
        // Only now, for the senders wait until everything is received. Of each, 200 messages of
        // 10 kB, twice over, some chunks, and what the allocator keeps: not the 120 MB that passed.
        let grown = most - before;
        assert!(grown < SENDERS * (8 << 20), "{grown} bytes on the way to {to}");
    }
}

#[test]
fn frames_that_are_kept_keep_no_more_than_they_may() {
    const RECEIVE_BUFFER: usize = 128 * 1024;
    let _alone = alone();
    // How many are kept, and how many bytes each may keep alive: those that are copied out of the
    // receive buffer little more than themselves, the smallest that are not a whole buffer; unless
    // all are to be copied.
    for (size, count, most, zero_copy) in [
        (64, 200, 300, true),
        (1000, 300, 2000, true),
        (1023, 300, 2000, true),
        (1024, 200, RECEIVE_BUFFER, true),
        (1024, 200, 2000, false),
    ] {
        let context = Context::builder().zero_copy_receive(zero_copy).build().unwrap();
        let pull = socket(&context, SocketType::Pull);
        let push = socket(&context, SocketType::Push);
        push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        let mut kept = Vec::new();
        let before = memory();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..count {
                    push.send(vec![1; size]).unwrap();
                    // So much that the next one arrives in another buffer, were they larger.
                    (0..5 * RECEIVE_BUFFER / 2048).for_each(|_| push.send(vec![2; 2048]).unwrap());
                }
            });
            while kept.len() < count {
                let message = pull.recv().unwrap();
                if message[0].len() == size {
                    kept.push(message);
                }
            }
        });
        let grown = memory().saturating_sub(before);
        let bound = count * most + (16 << 20);
        assert!(grown < bound, "{grown} bytes for {count} frames of {size}");
        assert!(kept.iter().all(|message| message[0].iter().all(|&byte| byte == 1)));
    }
}

/// The most resident memory since the last call of [`forget_peak`], in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    // "12345 kB", as proc(5) has it.
    peak.unwrap().trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// The peer of a PUSH, which takes whatever comes: a PULL's greeting and READY, by the NULL mechanism.
fn raw_pull(listener: &TcpListener) -> TcpStream {
    let (mut peer, _) = listener.accept().unwrap();
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    peer.write_all(&greeting).unwrap();
    peer.write_all(b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PULL").unwrap();
    peer
}

/// Nobody has it a second time: what is written is the memory of who sent it.
#[test]
fn a_huge_message_is_sent_out_of_its_own_memory() {
    const SIZE: usize = 64 << 20;
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let context = Context::new().unwrap();
    let push = socket(&context, SocketType::Push);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let mut peer = raw_pull(&listener);
    let message = Message::from(vec![7; SIZE]);
    let before = memory();
    forget_peak();
    push.send(message.clone()).unwrap();
    let (mut buffer, mut received) = (vec![0; 64 * 1024], 0);
    while received < SIZE {
        received += peer.read(&mut buffer).unwrap();
    }
    let grown = peak() - before;
    assert!(grown < SIZE / 4, "{grown} bytes for a message of {}", message[0].len());
}

/// Not by way of the engine's buffers: were it so, each receive would bring no more than one of them
/// holds.
#[test]
fn a_huge_message_is_received_straight_into_its_own_memory() {
    const SIZE: usize = 64 << 20;
    const BUFFER: usize = 1024;
    let _alone = alone();
    let (far, near) = (Context::new().unwrap(), Context::new().unwrap());
    let pull = socket(&near, SocketType::Pull);
    pull.set_in_batch_size(Some(BUFFER)).unwrap();
    let push = socket(&far, SocketType::Push);
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    push.send("first").unwrap();
    pull.recv().unwrap();
    let message = Message::from(vec![7; SIZE]);
    let before = near.statistics().completions;
    push.send(message.clone()).unwrap();
    assert!(pull.recv().unwrap() == message, "something else was received");
    let receives = near.statistics().completions - before;
    // A receive brings what has come, which is a segment of the loopback's at least: tens of kilobytes.
    assert!(receives < (SIZE / BUFFER / 8) as u64, "{receives} receives for {SIZE} bytes");
}
