//! `wss://`: who shows a certificate, and who trusts it.

use std::path::Path;

use crate::support::{PATIENCE, Running, run};

/// An option and the path of a certificate, or of its key.
fn option(option: &str, name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = folder.join("../serverlink/tests/sockets/certificates").join(name);
    format!("{option}={}", path.display())
}

const BIND: &str = "--bind=wss://127.0.0.1:*/path";

fn pull() -> Running {
    let identity =
        [option("--wss-cert-file", "localhost.pem"), option("--wss-key-file", "localhost.key.pem")];
    Running::bound(&["pull", BIND, PATIENCE, "-n1", &identity[0], &identity[1]]).gather()
}

#[test]
fn a_server_that_is_trusted_is_talked_to() {
    let pull = pull();
    let trust = option("--wss-trust-file", "localhost.pem");
    run(&["push", &pull.connect(), PATIENCE, &trust, "encrypted"], b"").well();
    assert_eq!(pull.end().well().text(), "encrypted\n");
}

#[test]
fn one_that_is_not_is_told_of() {
    let pull = pull();
    for (file, hostname, why) in [
        ("stranger.pem", "localhost", "invalid peer certificate"),
        ("localhost.pem", "service.example.com", "not valid for name"),
    ] {
        let (trust, hostname) =
            (option("--wss-trust-file", file), format!("--wss-hostname={hostname}"));
        let ended = run(&["push", &pull.connect(), "--linger=1s", &trust, &hostname, "lost"], b"");
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
    let trust = option("--wss-trust-file", "localhost.pem");
    run(&["push", &pull.connect(), PATIENCE, &trust, "--wss-hostname=localhost", "x"], b"").well();
    assert_eq!(pull.end().well().text(), "x\n");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let [certificate, key, trust] = [
        option("--wss-cert-file", "localhost.pem"),
        option("--wss-key-file", "localhost.key.pem"),
        option("--wss-trust-file", "localhost.pem"),
    ];
    let to = "--connect=wss://127.0.0.1:9/";
    for (args, code, reason) in [
        (&["pull", BIND, &certificate][..], 2, "--wss-key-file"),
        (&["pull", BIND, &key], 2, "--wss-cert-file"),
        (&["pull", "--bind=ws://127.0.0.1:*", &certificate, &key], 2, "no --bind wss://"),
        (&["pull", to, &certificate, &key], 2, "no --bind wss://"),
        (&["pull", "--connect=ws://127.0.0.1:9", &trust], 2, "no --connect wss://"),
        (&["pull", BIND, "--wss-trust-system"], 2, "no --connect wss://"),
        (&["pull", to, "--wss-trust-file=nowhere.pem"], 1, "nowhere.pem"),
        (&["pull", to], 2, "nobody is trusted"),
        (&["pull", BIND], 2, "wss_cert_pem"),
        (&["pull", BIND, &certificate, &option("--wss-key-file", "stranger.key.pem")], 2, "key"),
    ] {
        let ended = run(args, b"");
        assert!(ended.stderr.contains(reason), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
    }
}
