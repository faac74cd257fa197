//! poll(2), to look at one descriptor.

use std::{io, os::fd::RawFd};

use crate::Interest;

/// What of `interest` is the case now; an error or a hang-up makes both so.
pub(super) fn check(descriptor: RawFd, interest: Interest) -> io::Result<Interest> {
    let mut events = 0;
    if interest.readable {
        events |= libc::POLLIN;
    }
    if interest.writable {
        events |= libc::POLLOUT;
    }
    let mut poll = libc::pollfd { fd: descriptor, events, revents: 0 };
    loop {
        // SAFETY: `poll` is the one descriptor it is said to be.
        if unsafe { libc::poll(&raw mut poll, 1, 0) } != -1 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let has = |flags| poll.revents & flags != 0;
    if has(libc::POLLNVAL) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    let failed = has(libc::POLLERR | libc::POLLHUP);
    Ok(Interest {
        readable: interest.readable && (has(libc::POLLIN) || failed),
        writable: interest.writable && (has(libc::POLLOUT) || failed),
    })
}
