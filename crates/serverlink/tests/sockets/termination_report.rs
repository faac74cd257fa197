//! A context tells why it does not end.

use std::{thread, time::Duration};

use serverlink::{Error, SocketType};

use crate::harness::{
    PATIENCE, bound, connected, context, couple, eventually, shake_hands, socket, vacant,
};

#[test]
fn open_sockets_are_told_by_type_endpoints_and_what_waits() {
    let context = context();
    assert!(context.termination_report().is_empty());
    let (pull, bound_to) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    pull.bind("inproc://pull").unwrap();
    let nobody = vacant(&context);
    let push = connected(&context, SocketType::Push, &nobody);
    push.connect("inproc://nobody").unwrap();
    (0..6).for_each(|_| push.send("12345").unwrap());

    let report = context.termination_report();
    assert!(!report.is_terminated && report.lingering.is_empty());
    assert_eq!(report.open.len(), 2);
    let [first, second] = &report.open[..] else { unreachable!() };
    assert_eq!((first.socket_type, second.socket_type), (SocketType::Pull, SocketType::Push));
    assert_eq!(first.bound, [bound_to.as_str(), "inproc://pull"]);
    assert_eq!(second.connected, [nobody.as_str(), "inproc://nobody"]);
    assert!(first.connected.is_empty() && second.bound.is_empty());
    let waiting: Vec<_> = second
        .peers
        .iter()
        .map(|peer| (peer.endpoint.as_str(), peer.statistics.queued_outgoing))
        .collect();
    assert_eq!(waiting, [(nobody.as_str(), 3), ("inproc://nobody", 3)]);
    let text = report.to_string();
    assert!(
        text.contains(&format!("a PULL socket is open, bound to {bound_to} and inproc://pull"))
    );
    assert!(text.contains(&format!("3 messages (21 bytes) queued for {nobody}")), "{text}");
    drop((pull, push));
    eventually("for the end", || context.termination_report().is_empty());
}

#[test]
fn another_thread_learns_what_a_termination_waits_for() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    thread::scope(|scope| {
        let ending = scope.spawn(|| context.terminate());
        eventually("for the termination", || context.termination_report().is_terminated);
        let report = context.termination_report();
        assert_eq!(report.open.len(), 1);
        assert_eq!(report.open[0].bound, [endpoint.as_str()]);
        assert!(!ending.is_finished());
        drop(pull);
        ending.join().unwrap();
    });
    assert!(context.termination_report().is_empty());
}

#[test]
fn closed_sockets_that_linger_are_told_with_what_they_have_to_send() {
    let context = context();
    let nobody = vacant(&context);
    let push = connected(&context, SocketType::Push, &nobody);
    push.set_linger(Some(PATIENCE)).unwrap();
    (0..3).for_each(|_| push.send("12345").unwrap());
    drop(push);
    let report = context.termination_report();
    assert!(report.open.is_empty(), "{report}");
    let [waiting] = &report.lingering[..] else { panic!("{report}") };
    assert_eq!((waiting.socket_type, &waiting.endpoint), (SocketType::Push, &nobody));
    assert_eq!((waiting.messages, waiting.bytes, waiting.is_bound), (3, 21, false));
    assert!(waiting.time_left.is_some_and(|left| left > Duration::ZERO && left <= PATIENCE));
    let text = report.to_string();
    assert!(text.contains(&format!("closed PUSH socket has 3 messages (21 bytes) for {nobody}")));

    // Whoever gives up waiting is told the same.
    let error = context.terminate_timeout(Duration::from_millis(1)).unwrap_err();
    assert!(error.to_string().contains(&nobody), "{error}");
    let Error::StillOpen { sockets: 0, connections: 1, report, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(report.lingering[0].messages, 3);

    // And once they are taken, nobody waits any more.
    let other = crate::harness::context();
    let pull = socket(&other, SocketType::Pull);
    pull.bind(&nobody).unwrap();
    (0..3).for_each(|_| assert_eq!(pull.recv().unwrap()[0], "12345"));
    eventually("for the end", || context.termination_report().is_empty());
    context.terminate_timeout(PATIENCE).unwrap();
}

#[test]
fn what_a_bound_socket_still_has_to_send_is_told() {
    let context = context();
    let push = socket(&context, SocketType::Push);
    push.set_linger(None).unwrap();
    push.set_send_high_water_mark(0).unwrap();
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    let mut client = std::net::TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    shake_hands(&mut client, "PULL");
    eventually("for the peer", || push.peer_count() == 1);
    // More than the kernel takes from one that reads nothing.
    (0..200).for_each(|_| push.send(vec![7; 100_000]).unwrap());
    drop(push);
    let report = context.termination_report();
    let [waiting] = &report.lingering[..] else { panic!("{report}") };
    assert_eq!((&waiting.endpoint, waiting.is_bound), (&endpoint, true));
    assert_eq!(waiting.time_left, None);
    assert!((1..=200).contains(&waiting.messages), "{report}");
    assert!(waiting.bytes >= 50_000, "{report}");
    assert!(report.to_string().contains("without end"), "{report}");
    drop(client);
    context.terminate_timeout(PATIENCE).unwrap();
}

#[test]
fn an_endpoint_that_was_disconnected_lingers_while_the_socket_is_open() {
    let context = context();
    let nobody = vacant(&context);
    let push = connected(&context, SocketType::Push, &nobody);
    push.set_linger(Some(PATIENCE)).unwrap();
    push.send("x").unwrap();
    push.disconnect(&nobody).unwrap();
    let report = context.termination_report();
    assert_eq!((report.open.len(), report.lingering.len()), (1, 1));
    assert!(report.open[0].connected.is_empty());
    assert_eq!(report.lingering[0].endpoint, nobody);
    // Or the context would wait for somebody to take it.
    let other = crate::harness::context();
    let pull = socket(&other, SocketType::Pull);
    pull.bind(&nobody).unwrap();
    assert_eq!(pull.recv().unwrap()[0], "x");
}

/// Asking disturbs nobody.
#[test]
fn it_may_be_asked_for_in_the_midst_of_everything() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", SocketType::Pull, SocketType::Push);
    thread::scope(|scope| {
        let sending = scope.spawn(|| (0..20_000_u32).for_each(|_| push.send("x").unwrap()));
        let receiving = scope.spawn(|| (0..20_000_u32).for_each(|_| drop(pull.recv().unwrap())));
        while !(sending.is_finished() && receiving.is_finished()) {
            let extra = connected(&context, SocketType::Push, "inproc://nobody");
            assert_eq!(context.termination_report().open.len(), 3);
            drop(extra);
        }
    });
}
