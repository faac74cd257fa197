//! PLAIN and CURVE: who is admitted, and what is told when somebody is not.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::support::{ANY, Ended, PATIENCE, Running, run};

const TO: &str = "--connect=tcp://127.0.0.1:9";
/// A pair of RFC 26's appendix, and what goes with neither.
const KEY: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

#[track_caller]
fn refused(args: &[&str], reason: &str) {
    let ended = run(args, b"");
    assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
    assert!(ended.stderr.contains(reason), "{args:?}: {}", ended.stderr);
}

/// Keys in files.
struct Keys {
    folder: TempDir,
}

impl Keys {
    fn new(names: &[&str]) -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap() };
        for name in names {
            run(&["keygen", keys.path(name).to_str().unwrap()], b"").well();
        }
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap().trim_end().to_owned()
    }

    /// An option and the path of one of the files.
    fn option(&self, option: &str, name: &str) -> String {
        format!("{option}={}", self.path(name).display())
    }

    /// A file with this text.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }
}

#[track_caller]
fn failed(ended: &Ended, reasons: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for reason in reasons {
        assert!(ended.stderr.contains(reason), "{reason:?}: {}", ended.stderr);
    }
}

#[test]
fn a_pair_of_curve_talks() {
    let keys = Keys::new(&["server"]);
    let secret = keys.option("--curve-secret-key-file", "server");
    let public = keys.option("--curve-server-key-file", "server.pub");
    let pull = Running::bound(&["pull", ANY, PATIENCE, "-n1", "--curve-server", &secret]).gather();
    run(&["push", &pull.connect(), PATIENCE, &public, "a secret"], b"").well();
    assert_eq!(pull.end().well().text(), "a secret\n");

    // The keys themselves, and the server as who connects.
    let [secret, public] = ["server", "server.pub"].map(|name| keys.read(name));
    let server_key = format!("--curve-server-key={public}");
    let pull = Running::bound(&["pull", ANY, PATIENCE, "-n1", &server_key]).gather();
    let keys = ["--curve-secret-key", &secret, "--curve-public-key", &public];
    let to = pull.connect();
    let push = [&["push", &to, PATIENCE, "--curve-server", "x"], &keys[..]].concat();
    run(&push, b"").well();
    assert_eq!(pull.end().well().text(), "x\n");
}

#[test]
fn a_wrong_key_of_the_server_ends_who_connects() {
    let keys = Keys::new(&["server", "other"]);
    let secret = keys.option("--curve-secret-key-file", "server");
    let pull = Running::bound(&["pull", ANY, PATIENCE, "--curve-server", &secret]);
    let wrong = keys.option("--curve-server-key-file", "other.pub");
    // What is sent waits, whatever the time.
    for role in
        [&["push", "a secret"][..], &["push", "x", PATIENCE], &["push", "x", "--linger=20s"]]
    {
        let ended = run(&[role, &[&pull.connect(), &wrong]].concat(), b"");
        let whose = format!("no handshake with {}", pull.endpoint);
        failed(&ended, &[&whose, "its public key is the one given here"]);
    }
    let ended = run(&["dealer", &pull.connect(), &wrong, "--receive-only", "--json"], b"");
    let error = &ended.told("error")[0];
    assert_eq!(error["exit_code"], 1);
    assert!(error["message"].as_str().unwrap().starts_with("no handshake with "), "{error}");
}

#[test]
fn a_client_whose_key_is_not_named_is_not_admitted() {
    let keys = Keys::new(&["server", "alice", "mallory"]);
    let secret = keys.option("--curve-secret-key-file", "server");
    let server_key = keys.option("--curve-server-key-file", "server.pub");
    let named = ["alice", "server"]
        .map(|name| format!("--curve-client-key={}", keys.read(&format!("{name}.pub"))));
    let server = ["--curve-server", &secret, &named[0], &named[1]];
    let pull = Running::bound(&[&["pull", ANY, PATIENCE, "-n1"], &server[..]].concat()).gather();
    let to = pull.connect();
    let stranger = keys.option("--curve-secret-key-file", "mallory");
    for own in [&[][..], &[&stranger[..]]] {
        let push = [&["push", &to, PATIENCE, &server_key, "x"], own].concat();
        failed(&run(&push, b""), &["does not admit this client (status 400)"]);
    }
    let push = ["push", &to, PATIENCE, &server_key, &stranger, "x"];
    failed(&run(&push, b""), &[&keys.read("mallory.pub")]);
    let alice = keys.option("--curve-secret-key-file", "alice");
    run(&["push", &to, PATIENCE, &server_key, &alice, "let in"], b"").well();
    let ended = pull.end().well();
    assert_eq!(ended.text(), "let in\n");
    assert!(ended.stderr.contains("it is not admitted (status 400)"), "{}", ended.stderr);
}

#[test]
fn a_login_is_judged_by_its_name_and_password() {
    let keys = Keys::new(&[]);
    keys.write("password", "hush\r\nwhat follows is no part of it\n");
    let file = keys.option("--plain-password-file", "password");
    let server = ["--plain-server", "--plain-username=admin", &file];
    let pull = Running::bound(&[&["pull", ANY, PATIENCE, "-n1"], &server[..]].concat()).gather();
    let login = |name: &str, password: &str| {
        let (name, password) =
            (format!("--plain-username={name}"), format!("--plain-password={password}"));
        run(&["push", &pull.connect(), PATIENCE, &name, &password, "x"], b"")
    };
    for (name, password) in [("admin", "Hush"), ("admin", "hush "), ("admin", ""), ("root", "hush")]
    {
        failed(&login(name, password), &["status 400", "name and password are right"]);
    }
    login("admin", "hush").well();
    assert_eq!(pull.end().well().text(), "x\n");
}

#[test]
fn who_has_no_mechanism_is_told_of_one() {
    let keys = Keys::new(&["server"]);
    let secret = keys.option("--curve-secret-key-file", "server");
    let pull = Running::bound(&["pull", ANY, PATIENCE, "--curve-server", &secret]);
    let ended = run(&["push", &pull.connect(), "--timeout=1s", "x"], b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.stderr.matches("no handshake with").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("CURVE"), "{}", ended.stderr);
}

#[test]
fn options_that_do_not_go_together_are_refused_with_a_reason() {
    let name = "--plain-username=admin";
    let [server, key] = ["--curve-server", &format!("--curve-server-key={KEY}")];
    let secret = &format!("--curve-secret-key={SECRET}");
    let public = &format!("--curve-public-key={KEY}");
    refused(&["pull", TO, name], "--plain-password <PASSWORD>|--plain-password-file <PATH>");
    refused(&["pull", TO, "--plain-password=x"], "--plain-username <NAME>");
    refused(&["pull", TO, "--plain-password-file=x"], "--plain-username <NAME>");
    refused(&["pull", TO, "--plain-server"], "--plain-username <NAME>");
    refused(
        &["pull", TO, name, "--plain-password=x", "--plain-password-file=x"],
        "cannot be used with",
    );
    refused(&["pull", TO, name, "--plain-password=x", key], "cannot be used with");
    refused(&["pull", TO, name, "--plain-password=x", server, secret], "cannot be used with");
    let long = format!("--plain-password={}", "x".repeat(256));
    refused(&["pull", TO, name, &long], "255 is the most");
    refused(&["pull", TO, server], "--curve-secret-key <KEY>|--curve-secret-key-file <PATH>");
    refused(&["pull", TO, server, secret, key], "cannot be used with");
    refused(&["pull", TO, key, "--curve-server-key-file=x"], "cannot be used with");
    refused(&["pull", TO, secret], "--curve-server-key <KEY>");
    refused(&["pull", TO, server, secret, "--curve-secret-key-file=x"], "cannot be used with");
    refused(&["pull", TO, key, public], "--curve-secret-key <KEY>");
    refused(&["pull", TO, key, &format!("--curve-client-key={KEY}")], "--curve-server");
    refused(&["pull", TO, "--curve-server-key=abc"], "--curve-server-key has no key");
    refused(&["pull", TO, key, "--curve-secret-key=abc"], "serverlink keygen");
    refused(
        &["pull", TO, server, secret, "--curve-client-key=abc"],
        "--curve-client-key has no key",
    );
    refused(
        &["pull", TO, key, secret, &format!("--curve-public-key={SECRET}")],
        "does not go with",
    );
    refused(&["stream", TO, key], "a STREAM socket speaks no ZMTP");
    refused(
        &["radio", "--connect=udp://127.0.0.1:9", key, "x"],
        "nothing is protected over udp://",
    );
    refused(&["dgram", "--bind=udp://127.0.0.1:*", name, "--plain-password=x"], "tcp:// or ipc://");
}

#[test]
fn a_file_without_a_key_is_told() {
    let keys = Keys::new(&["server"]);
    keys.write("bad", "no key\n");
    for option in ["--curve-server-key-file", "--curve-secret-key-file"] {
        let bad = keys.option(option, "bad");
        let role = match option {
            "--curve-secret-key-file" => "--curve-server",
            _ => "--timeout=1s",
        };
        let ended = run(&["pull", TO, role, &bad], b"");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("bad has no key"), "{}", ended.stderr);
        let missing = keys.option(option, "missing");
        failed(&run(&["pull", TO, role, &missing], b""), &["cannot read", "missing"]);
    }
    let missing = keys.option("--plain-password-file", "missing");
    failed(&run(&["pull", TO, "--plain-username=x", &missing], b""), &["cannot read"]);
    keys.write("long", &"x".repeat(256));
    let long = keys.option("--plain-password-file", "long");
    refused(&["pull", TO, "--plain-username=x", &long], "255 is the most");
}

#[test]
fn keys_are_printed_or_written_where_nothing_is() {
    let text = run(&["keygen"], b"").well().text().to_owned();
    let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line.0).collect::<Vec<_>>(), ["public", "secret"]);
    assert!(lines.iter().all(|line| line.1.len() == 40), "{text}");
    let json = &run(&["keygen", "--json"], b"").well().json()[0];
    let key = |name: &str| json[name].as_str().unwrap().to_owned();
    assert_ne!(key("public"), lines[0].1, "each is another");
    let both = ["--curve-public-key", &key("public"), "--curve-secret-key", &key("secret")];
    let ended = run(&[&["pull", ANY, "--timeout=1ms", "--curve-server"], &both[..]].concat(), b"");
    assert_eq!(ended.code, Some(3), "they go together: {ended:?}");

    let keys = Keys::new(&["own"]);
    let before = [keys.read("own"), keys.read("own.pub")];
    let own = keys.path("own");
    failed(&run(&["keygen", own.to_str().unwrap()], b""), &["cannot write", "another name"]);
    assert_eq!([keys.read("own"), keys.read("own.pub")], before);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Not half of a pair.
    keys.write("other.pub", "somebody's\n");
    let other = keys.path("other");
    failed(&run(&["keygen", other.to_str().unwrap()], b""), &["other.pub", "another name"]);
    assert!(!other.exists());
    let printed = run(&["keygen", keys.path("third").to_str().unwrap()], b"").well();
    assert_eq!(printed.text(), format!("public {}\n", keys.read("third.pub")));
}
