//! Sockets that were made elsewhere, as the systems of Unix know them.

use std::{
    io,
    os::fd::{FromRawFd, RawFd},
};

use socket2::Socket;

pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<Socket> {
    // Asked first: to close a duplicate of a file would take its locks away, fcntl(2).
    option(descriptor, libc::SO_TYPE)?;
    // SAFETY: the call takes numbers.
    let duplicate = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 0) };
    if duplicate == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was made just now, for us.
    Ok(unsafe { Socket::from_raw_fd(duplicate) })
}

/// POSIX has the option; not every system tells it.
pub(crate) fn listens(descriptor: RawFd) -> io::Result<Option<bool>> {
    match option(descriptor, libc::SO_ACCEPTCONN) {
        Ok(listens) => Ok(Some(listens != 0)),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn option(descriptor: RawFd, name: i32) -> io::Result<i32> {
    let mut value: i32 = 0;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: there is room for an int.
    let result = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
