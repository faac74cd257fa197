//! What each socket type does.

use std::{
    io::{BufRead as _, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{ANY, PATIENCE, Running, run};
use serde_json::json;

#[test]
fn requests_get_their_replies_in_order() {
    let rep = Running::bound(&["rep", ANY, PATIENCE, "-n3"]).gather();
    let replies = run(&["req", &rep.connect(), PATIENCE], b"one\n\nthree").well();
    assert_eq!(replies.text(), "one\n\nthree\n");
    assert_eq!(rep.end().well().text(), "one\n\nthree\n");
}

#[test]
fn a_reply_may_be_fixed() {
    let rep = Running::bound(&["rep", ANY, PATIENCE, "-n2", r"yes\x21"]).gather();
    let replies = run(&["req", &rep.connect(), PATIENCE, "-n2", "?"], b"").well();
    assert_eq!(replies.text(), "yes!\nyes!\n");
    rep.end().well();
}

#[test]
fn a_reply_is_printed_before_the_next_request_is_read() {
    let rep = Running::bound(&["rep", ANY, PATIENCE]).gather();
    let mut req = Running::start(&["req", &rep.connect(), PATIENCE]);
    let (mut stdin, mut stdout) = (req.stdin(), req.stdout());
    for request in ["a\n", "b\n"] {
        stdin.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stdout.read_line(&mut reply).unwrap();
        assert_eq!(reply, request);
    }
    drop(stdin);
    req.end().well();
}

#[test]
fn a_router_shows_who_asks_and_echoes() {
    let router = Running::bound(&["router", ANY, PATIENCE, "-n4", "--echo", "--json"]).gather();
    let dealer = ["dealer", &router.connect(), PATIENCE, "--routing-id=me", "-n3"];
    let echoed = run(&dealer, b"1\n2\n3\n").well();
    assert_eq!(echoed.text(), "1\n2\n3\n");
    let args = ["req", &router.connect(), PATIENCE, "--routing-id=0xff00", "ask"];
    assert_eq!(run(&args, b"").well().text(), "ask\n");
    let seen = router.end().well().json();
    assert_eq!(seen[0], json!({"event": "message", "routing_id": "me", "frames": ["1"]}));
    assert_eq!(
        seen[3],
        json!({"event": "message", "routing_id": {"hex": "ff00"}, "frames": ["", "ask"]})
    );
}

#[test]
fn a_routers_fixed_reply_finds_its_way_to_dealers_and_requesters() {
    let router = Running::bound(&["router", ANY, PATIENCE, "-n2", "ok"]).gather();
    let connect = router.connect();
    let dealer = ["dealer", &connect, PATIENCE, "--routing-id=d", "-n1", "x"];
    assert_eq!(run(&dealer, b"").well().text(), "ok\n");
    let req = ["req", &connect, PATIENCE, "--routing-id=r", "x"];
    assert_eq!(run(&req, b"").well().text(), "ok\n");
    assert_eq!(router.end().well().text(), "d\tx\nr\t\tx\n");
}

#[test]
fn a_pair_talks_both_ways() {
    let bound = Running::bound(&["pair", ANY, PATIENCE, "-n2", "from the bound one"]).gather();
    let connected = run(&["pair", &bound.connect(), PATIENCE, "-n2"], b"x\ny\n").well();
    assert_eq!(connected.text(), "from the bound one\n".repeat(2));
    assert_eq!(bound.end().well().text(), "x\ny\n");
}

#[test]
fn a_channel_talks_both_ways() {
    let bound = Running::bound(&["channel", ANY, PATIENCE, "-n2", "from the bound one"]).gather();
    let connected = run(&["channel", &bound.connect(), PATIENCE, "-n2"], b"x\ny\n").well();
    assert_eq!(connected.text(), "from the bound one\n".repeat(2));
    assert_eq!(bound.end().well().text(), "x\ny\n");
}

#[test]
fn a_server_replies_to_whoever_asked() {
    let server = Running::bound(&["server", ANY, PATIENCE, "-n4"]).gather();
    for request in [&b"1\n2\n"[..], b"3\n4\n"] {
        let replies = run(&["client", &server.connect(), PATIENCE, "-n2"], request).well();
        assert_eq!(replies.text().as_bytes(), request);
    }
    assert_eq!(server.end().well().text(), "1\n2\n3\n4\n");
    let server = Running::bound(&["server", ANY, PATIENCE, "-n2", "yes"]).gather();
    let replies = run(&["client", &server.connect(), PATIENCE, "-n2"], b"1\n2\n").well();
    assert_eq!(replies.text(), "yes\nyes\n");
    server.end().well();
}

#[test]
fn what_is_scattered_is_gathered() {
    let gather = Running::bound(&["gather", ANY, PATIENCE, "-n3"]).gather();
    run(&["scatter", &gather.connect(), PATIENCE], b"1\n\n3\n").well();
    assert_eq!(gather.end().well().text(), "1\n\n3\n");
    // Messages of several frames are no messages of theirs.
    let gather = Running::bound(&["gather", ANY, PATIENCE]).gather();
    let refused = run(&["scatter", &gather.connect(), PATIENCE, "--multipart"], b"1\t2\n");
    assert!(refused.stderr.contains("one frame"), "{}", refused.stderr);
}

#[test]
fn a_dish_prints_what_comes_to_its_groups() {
    let dish = ["dish", "--bind=udp://127.0.0.1:*", PATIENCE, "-n3", "-ga", "-gb"];
    let dish = Running::bound(&dish).gather();
    for (group, bodies) in [("a", &b"1\n2\n"[..]), ("c", b"unwanted\n"), ("b", b"3\n")] {
        run(&["radio", &dish.connect(), PATIENCE, "-g", group], bodies).well();
    }
    assert_eq!(dish.end().well().text(), "a\t1\na\t2\nb\t3\n");
}

#[test]
fn a_dealer_may_only_send_or_only_receive() {
    let receiving = Running::bound(&["dealer", ANY, PATIENCE, "-n2", "--receive-only"]).gather();
    let args = ["dealer", &receiving.connect(), PATIENCE, "--send-only"];
    let sent = run(&args, b"1\n2\n").well();
    assert_eq!(sent.text(), "");
    assert_eq!(receiving.end_with_input_open().well().text(), "1\n2\n");
}

#[test]
fn input_is_sent_also_after_the_last_arrival() {
    let bound = Running::bound(&["pair", ANY, PATIENCE, "-n2", "early"]).gather();
    // All arrivals are there long before the second message is due.
    let args = ["pair", &bound.connect(), PATIENCE, "-n2", "--rate=4", "late"];
    let mut connected = Running::start(&args);
    let mut arrived = String::new();
    let mut stdout = connected.stdout();
    for _ in 0..2 {
        stdout.read_line(&mut arrived).unwrap();
    }
    assert_eq!(arrived, "early\nearly\n");
    assert_eq!(bound.end().well().text(), "late\nlate\n");
    connected.end().well();
}

#[test]
fn subscribers_get_their_topics() {
    let publisher = ["pub", ANY, PATIENCE, "--wait-subscribers=5", "-m"];
    let mut publisher = Running::bound(&publisher);
    let connect = publisher.connect();
    let sub =
        |args: &[&str]| Running::start(&[&["sub", &connect, PATIENCE], args].concat()).gather();
    // Two subscribe to the same, and both count.
    let some = [0, 1].map(|_| sub(&["--topic=a", "--topic=c", "-n3"]));
    let all = sub(&["-n4"]);
    publisher.stdin().write_all(b"a\t1\nb\t2\nc\t3\naa\t4\n").unwrap();
    for some in some {
        assert_eq!(some.end().well().text(), "a\t1\nc\t3\naa\t4\n");
    }
    assert_eq!(all.end().well().text(), "a\t1\nb\t2\nc\t3\naa\t4\n");
    publisher.end().well();
}

#[test]
fn subscribers_get_what_their_patterns_match() {
    for (role, extra, expected) in [
        (
            "sub",
            &["--pattern=a?c", "--pattern=*[x-z]", "--pattern=\\*"][..],
            "abc\t1\nnotz\t3\n*\t5\n",
        ),
        ("xsub", &["--pattern=a?c", "--topic=no"], "abc\t1\nnotz\t3\nno\t4\n"),
    ] {
        let wanted = format!("--wait-subscribers={}", extra.len());
        let mut publisher = Running::bound(&["pub", ANY, PATIENCE, &wanted, "-m"]);
        let connect = publisher.connect();
        let args = [&[role, &connect, PATIENCE, "-n3"], extra].concat();
        let subscriber = Running::start(&args).gather();
        publisher.stdin().write_all(b"abc\t1\nac\t2\nnotz\t3\nno\t4\n*\t5\n").unwrap();
        assert_eq!(subscriber.end().well().text(), expected);
        publisher.end().well();
    }
}

#[test]
fn a_topic_is_a_frame_of_its_own_and_a_prefix_is_not() {
    for (option, expected) in [("--topic=t.", json!(["t.", "x"])), ("--prefix=t.", json!(["t.x"]))]
    {
        let publisher = ["pub", ANY, PATIENCE, "--wait-subscribers=1", option, "x"];
        let publisher = Running::bound(&publisher);
        let args = ["sub", &publisher.connect(), PATIENCE, "--topic=t.", "-n1", "--json"];
        assert_eq!(run(&args, b"").well().json()[0]["frames"], expected);
        publisher.end().well();
    }
}

#[test]
fn an_xpub_prints_subscriptions_and_an_xsub_makes_them() {
    let mut xpub = Running::bound(&["xpub", ANY, PATIENCE, "--wait-subscribers=2"]);
    let mut stdout = xpub.stdout();
    let args = ["xsub", &xpub.connect(), PATIENCE, "--topic=x", "--topic=y", "-n1"];
    let xsub = Running::start(&args).gather();
    let mut seen = String::new();
    for _ in 0..2 {
        stdout.read_line(&mut seen).unwrap();
    }
    assert_eq!(seen, "subscribe\tx\nsubscribe\ty\n");
    xpub.stdin().write_all(b"z\nyes\n").unwrap();
    assert_eq!(xsub.end().well().text(), "yes\n");
    xpub.end().well();
}

#[test]
fn a_peer_sends_to_those_it_connects_to_and_another_echoes() {
    let echoing = Running::bound(&["peer", ANY, PATIENCE, "-n4", "--echo"]).gather();
    let args = ["peer", &echoing.connect(), PATIENCE, "-n2"];
    for input in [&b"1\n2\n"[..], b"3\n4\n"] {
        assert_eq!(run(&args, input).well().text().as_bytes(), input);
    }
    assert_eq!(echoing.end().well().text(), "1\n2\n3\n4\n");
    // Everything goes to each of several.
    let printing = [0, 1].map(|_| Running::bound(&["peer", ANY, PATIENCE, "-n2"]).gather());
    let [one, other] = [0, 1].map(|at| printing[at].connect());
    run(&["peer", &one, &other, PATIENCE, "--send-only"], b"1\n2\n").well();
    for peer in printing {
        assert_eq!(peer.end_with_input_open().well().text(), "1\n2\n");
    }
}

#[test]
fn a_stream_talks_to_peers_that_speak_no_zmtp() {
    let echoing = Running::bound(&["stream", ANY, PATIENCE, "-n1", "--echo", "--json"]).gather();
    let address = echoing.endpoint.strip_prefix("tcp://").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"hello").unwrap();
    let mut echoed = [0; 5];
    client.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"hello");
    let seen = &echoing.end().well().json()[0];
    assert_eq!(seen["frames"], json!(["hello"]));
    assert!(seen["routing_id"].is_object() || seen["routing_id"].is_string());

    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!("--connect=tcp://{}", server.local_addr().unwrap());
    let mut stream = Running::start(&["stream", &connect, PATIENCE, "-n1", "--raw", "GET /"]);
    let (mut accepted, _) = server.accept().unwrap();
    let mut asked = [0; 5];
    accepted.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"GET /");
    accepted.write_all(b"found").unwrap();
    let mut printed = String::new();
    stream.stdout().read_to_string(&mut printed).unwrap();
    assert!(printed.ends_with("found"), "{printed}");
    stream.end().well();
}

#[test]
fn datagrams_go_to_addresses_and_come_from_some() {
    let echoing = ["dgram", "--bind=udp://127.0.0.1:*", PATIENCE, "-n2", "--echo"];
    let echoing = Running::bound(&echoing).gather();
    let to = format!("--to={}", echoing.endpoint.strip_prefix("udp://").unwrap());
    let asking = ["dgram", "--bind=udp://127.0.0.1:*", &to, PATIENCE, "-n1", "--json"];
    for body in ["1", "2"] {
        let answered = run(&[&asking[..], &[body]].concat(), b"").well().json();
        let from = to.strip_prefix("--to=").unwrap();
        let expected = json!({"event": "message", "routing_id": from, "frames": [body]});
        assert_eq!(answered, [expected]);
    }
    let printed = echoing.end().well();
    let bodies: Vec<_> =
        printed.text().lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert!(bodies.iter().all(|(from, _)| from.starts_with("127.0.0.1:")), "{bodies:?}");
    assert_eq!([bodies[0].1, bodies[1].1], ["1", "2"]);
}

#[test]
fn who_names_nobody_to_send_to_or_the_wrong_transport_is_told() {
    let refused = |args: &[&str], reason: &str| {
        let ended = run(args, b"");
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(reason), "{args:?}: {}", ended.stderr);
    };
    refused(&["peer", ANY, "x"], "with --connect");
    refused(&["stream", ANY, "--send-only"], "with --connect");
    refused(&["dgram", "--bind=udp://127.0.0.1:*", "x"], "with --to");
    refused(&["dgram", "--connect=udp://127.0.0.1:9", "x"], "with --to");
    refused(&["dgram", "--bind=udp://127.0.0.1:*", "--to=localhost:9"], "socket address");
    refused(&["dgram", ANY], "a DGRAM socket cannot bind to tcp://");
    refused(&["stream", "--bind=udp://127.0.0.1:*"], "a STREAM socket cannot bind to udp://");
    refused(
        &["peer", "--connect=udp://127.0.0.1:9", "x"],
        "a PEER socket cannot connect to udp://",
    );
    refused(&["peer", ANY, "--echo", "x"], "cannot be used with");
    // A port that was free just now.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = run(&["stream", &format!("--connect=tcp://{nobody}"), "--timeout=100ms", "x"], b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("cannot connect to tcp://"), "{ended:?}");
}
