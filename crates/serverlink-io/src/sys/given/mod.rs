//! What is asked of a socket that somebody else made, or of one before it is used.

use std::io;

use socket2::Socket;

use super::RawDescriptor;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// Another handle to the socket that the system knows by this number. Both are the same socket,
/// and each has to be closed; what is set of one, such as not to block, is set of both.
///
/// # Errors
///
/// What the system says if the number is no socket's.
pub fn duplicate_socket(descriptor: RawDescriptor) -> io::Result<Socket> {
    system::duplicate(descriptor)
}

/// Whether a socket listens; `None` if the system does not tell.
///
/// # Errors
///
/// What the system says if it cannot be asked.
pub fn listens(socket: &Socket) -> io::Result<Option<bool>> {
    #[cfg(unix)]
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(socket);
    #[cfg(windows)]
    let descriptor = std::os::windows::io::AsRawSocket::as_raw_socket(socket);
    system::listens(descriptor)
}

/// Asks for the short way that Windows 8 and its contemporaries have between two sockets of one
/// machine, both of which must have asked for it before they listen or connect
/// (`SIO_LOOPBACK_FAST_PATH`); false if the system does not know it.
///
/// # Errors
///
/// What the system says otherwise.
#[cfg(windows)]
pub fn take_loopback_fast_path(socket: &Socket) -> io::Result<bool> {
    system::take_loopback_fast_path(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    #[cfg(unix)]
    use std::os::fd::AsRawFd;
    #[cfg(windows)]
    use std::os::windows::io::AsRawSocket;

    use super::*;

    #[cfg(unix)]
    fn number(socket: &impl AsRawFd) -> RawDescriptor {
        socket.as_raw_fd()
    }

    #[cfg(windows)]
    fn number(socket: &impl AsRawSocket) -> RawDescriptor {
        socket.as_raw_socket()
    }

    #[test]
    fn a_duplicate_is_the_same_socket_and_outlives_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback listens");
        let address = listener.local_addr().expect("it is bound");
        let duplicate = duplicate_socket(number(&listener)).expect("it is one");
        drop(listener);
        assert_eq!(duplicate.local_addr().expect("it is bound").as_socket(), Some(address));
        let client = TcpStream::connect(address).expect("it listens");
        let (_, peer) = duplicate.accept().expect("one connects");
        assert_eq!(peer.as_socket(), client.local_addr().ok());
    }

    #[test]
    fn only_some_sockets_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback listens");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound"));
        let expected = |expected| move |told: Option<bool>| told.is_none_or(|it| it == expected);
        let told = |socket: Socket| listens(&socket).expect("it is a socket");
        assert!(expected(true)(told(listener.into())));
        assert!(expected(false)(told(client.expect("it listens").into())));
        assert!(expected(false)(told(UdpSocket::bind("127.0.0.1:0").expect("a socket").into())));
    }

    #[test]
    fn a_number_may_be_no_sockets() {
        assert!(duplicate_socket(RawDescriptor::MAX - 1).is_err());
        #[cfg(unix)]
        {
            let file = std::fs::File::open("/dev/null").expect("it is there");
            let error = duplicate_socket(number(&file)).expect_err("it is a file");
            assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        }
    }

    /// Wine does not know it, and says so of whatever it is asked; a Windows that does is not there.
    #[cfg(windows)]
    #[test]
    fn the_short_way_within_the_machine_is_taken_or_done_without() {
        use socket2::{Domain, Type};

        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        take_loopback_fast_path(&socket).expect("it is no failure not to know it");
    }
}
