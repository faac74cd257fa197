//! REP: envelopes, and requests that are none.

use std::thread;

use serverlink::{Context, Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, errno, expect, expect_nothing,
    frames, scaled, socket,
};

#[test]
fn the_envelope_goes_back_as_it_came() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, dealer) = couple(&context, endpoint, SocketType::Rep, SocketType::Dealer);
        for hops in 0..20usize {
            let envelope: Vec<String> = (0..hops).map(|hop| format!("hop {hop}")).collect();
            let message = |body: &[&str]| {
                let mut message: Message = envelope.iter().map(String::as_str).collect();
                message.push_back("");
                message.extend(body.iter().copied());
                message
            };
            dealer.send(message(&["question", "", "more"])).unwrap();
            expect(&rep, frames(["question", "", "more"]));
            rep.send(frames(["", "answer"])).unwrap();
            expect(&dealer, message(&["", "answer"]));
        }
    }
}

#[test]
fn what_is_no_request_is_dropped() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, dealer) = couple(&context, endpoint, SocketType::Rep, SocketType::Dealer);
        dealer.send("no delimiter").unwrap();
        dealer.send("").unwrap();
        dealer.send(frames(["a", "b", "c"])).unwrap();
        dealer.send(frames(["a", ""])).unwrap();
        dealer.send(frames(["", "request"])).unwrap();
        expect(&rep, "request");
        rep.send("reply").unwrap();
        expect(&dealer, frames(["", "reply"]));
        expect_nothing(&rep);
    }
}

#[test]
fn an_empty_body_is_a_request() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, req) = couple(&context, endpoint, SocketType::Rep, SocketType::Req);
        req.send("").unwrap();
        expect(&rep, "");
        rep.send("").unwrap();
        expect(&req, "");
    }
}

#[test]
fn a_reply_to_someone_who_left_is_dropped() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, endpoint) = bound(&context, SocketType::Rep, endpoint);
        let impatient = connected(&context, SocketType::Req, &endpoint);
        impatient.send("question").unwrap();
        expect(&rep, "question");
        drop(impatient);
        await_peers(&rep, 0);
        // A newcomer must not get the reply, although it has the place of the one who left.
        let dealer = connected(&context, SocketType::Dealer, &endpoint);
        await_peers(&rep, 1);
        rep.send("to whom?").unwrap();
        assert_eq!(errno(rep.send("again")), "EFSM");
        dealer.send(frames(["", "next"])).unwrap();
        expect(&rep, "next");
        rep.send("reply").unwrap();
        expect(&dealer, frames(["", "reply"]));
        expect_nothing(&dealer);
    }
}

#[test]
fn requests_of_someone_who_left_are_still_served() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, endpoint) = bound(&context, SocketType::Rep, endpoint);
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_linger(None).unwrap();
        dealer.connect(&endpoint).unwrap();
        await_peers(&rep, 1);
        ["one", "two"].iter().for_each(|body| dealer.send(frames(["", body])).unwrap());
        drop(dealer);
        await_peers(&rep, 0);
        for body in ["one", "two"] {
            expect(&rep, body);
            rep.send("to nobody").unwrap();
        }
        expect_nothing(&rep);
    }
}

/// Passes messages on until the context ends.
fn pass(from: &Socket, to: &Socket) {
    while let Ok(message) = from.recv() {
        if to.send(message).is_err() {
            break;
        }
    }
}

/// A ROUTER and a DEALER, back to back. Returns the endpoint of the ROUTER.
fn proxy<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    context: &Context,
    endpoint: &str,
    next: &str,
) -> String {
    let (front, endpoint) = bound(context, SocketType::Router, endpoint);
    let back = connected(context, SocketType::Dealer, next);
    let (front, back) = (std::sync::Arc::new(front), std::sync::Arc::new(back));
    for (from, to) in [(front.clone(), back.clone()), (back, front)] {
        from.set_receive_timeout(None).unwrap();
        scope.spawn(move || pass(&from, &to));
    }
    endpoint
}

#[test]
fn replies_find_their_way_back_through_proxies() {
    for endpoint in TRANSPORTS {
        let context = context();
        let named = |name: &str| match endpoint.strip_prefix("inproc://") {
            Some(_) => format!("inproc://{name}"),
            None => endpoint.to_owned(),
        };
        let (rep, mut endpoint) = bound(&context, SocketType::Rep, &named("server"));
        thread::scope(|scope| {
            for hop in 0..3 {
                endpoint = proxy(scope, &context, &named(&format!("hop {hop}")), &endpoint);
            }
            let endpoint = &endpoint;
            let serving = scope.spawn(move || {
                while let Ok(mut message) = rep.recv() {
                    message.push_back("served");
                    rep.send(message).unwrap();
                }
            });
            let clients: Vec<_> = (0..4)
                .map(|client| {
                    let context = &context;
                    scope.spawn(move || {
                        let req = connected(context, SocketType::Req, endpoint);
                        for n in 0..scaled(100) {
                            let body = format!("{client} {n}");
                            req.send(body.clone()).unwrap();
                            expect(&req, frames([body.as_str(), "served"]));
                        }
                    })
                })
                .collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
            context.terminate();
            serving.join().unwrap();
        });
    }
}
