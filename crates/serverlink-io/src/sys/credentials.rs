//! Who is at the other end of a Unix domain socket.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
};

use socket2::Socket;

/// The process that connected to a Unix domain socket, or that listens there, as it was at the time
/// of the connect, or of the listen. The kernel says so, and not the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// Its id, where the system tells: Linux and macOS.
    pub process: Option<u32>,
    /// Its effective user id.
    pub user: u32,
    /// Its effective group id, and then the others that it is a member of, where the system tells:
    /// Linux, macOS, FreeBSD and DragonFly BSD.
    pub groups: Vec<u32>,
}

impl PeerCredentials {
    /// Of the peer of a connected Unix domain socket.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2) or getpeereid(3), above all for any other socket.
    pub fn of(socket: &Socket) -> io::Result<Self> {
        of(socket.as_raw_fd())
    }
}

/// unix(7) under `SO_PEERCRED`.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn of(socket: RawFd) -> io::Result<PeerCredentials> {
    let mut peer = [libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX }];
    option(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, &mut peer)?;
    let [peer] = peer;
    // No other socket has one, but none of them fails.
    let process = u32::try_from(peer.pid).ok().filter(|process| *process > 0);
    if process.is_none() && peer.uid == u32::MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut groups = vec![peer.gid];
    groups.extend(other_groups(socket)?);
    Ok(PeerCredentials { process, user: peer.uid, groups })
}

/// `SO_PEERGROUPS`, since Linux 4.13.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn other_groups(socket: RawFd) -> io::Result<Vec<libc::gid_t>> {
    /// The same on all architectures but SPARC and PA-RISC.
    const SO_PEERGROUPS: i32 = 59;
    /// Enough for almost everyone.
    const FEW: usize = 32;
    /// The most that there can be.
    const MOST: usize = 65_536;
    for room in [FEW, MOST] {
        let mut groups = vec![0; room];
        match option(socket, libc::SOL_SOCKET, SO_PEERGROUPS, &mut groups) {
            Ok(count) => {
                groups.truncate(count);
                return Ok(groups);
            }
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Vec::new())
}

/// unix(4) under `LOCAL_PEERCRED`.
#[cfg(any(target_vendor = "apple", target_os = "freebsd", target_os = "dragonfly"))]
fn of(socket: RawFd) -> io::Result<PeerCredentials> {
    /// The level of the options of Unix domain sockets.
    const SOL_LOCAL: i32 = 0;
    // SAFETY: an all-zero value is one of this plain structure.
    let mut peer: [libc::xucred; 1] = unsafe { std::mem::zeroed() };
    option(socket, SOL_LOCAL, libc::LOCAL_PEERCRED, &mut peer)?;
    let [peer] = peer;
    if peer.cr_version != libc::XUCRED_VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let count = usize::try_from(peer.cr_ngroups).unwrap_or(0).min(peer.cr_groups.len());
    Ok(PeerCredentials {
        process: process(socket),
        user: peer.cr_uid,
        groups: peer.cr_groups[..count].to_vec(),
    })
}

#[cfg(target_vendor = "apple")]
fn process(socket: RawFd) -> Option<u32> {
    let mut process: [libc::pid_t; 1] = [0];
    option(socket, libc::SOL_LOCAL, libc::LOCAL_PEERPID, &mut process).ok()?;
    u32::try_from(process[0]).ok()
}

#[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
fn process(_socket: RawFd) -> Option<u32> {
    None
}

#[cfg(not(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "linux",
    target_vendor = "apple"
)))]
fn of(socket: RawFd) -> io::Result<PeerCredentials> {
    let (mut user, mut group) = (0, 0);
    // SAFETY: both ids are written to where there is room for them.
    if unsafe { libc::getpeereid(socket, &mut user, &mut group) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(PeerCredentials { process: None, user, groups: vec![group] })
}

/// Reads an option into `values`, plain data; returns how many there are.
#[cfg(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "linux",
    target_vendor = "apple"
))]
fn option<T: Copy>(socket: RawFd, level: i32, name: i32, values: &mut [T]) -> io::Result<usize> {
    let size = std::mem::size_of_val(values);
    let mut length = libc::socklen_t::try_from(size).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: the option is written to `values`, which has room for `length` bytes and is made of
    // integers, of which all values are valid.
    let result = unsafe {
        libc::getsockopt(socket, level, name, values.as_mut_ptr().cast(), &raw mut length)
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(length as usize / std::mem::size_of::<T>())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::unix::net::UnixStream, process};

    use super::*;

    #[test]
    fn both_ends_of_a_pair_know_this_process() {
        let (one, other) = UnixStream::pair().expect("there are pairs");
        for end in [one, other] {
            let peer = PeerCredentials::of(&end.into()).expect("it is connected");
            if cfg!(any(target_os = "linux", target_vendor = "apple")) {
                assert_eq!(peer.process, Some(process::id()));
            }
            // SAFETY: these have no preconditions.
            let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
            assert_eq!(peer.user, user);
            assert_eq!(peer.groups[0], group);
        }
    }

    #[test]
    fn no_other_socket_has_them() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback listens");
        assert!(PeerCredentials::of(&listener.into()).is_err());
    }
}
