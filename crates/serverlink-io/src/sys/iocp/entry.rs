//! One registered socket, as callers use it.

use std::{
    fmt, io,
    net::Shutdown,
    ptr,
    sync::{Arc, atomic::Ordering},
};

use bytes::{Bytes, BytesMut};
use socket2::SockAddr;

use super::{
    accept::Accept,
    connect::Connect,
    inner::{Inner, refused},
    kernel::{Nature, System},
    operation::Body,
    probe::Probe,
    receive::Receive,
    resources::Resources,
    send::Send,
};
use crate::{
    Direction, Event, Interest, Sending,
    errors::{busy, no_interest, no_probes, retired},
    sys::{self, RawDescriptor},
};

/// A registration: what the rest of the engine holds.
pub(super) struct Entry(pub(super) Arc<Inner>);

impl sys::Entry for Entry {
    fn accept(&self) -> io::Result<()> {
        self.0.start(Direction::Inward, |resources| {
            Accept::new(resources, &self.0.shared).map(Body::Accept)
        })
    }

    fn connect(&self, address: &SockAddr) -> io::Result<()> {
        self.0.start(Direction::Outward, |resources| {
            Connect::new(&self.0.shared.kernel, resources.socket()?, address).map(Body::Connect)
        })
    }

    fn receive(&self, buffer: Option<BytesMut>) -> io::Result<()> {
        self.0.start(Direction::Inward, |resources| {
            resources.socket()?;
            Receive::new(&self.0.shared, buffer).map(Body::Receive)
        })
    }

    fn send(&self, buffers: Vec<Bytes>) -> Sending {
        self.0.send(buffers)
    }

    fn probe(&self, interest: Interest) -> io::Result<()> {
        self.0.probe(interest)
    }

    fn cancel(&self, direction: Direction) {
        self.0.cancel(direction);
    }

    fn shutdown_send(&self) -> io::Result<()> {
        let claim = self.0.resources.claim().ok_or_else(retired)?;
        let socket = claim.socket()?;
        if self.0.outward.slot.is_busy() {
            return Err(busy());
        }
        socket.shutdown(Shutdown::Write)
    }

    fn retire(&self) {
        self.0.retire();
    }

    fn local_address(&self) -> io::Result<SockAddr> {
        self.0.resources.claim().ok_or_else(retired)?.socket()?.local_addr()
    }

    fn peer_address(&self) -> io::Result<SockAddr> {
        self.0.resources.claim().ok_or_else(retired)?.socket()?.peer_addr()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.retire();
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("retired", &self.0.resources.is_retired())
            .field("claims", &self.0.resources.claims())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn probe(self: &Arc<Self>, interest: Interest) -> io::Result<()> {
        let make = |resources: &Resources| {
            if self.nature == Nature::Pipe {
                return Err(no_probes());
            }
            let probe = Probe::new(&self.shared.kernel, resources.handle(), interest)?;
            if probe.takes_both() {
                self.outward.slot.begin().map_err(refused)?;
                self.linked.store(true, Ordering::Release);
            }
            Ok(Body::Probe(probe))
        };
        match interest {
            Interest { readable: true, .. } => self.start(Direction::Inward, make),
            Interest { writable: true, .. } => self.start(Direction::Outward, make),
            Interest { .. } => Err(no_interest()),
        }
    }

    fn send(self: &Arc<Self>, buffers: Vec<Bytes>) -> Sending {
        let refuse = |buffers, error| Sending::Done { buffers, sent: 0, result: Err(error) };
        let Some(claim) = self.resources.claim() else { return refuse(buffers, retired()) };
        if let Err(error) = claim.socket() {
            return refuse(buffers, error);
        }
        let operation = &self.outward;
        if let Err(refusal) = operation.slot.begin() {
            return refuse(buffers, refused(refusal));
        }
        let send = Send::new(self.nature, buffers);
        let event = if send.is_over() {
            operation.slot.finish();
            Some(send.over(&self.shared, Ok(())))
        } else {
            self.fill(operation, Body::Send(send));
            self.submit(&claim, operation)
                .and_then(|status| self.advance(&claim, operation, status))
        };
        let sending = match event {
            Some(Event::Sent { buffers, sent, result }) => Sending::Done { buffers, sent, result },
            _ => Sending::Pending,
        };
        self.shared.counters.sent(claim.handle() as RawDescriptor, sending)
    }

    fn cancel(&self, direction: Direction) {
        // The claim keeps the handle open during the call.
        let Some(_claim) = self.resources.claim() else { return };
        let operation = self.operation(direction);
        if operation.slot.cancel() {
            operation.cancel_in_kernel(&self.shared.kernel);
        }
        // The probe that occupies this direction runs in the other. Should it be over and another
        // operation be hit, that one was not asked to end: it is issued again.
        if direction == Direction::Outward && self.linked.load(Ordering::Acquire) {
            self.inward.cancel_in_kernel(&self.shared.kernel);
        }
    }

    pub(super) fn retire(&self) {
        let Some(claim) = self.resources.retire() else { return };
        self.shared.counters.retired(claim.handle() as RawDescriptor);
        let mut all = false;
        for operation in [&self.inward, &self.outward] {
            if !operation.slot.retire() {
                continue;
            }
            if operation.is_issued_on(claim.handle()) {
                all = true;
            } else {
                operation.cancel_in_kernel(&self.shared.kernel);
            }
        }
        if all {
            // Everything, of every thread. A send must be cancelled before its socket is closed:
            // else its data could go out later, under some systems into another socket.
            // SAFETY: the claim keeps the handle open.
            unsafe { self.shared.kernel.cancel(claim.handle(), ptr::null()) };
        }
    }
}
