//! Whom the ends of `wss://` show themselves as, and whom they trust.

use std::{env, fs, path::Path, process, process::Command, thread};

use serverlink::{Error, Socket, SocketType};

use super::{HERE, Identity, client, failure, identity, server};
use crate::harness::{PATIENCE, context, expect, socket};

/// Somebody else who says so.
const STRANGER: Identity = identity!("stranger");
/// Somebody of this name.
const ELSEWHERE: Identity = identity!("service.example.com");

#[test]
fn a_server_needs_a_certificate_and_its_key() {
    let context = context();
    let reason = |socket: &Socket| match socket.bind("wss://127.0.0.1:*") {
        Err(Error::InvalidOption { option, reason }) => format!("{option}: {reason}"),
        other => panic!("{other:?}"),
    };
    let pull = socket(&context, SocketType::Pull);
    assert!(reason(&pull).starts_with("wss_cert_pem: to bind to wss://"));
    pull.set_wss_cert_pem(Some(HERE.certificate)).unwrap();
    assert!(reason(&pull).starts_with("wss_key_pem: to bind to wss://"));
    for (certificate, key, wrong) in [
        ("no certificate", HERE.key, "wss_cert_pem: there is no certificate"),
        (HERE.certificate, "no key", "wss_key_pem"),
        (HERE.certificate, STRANGER.key, "wss_key_pem"),
    ] {
        pull.set_wss_cert_pem(Some(certificate)).unwrap();
        pull.set_wss_key_pem(Some(key)).unwrap();
        let reason = reason(&pull);
        assert!(reason.starts_with(wrong), "{reason}");
    }
    // Without TLS none is needed.
    pull.bind("ws://127.0.0.1:*").unwrap();
    // What is set later is for what is bound later.
    pull.set_wss_cert_pem(Some(HERE.certificate)).unwrap();
    pull.set_wss_key_pem(Some(HERE.key)).unwrap();
    let bound = pull.bind("wss://127.0.0.1:*").unwrap();
    pull.set_wss_cert_pem(None).unwrap();
    let push = client(&context, SocketType::Push);
    push.connect(&bound).unwrap();
    push.send("it has one").unwrap();
    expect(&pull, "it has one");
}

#[test]
fn a_client_trusts_nobody_unless_it_is_told_to() {
    let context = context();
    let pull = server(&context, SocketType::Pull);
    let bound = pull.bind("wss://127.0.0.1:*").unwrap();
    let push = socket(&context, SocketType::Push);
    let reason = |push: &Socket| match push.connect(&bound) {
        Err(Error::InvalidOption { option: "wss_trust_pem", reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason(&push).contains("nobody is trusted"));
    push.set_wss_trust_pem(Some("no certificate")).unwrap();
    assert!(reason(&push).contains("no certificate"));
    // Somebody else's word is worth nothing.
    push.set_wss_trust_pem(Some(STRANGER.certificate)).unwrap();
    let (ours, theirs) = (push.monitor(), pull.monitor());
    push.connect(&bound).unwrap();
    let ours = failure(&ours);
    assert!(ours.contains("invalid peer certificate"), "{ours}");
    // Which the peer is told.
    let theirs = failure(&theirs);
    assert!(theirs.contains("fatal alert"), "{theirs}");
    // A certificate or two, of which one is right.
    let push = socket(&context, SocketType::Push);
    let both = [ELSEWHERE.certificate, HERE.certificate].concat();
    push.set_wss_trust_pem(Some(&both)).unwrap();
    push.connect(&bound).unwrap();
    push.send("trusted").unwrap();
    expect(&pull, "trusted");
}

#[test]
fn a_server_has_to_be_whom_the_client_wants_to_reach() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_wss_cert_pem(Some(ELSEWHERE.certificate)).unwrap();
    pull.set_wss_key_pem(Some(ELSEWHERE.key)).unwrap();
    let bound = pull.bind("wss://127.0.0.1:*").unwrap();
    let client = |name: Option<&str>| {
        let push = socket(&context, SocketType::Push);
        push.set_wss_trust_pem(Some(ELSEWHERE.certificate)).unwrap();
        push.set_wss_hostname(name).unwrap();
        push
    };
    for wrong in [None, Some("other.example.com"), Some("127.0.0.1")] {
        let push = client(wrong);
        let monitor = push.monitor();
        push.connect(&bound).unwrap();
        let reason = failure(&monitor);
        assert!(reason.contains("not valid for name"), "{wrong:?}: {reason}");
    }
    assert!(matches!(
        client(Some("no name!")).connect(&bound),
        Err(Error::InvalidOption { option: "wss_hostname", .. })
    ));
    let push = client(Some("service.example.com"));
    push.connect(&bound).unwrap();
    push.send("it is").unwrap();
    expect(&pull, "it is");
}

/// The system's certificates are those of a file here, which another process is told by its environment.
#[test]
fn the_systems_certificates_are_trusted_if_that_is_wanted() {
    const FILE: &str = "SSL_CERT_FILE";
    let name = "web::secure::the_systems_certificates_are_trusted_if_that_is_wanted";
    let endpoint = "SERVERLINK_TEST_ENDPOINT";
    if let Ok(endpoint) = env::var(endpoint) {
        let context = context();
        let push = socket(&context, SocketType::Push);
        push.set_linger(Some(PATIENCE)).unwrap();
        push.set_wss_trust_system(true).unwrap();
        match push.connect(&endpoint) {
            Ok(()) => push.send("trusted").unwrap(),
            Err(Error::InvalidOption { option: "wss_trust_system", reason }) => {
                assert!(!Path::new(&env::var(FILE).unwrap()).exists(), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        return;
    }
    let context = context();
    let pull = server(&context, SocketType::Pull);
    let bound = pull.bind("wss://127.0.0.1:*").unwrap();
    let file = env::temp_dir().join(format!("serverlink-trusted-{}.pem", process::id()));
    fs::write(&file, HERE.certificate).unwrap();
    let run = || {
        let mut again = Command::new(env::current_exe().unwrap());
        again.args(["--exact", name]).env(FILE, &file).env(endpoint, &bound);
        assert!(again.env_remove("SSL_CERT_DIR").output().unwrap().status.success());
    };
    thread::scope(|scope| {
        let ran = scope.spawn(run);
        expect(&pull, "trusted");
        ran.join().unwrap();
    });
    fs::remove_file(&file).unwrap();
    // An error, and not nobody.
    run();
}
