//! A process full of clients.
//!
//! With both ends of ten thousand connections in one process, that would need twice the descriptors.

use std::{
    env,
    io::{BufRead, Read, Write, stdin},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

/// Tells a test program that it is to be the crowd, of which server and how large.
const ADDRESS: &str = "SERVERLINK_TEST_CROWD";
/// So many come, or say something, before the first is waited for.
const AT_ONCE: usize = 100;
/// Beside its connections a process has some descriptors more.
pub(crate) const OTHERS: usize = 100;

/// Clients of one server that welcomes each with a byte, and sends back what it says.
pub(crate) struct Crowd {
    child: Child,
    orders: Option<ChildStdin>,
}

impl Crowd {
    /// Lets so many clients come; `test` is the name of the test that calls this, and
    /// [`attend`](Self::attend) first.
    pub(crate) fn gather(test: &str, address: SocketAddr, count: usize) -> Self {
        let mut child = Command::new(env::current_exe().expect("this runs"))
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .env(ADDRESS, format!("{address} {count}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it can run again");
        let orders = child.stdin.take();
        Self { child, orders }
    }

    /// Has each of them say one byte.
    pub(crate) fn speak(&mut self) {
        self.orders.as_mut().expect("it listens").write_all(b"\n").expect("it listens");
    }

    /// Has all of them break off.
    pub(crate) fn disperse(mut self) {
        self.orders = None;
        assert!(self.child.wait().expect("it ends").success());
    }

    /// In the process that was made for it, is the crowd, and tells so.
    pub(crate) fn attend() -> bool {
        let Ok(given) = env::var(ADDRESS) else { return false };
        let (address, count) = given.split_once(' ').expect("as it was given");
        let address: SocketAddr = address.parse().expect("as it was given");
        let count: usize = count.parse().expect("as it was given");
        raise_descriptor_limit(count + OTHERS);
        let mut streams = Vec::new();
        while streams.len() < count {
            let arrived = streams.len();
            let new = AT_ONCE.min(count - arrived);
            streams.extend((0..new).map(|_| TcpStream::connect(address).expect("it connects")));
            // The next ones come when these have been accepted.
            hear(&streams[arrived..], b'!');
        }
        for order in stdin().lock().lines() {
            assert!(order.expect("it is a pipe").is_empty());
            for some in streams.chunks(AT_ONCE) {
                for mut stream in some {
                    stream.write_all(b"?").expect("it is connected");
                }
                hear(some, b'?');
            }
        }
        // Without lingering, which would keep their ports from others for a minute.
        for stream in &streams {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("a socket");
        }
        true
    }
}

fn hear(streams: &[TcpStream], expected: u8) {
    for mut stream in streams {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("it is answered");
        assert_eq!(byte, [expected]);
    }
}

/// Sees to it that this process may have so many descriptors.
#[cfg(unix)]
pub(crate) fn raise_descriptor_limit(needed: usize) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for the call.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    let needed = needed as libc::rlim_t;
    assert!(
        limit.rlim_max >= needed,
        "{needed} descriptors are needed, and the hard limit is {}: raise it (ulimit -Hn)",
        limit.rlim_max
    );
    limit.rlim_cur = limit.rlim_max.min(1 << 20);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// There is no such limit.
#[cfg(windows)]
pub(crate) fn raise_descriptor_limit(_needed: usize) {}
