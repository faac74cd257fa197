//! Turns: messages are dealt out evenly, and taken evenly.

use std::{collections::HashMap, thread};

use serverlink::{Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, eventually, expect_nothing, expect_numbers,
    number, number_in, scaled, socket,
};

const PEERS: u32 = 4;
const EACH: u32 = 50;

#[test]
fn senders_deal_messages_out_in_turn() {
    for endpoint in TRANSPORTS {
        for (from, to) in
            [(SocketType::Push, SocketType::Pull), (SocketType::Dealer, SocketType::Dealer)]
        {
            let context = context();
            let (sender, endpoint) = bound(&context, from, endpoint);
            let receivers: Vec<_> =
                (0..PEERS).map(|_| connected(&context, to, &endpoint)).collect();
            await_peers(&sender, receivers.len());
            (0..PEERS * EACH).for_each(|n| sender.send(number(n)).unwrap());
            for receiver in &receivers {
                // Every fourth, beginning with one of the first four.
                let first = number_in(&receiver.recv().unwrap());
                assert!(first < PEERS, "{from} over {endpoint}");
                expect_numbers(receiver, (1..EACH).map(|turn| first + turn * PEERS));
                expect_nothing(receiver);
            }
        }
    }
}

#[test]
fn requests_go_to_every_server_in_turn() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (req, endpoint) = bound(&context, SocketType::Req, endpoint);
        let servers: Vec<_> =
            (0..3).map(|_| connected(&context, SocketType::Rep, &endpoint)).collect();
        await_peers(&req, 3);
        thread::scope(|scope| {
            for (name, server) in servers.iter().enumerate() {
                scope.spawn(move || {
                    for _ in 0..10 {
                        server.recv().unwrap();
                        server.send(name.to_string()).unwrap();
                    }
                });
            }
            let served: Vec<_> = (0..30)
                .map(|_| {
                    req.send("who?").unwrap();
                    req.recv().unwrap()[0].as_str().unwrap().to_owned()
                })
                .collect();
            let (round, rest) = served.split_at(3);
            let mut all = round.to_vec();
            all.sort_unstable();
            assert_eq!(all, ["0", "1", "2"]);
            rest.chunks(3).for_each(|next| assert_eq!(next, round));
        });
    }
}

#[test]
fn a_full_peer_is_passed_over() {
    let context = context();
    let push = socket(&context, SocketType::Push);
    push.set_send_high_water_mark(1).unwrap();
    push.bind("inproc://skip").unwrap();
    let pull = |mark| {
        let pull = socket(&context, SocketType::Pull);
        pull.set_receive_high_water_mark(mark).unwrap();
        pull.connect("inproc://skip").unwrap();
        pull
    };
    let (idle, busy) = (pull(1), pull(1000));
    (0..500).for_each(|n| push.try_send(number(n)).unwrap());
    let mut seen: Vec<_> = (0..498).map(|_| number_in(&busy.recv().unwrap())).collect();
    assert!(seen.is_sorted());
    seen.extend((0..2).map(|_| number_in(&idle.recv().unwrap())));
    seen.sort_unstable();
    assert_eq!(seen, (0..500).collect::<Vec<_>>());
    expect_nothing(&idle);
    // The one that was full has its turns again.
    (0..2).for_each(|n| push.send(number(n)).unwrap());
    assert_ne!(idle.recv().unwrap(), busy.recv().unwrap());
}

#[test]
fn peers_that_leave_get_no_more_turns() {
    for endpoint in TRANSPORTS {
        for (from, to) in
            [(SocketType::Push, SocketType::Pull), (SocketType::Dealer, SocketType::Dealer)]
        {
            let context = context();
            let (sender, endpoint) = bound(&context, from, endpoint);
            let stays = connected(&context, to, &endpoint);
            let leaves = connected(&context, to, &endpoint);
            await_peers(&sender, 2);
            drop(leaves);
            await_peers(&sender, 1);
            (0..20).for_each(|n| sender.send(number(n)).unwrap());
            expect_numbers(&stays, 0..20);
        }
    }
}

/// Receives `rounds` rounds of one message from each of `peers`.
#[track_caller]
fn expect_rounds(socket: &Socket, peers: u32, rounds: u32) {
    for round in 0..rounds {
        let mut seen: Vec<_> = (0..peers)
            .map(|_| {
                let message = socket.recv().unwrap();
                assert_eq!(number_in(&message), round, "each has one turn a round");
                message[message.len() - 2].as_str().unwrap().to_owned()
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), peers as usize);
    }
}

fn signed(name: u32, n: u32) -> Message {
    let mut message = Message::from(name.to_string());
    message.push_back(n.to_be_bytes());
    message
}

#[test]
fn receivers_take_from_every_peer_in_turn() {
    for (from, to) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Dealer),
        (SocketType::Dealer, SocketType::Router),
        (SocketType::Pub, SocketType::Sub),
        (SocketType::Pub, SocketType::XSub),
    ] {
        let context = context();
        let (receiver, endpoint) = bound(&context, to, "inproc://turns");
        if to == SocketType::Sub {
            receiver.subscribe("").unwrap();
        }
        if to == SocketType::XSub {
            receiver.send("\u{1}").unwrap();
        }
        let senders: Vec<_> = (0..PEERS).map(|_| connected(&context, from, &endpoint)).collect();
        for (name, sender) in (0..).zip(&senders) {
            (0..EACH).for_each(|n| sender.send(signed(name, n)).unwrap());
        }
        expect_rounds(&receiver, PEERS, EACH);
        expect_nothing(&receiver);
    }
}

#[test]
fn requests_are_taken_from_every_client_in_turn() {
    let context = context();
    let (rep, endpoint) = bound(&context, SocketType::Rep, "inproc://turns");
    let clients: Vec<_> =
        (0..PEERS).map(|_| connected(&context, SocketType::Dealer, &endpoint)).collect();
    for (name, client) in (0..).zip(&clients) {
        for n in 0..EACH {
            let mut request = signed(name, n);
            request.push_front("");
            client.send(request).unwrap();
        }
    }
    for round in 0..EACH {
        let mut seen = Vec::new();
        for _ in 0..PEERS {
            let request = rep.recv().unwrap();
            assert_eq!(number_in(&request), round);
            seen.push(request[0].clone());
            rep.send(request).unwrap();
        }
        seen.dedup();
        assert_eq!(seen.len(), PEERS as usize);
    }
    for client in &clients {
        expect_numbers(client, 0..EACH);
    }
}

#[test]
fn nobody_starves_under_constant_load() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, endpoint) = bound(&context, SocketType::Pull, endpoint);
        let senders: Vec<_> = (0..PEERS)
            .map(|_| {
                let push = socket(&context, SocketType::Push);
                push.set_send_high_water_mark(20).unwrap();
                push.connect(&endpoint).unwrap();
                push
            })
            .collect();
        await_peers(&pull, senders.len());
        let total = scaled(20_000);
        thread::scope(|scope| {
            let senders: Vec<_> = (0..)
                .zip(senders)
                .map(|(name, push)| {
                    scope.spawn(move || {
                        // Until the receiver has gone.
                        push.set_send_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
                        (0..).take_while(|&n| push.send(signed(name, n)).is_ok()).count()
                    })
                })
                .collect();
            let mut share = HashMap::new();
            let take = |share: &mut HashMap<_, u32>| {
                let message = pull.recv().unwrap();
                *share.entry(message[0].clone()).or_insert(0) += 1;
            };
            // From the moment when all of them have begun.
            eventually("for every sender", || {
                (0..100).for_each(|_| take(&mut share));
                share.len() == PEERS as usize
            });
            share.values_mut().for_each(|count| *count = 0);
            (0..total).for_each(|_| take(&mut share));
            drop(pull);
            senders.into_iter().for_each(|sender| _ = sender.join().unwrap());
            for (name, count) in &share {
                // The system's own turns are not as fair as ours.
                assert!(*count > total / 1000, "{name:?} had {count} turns of {total}");
            }
        });
    }
}

#[test]
fn a_router_answers_whoever_asked() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        let dealers: Vec<_> =
            (0..20).map(|_| connected(&context, SocketType::Dealer, &endpoint)).collect();
        for (name, dealer) in (0..).zip(&dealers) {
            (0..5).for_each(|n| dealer.send(signed(name, n)).unwrap());
        }
        for _ in 0..100 {
            router.send(router.recv().unwrap()).unwrap();
        }
        for (name, dealer) in (0..).zip(&dealers) {
            (0..5).for_each(|n| assert_eq!(dealer.recv().unwrap(), signed(name, n)));
            expect_nothing(dealer);
        }
    }
}
