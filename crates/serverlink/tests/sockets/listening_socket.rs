//! Endpoints bound to sockets that the program made (`ZMQ_USE_FD`).

#[cfg(windows)]
use std::os::windows::io::AsRawSocket;
#[cfg(unix)]
use std::os::{
    fd::{AsRawFd, OwnedFd},
    unix::net::{UnixListener, UnixStream},
};
use std::{
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use serverlink::{Context, Error, ListeningSocket, Socket, SocketType};
use socket2::{Domain, Type};

#[cfg(unix)]
use crate::ipc::folder::{self, Folder};
use crate::{
    endpoints::ipv6,
    harness::{await_peers, bound, connected, context, eventually, expect, shake_hands, socket},
};

/// `ZMQ_USE_FD`.
const BY_NUMBER: i32 = 89;

#[cfg(unix)]
fn number(listener: &impl AsRawFd) -> i32 {
    listener.as_raw_fd()
}

#[cfg(windows)]
fn number(listener: &impl AsRawSocket) -> i32 {
    listener.as_raw_socket().try_into().unwrap()
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

/// Whether anybody listens there.
fn listens(endpoint: &str) -> bool {
    TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).is_ok()
}

#[track_caller]
fn passes(context: &Context, pull: &Socket, endpoint: &str) {
    let push = connected(context, SocketType::Push, endpoint);
    push.send("passes").unwrap();
    expect(pull, "passes");
}

/// What says why a socket is not taken.
#[track_caller]
fn refusal(pull: &Socket, endpoint: &str) -> String {
    match pull.bind(endpoint) {
        Err(error @ Error::InvalidOption { option: "listening_socket", .. }) => {
            assert_eq!(error.errno_name(), "EINVAL");
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_endpoint_is_bound_to_the_socket_it_is_given() {
    let context = context();
    let (listener, endpoint) = listener();
    let given = number(&listener);
    let pull = socket(&context, SocketType::Pull);
    pull.set_listening_socket(Some(listener.into())).unwrap();
    assert_eq!(pull.option(BY_NUMBER).unwrap(), given.to_ne_bytes());
    // The endpoint says another port, and any address; it is the socket's that counts.
    assert_eq!(pull.bind("tcp://*:1").unwrap(), endpoint);
    assert_eq!(pull.last_endpoint().unwrap(), endpoint);
    passes(&context, &pull, &endpoint);
    // It went over to the endpoint, and ends with it.
    pull.unbind(&endpoint).unwrap();
    eventually("for it to be closed", || !listens(&endpoint));
}

/// Connections that an endpoint has accepted may outlive it.
#[test]
fn a_socket_given_to_an_endpoint_is_closed_while_connections_linger() {
    let context = context();
    let (listener, endpoint) = listener();
    let push = socket(&context, SocketType::Push);
    push.set_linger(None).unwrap();
    push.set_listening_socket(Some(listener.into())).unwrap();
    push.bind(&endpoint).unwrap();
    let mut slow = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    shake_hands(&mut slow, "PULL");
    await_peers(&push, 1);
    while push.try_send(vec![0; 100_000]).is_ok() {}
    push.unbind(&endpoint).unwrap();
    eventually("for it to be closed", || !listens(&endpoint));
    push.set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn an_endpoint_may_be_given_a_socket_of_ipv6() {
    if !ipv6() {
        return;
    }
    let context = context();
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let pull = socket(&context, SocketType::Pull);
    pull.set_listening_socket(Some(listener.into())).unwrap();
    assert_eq!(pull.bind("tcp://*:*").unwrap(), endpoint);
    passes(&context, &pull, &endpoint);
}

#[cfg(unix)]
#[test]
fn a_file_that_the_program_made_stays() {
    let context = context();
    let folder = Folder::new();
    let path = folder.path("given");
    let endpoint = folder::endpoint(&path);
    let pull = socket(&context, SocketType::Pull);
    pull.set_listening_socket(Some(UnixListener::bind(&path).unwrap().into())).unwrap();
    assert_eq!(pull.bind("ipc://*").unwrap(), endpoint);
    passes(&context, &pull, &endpoint);
    pull.unbind(&endpoint).unwrap();
    eventually("for it to be closed", || UnixStream::connect(&path).is_err());
    assert!(path.exists());
    // The file is stale now, and another endpoint's to take over, and to remove.
    let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
    passes(&context, &pull, &endpoint);
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_without_a_file_is_told() {
    use std::os::linux::net::SocketAddrExt;

    let context = context();
    let name = format!("serverlink-given-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let pull = socket(&context, SocketType::Pull);
    let listener = UnixListener::bind_addr(&address).unwrap();
    pull.set_listening_socket(Some(listener.into())).unwrap();
    assert_eq!(pull.bind("ipc:///somewhere/else").unwrap(), format!("ipc://@{name}"));
    passes(&context, &pull, &format!("ipc://@{name}"));
}

#[test]
fn what_is_told_by_its_number_stays_the_programs() {
    let context = context();
    let (listener, endpoint) = listener();
    let pull = socket(&context, SocketType::Pull);
    pull.set_option(BY_NUMBER, &number(&listener).to_ne_bytes()).unwrap();
    assert_eq!(pull.option(BY_NUMBER).unwrap(), number(&listener).to_ne_bytes());
    assert_eq!(pull.bind(&endpoint).unwrap(), endpoint);
    passes(&context, &pull, &endpoint);
    pull.unbind(&endpoint).unwrap();
    // Until the endpoint is closed it may be the one that accepts.
    listener.set_nonblocking(true).unwrap();
    let mut come = Vec::new();
    eventually("for the program to accept", || {
        come.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        listener.accept().is_ok()
    });
}

/// A completion port has a socket once and for all: <https://learn.microsoft.com/windows/win32/fileio/createiocompletionport>.
#[cfg(unix)]
#[test]
fn a_number_may_be_set_again_for_another_endpoint() {
    const COUNT: u32 = 8;
    let context = context();
    let (listener, endpoint) = listener();
    let pulls = [(); 2].map(|()| {
        let pull = socket(&context, SocketType::Pull);
        pull.set_option(BY_NUMBER, &number(&listener).to_ne_bytes()).unwrap();
        assert_eq!(pull.bind("tcp://*:*").unwrap(), endpoint);
        pull
    });
    // Either accepts some, or one all.
    let pushes: Vec<_> =
        (0..COUNT).map(|_| connected(&context, SocketType::Push, &endpoint)).collect();
    pushes.iter().for_each(|push| push.send("x").unwrap());
    let mut received = 0;
    eventually("for what all have sent", || {
        received += pulls.iter().filter(|pull| pull.try_recv().is_ok()).count();
        received == COUNT as usize
    });
    // The one that is closed does not disturb the other, nor whoever is bound there again.
    let [first, second] = pulls;
    first.unbind(&endpoint).unwrap();
    drop(first);
    passes(&context, &second, &endpoint);
    second.unbind(&endpoint).unwrap();
    second.set_option(BY_NUMBER, &number(&listener).to_ne_bytes()).unwrap();
    second.bind(&endpoint).unwrap();
    passes(&context, &second, &endpoint);
}

#[test]
fn only_the_next_endpoint_is_bound_to_it() {
    let context = context();
    let (listener, given) = listener();
    let (pull, early) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    pull.set_listening_socket(Some(listener.into())).unwrap();
    // They need none.
    pull.bind("inproc://needs none").unwrap();
    pull.connect(&early.replace(":*", ":1")).unwrap();
    assert!(pull.listening_socket().is_some());
    assert_eq!(pull.bind("tcp://127.0.0.1:*").unwrap(), given);
    assert_eq!(pull.listening_socket(), None);
    assert_eq!(pull.option(BY_NUMBER).unwrap(), (-1i32).to_ne_bytes());
    let late = pull.bind("tcp://127.0.0.1:*").unwrap();
    assert!(late != given && late != early);
    for endpoint in [&early, &given, &late] {
        passes(&context, &pull, endpoint);
    }
}

#[test]
fn what_is_set_may_be_taken_back() {
    let context = context();
    let (listener, given) = listener();
    let pull = socket(&context, SocketType::Pull);
    pull.set_listening_socket(Some(listener.into())).unwrap();
    pull.set_option(BY_NUMBER, &(-1i32).to_ne_bytes()).unwrap();
    assert_eq!(pull.listening_socket(), None);
    assert!(!listens(&given), "it was the socket's, and is closed");
    assert_ne!(pull.bind("tcp://127.0.0.1:*").unwrap(), given);
}

#[test]
fn sockets_that_do_not_fit_are_refused_and_kept() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let (tcp, given) = listener();
    let unbound = || socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Of another type.
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    pull.set_option(BY_NUMBER, &number(&udp).to_ne_bytes()).unwrap();
    assert!(refusal(&pull, "tcp://127.0.0.1:*").contains("not a socket of TCP"));
    // One that does not listen.
    let silent = unbound();
    silent.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    pull.set_option(BY_NUMBER, &number(&silent).to_ne_bytes()).unwrap();
    assert!(refusal(&pull, "tcp://127.0.0.1:*").contains("does not listen"));
    // Of another transport.
    pull.set_listening_socket(Some(tcp.into())).unwrap();
    assert!(refusal(&pull, "ipc://somewhere").contains("not a Unix domain socket"));
    // It is still there, and refused nothing else.
    assert!(matches!(
        pull.bind("tcp://127.0.0.1:1;127.0.0.1:2"),
        Err(Error::InvalidEndpoint { .. })
    ));
    assert_eq!(pull.bind("tcp://127.0.0.1:*").unwrap(), given);
    passes(&context, &pull, &given);
}

#[test]
fn numbers_that_are_no_sockets_are_refused() {
    let pull = socket(&context(), SocketType::Pull);
    // What was open is not for sure, for others open sockets meanwhile.
    pull.set_option(BY_NUMBER, &(i32::MAX - 3).to_ne_bytes()).unwrap();
    let reason = refusal(&pull, "tcp://127.0.0.1:*");
    assert!(reason.contains("2147483644 is no socket"), "{reason}");
    #[cfg(unix)]
    {
        let file = std::fs::File::open("/dev/null").unwrap();
        pull.set_listening_socket(Some(ListeningSocket::from(OwnedFd::from(file)))).unwrap();
        assert!(refusal(&pull, "tcp://127.0.0.1:*").contains("is no socket"));
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path("given")).unwrap();
        pull.set_listening_socket(Some(listener.into())).unwrap();
        assert!(refusal(&pull, "tcp://127.0.0.1:*").contains("not a socket of TCP"));
    }
    pull.set_listening_socket(None::<ListeningSocket>).unwrap();
    pull.bind("tcp://127.0.0.1:*").unwrap();
}
