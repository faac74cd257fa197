//! Each pattern over each transport.

use std::{thread, time::Duration};

use serverlink::{Context, Error, Message, Result, Socket, SocketType};

const PATIENCE: Duration = Duration::from_secs(20);

fn socket(context: &Context, socket_type: SocketType) -> Socket {
    let socket = context.socket(socket_type).unwrap();
    socket.set_receive_timeout(Some(PATIENCE)).unwrap();
    socket.set_send_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn endpoints() -> [&'static str; 2] {
    ["tcp://127.0.0.1:*", "inproc://endpoint"]
}

#[test]
fn push_pull_delivers_everything_in_order() {
    for endpoint in endpoints() {
        let context = Context::new().unwrap();
        let pull = socket(&context, SocketType::Pull);
        let endpoint = pull.bind(endpoint).unwrap();
        let push = socket(&context, SocketType::Push);
        push.connect(&endpoint).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..20_000u32 {
                    push.send(i.to_be_bytes()).unwrap();
                }
            });
            for i in 0..20_000u32 {
                assert_eq!(pull.recv().unwrap()[0], &i.to_be_bytes());
            }
        });
    }
}

#[test]
fn req_rep_in_lockstep() {
    for endpoint in endpoints() {
        let context = Context::new().unwrap();
        let rep = socket(&context, SocketType::Rep);
        let endpoint = rep.bind(endpoint).unwrap();
        let req = socket(&context, SocketType::Req);
        req.connect(&endpoint).unwrap();
        assert!(matches!(req.recv(), Err(Error::InvalidState(_))));
        for i in 0..200 {
            req.send(format!("question {i}")).unwrap();
            assert!(matches!(req.send("again").unwrap_err().error, Error::InvalidState(_)));
            assert_eq!(rep.recv().unwrap()[0], format!("question {i}").as_str());
            rep.send(format!("answer {i}")).unwrap();
            assert_eq!(req.recv().unwrap()[0], format!("answer {i}").as_str());
        }
        assert!(matches!(rep.send("unasked").unwrap_err().error, Error::InvalidState(_)));
    }
}

#[test]
fn router_tells_dealers_apart() {
    for endpoint in endpoints() {
        let context = Context::new().unwrap();
        let router = socket(&context, SocketType::Router);
        let endpoint = router.bind(endpoint).unwrap();
        let dealers: Vec<_> = (0..5)
            .map(|i| {
                let dealer = socket(&context, SocketType::Dealer);
                dealer.set_routing_id(format!("dealer {i}")).unwrap();
                dealer.connect(&endpoint).unwrap();
                dealer.send(["hello", "from", &i.to_string()].into_iter().collect::<Message>()).unwrap();
                dealer
            })
            .collect();
        for _ in &dealers {
            let message = router.recv().unwrap();
            assert_eq!(message.len(), 4);
            let (id, number) = (message[0].as_str().unwrap(), message[3].as_str().unwrap());
            assert_eq!(id, format!("dealer {number}"));
            router.send([id, "you are", number].into_iter().collect::<Message>()).unwrap();
        }
        for (i, dealer) in dealers.iter().enumerate() {
            let reply = dealer.recv().unwrap();
            assert_eq!(reply[1], i.to_string().as_str());
        }
    }
}

#[test]
fn subscribers_get_what_they_subscribed_to() {
    for endpoint in endpoints() {
        let context = Context::new().unwrap();
        let publisher = socket(&context, SocketType::XPub);
        let endpoint = publisher.bind(endpoint).unwrap();
        let sub = socket(&context, SocketType::Sub);
        sub.subscribe("a").unwrap();
        sub.connect(&endpoint).unwrap();
        assert_eq!(publisher.recv().unwrap()[0], "\u{1}a");
        sub.subscribe("b").unwrap();
        assert_eq!(publisher.recv().unwrap()[0], "\u{1}b");
        for body in ["a1", "c", "b1", "a2"] {
            publisher.send(body).unwrap();
        }
        for body in ["a1", "b1", "a2"] {
            assert_eq!(sub.recv().unwrap()[0], body);
        }
        sub.unsubscribe("a").unwrap();
        assert_eq!(publisher.recv().unwrap()[0], "\0a");
        publisher.send("a3").unwrap();
        publisher.send("b2").unwrap();
        assert_eq!(sub.recv().unwrap()[0], "b2");
    }
}

#[test]
fn pair_talks_both_ways_and_takes_one_peer() {
    for endpoint in endpoints() {
        let context = Context::new().unwrap();
        let one = socket(&context, SocketType::Pair);
        let endpoint = one.bind(endpoint).unwrap();
        let other = socket(&context, SocketType::Pair);
        other.connect(&endpoint).unwrap();
        other.send("ping").unwrap();
        assert_eq!(one.recv().unwrap()[0], "ping");
        one.send("pong").unwrap();
        assert_eq!(other.recv().unwrap()[0], "pong");
        assert!(other.connect(&endpoint).is_err());
    }
}

#[test]
fn connect_comes_before_bind() -> Result<()> {
    let context = Context::new()?;
    let free = {
        let probe = socket(&context, SocketType::Pull);
        probe.bind("tcp://127.0.0.1:*")?
    };
    for endpoint in [free.as_str(), "inproc://later"] {
        let push = socket(&context, SocketType::Push);
        push.connect(endpoint)?;
        push.send("early")?;
        let pull = socket(&context, SocketType::Pull);
        pull.bind(endpoint)?;
        assert_eq!(pull.recv()?[0], "early");
    }
    Ok(())
}

#[test]
fn large_messages_arrive_whole() {
    for endpoint in endpoints() {
        let context = Context::new().unwrap();
        let one = socket(&context, SocketType::Pair);
        let endpoint = one.bind(endpoint).unwrap();
        let other = socket(&context, SocketType::Pair);
        other.connect(&endpoint).unwrap();
        for size in [0, 1, 62, 63, 255, 256, 4095, 4096, 65_536, 1 << 20, 16 << 20] {
            let body: Vec<u8> = (0..size).map(|i: usize| (i ^ (i >> 8)) as u8).collect();
            let mut message = Message::from("head");
            message.push_back(body.clone());
            message.push_back(body);
            one.send(message.clone()).unwrap();
            assert_eq!(other.recv().unwrap(), message);
        }
    }
}

#[test]
fn termination_wakes_whoever_waits() {
    let context = Context::new().unwrap();
    let pull = context.socket(SocketType::Pull).unwrap();
    let push = context.socket(SocketType::Push).unwrap();
    thread::scope(|scope| {
        let receiving = scope.spawn(move || pull.recv().unwrap_err());
        let sending = scope.spawn(move || push.send("x").unwrap_err().error);
        context.terminate();
        assert!(matches!(receiving.join().unwrap(), Error::Terminated));
        assert!(matches!(sending.join().unwrap(), Error::Terminated));
    });
    assert!(matches!(context.socket(SocketType::Pair), Err(Error::Terminated)));
}

#[test]
fn lingering_messages_are_sent_after_close() {
    let context = Context::new().unwrap();
    let pull = socket(&context, SocketType::Pull);
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    {
        let other = Context::new().unwrap();
        let push = socket(&other, SocketType::Push);
        push.connect(&endpoint).unwrap();
        for i in 0..900u32 {
            push.send(i.to_be_bytes()).unwrap();
        }
    }
    for i in 0..900u32 {
        assert_eq!(pull.recv().unwrap()[0], &i.to_be_bytes());
    }
}
