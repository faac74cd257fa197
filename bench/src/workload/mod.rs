//! What ZeroMQ libraries are made to do, each workload in its room.
//!
//! Both ends are in one process, on a thread and in a context of their own (but `inproc` has one
//! context), and use their library's default options. Only connections have a process for each end,
//! so that the memory of each can be told.

mod crowd;
mod fan_out;
mod half_rate;
pub(crate) mod idle;
mod pace;
mod round_trip;
mod stream;

use crate::{
    case::{Case, Transport, Workload},
    failure::{Failure, Result},
    implementation::Implementation,
    measurement::{Figures, Plan},
    peer::{Kind, Library},
};

/// Measures a case with a library.
pub(crate) fn measure<L: Library>(
    case: &Case,
    plan: &Plan,
    implementation: Implementation,
) -> Result<Figures> {
    match case.workload {
        Workload::PushPull => stream::from_producers::<L>(case, plan, 1),
        Workload::Producers { threads } => stream::from_producers::<L>(case, plan, threads),
        Workload::Shared { threads } => stream::from_shared::<L>(case, plan, threads),
        Workload::ReqRep => round_trip::measure::<L>(case, plan, Kind::Req, Kind::Rep),
        Workload::DealerRouter => round_trip::measure::<L>(case, plan, Kind::Dealer, Kind::Router),
        Workload::PubSub { subscribers, others } => {
            fan_out::measure::<L>(case, plan, subscribers, others)
        }
        Workload::Crowd { dealers } => crowd::measure::<L>(case, plan, dealers),
        Workload::HalfRate => half_rate::measure::<L>(case, plan),
        Workload::Connections { count } => {
            idle::measure::<L>(plan.connections(count), implementation)
        }
        Workload::Engine(_) => Err(Failure::new("engines have a room of their own")),
    }
}

/// The contexts of the end that binds and of the end that connects.
fn contexts<L: Library>(transport: Transport) -> Result<[L::Context; 2]> {
    let first = L::context()?;
    let second = match transport {
        Transport::Tcp | Transport::Ipc => L::context()?,
        Transport::Inproc => first.clone(),
    };
    Ok([first, second])
}
