//! Both libraries, side by side.

use std::fmt;

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

/// Who sends to whom, and who binds.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The library of the one that sends, asks or publishes.
    pub from: Library,
    /// The library of the one that binds; the other one connects.
    pub binder: Library,
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

    /// Two sockets, sender first, connected to each other over TCP once `prepare` has seen them.
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
        connecter.connect(&binder.bind());
        [from, to]
    }
}

/// Makes four tests of each function that takes a [`Way`]: both directions, either side binding.
#[macro_export]
macro_rules! each_way {
    ($($scenario:ident),+ $(,)?) => {
        $(mod $scenario {
            use $crate::{Library::{Libzmq, ServerLink}, Way};

            #[test]
            fn serverlink_to_libzmq_serverlink_binds() {
                super::$scenario(Way { from: ServerLink, binder: ServerLink });
            }

            #[test]
            fn serverlink_to_libzmq_libzmq_binds() {
                super::$scenario(Way { from: ServerLink, binder: Libzmq });
            }

            #[test]
            fn libzmq_to_serverlink_serverlink_binds() {
                super::$scenario(Way { from: Libzmq, binder: ServerLink });
            }

            #[test]
            fn libzmq_to_serverlink_libzmq_binds() {
                super::$scenario(Way { from: Libzmq, binder: Libzmq });
            }
        })+
    };
}
