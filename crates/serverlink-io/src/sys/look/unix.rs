//! ppoll(2), or what stands in for it where there is none.

#[cfg(not(target_vendor = "apple"))]
use std::ptr;
use std::{
    io,
    time::{Duration, Instant},
};

use super::SignalMask;
#[cfg(target_vendor = "apple")]
use super::apple::wait;
use crate::{Condition, Descriptor};

pub(crate) fn look_at(
    descriptors: &mut [Descriptor<'_>],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    let mut list = list(descriptors);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match wait(&mut list, left, None) {
            // A signal that nobody asked for.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(|()| note(descriptors, &list)),
        }
    }
}

pub(crate) fn look_at_with_signals(
    descriptors: &mut [Descriptor<'_>],
    timeout: Option<Duration>,
    mask: &SignalMask,
) -> io::Result<usize> {
    let mut list = list(descriptors);
    wait(&mut list, timeout, Some(mask))?;
    Ok(note(descriptors, &list))
}

fn list(descriptors: &[Descriptor<'_>]) -> Vec<libc::pollfd> {
    let entry = |descriptor: &Descriptor<'_>| {
        let Condition { readable, writable, urgent, .. } = descriptor.asked;
        let mut events = 0;
        for (asked, flag) in
            [(readable, libc::POLLIN), (writable, libc::POLLOUT), (urgent, libc::POLLPRI)]
        {
            events |= if asked { flag } else { 0 };
        }
        libc::pollfd { fd: descriptor.raw, events, revents: 0 }
    };
    descriptors.iter().map(entry).collect()
}

/// Tells the descriptors what was found; returns of how many there was anything.
fn note(descriptors: &mut [Descriptor<'_>], list: &[libc::pollfd]) -> usize {
    let mut count = 0;
    for (descriptor, entry) in descriptors.iter_mut().zip(list) {
        let has = |flags| entry.revents & flags != 0;
        let failed = has(libc::POLLERR | libc::POLLHUP | libc::POLLNVAL);
        let asked = descriptor.asked;
        descriptor.found = Condition {
            readable: asked.readable && (has(libc::POLLIN) || failed),
            writable: asked.writable && (has(libc::POLLOUT) || failed),
            urgent: asked.urgent && has(libc::POLLPRI),
            failed,
        };
        count += usize::from(descriptor.found.any());
    }
    count
}

#[cfg(not(target_vendor = "apple"))]
fn wait(
    list: &mut [libc::pollfd],
    timeout: Option<Duration>,
    mask: Option<&SignalMask>,
) -> io::Result<()> {
    let limit = timeout.map(time_spec);
    // SAFETY: there are as many entries as it is said; the time and the mask are valid for the
    // call, or null.
    let result = unsafe {
        libc::ppoll(
            list.as_mut_ptr(),
            list.len() as libc::nfds_t,
            limit.as_ref().map_or(ptr::null(), ptr::from_ref),
            mask.map_or(ptr::null(), SignalMask::as_ptr),
        )
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(super) fn time_spec(timeout: Duration) -> libc::timespec {
    /// Longer than anybody waits, and no system refuses it.
    const LONGEST: Duration = Duration::from_secs(100_000_000);
    let timeout = timeout.min(LONGEST);
    // SAFETY: a time of all zeros is one.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = timeout.as_secs() as libc::time_t;
    spec.tv_nsec = timeout.subsec_nanos() as _;
    spec
}
