//! Both libraries, side by side.

use std::{
    env, fmt, process,
    sync::atomic::{AtomicU32, Ordering},
};

use serverlink::SocketType;

use crate::Peer;

/// An implementation of ZeroMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// Ours.
    ServerLink,
    /// The reference.
    Libzmq,
}

impl Library {
    /// Both, for tests that take turns.
    pub const BOTH: [Self; 2] = [Self::ServerLink, Self::Libzmq];

    /// The one on the other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::ServerLink => Self::Libzmq,
            Self::Libzmq => Self::ServerLink,
        }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerLink => "ServerLink",
            Self::Libzmq => "libzmq",
        })
    }
}

/// How the two sides are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Loopback TCP.
    Tcp,
    /// A Unix domain socket.
    Ipc,
    /// A WebSocket over loopback TCP.
    Web,
}

impl Transport {
    /// Those that both libraries have on this system.
    pub const HERE: &[Self] =
        if cfg!(unix) { &[Self::Tcp, Self::Web, Self::Ipc] } else { &[Self::Tcp, Self::Web] };

    /// Where to bind: a new endpoint each time, which may also be bound again.
    #[must_use]
    pub fn anywhere(self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        match self {
            Self::Tcp => "tcp://127.0.0.1:*".to_owned(),
            Self::Web => "ws://127.0.0.1:*/path".to_owned(),
            Self::Ipc => {
                let (id, count) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
                let path = env::temp_dir().join(format!("serverlink-interop-{id}-{count}"));
                format!("ipc://{}", path.display())
            }
        }
    }
}

/// Who sends to whom, who binds, and how they are joined.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The library of the one that sends, asks or publishes.
    pub from: Library,
    /// The library of the one that binds; the other one connects.
    pub binder: Library,
    /// The transport.
    pub transport: Transport,
}

/// A context of each library.
#[derive(Clone)]
pub struct Contexts {
    serverlink: serverlink::Context,
    libzmq: zmq::Context,
}

impl Contexts {
    /// Contexts with everything as it is by default.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts threads")]
    pub fn new() -> Self {
        Self { serverlink: serverlink::Context::new().unwrap(), libzmq: zmq::Context::new() }
    }

    /// A socket of one of them, not connected to anything.
    #[must_use]
    pub fn open(&self, library: Library, socket_type: SocketType) -> Peer {
        match library {
            Library::ServerLink => Peer::serverlink(&self.serverlink, socket_type),
            Library::Libzmq => Peer::libzmq(&self.libzmq, socket_type),
        }
    }

    /// Two sockets, sender first, connected to each other once `prepare` has seen them.
    #[must_use]
    pub fn link(
        &self,
        way: Way,
        [from, to]: [SocketType; 2],
        prepare: impl FnOnce(&Peer, &Peer),
    ) -> [Peer; 2] {
        let from = self.open(way.from, from);
        let to = self.open(way.from.other(), to);
        prepare(&from, &to);
        let (binder, connecter) = if way.binder == way.from { (&from, &to) } else { (&to, &from) };
        connecter.connect(&binder.bind_over(way.transport));
        [from, to]
    }
}

/// Makes tests of each function that takes a [`Way`], four over each transport: both directions,
/// either side binding.
#[macro_export]
macro_rules! each_way {
    ($($scenario:ident),+ $(,)?) => {
        $(mod $scenario {
            $crate::each_way!(@transport $scenario, tcp, Tcp);
            $crate::each_way!(@transport $scenario, web, Web);
            #[cfg(unix)]
            $crate::each_way!(@transport $scenario, ipc, Ipc);
        })+
    };
    (@transport $scenario:ident, $name:ident, $transport:ident) => {
        mod $name {
            use $crate::{Library::{self, Libzmq, ServerLink}, Transport, Way};

            fn run(from: Library, binder: Library) {
                super::super::$scenario(Way { from, binder, transport: Transport::$transport });
            }

            #[test]
            fn serverlink_to_libzmq_serverlink_binds() {
                run(ServerLink, ServerLink);
            }

            #[test]
            fn serverlink_to_libzmq_libzmq_binds() {
                run(ServerLink, Libzmq);
            }

            #[test]
            fn libzmq_to_serverlink_serverlink_binds() {
                run(Libzmq, ServerLink);
            }

            #[test]
            fn libzmq_to_serverlink_libzmq_binds() {
                run(Libzmq, Libzmq);
            }
        }
    };
}
