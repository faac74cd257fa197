//! poll(2), and pselect(2) with a mask of signals: there is no ppoll.

use std::{io, ptr, time::Duration};

use super::{SignalMask, unix::time_spec};

pub(super) fn wait(
    list: &mut [libc::pollfd],
    timeout: Option<Duration>,
    mask: Option<&SignalMask>,
) -> io::Result<()> {
    if let Some(mask) = mask {
        return select(list, timeout, mask);
    }
    // Rounded up: it must not be early.
    let millis = timeout.map_or(-1, |timeout| {
        i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    });
    // SAFETY: there are as many entries as it is said.
    let result = unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, millis) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// pselect(2), with the answers of poll(2).
fn select(
    list: &mut [libc::pollfd],
    timeout: Option<Duration>,
    mask: &SignalMask,
) -> io::Result<()> {
    let flags = [libc::POLLIN, libc::POLLOUT, libc::POLLPRI];
    // SAFETY: a set of no descriptors is all zeros.
    let mut sets: [libc::fd_set; 3] = unsafe { std::mem::zeroed() };
    let mut end = 0;
    for entry in &*list {
        if !usize::try_from(entry.fd).is_ok_and(|number| number < libc::FD_SETSIZE) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (set, flag) in sets.iter_mut().zip(flags) {
            if entry.events & flag != 0 {
                // SAFETY: the set has room for the descriptor, as was checked.
                unsafe { libc::FD_SET(entry.fd, set) };
                end = end.max(entry.fd + 1);
            }
        }
    }
    let limit = timeout.map(time_spec);
    let [read, write, except] = &mut sets;
    // SAFETY: the sets, the time and the mask are valid for the call, or null.
    let result = unsafe {
        libc::pselect(
            end,
            read,
            write,
            except,
            limit.as_ref().map_or(ptr::null(), ptr::from_ref),
            mask.as_ptr(),
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    for entry in list {
        for (set, flag) in sets.iter().zip(flags) {
            // SAFETY: the set has room for the descriptor, as was checked.
            if unsafe { libc::FD_ISSET(entry.fd, set) } {
                entry.revents |= flag;
            }
        }
    }
    Ok(())
}
