//! Linger: what becomes of messages whose socket is closed before they are sent.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serverlink::{Context, Error, Message, Socket, SocketType};

use crate::harness::{
    PATIENCE, STREAMS, TRANSPORTS, await_peers, bound, connected, context, expect, expect_nothing,
    expect_numbers, number, number_in, scaled, socket, vacancies, vacant,
};

const SHORT: Duration = Duration::from_millis(300);

fn lingering(context: &Context, socket_type: SocketType, linger: Option<Duration>) -> Socket {
    let socket = socket(context, socket_type);
    socket.set_linger(linger).unwrap();
    socket
}

#[test]
fn without_end_everything_is_delivered() {
    for (from, to) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Dealer),
        (SocketType::Pair, SocketType::Pair),
        (SocketType::Pub, SocketType::Sub),
    ] {
        for endpoint in TRANSPORTS {
            let context = context();
            let to = socket(&context, to);
            if to.socket_type() == SocketType::Sub {
                to.subscribe("").unwrap();
            }
            let (from, many) = (lingering(&context, from, None), scaled(5000));
            to.set_receive_high_water_mark(many as usize).unwrap();
            from.set_send_high_water_mark(0).unwrap();
            from.connect(&to.bind(endpoint).unwrap()).unwrap();
            if from.socket_type() == SocketType::Pub {
                // It sends only to those whose subscription it has.
                crate::harness::eventually("for the subscription", || {
                    from.send("probe").unwrap();
                    to.recv_timeout(Duration::from_millis(20)).is_ok()
                });
            }
            (0..many).for_each(|n| from.send(number(n)).unwrap());
            drop(from);
            let mut next = 0;
            while next < many {
                let message = to.recv().unwrap();
                if message[0] == "probe" {
                    continue;
                }
                assert_eq!(number_in(&message), next);
                next += 1;
            }
            expect_nothing(&to);
        }
    }
}

#[test]
fn a_bound_socket_lingers_as_a_connected_one_does() {
    let context = context();
    for stream in STREAMS {
        let push = lingering(&context, SocketType::Push, None);
        push.set_send_high_water_mark(0).unwrap();
        let endpoint = push.bind(stream).unwrap();
        let pull = socket(&context, SocketType::Pull);
        pull.set_receive_high_water_mark(5).unwrap();
        pull.connect(&endpoint).unwrap();
        await_peers(&push, 1);
        (0..2000).for_each(|n| push.send(number(n)).unwrap());
        drop(push);
        expect_numbers(&pull, 0..2000);
    }
}

#[test]
fn large_messages_linger_too() {
    let context = context();
    for stream in STREAMS {
        let (pull, endpoint) = bound(&context, SocketType::Pull, stream);
        let push = lingering(&context, SocketType::Push, None);
        push.connect(&endpoint).unwrap();
        let body = vec![7; 16 << 20];
        for _ in 0..2 {
            push.send(body.clone()).unwrap();
        }
        drop(push);
        for _ in 0..2 {
            assert_eq!(pull.recv().unwrap(), Message::from(body.clone()));
        }
    }
}

#[test]
fn messages_wait_for_a_peer_that_is_not_there_yet() {
    let context = context();
    for endpoint in vacancies(&context) {
        let push = lingering(&context, SocketType::Push, None);
        push.connect(&endpoint).unwrap();
        (0..100).for_each(|n| push.send(number(n)).unwrap());
        drop(push);
        let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
        expect_numbers(&pull, 0..100);
    }
}

#[test]
fn zero_drops_what_is_not_sent() {
    let context = context();
    let endpoint = vacant(&context);
    let push = lingering(&context, SocketType::Push, Some(Duration::ZERO));
    push.connect(&endpoint).unwrap();
    push.send("dropped").unwrap();
    drop(push);
    let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
    let other = connected(&context, SocketType::Push, &endpoint);
    other.send("marker").unwrap();
    expect(&pull, "marker");
    expect_nothing(&pull);
    drop(other);
    drop(pull);
    // Nothing holds the context up.
    context.terminate_timeout(PATIENCE).unwrap();
}

#[test]
fn a_finite_time_is_waited_and_not_longer() {
    // For a peer that is not there, and for one that does not read.
    for absent in [true, false] {
        let (one, other) = (context(), context());
        let pull = socket(&other, SocketType::Pull);
        pull.set_receive_high_water_mark(1).unwrap();
        pull.set_receive_buffer(Some(4096)).unwrap();
        let endpoint = if absent { vacant(&one) } else { pull.bind("tcp://127.0.0.1:*").unwrap() };
        let push = lingering(&one, SocketType::Push, Some(SHORT));
        push.set_send_buffer(Some(4096)).unwrap();
        push.connect(&endpoint).unwrap();
        if !absent {
            await_peers(&push, 1);
        }
        (0..100).for_each(|_| push.send(vec![0; 200_000]).unwrap());
        let start = Instant::now();
        drop(push);
        assert!(start.elapsed() < SHORT, "closing itself does not wait");
        one.terminate_timeout(PATIENCE).unwrap();
        assert!(start.elapsed() >= SHORT, "absent: {absent}");
    }
}

#[test]
fn the_last_handle_of_a_context_waits_for_what_lingers() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    pull.set_receive_high_water_mark(10).unwrap();
    let many = scaled(5000);
    let sender = thread::spawn(move || {
        let context = Context::new().unwrap();
        let push = context.socket(SocketType::Push).unwrap();
        push.set_send_high_water_mark(0).unwrap();
        push.connect(&endpoint).unwrap();
        (0..many).for_each(|n| push.send(number(n)).unwrap());
        drop(context);
        drop(push);
    });
    expect_numbers(&pull, 0..many);
    sender.join().unwrap();
}

#[test]
fn what_a_context_waits_for_is_named() {
    let context = context();
    let open = socket(&context, SocketType::Pull);
    let endpoints = [(); 3].map(|()| vacant(&context));
    for endpoint in &endpoints {
        let push = lingering(&context, SocketType::Push, None);
        push.connect(endpoint).unwrap();
        push.send("not taken yet").unwrap();
    }
    let wait = Duration::from_millis(50);
    let start = Instant::now();
    match context.terminate_timeout(wait) {
        Err(error @ Error::StillOpen { waited, sockets: 1, connections: 3, .. }) => {
            assert_eq!((waited, error.errno_name()), (wait, "EBUSY"));
        }
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() >= wait);
    drop(open);
    assert!(matches!(
        context.terminate_timeout(wait),
        Err(Error::StillOpen { sockets: 0, connections: 3, .. })
    ));
    let other = self::context();
    for endpoint in &endpoints {
        expect(&bound(&other, SocketType::Pull, endpoint).0, "not taken yet");
    }
    context.terminate_timeout(PATIENCE).unwrap();
}

#[test]
fn each_connection_that_lingers_counts_once() {
    let (one, other) = (context(), context());
    let pull = socket(&other, SocketType::Pull);
    pull.set_receive_high_water_mark(1).unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = lingering(&one, SocketType::Push, None);
    push.connect(&endpoint).unwrap();
    await_peers(&push, 1);
    (0..100).for_each(|_| push.send(vec![0; 1 << 20]).unwrap());
    drop(push);
    match one.terminate_timeout(Duration::from_millis(50)) {
        Err(Error::StillOpen { sockets: 0, connections: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
    (0..100).for_each(|_| drop(pull.recv().unwrap()));
    one.terminate_timeout(PATIENCE).unwrap();
}

#[test]
fn disconnecting_delivers_what_was_sent_before() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_high_water_mark(5).unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = lingering(&context, SocketType::Push, None);
    push.set_send_high_water_mark(0).unwrap();
    push.connect(&endpoint).unwrap();
    await_peers(&push, 1);
    let numbered = |n: u32| {
        let mut message = Message::from(vec![0; 10_000]);
        message.push_back(n.to_be_bytes());
        message
    };
    (0..2000).for_each(|n| push.send(numbered(n)).unwrap());
    push.disconnect(&endpoint).unwrap();
    expect_numbers(&pull, 0..2000);
    await_peers(&pull, 0);
}

#[test]
fn unbinding_delivers_what_was_sent_before_and_takes_no_more() {
    let context = context();
    let push = lingering(&context, SocketType::Push, None);
    push.set_send_high_water_mark(0).unwrap();
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    let pull = socket(&context, SocketType::Pull);
    pull.set_receive_high_water_mark(5).unwrap();
    pull.connect(&endpoint).unwrap();
    await_peers(&push, 1);
    let numbered = |n: u32| {
        let mut message = Message::from(vec![0; 10_000]);
        message.push_back(n.to_be_bytes());
        message
    };
    (0..1000).for_each(|n| push.send(numbered(n)).unwrap());
    push.unbind(&endpoint).unwrap();
    // What is sent from now on goes to those that remain.
    let (other, _) = bound(&context, SocketType::Pull, "inproc://other");
    push.connect("inproc://other").unwrap();
    (0..10).for_each(|n| push.send(number(n)).unwrap());
    expect_numbers(&other, 0..10);
    expect_numbers(&pull, 0..1000);
    await_peers(&push, 1);
}

#[test]
fn replies_linger() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, endpoint) = bound(&context, SocketType::Rep, endpoint);
        rep.set_linger(None).unwrap();
        let req = connected(&context, SocketType::Req, &endpoint);
        req.send("question").unwrap();
        expect(&rep, "question");
        rep.send(vec![1; 1 << 20]).unwrap();
        drop(rep);
        assert_eq!(req.recv().unwrap()[0].len(), 1 << 20);
    }
}

#[test]
fn a_lingering_socket_survives_a_restart_of_its_peer() {
    let context = context();
    let endpoint = vacant(&context);
    let push = lingering(&context, SocketType::Push, None);
    push.connect(&endpoint).unwrap();
    {
        let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
        await_peers(&push, 1);
        drop(pull);
    }
    await_peers(&push, 0);
    (0..10).for_each(|n| push.send(number(n)).unwrap());
    drop(push);
    let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
    expect_numbers(&pull, 0..10);
}

#[test]
fn a_terminated_context_still_delivers() {
    let (one, other) = (context(), context());
    let (pull, endpoint) = bound(&other, SocketType::Pull, "tcp://127.0.0.1:*");
    pull.set_receive_high_water_mark(3).unwrap();
    let push = lingering(&one, SocketType::Push, None);
    push.connect(&endpoint).unwrap();
    (0..500).for_each(|n| push.send(number(n)).unwrap());
    let (ended, end) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            one.terminate();
            ended.send(()).unwrap();
        });
        crate::harness::eventually("for the termination", || {
            push.try_send("x").is_err_and(|refused| matches!(refused.error, Error::Terminated))
        });
        drop(push);
        let mut seen = 0;
        while seen < 500 {
            let message = pull.recv().unwrap();
            if message[0] != "x" {
                assert_eq!(number_in(&message), seen);
                seen += 1;
            }
        }
        end.recv_timeout(PATIENCE).unwrap();
    });
}

#[test]
fn a_stream_that_is_full_ends_with_its_socket() {
    for stream in STREAMS {
        let context = context();
        for linger in [Some(Duration::ZERO), None] {
            let pull = socket(&context, SocketType::Pull);
            pull.set_receive_high_water_mark(1).unwrap();
            let push = lingering(&context, SocketType::Push, linger);
            push.set_send_high_water_mark(1).unwrap();
            // What is sent slowly is written at once, and the system has room for much.
            pull.set_receive_buffer(Some(64 * 1024)).unwrap();
            push.set_send_buffer(Some(64 * 1024)).unwrap();
            push.connect(&pull.bind(stream).unwrap()).unwrap();
            await_peers(&push, 1);
            // At once, while the last of them still waits for more to come.
            let sent = crate::harness::fill(&push);
            drop(push);
            if linger.is_none() {
                expect_numbers(&pull, 0..sent);
            }
        }
        context.terminate_timeout(PATIENCE).unwrap();
    }
}

/// Neither can be written to before it reads, and nobody reads any more. The one that is connected has less
/// to send: it has sent it when the other ends, and does not wait for one that comes after it.
#[test]
fn two_sockets_that_have_filled_each_other_do_not_wait_for_each_other() {
    for stream in STREAMS {
        let context = context();
        let make = |mark| {
            let dealer = lingering(&context, SocketType::Dealer, None);
            dealer.set_receive_high_water_mark(5).unwrap();
            dealer.set_send_high_water_mark(mark).unwrap();
            dealer.set_send_timeout(Some(SHORT)).unwrap();
            dealer
        };
        let both = [make(200), make(5)];
        both[1].connect(&both[0].bind(stream).unwrap()).unwrap();
        await_peers(&both[0], 1);
        await_peers(&both[1], 1);
        for (dealer, least) in both.iter().zip([200, 5]) {
            let body = vec![7; 64 * 1024];
            let sent = (0..10_000).take_while(|_| dealer.send(body.clone()).is_ok()).count();
            assert!((least..10_000).contains(&sent), "{sent} over {stream}");
        }
        drop(both);
        context.terminate_timeout(PATIENCE).unwrap();
    }
}
