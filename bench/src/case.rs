//! What can be measured, as data.

use std::{env, fmt, fs, path::PathBuf, process};

use serde::{Deserialize, Serialize};

/// What is done with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// A stream from a PUSH to a PULL socket.
    PushPull,
    /// Round trips between a REQ and a REP socket.
    ReqRep,
    /// Round trips between a DEALER and a ROUTER socket.
    DealerRouter,
    /// A stream from a PUB socket to many SUB sockets.
    PubSub {
        subscribers: usize,
        /// Whether there are also messages that nobody wants, and subscriptions that nothing meets.
        others: bool,
    },
    /// Many DEALER sockets that ask one ROUTER at the same time.
    Crowd { dealers: usize },
    /// Streams from PUSH sockets, each on a thread of its own, to one PULL socket.
    Producers { threads: usize },
    /// A stream from a DEALER socket that threads share to a ROUTER socket.
    Shared { threads: usize },
    /// A stream at half the rate that is possible.
    HalfRate,
    /// Connections that are made and then do nothing.
    Connections { count: usize },
    /// Something that the engine does, without any messaging.
    Engine(EngineTask),
}

/// What an event loop is made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineTask {
    /// To send back what connections bring.
    Echo { connections: usize },
    /// To wait for timers.
    Timers { count: usize },
    /// To be woken by another thread.
    Wakes,
}

/// How the two ends are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Loopback TCP.
    Tcp,
    /// A Unix domain socket.
    Ipc,
    /// Within the process.
    Inproc,
}

/// One figure that comes out of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    /// Messages a second.
    Throughput,
    /// Replies a second.
    Requests,
    /// The median of times.
    P50,
    /// The time that one in a hundred exceeds.
    P99,
    /// The time that one in a thousand exceeds.
    #[serde(rename = "p99.9")]
    P999,
    /// Processor time of all threads for each message, or for each round trip.
    Cpu,
    /// Connections a second.
    Rate,
    /// Memory for each connection in the process that accepted it.
    AcceptedMemory,
    /// Memory for each connection in the process that made it.
    ConnectedMemory,
}

/// One measurement, which gives one or more rows of the result: one for each metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) workload: Workload,
    pub(crate) transport: Transport,
    /// In bytes; zero where there are no messages.
    pub(crate) size: usize,
    /// Whether `--quick` measures it.
    pub(crate) quick: bool,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PushPull => f.write_str("push-pull"),
            Self::ReqRep => f.write_str("req-rep"),
            Self::DealerRouter => f.write_str("dealer-router"),
            Self::PubSub { subscribers, others: false } => write!(f, "pub-sub-{subscribers}"),
            Self::PubSub { subscribers, others: true } => write!(f, "pub-sub-{subscribers}-topics"),
            Self::Crowd { dealers } => write!(f, "router-{dealers}-dealers"),
            Self::Producers { threads } => write!(f, "{threads}-push-pull"),
            Self::Shared { threads } => write!(f, "dealer-{threads}-threads"),
            Self::HalfRate => f.write_str("push-pull-half-rate"),
            Self::Connections { count } => write!(f, "{count}-connections"),
            Self::Engine(EngineTask::Echo { connections: 1 }) => f.write_str("engine-echo"),
            Self::Engine(EngineTask::Echo { connections }) => {
                write!(f, "engine-echo-{connections}")
            }
            Self::Engine(EngineTask::Timers { count }) => write!(f, "engine-{count}-timers"),
            Self::Engine(EngineTask::Wakes) => f.write_str("engine-wakes"),
        }
    }
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Ipc => "ipc",
            Self::Inproc => "inproc",
        }
    }

    /// Where to bind.
    pub(crate) fn endpoint(self) -> String {
        match self {
            Self::Tcp => "tcp://127.0.0.1:*".to_owned(),
            Self::Ipc => format!("ipc://{}", file().display()),
            Self::Inproc => "inproc://bench".to_owned(),
        }
    }

    /// Removes what some leave behind.
    pub(crate) fn clean_up(self) {
        if self == Self::Ipc {
            // Others do it themselves.
            let _ = fs::remove_file(file());
        }
    }
}

/// This process's socket file: one process measures one case.
fn file() -> PathBuf {
    env::temp_dir().join(format!("serverlink-bench-{}", process::id()))
}

impl Metric {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Requests => "requests",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Cpu => "cpu",
            Self::Rate => "rate",
            Self::AcceptedMemory => "accepted-memory",
            Self::ConnectedMemory => "connected-memory",
        }
    }

    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Self::Throughput | Self::Requests | Self::Rate)
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Throughput => "msg/s",
            Self::Requests => "req/s",
            Self::P50 | Self::P99 | Self::P999 => "us",
            Self::Cpu => "ns/msg",
            Self::Rate => "conn/s",
            Self::AcceptedMemory | Self::ConnectedMemory => "B/conn",
        }
    }
}

impl Case {
    /// What its measurement gives.
    pub(crate) fn metrics(&self) -> &'static [Metric] {
        match self.workload {
            Workload::PushPull
            | Workload::PubSub { .. }
            | Workload::Producers { .. }
            | Workload::Shared { .. } => &[Metric::Throughput, Metric::Cpu],
            Workload::ReqRep
            | Workload::DealerRouter
            | Workload::Engine(EngineTask::Echo { connections: 1 } | EngineTask::Wakes) => {
                &[Metric::P50, Metric::P99, Metric::P999, Metric::Cpu]
            }
            Workload::Engine(EngineTask::Timers { .. }) => &[Metric::P50, Metric::P99, Metric::Cpu],
            Workload::Crowd { .. } | Workload::Engine(EngineTask::Echo { .. }) => {
                &[Metric::Requests, Metric::P99, Metric::Cpu]
            }
            Workload::HalfRate => &[Metric::Throughput, Metric::P50, Metric::P99, Metric::P999],
            Workload::Connections { .. } => {
                &[Metric::Rate, Metric::AcceptedMemory, Metric::ConnectedMemory]
            }
        }
    }

    /// The name of one of its rows.
    pub(crate) fn row(&self, metric: Metric) -> String {
        format!("{self}/{}", metric.name())
    }

    /// The case of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        all().into_iter().find(|case| case.to_string() == name)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, transport, size, .. } = self;
        write!(f, "{workload}/{}", transport.name())?;
        if *size > 0 { write!(f, "/{}", size_name(*size)) } else { Ok(()) }
    }
}

/// A size as people write it.
pub(crate) fn size_name(bytes: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    match bytes {
        _ if bytes.is_multiple_of(MIB) => format!("{}MiB", bytes / MIB),
        _ if bytes.is_multiple_of(KIB) => format!("{}KiB", bytes / KIB),
        _ => format!("{bytes}B"),
    }
}

/// Every case, in the order of the report.
pub(crate) fn all() -> Vec<Case> {
    use Transport::{Inproc, Ipc, Tcp};

    let mut cases = Vec::new();
    let mut add = |workload, transport, size, quick| {
        cases.push(Case { workload, transport, size, quick });
    };
    for transport in [Tcp, Ipc, Inproc] {
        for (size, quick) in [
            (16, false),
            (64, true),
            (256, false),
            (1 << 10, true),
            (8 << 10, false),
            (64 << 10, true),
            (1 << 20, false),
        ] {
            add(Workload::PushPull, transport, size, quick && transport != Ipc);
        }
    }
    for workload in [Workload::ReqRep, Workload::DealerRouter] {
        for transport in [Tcp, Inproc] {
            for (size, quick) in [(64, true), (1 << 10, false)] {
                add(workload, transport, size, quick);
            }
        }
        add(workload, Ipc, 64, false);
    }
    for (subscribers, quick) in [(1, false), (8, false), (64, true)] {
        for others in [false, true] {
            for transport in [Tcp, Inproc] {
                add(Workload::PubSub { subscribers, others }, transport, 64, quick);
            }
        }
    }
    add(Workload::Crowd { dealers: 1000 }, Tcp, 64, true);
    for workload in [Workload::Producers { threads: 4 }, Workload::Shared { threads: 4 }] {
        for transport in [Tcp, Inproc] {
            add(workload, transport, 64, false);
        }
    }
    for transport in [Tcp, Inproc] {
        add(Workload::HalfRate, transport, 64, false);
    }
    add(Workload::Connections { count: 10_000 }, Tcp, 0, false);
    for connections in [1, 1000] {
        add(Workload::Engine(EngineTask::Echo { connections }), Tcp, 64, false);
    }
    for task in [EngineTask::Timers { count: 100_000 }, EngineTask::Wakes] {
        add(Workload::Engine(task), Inproc, 0, false);
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_found_by_its_name() {
        for case in all() {
            assert_eq!(Case::named(&case.to_string()), Some(case));
        }
        assert_eq!(Case::named("push-pull/tcp/65B"), None);
    }
}
