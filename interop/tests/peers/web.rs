//! WebSockets over TLS with a library that is none of ZeroMQ's: the libzmq that other tests compile has no
//! TLS.

use std::{fs, path::PathBuf, time::Duration};

use serverlink::{Context, Message, Socket, SocketType};
use serverlink_interop::{PATIENCE, Process, python, until};

/// A certificate of this machine, or its key.
fn pem(name: &str) -> PathBuf {
    let folder = "../crates/serverlink/tests/sockets/certificates";
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

fn dealer(context: &Context) -> Socket {
    let dealer = context.socket(SocketType::Dealer).unwrap();
    dealer.set_receive_timeout(Some(PATIENCE)).unwrap();
    dealer.set_send_timeout(Some(PATIENCE)).unwrap();
    dealer.set_linger(Some(PATIENCE)).unwrap();
    dealer.set_heartbeat_interval(Some(Duration::from_millis(10))).unwrap();
    dealer.set_heartbeat_timeout(Some(PATIENCE)).unwrap();
    dealer.set_routing_id("ours").unwrap();
    dealer
}

/// Messages there and back.
fn converse(dealer: &Socket, peer: &mut Process) {
    for round in 0..100u8 {
        for len in [0, 1, 2, 3, 125, 126, 70_000] {
            let message: Message = [vec![round; len], b"".to_vec(), vec![7]].into_iter().collect();
            dealer.send(message.clone()).unwrap();
            assert!(dealer.recv().unwrap() == message, "{round}, {len}");
        }
    }
    let large = Message::from(vec![1; 3_000_000]);
    dealer.send(large.clone()).unwrap();
    assert!(dealer.recv().unwrap() == large);
    assert_eq!(peer.line().trim(), "routing id b'\\x00ours'");
    let told = dealer.peers();
    assert_eq!(&told[0].properties.as_ref().unwrap().routing_id()[..], b"python");
}

#[test]
fn a_client_that_trusts_us_talks_to_us() {
    let context = Context::new().unwrap();
    let dealer = dealer(&context);
    dealer.set_wss_cert_pem(Some(&fs::read_to_string(pem("localhost.pem")).unwrap())).unwrap();
    dealer.set_wss_key_pem(Some(&fs::read_to_string(pem("localhost.key.pem")).unwrap())).unwrap();
    let endpoint = dealer.bind("wss://127.0.0.1:*/path").unwrap();
    let mut command = python::script("web.py");
    let mut peer = Process::start(command.args(["connect", &endpoint]).arg(pem("localhost.pem")));
    converse(&dealer, &mut peer);
    dealer.send("close").unwrap();
    assert_eq!(peer.line().trim(), "closed 1000", "we answer its close");
    until("the peer goes", || dealer.peer_count() == 0);
}

#[test]
fn a_server_that_we_trust_talks_to_us() {
    let mut command = python::script("web.py");
    command.arg("bind").args(["localhost.pem", "localhost.key.pem"].map(pem));
    let mut peer = Process::start(&mut command);
    let line = peer.line();
    let endpoint = line.strip_prefix("bound ").unwrap().trim();
    let context = Context::new().unwrap();
    let dealer = dealer(&context);
    dealer.set_wss_trust_pem(Some(&fs::read_to_string(pem("localhost.pem")).unwrap())).unwrap();
    dealer.connect(endpoint).unwrap();
    converse(&dealer, &mut peer);
    drop(dealer);
    assert_eq!(peer.line().trim(), "closed 1000", "we say goodbye");
}
