//! Every event that libzmq has for the end of a connection, of an endpoint, or of a handshake: where
//! it comes from. Two never come: see [`MonitorEventKind`].

use std::{io::Write, net::TcpStream, time::Duration};

use serverlink::{Monitor, MonitorEvent, MonitorEventKind, SocketType};

use crate::harness::{PATIENCE, bound, context, shake_hands, socket};

fn next(monitor: &Monitor) -> MonitorEvent {
    monitor.recv_timeout(PATIENCE).expect("an event")
}

fn numbers(monitor: &Monitor, count: usize) -> Vec<u64> {
    (0..count).map(|_| next(monitor).kind.number()).collect()
}

const LISTENING: u64 = 0x8;
const ACCEPTED: u64 = 0x20;
#[cfg(unix)]
const CLOSED: u64 = 0x80;
const DISCONNECTED: u64 = 0x200;
const FAILED_NO_DETAIL: u64 = 0x800;
const SUCCEEDED: u64 = 0x1000;

#[cfg(unix)]
#[test]
fn an_endpoint_whose_file_is_gone_could_not_be_closed_well() {
    use std::{fs, path::Path};

    let context = context();
    for endpoint in ["ipc://*", "ipc:///tmp/serverlink-test-close-failed-PID"] {
        let endpoint = endpoint.replace("PID", &std::process::id().to_string());
        let pull = socket(&context, SocketType::Pull);
        let monitor = pull.monitor();
        let endpoint = pull.bind(&endpoint).unwrap();
        let path = Path::new(endpoint.trim_start_matches("ipc://"));
        fs::remove_file(path).unwrap();
        pull.unbind(&endpoint).unwrap();
        assert_eq!(numbers(&monitor, 1), [LISTENING]);
        let event = next(&monitor);
        let MonitorEventKind::CloseFailed(fault) = &event.kind else { panic!("{event:?}") };
        // ENOENT.
        assert_eq!((event.kind.number(), fault.code), (0x100, Some(2)));
        assert_eq!((&event.endpoint, event.is_bound), (&endpoint, true));
        assert!(!path.exists());

        // One that another has taken over is not ours to remove, and that is well.
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let first = pull.bind(&endpoint).unwrap();
        fs::remove_file(path).unwrap();
        let other = socket(&context, SocketType::Pull);
        other.bind(&endpoint).unwrap();
        pull.unbind(&first).unwrap();
        assert_eq!(numbers(&monitor, 2), [LISTENING, CLOSED]);
        assert!(path.exists(), "it is the other's");
        drop(other);
        // If it was made for the endpoint, and is empty.
        let _ = fs::remove_dir(path.parent().unwrap());
    }
}

/// A directory made for the endpoint that is in use by others stays, and the user is told.
#[cfg(unix)]
#[test]
fn a_directory_that_is_not_empty_could_not_be_removed() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let monitor = pull.monitor();
    let endpoint = pull.bind("ipc://*").unwrap();
    let path = std::path::PathBuf::from(endpoint.trim_start_matches("ipc://"));
    let other = path.with_file_name("other");
    std::fs::write(&other, "").unwrap();
    drop(pull);
    assert_eq!(numbers(&monitor, 1), [LISTENING]);
    assert!(matches!(next(&monitor).kind, MonitorEventKind::CloseFailed(_)));
    assert!(!path.exists() && other.exists());
    std::fs::remove_dir_all(other.parent().unwrap()).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_is_not_let_in_could_not_be_accepted() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_ipc_filter_uid(&[u32::MAX - 1]).unwrap();
    let monitor = pull.monitor();
    let endpoint = pull.bind("ipc://*").unwrap();
    let _push = crate::harness::connected(&context, SocketType::Push, &endpoint);
    assert_eq!(numbers(&monitor, 1), [LISTENING]);
    let event = next(&monitor);
    assert!(matches!(event.kind, MonitorEventKind::AcceptFailed(_)), "{event:?}");
    assert_eq!((event.kind.number(), event.endpoint), (0x40, endpoint));
}

/// A peer that is silent for too long is disconnected after the handshake, and has failed it before.
#[test]
fn silence_ends_a_handshake_or_a_connection() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_handshake_interval(Some(Duration::from_millis(50))).unwrap();
    pull.set_heartbeat_interval(Some(Duration::from_millis(20))).unwrap();
    let monitor = pull.monitor();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let address = endpoint.trim_start_matches("tcp://");
    let silent = TcpStream::connect(address).unwrap();
    let expected = [LISTENING, ACCEPTED, FAILED_NO_DETAIL, DISCONNECTED];
    assert_eq!(numbers(&monitor, 4), expected);
    drop(silent);
    let mut client = TcpStream::connect(address).unwrap();
    shake_hands(&mut client, "PUSH");
    assert_eq!(numbers(&monitor, 3), [ACCEPTED, SUCCEEDED, DISCONNECTED]);
}

/// What breaks the protocol once the handshake is done is no failure of a handshake.
#[test]
fn nonsense_after_the_handshake_disconnects() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let monitor = pull.monitor();
    let mut client = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    shake_hands(&mut client, "PUSH");
    client.write_all(&[0xF8, 0]).unwrap();
    assert_eq!(numbers(&monitor, 3), [ACCEPTED, SUCCEEDED, DISCONNECTED]);
}

/// The numbers that libzmq has for what can go wrong in a handshake of the NULL mechanism.
#[test]
fn each_way_to_break_a_handshake_has_its_number() {
    let mut greeting = vec![0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1];
    greeting.extend(b"NULL");
    greeting.resize(64, 0);
    let mut curve = greeting.clone();
    curve[12..17].copy_from_slice(b"CURVE");
    let after = |bytes: &[u8]| [&greeting[..], bytes].concat();
    let command = |name: &str, data: &[u8]| {
        let body = [&[name.len() as u8][..], name.as_bytes(), data].concat();
        after(&[&[4, body.len() as u8][..], &body].concat())
    };
    let cases = [
        // ZMTP_UNSPECIFIED
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 0x1000_0000),
        (after(&[0xF8, 0]), 0x1000_0000),
        // ZMTP_UNEXPECTED_COMMAND
        (after(&[0, 1, b'x']), 0x1000_0001),
        (command("HELLO", b""), 0x1000_0001),
        // ZMTP_MALFORMED_COMMAND_ERROR
        (command("ERROR", b""), 0x1000_0015),
        // ZMTP_INVALID_METADATA
        (command("READY", b""), 0x1000_0018),
        (command("READY", b"\x0bSocket-Type\0\0\0\x03PUB"), 0x1000_0018),
        (command("READY", b"\x0bSocket-Type\0\0\0\xffPUSH"), 0x1000_0018),
        // ZMTP_MECHANISM_MISMATCH
        (curve, 0x1100_0002),
    ];
    for (bytes, expected) in cases {
        let context = context();
        let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
        let monitor = pull.monitor();
        let mut client = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
        client.write_all(&bytes).unwrap();
        assert_eq!(numbers(&monitor, 1), [ACCEPTED]);
        let event = next(&monitor);
        let MonitorEventKind::HandshakeFailedProtocol { code, .. } = event.kind else {
            panic!("{event:?} of {}", bytes.escape_ascii())
        };
        assert_eq!(code, expected, "{}", bytes.escape_ascii());
        assert_eq!(event.kind.number(), 0x2000);
        assert_eq!(numbers(&monitor, 1), [DISCONNECTED]);
    }
}
