//! WSAPoll.

use std::{
    collections::HashMap,
    io, thread,
    time::{Duration, Instant},
};

use windows_sys::Win32::Networking::WinSock::{
    POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLWRNORM, SOCKET, SOCKET_ERROR, WSAGetLastError,
    WSAPOLLFD, WSAPoll,
};

use crate::{Condition, Descriptor};

pub(crate) fn look_at(
    descriptors: &mut [Descriptor<'_>],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    if descriptors.is_empty() {
        // WSAPoll refuses to wait for nothing.
        thread::sleep(timeout.unwrap_or(Duration::MAX));
        return Ok(0);
    }
    let (mut list, places) = list(descriptors);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        // Rounded up: it must not be early.
        let millis = left.map_or(-1, |left| {
            i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        // SAFETY: there are as many entries as it is said.
        let result = unsafe { WSAPoll(list.as_mut_ptr(), list.len() as u32, millis) };
        if result == SOCKET_ERROR {
            // SAFETY: takes nothing.
            return Err(io::Error::from_raw_os_error(unsafe { WSAGetLastError() }));
        }
        // A tick of the system's clock may be missing.
        if result > 0 || deadline.is_some_and(|at| at <= Instant::now()) {
            return Ok(note(descriptors, &list, &places));
        }
    }
}

/// What to ask about each socket, once, and where each descriptor's is: of a socket that is listed
/// twice, not everything is told.
fn list(descriptors: &[Descriptor<'_>]) -> (Vec<WSAPOLLFD>, Vec<usize>) {
    let mut list: Vec<WSAPOLLFD> = Vec::with_capacity(descriptors.len());
    let mut known = HashMap::new();
    let place = |descriptor: &Descriptor<'_>| {
        let place = *known.entry(descriptor.raw).or_insert_with(|| {
            list.push(WSAPOLLFD { fd: descriptor.raw as SOCKET, events: 0, revents: 0 });
            list.len() - 1
        });
        if descriptor.asked.readable {
            list[place].events |= POLLRDNORM;
        }
        if descriptor.asked.writable {
            list[place].events |= POLLWRNORM;
        }
        place
    };
    let places = descriptors.iter().map(place).collect();
    (list, places)
}

/// Tells the descriptors what was found; returns of how many there was anything.
fn note(descriptors: &mut [Descriptor<'_>], list: &[WSAPOLLFD], places: &[usize]) -> usize {
    let mut count = 0;
    for (descriptor, &place) in descriptors.iter_mut().zip(places) {
        let has = |flags| list[place].revents & flags != 0;
        let failed = has(POLLERR | POLLNVAL);
        descriptor.found = Condition {
            // A peer's orderly end is a hang-up here.
            readable: descriptor.asked.readable && (has(POLLRDNORM | POLLHUP) || failed),
            writable: descriptor.asked.writable && (has(POLLWRNORM) || failed),
            urgent: false,
            failed,
        };
        count += usize::from(descriptor.found.any());
    }
    count
}
