//! What the system is asked to do for a TCP socket.

use std::io;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::stream::set_buffers;
use crate::{Error, Result, options::Options};

/// Sets a socket up as the options say, whether it listens or not.
pub(super) fn tune(socket: &Socket, domain: Domain, options: &Options) -> io::Result<()> {
    set_buffers(socket, options)?;
    match options.tcp_keepalive {
        Some(true) => set_keepalive(socket, options)?,
        Some(false) => socket.set_keepalive(false)?,
        None => {}
    }
    if options.type_of_service != 0 {
        set_type_of_service(socket, domain, options.type_of_service)?;
    }
    tune_on_linux(socket, options)
}

/// Says beforehand what the system will refuse, lest the connection be tried in vain for ever.
pub(super) fn check(options: &Options) -> Result<()> {
    let is_plain = options.priority == 0
        && options.busy_poll == 0
        && options.type_of_service == 0
        && options.tcp_keepalive.is_none()
        && options.tcp_max_retransmit.is_none()
        && options.bind_to_device.is_none()
        && !options.loopback_fast_path;
    if is_plain {
        return Ok(());
    }
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))
        .and_then(|socket| {
            tune(&socket, Domain::IPV4, options)?;
            take_loopback_fast_path(&socket, options)
        })
        .map_err(Error::io("setting a TCP socket up as its options say"))
}

/// Asks for the short way within this machine, if it is wanted, for a socket that neither listens nor
/// is connected yet. A Windows that does not know it does without, as libzmq does.
#[cfg(windows)]
pub(super) fn take_loopback_fast_path(socket: &Socket, options: &Options) -> io::Result<()> {
    if options.loopback_fast_path {
        serverlink_io::take_loopback_fast_path(socket)?;
    }
    Ok(())
}

/// Only Windows had it.
#[cfg(not(windows))]
#[expect(clippy::unnecessary_wraps, reason = "Windows may fail")]
pub(super) fn take_loopback_fast_path(_socket: &Socket, _options: &Options) -> io::Result<()> {
    Ok(())
}

fn set_keepalive(socket: &Socket, options: &Options) -> io::Result<()> {
    let keepalive = keepalive(options);
    #[cfg(not(target_os = "openbsd"))]
    if let Some(count) = options.tcp_keepalive_count {
        match socket.set_tcp_keepalive(&keepalive.clone().with_retries(count)) {
            // WSAENOPROTOOPT: Windows before version 1703 of Windows 10 has a count of its own, as
            // libzmq leaves it.
            Err(error) if cfg!(windows) && error.raw_os_error() == Some(10042) => {}
            result => return result,
        }
    }
    socket.set_tcp_keepalive(&keepalive)
}

fn keepalive(options: &Options) -> TcpKeepalive {
    let keepalive = TcpKeepalive::new();
    let keepalive = match options.tcp_keepalive_idle {
        Some(idle) => keepalive.with_time(idle),
        None => keepalive,
    };
    #[cfg(not(target_os = "openbsd"))]
    let keepalive = match options.tcp_keepalive_interval {
        Some(interval) => keepalive.with_interval(interval),
        None => keepalive,
    };
    keepalive
}

fn set_type_of_service(socket: &Socket, domain: Domain, service: u32) -> io::Result<()> {
    // RFC 3542 has it as the traffic class; what such a socket sends to IPv4 takes it from here, too,
    // on the systems that have both.
    #[cfg(unix)]
    if domain == Domain::IPV6 {
        return socket.set_tclass_v6(service);
    }
    // Windows has no such thing for IPv6.
    if domain == Domain::IPV4 { socket.set_tos_v4(service) } else { Ok(()) }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn tune_on_linux(socket: &Socket, options: &Options) -> io::Result<()> {
    if let Some(timeout) = options.tcp_max_retransmit {
        socket.set_tcp_user_timeout(Some(timeout))?;
    }
    if options.priority != 0 {
        socket.set_priority(options.priority)?;
    }
    #[cfg(target_os = "linux")]
    if options.busy_poll != 0 {
        socket.set_busy_poll(options.busy_poll)?;
    }
    match &options.bind_to_device {
        Some(device) => socket.bind_device(Some(device.as_bytes())),
        None => Ok(()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn tune_on_linux(_socket: &Socket, _options: &Options) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        endpoint::{Endpoint, StreamEndpoint, TcpEndpoint},
        transport::{stream::Stream, tcp},
    };

    fn endpoint() -> TcpEndpoint {
        match "tcp://127.0.0.1:*".parse().expect("it is one") {
            Endpoint::Stream(StreamEndpoint::Tcp(endpoint)) => endpoint,
            other => panic!("{other}"),
        }
    }

    /// The sockets that are made with these options: one that listens, one that connected to it and
    /// one that it accepted.
    fn sockets(options: &Options) -> [Socket; 3] {
        let stream = tcp::listen(&endpoint(), "", options).expect("it listens").0;
        #[cfg_attr(unix, expect(irrefutable_let_patterns, reason = "there are no pipes"))]
        let Stream::Socket(listening) = stream else { panic!("{stream:?}") };
        let address = listening.local_addr().expect("it is bound");
        let connecting = tcp::unconnected(&endpoint(), &address, options).expect("a socket");
        connecting.connect(&address).expect("it listens");
        let (accepted, _) = listening.accept().expect("one connects");
        tcp::accepted(&accepted, options).expect("it is wanted");
        [listening, connecting, accepted]
    }

    #[test]
    fn tcp_looks_after_silent_connections_as_it_is_told() {
        let [_, plain, accepted] = sockets(&Options::default());
        assert!(!plain.keepalive().expect("a socket") && !accepted.keepalive().expect("a socket"));
        let options = Options {
            tcp_keepalive: Some(true),
            tcp_keepalive_count: Some(3),
            tcp_keepalive_idle: Some(Duration::from_secs(7)),
            tcp_keepalive_interval: Some(Duration::from_secs(11)),
            ..Options::default()
        };
        let [_, connecting, accepted] = sockets(&options);
        for socket in [connecting, accepted] {
            assert!(socket.keepalive().expect("a socket"));
            #[cfg(target_os = "linux")]
            {
                assert_eq!(socket.tcp_keepalive_retries().expect("TCP"), 3);
                assert_eq!(socket.tcp_keepalive_time().expect("TCP"), Duration::from_secs(7));
                assert_eq!(socket.tcp_keepalive_interval().expect("TCP"), Duration::from_secs(11));
            }
        }
        let never = Options { tcp_keepalive: Some(false), ..Options::default() };
        for socket in sockets(&never) {
            assert!(!socket.keepalive().expect("a socket"));
        }
    }

    /// Elsewhere a full socket refuses, or holds as many as it likes.
    #[cfg(target_os = "linux")]
    #[test]
    fn so_many_connections_wait_to_be_accepted() {
        for backlog in [1, 5] {
            let options = Options { backlog, ..Options::default() };
            let stream = tcp::listen(&endpoint(), "", &options).expect("it listens").0;
            let Stream::Socket(listening) = stream;
            let address = listening.local_addr().expect("it is bound").as_socket().expect("IPv4");
            let wait = Duration::from_millis(300);
            let come = || std::net::TcpStream::connect_timeout(&address, wait).ok();
            let waiting: Vec<_> = std::iter::from_fn(come).take(100).collect();
            // The kernel takes one more.
            assert_eq!(waiting.len(), backlog as usize + 1);
        }
    }

    #[test]
    fn buffers_have_the_sizes_asked_for() {
        let options = Options {
            send_buffer: Some(10_000),
            receive_buffer: Some(20_000),
            ..Options::default()
        };
        for socket in sockets(&options) {
            // Linux doubles them, for what it needs itself.
            let sent = socket.send_buffer_size().expect("a socket");
            let received = socket.recv_buffer_size().expect("a socket");
            assert!([10_000, 20_000].contains(&sent), "{sent}");
            assert!([20_000, 40_000].contains(&received), "{received}");
        }
    }

    // Wine and Windows keep it to themselves.
    #[cfg(unix)]
    #[test]
    fn packets_have_the_type_of_service_asked_for() {
        let options = Options { type_of_service: 0x28, ..Options::default() };
        for socket in sockets(&options) {
            assert_eq!(socket.tos_v4().expect("IPv4"), 0x28);
        }
        let address = std::net::SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1)).into();
        let socket = tcp::unconnected(&endpoint(), &address, &options).expect("IPv6");
        assert_eq!(socket.tclass_v6().expect("IPv6"), 0x28);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_is_told_of_retransmission_priority_and_device() {
        let options = Options {
            tcp_max_retransmit: Some(Duration::from_millis(1500)),
            priority: 5,
            bind_to_device: Some("lo".to_owned()),
            ..Options::default()
        };
        check(&options).expect("Linux lets everyone do so");
        for socket in sockets(&options) {
            assert_eq!(socket.tcp_user_timeout().expect("TCP"), Some(Duration::from_millis(1500)));
            assert_eq!(socket.priority().expect("a socket"), 5);
            assert_eq!(socket.device().expect("a socket").expect("one"), b"lo");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_polls_devices_as_long_as_it_is_told_or_says_no() {
        let options = Options { busy_poll: 30, ..Options::default() };
        // Only with CAP_NET_ADMIN.
        match check(&options) {
            Ok(()) => {
                for socket in sockets(&options) {
                    assert_eq!(socket.busy_poll().expect("a socket"), 30);
                }
            }
            Err(error) => assert!(error.to_string().contains("as its options say"), "{error}"),
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_system_refuses_is_said_at_once() {
        let options =
            Options { bind_to_device: Some("no-such-device".to_owned()), ..Options::default() };
        assert_eq!(check(&options).expect_err("none").errno_name(), "EIO");
        assert_eq!(tcp::listen(&endpoint(), "", &options).expect_err("none").errno_name(), "EIO");
        let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
        assert!(tcp::unconnected(&endpoint(), &anywhere, &options).is_err());
    }
}
