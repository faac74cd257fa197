//! Who is measured.

use clap::ValueEnum;

use crate::case::{Case, EngineTask, Transport, Workload};

/// An implementation of the workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Implementation {
    /// This library.
    Serverlink,
    /// libzmq 4.3.5.
    Libzmq,
    /// zmq.rs, on tokio.
    Zeromq,
    /// rzmq, on tokio.
    Rzmq,
    /// Readiness.
    Mio,
    /// Readiness, too.
    Polling,
    /// Tasks over readiness.
    Tokio,
    /// Tasks over completions.
    Compio,
    /// What the system offers, without any messaging.
    Floor,
}

impl Implementation {
    pub(crate) const ALL: &[Self] = &[
        Self::Serverlink,
        Self::Libzmq,
        Self::Zeromq,
        Self::Rzmq,
        Self::Mio,
        Self::Polling,
        Self::Tokio,
        Self::Compio,
        Self::Floor,
    ];

    /// Why it cannot do a case, if it cannot.
    pub(crate) fn lacks(self, case: &Case) -> Option<&'static str> {
        let is_engine = matches!(self, Self::Mio | Self::Polling | Self::Tokio | Self::Compio);
        let is_library = matches!(self, Self::Libzmq | Self::Zeromq | Self::Rzmq);
        match (self, case.workload, case.transport) {
            (_, Workload::Engine(_), _) if is_library => Some("it has an engine only for itself"),
            (Self::Mio | Self::Polling, Workload::Engine(EngineTask::Timers { .. }), _) => {
                Some("it has no timers")
            }
            (_, Workload::Engine(_), _) => None,
            _ if is_engine => Some("it has no sockets of ZeroMQ"),
            (Self::Zeromq, _, Transport::Inproc) => Some("it has no transport within the process"),
            (Self::Rzmq, Workload::Crowd { .. }, _) => {
                Some("of so many connections made at a time, one now and then hangs for ever")
            }
            (Self::Rzmq, Workload::Connections { .. }, _) => {
                Some("it takes minutes to make so many connections")
            }
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Serverlink => "serverlink",
            Self::Libzmq => "libzmq",
            Self::Zeromq => "zeromq",
            Self::Rzmq => "rzmq",
            Self::Mio => "mio",
            Self::Polling => "polling",
            Self::Tokio => "tokio",
            Self::Compio => "compio",
            Self::Floor => "floor",
        }
    }
}
