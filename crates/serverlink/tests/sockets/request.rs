//! REQ: one request out, its reply back.

use std::time::Duration;

use serverlink::{Error, Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, errno, expect, frames, refusal,
    socket, vacant,
};

const SOON: Duration = Duration::from_millis(50);

/// Receives a request as a ROUTER sees it: the way back and the body.
#[track_caller]
fn request(router: &Socket) -> (Message, String) {
    let mut message = router.recv().unwrap();
    let body = message.pop_back().unwrap();
    (message, body.as_str().unwrap().to_owned())
}

fn reply(router: &Socket, envelope: &Message, body: &str) {
    let mut message = envelope.clone();
    message.push_back(body);
    router.send(message).unwrap();
}

#[test]
fn requests_and_replies_alternate() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, req) = couple(&context, endpoint, SocketType::Rep, SocketType::Req);
        assert_eq!(errno(req.recv()), "EFSM");
        for n in 0..100 {
            req.send(format!("question {n}")).unwrap();
            let refused = req.send("again").unwrap_err();
            assert!(matches!(refused.error, Error::InvalidState(_)));
            assert_eq!(refused.message, Message::from("again"));
            expect(&rep, format!("question {n}"));
            assert_eq!(errno(rep.recv()), "EFSM");
            rep.send(format!("answer {n}")).unwrap();
            assert_eq!(errno(rep.send("again")), "EFSM");
            expect(&req, format!("answer {n}"));
            assert_eq!(errno(req.recv()), "EFSM");
        }
    }
}

#[test]
fn requests_and_replies_may_have_many_frames() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, req) = couple(&context, endpoint, SocketType::Rep, SocketType::Req);
        // Empty frames within the body are not taken for the delimiter.
        for message in [frames(["", "a", "", "b"]), frames(["", ""]), frames(["a", ""])] {
            req.send(message.clone()).unwrap();
            expect(&rep, message.clone());
            rep.send(message.clone()).unwrap();
            expect(&req, message);
        }
    }
}

#[test]
fn a_request_on_the_wire_is_a_delimiter_and_the_body() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (dealer, req) = couple(&context, endpoint, SocketType::Router, SocketType::Req);
        req.send(frames(["a", "b"])).unwrap();
        let message = dealer.recv().unwrap();
        assert_eq!(message.len(), 4);
        assert_eq!((&message[1], &message[2], &message[3]), (&"".into(), &"a".into(), &"b".into()));
    }
}

#[test]
fn a_relaxed_request_may_be_repeated() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, req) = couple(&context, endpoint, SocketType::Router, SocketType::Req);
        req.set_req_relaxed(true).unwrap();
        req.set_req_correlate(true).unwrap();
        req.send("one").unwrap();
        let (way_back_one, _) = request(&router);
        req.send("two").unwrap();
        let (way_back_two, body) = request(&router);
        assert_eq!(body, "two");
        // The way back holds the id, the request's number and the delimiter.
        assert_eq!((way_back_one.len(), way_back_one[1].len()), (3, 4));
        assert_ne!(way_back_one[1], way_back_two[1]);
        reply(&router, &way_back_one, "too late");
        reply(&router, &way_back_two, "in time");
        expect(&req, "in time");
        assert_eq!(errno(req.recv()), "EFSM");
    }
}

#[test]
fn replies_that_are_none_are_dropped() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, req) = couple(&context, endpoint, SocketType::Router, SocketType::Req);
        for correlate in [false, true] {
            req.set_req_correlate(correlate).unwrap();
            req.send("question").unwrap();
            let (way_back, _) = request(&router);
            let id = way_back[0].as_str().map(str::to_owned);
            assert!(id.is_some() || !way_back[0].is_empty());
            let stray = |frames: &[&str]| {
                let mut message = Message::from(&way_back[0]);
                message.extend(frames.iter().copied());
                router.send(message).unwrap();
            };
            stray(&["no delimiter"]);
            stray(&[""]);
            stray(&["not", "", "empty first"]);
            if correlate {
                stray(&["", "no number"]);
                stray(&["4321", "", "a wrong number"]);
            }
            reply(&router, &way_back, "answer");
            expect(&req, "answer");
        }
    }
}

#[test]
fn only_the_peer_that_was_asked_may_answer() {
    let context = context();
    let routers: Vec<_> = ["inproc://a", "inproc://b"]
        .map(|endpoint| bound(&context, SocketType::Router, endpoint).0)
        .into();
    let req = socket(&context, SocketType::Req);
    req.set_routing_id("req").unwrap();
    req.connect("inproc://a").unwrap();
    req.connect("inproc://b").unwrap();
    for turn in 0..4 {
        req.send("question").unwrap();
        let (asked, other) = (&routers[turn % 2], &routers[1 - turn % 2]);
        let (way_back, _) = request(asked);
        reply(other, &way_back, "unasked");
        reply(asked, &way_back, "answer");
        expect(&req, "answer");
    }
}

#[test]
fn what_a_peer_said_unasked_does_not_answer_a_later_question() {
    let context = context();
    let routers = ["inproc://a", "inproc://b"]
        .map(|endpoint| bound(&context, SocketType::Router, endpoint).0);
    let req = socket(&context, SocketType::Req);
    req.set_routing_id("req").unwrap();
    req.connect("inproc://a").unwrap();
    req.connect("inproc://b").unwrap();
    for turn in 0..4 {
        req.send("question").unwrap();
        let (asked, next) = (&routers[turn % 2], &routers[1 - turn % 2]);
        let (way_back, _) = request(asked);
        reply(asked, &way_back, "answer");
        expect(&req, "answer");
        reply(next, &way_back, "unasked");
    }
}

#[test]
fn a_late_reply_is_not_taken_for_the_next_one() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, req) = couple(&context, endpoint, SocketType::Router, SocketType::Req);
        req.set_req_correlate(true).unwrap();
        req.send("one").unwrap();
        let (way_back, _) = request(&router);
        reply(&router, &way_back, "1");
        reply(&router, &way_back, "1 again");
        expect(&req, "1");
        req.send("two").unwrap();
        let (way_back, _) = request(&router);
        reply(&router, &way_back, "2");
        expect(&req, "2");
    }
}

#[test]
fn a_reply_is_read_after_its_sender_left() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, req) = couple(&context, endpoint, SocketType::Rep, SocketType::Req);
        rep.set_linger(None).unwrap();
        req.send("question").unwrap();
        expect(&rep, "question");
        rep.send("last words").unwrap();
        drop(rep);
        await_peers(&req, 0);
        expect(&req, "last words");
    }
}

#[test]
fn a_server_that_dies_owes_the_reply_for_ever() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, req) = couple(&context, endpoint, SocketType::Rep, SocketType::Req);
        let (spare, spare_endpoint) = bound(&context, SocketType::Rep, "inproc://spare");
        req.send("question").unwrap();
        expect(&rep, "question");
        drop(rep);
        await_peers(&req, 0);
        assert_eq!(errno(req.recv_timeout(SOON)), "EAGAIN");
        assert_eq!(errno(req.send("again")), "EFSM", "strict");
        req.connect(&spare_endpoint).unwrap();
        req.set_req_relaxed(true).unwrap();
        // The lost server may have its turn, over TCP: its connection comes again.
        let endpoint = req.last_endpoint().unwrap();
        assert_eq!(endpoint, spare_endpoint);
        req.send("again").unwrap();
        if spare.recv_timeout(SOON).is_err() {
            req.send("again").unwrap();
            expect(&spare, "again");
        }
        spare.send("answer").unwrap();
        expect(&req, "answer");
    }
}

#[test]
fn a_request_waits_for_the_server_to_come() {
    let context = context();
    for endpoint in [vacant(&context).as_str(), "inproc://later"] {
        let req = connected(&context, SocketType::Req, endpoint);
        req.send("early").unwrap();
        let (rep, _) = bound(&context, SocketType::Rep, endpoint);
        expect(&rep, "early");
        rep.send("in time").unwrap();
        expect(&req, "in time");
    }
}

#[test]
fn a_reply_is_kept_when_nobody_takes_the_next_request() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (req, endpoint) = bound(&context, SocketType::Req, endpoint);
        req.set_req_relaxed(true).unwrap();
        let rep = connected(&context, SocketType::Rep, &endpoint);
        rep.set_linger(None).unwrap();
        req.send("request").unwrap();
        expect(&rep, "request");
        rep.send("reply").unwrap();
        drop(rep);
        await_peers(&req, 0);
        assert!(matches!(refusal(req.try_send("next")), Error::WouldBlock));
        expect(&req, "reply");
    }
}

#[test]
fn a_request_nobody_takes_leaves_the_state_alone() {
    let context = context();
    let req = socket(&context, SocketType::Req);
    for correlate in [false, true] {
        req.set_req_correlate(correlate).unwrap();
        let refused = req.send_timeout(frames(["a", "b"]), SOON).unwrap_err();
        assert!(matches!(refused.error, Error::WouldBlock));
        assert_eq!(refused.message, frames(["a", "b"]));
        assert_eq!(errno(req.recv()), "EFSM");
        assert!(matches!(refusal(req.try_send("a")), Error::WouldBlock));
    }
}
