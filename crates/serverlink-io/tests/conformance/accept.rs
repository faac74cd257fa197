//! Accepting.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serverlink_io::Event;

use crate::rig::{Inbox, Rig, listener, received};

pub(crate) fn accepts_connections(backend: &str) {
    let rig = Rig::new(backend);
    let (listener, address) = listener();
    let inbox = Inbox::new();
    let listening = rig.port.register(listener.into(), inbox.clone()).expect("it registers");
    assert_eq!(listening.local_address().expect("it listens").as_socket(), Some(address));
    for round in 0..5_u8 {
        // Before and after the accept was started.
        let early = (round % 2 == 0).then(|| TcpStream::connect(address).expect("it connects"));
        listening.accept().expect("nothing is pending");
        assert_eq!(
            listening.accept().expect_err("one is pending").kind(),
            std::io::ErrorKind::ResourceBusy
        );
        let mut client = early.unwrap_or_else(|| TcpStream::connect(address).expect("it connects"));
        let (socket, peer) = match rig.next(&inbox) {
            Event::Accepted(Ok(accepted)) => accepted,
            other => panic!("a connection expected, not {other:?}"),
        };
        let local = client.local_addr().expect("it is connected");
        assert_eq!(peer.as_socket(), Some(local));

        let arrivals = Inbox::new();
        let accepted = rig.port.register(socket, arrivals.clone()).expect("it registers");
        assert_eq!(accepted.peer_address().expect("it is connected").as_socket(), Some(local));
        accepted.receive(None).expect("nothing is pending");
        client.write_all(&[round]).expect("it is connected");
        assert_eq!(received(rig.next(&arrivals))[..], [round]);
        accepted.retire();
        assert_eq!(client.read(&mut [0]).expect("closed in order"), 0);
    }
    assert!(inbox.is_empty());
}

/// In a process of its own, since it takes all descriptors.
#[cfg(unix)]
pub(crate) fn accept_survives_exhaustion_of_descriptors(backend: &str) {
    use std::{env, process::Command};

    const INNER: &str = "SERVERLINK_TEST_EXHAUST";
    if env::var_os(INNER).is_some() {
        exhaust(backend);
        return;
    }
    let name = format!("{backend}::accept_survives_exhaustion_of_descriptors");
    let output = Command::new(env::current_exe().expect("this runs"))
        .args(["--exact", &name, "--nocapture", "--test-threads", "1"])
        .env(INNER, "1")
        .output()
        .expect("it can run again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

#[cfg(unix)]
fn exhaust(backend: &str) {
    use std::fs::File;

    limit_descriptors(64);
    let rig = Rig::new(backend);
    let (listener, address) = listener();
    let inbox = Inbox::new();
    let listening = rig.port.register(listener.into(), inbox.clone()).expect("it registers");
    let clients = [(); 2].map(|()| TcpStream::connect(address).expect("it connects"));
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    for _ in 0..3 {
        listening.accept().expect("nothing is pending");
        match rig.next(&inbox) {
            Event::Accepted(Err(error)) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE)),
            other => panic!("no connection expected, not {other:?}"),
        }
    }
    hoard.truncate(hoard.len() - clients.len());
    for _ in &clients {
        listening.accept().expect("nothing is pending");
        let event = rig.next(&inbox);
        assert!(matches!(event, Event::Accepted(Ok(_))), "{event:?}");
    }
}

#[cfg(unix)]
fn limit_descriptors(count: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: count };
    // SAFETY: `limit` is valid for the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}
