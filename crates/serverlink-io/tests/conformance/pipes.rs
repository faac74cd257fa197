//! Named pipes.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{self, PathBuf},
    process,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
};

use bytes::{Bytes, BytesMut};
use serverlink_io::{
    Direction, Event, Handle, Handler, Interest, NamedPipe, Port, PortOptions, Sending,
    is_cancelled,
};
use socket2::SockAddr;

use crate::rig::{Inbox, Rig, received, released};

/// How many connections echo.
const MANY: usize = 100;
/// More than the engine lends buffers to.
const IDLE: usize = 300;

/// A name that no other test has.
struct Name(PathBuf);

impl Name {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(path::absolute(format!("pipe-{}-{number}", process::id())).expect("a folder"))
    }

    fn address(&self) -> SockAddr {
        SockAddr::unix(&self.0).expect("a short path")
    }

    /// The other end as any program has it.
    fn open(&self) -> std::io::Result<File> {
        let path = self.0.to_str().expect("a plain path").replace('\\', "|");
        OpenOptions::new().read(true).write(true).open(format!(r"\\.\pipe\serverlink|{path}"))
    }
}

/// A listener on a port.
struct Listening {
    name: Name,
    handle: Handle,
    inbox: Arc<Inbox>,
}

impl Listening {
    fn new(rig: &Rig) -> Self {
        let name = Name::new();
        let inbox = Inbox::new();
        let pipe = NamedPipe::listen(&name.address()).expect("the name is free");
        let handle = rig.port.register_pipe(pipe, inbox.clone()).expect("it registers");
        Self { name, handle, inbox }
    }

    fn accepted(&self, rig: &Rig) -> NamedPipe {
        accepted(rig.next(&self.inbox))
    }
}

fn accepted(event: Event) -> NamedPipe {
    match event {
        Event::AcceptedPipe(pipe) => pipe,
        other => panic!("a connection expected, not {other:?}"),
    }
}

/// An end on the port.
fn adopt(rig: &Rig, pipe: NamedPipe) -> (Handle, Arc<Inbox>) {
    let inbox = Inbox::new();
    let handle = rig.port.register_pipe(pipe, inbox.clone()).expect("it registers");
    (handle, inbox)
}

/// One end on the port, the other the test's.
fn pair(rig: &Rig) -> (Handle, Arc<Inbox>, File) {
    let listening = Listening::new(rig);
    let far = listening.name.open().expect("it listens");
    listening.handle.accept().expect("it accepts");
    let (handle, inbox) = adopt(rig, listening.accepted(rig));
    (handle, inbox, far)
}

/// An end that begins to connect.
fn connecting(rig: &Rig, name: &Name) -> (Handle, Arc<Inbox>) {
    let (handle, inbox) = adopt(rig, NamedPipe::unconnected());
    handle.connect(&name.address()).expect("it begins");
    (handle, inbox)
}

/// Both ends on the port.
fn both(rig: &Rig) -> [(Handle, Arc<Inbox>); 2] {
    let listening = Listening::new(rig);
    listening.handle.accept().expect("it accepts");
    let (client, inbox) = connecting(rig, &listening.name);
    assert!(matches!(rig.next(&inbox), Event::Connected(Ok(()))));
    [(client, inbox), adopt(rig, listening.accepted(rig))]
}

/// Sends all, and sees that it is all.
fn send(rig: &Rig, handle: &Handle, inbox: &Inbox, buffers: Vec<Bytes>) {
    let all: usize = buffers.iter().map(Bytes::len).sum();
    let given = buffers.clone();
    let (buffers, sent, result) = match handle.send(buffers) {
        Sending::Done { buffers, sent, result } => (buffers, sent, result),
        Sending::Pending => match rig.next(inbox) {
            Event::Sent { buffers, sent, result } => (buffers, sent, result),
            other => panic!("the end of a send expected, not {other:?}"),
        },
    };
    result.expect("it is sent");
    assert_eq!((sent, buffers), (all, given));
}

/// Receives so many bytes.
fn receive(rig: &Rig, handle: &Handle, inbox: &Inbox, count: usize) -> BytesMut {
    let mut all = BytesMut::new();
    while all.len() < count {
        handle.receive(None).expect("it begins");
        let bytes = received(rig.next(inbox));
        assert!(!bytes.is_empty(), "the stream ended after {} of {count} bytes", all.len());
        all.extend_from_slice(&bytes);
    }
    all
}

fn numbers(count: usize) -> Bytes {
    (0..count).map(|index| (index % 251) as u8).collect()
}

pub(crate) fn connections_carry_data_both_ways(backend: &str) {
    let rig = Rig::new(backend);
    let [(one, one_inbox), (other, other_inbox)] = both(&rig);
    assert!(one.peer_address().expect("it is connected").is_unix());
    assert!(one.local_address().expect("it has none").is_unix());
    for (near, near_inbox, far, far_inbox) in
        [(&one, &one_inbox, &other, &other_inbox), (&other, &other_inbox, &one, &one_inbox)]
    {
        // Into the engine's buffer, and into one that holds something, both ways of waiting.
        far.receive(None).expect("it begins");
        rig.settle();
        assert!(far_inbox.is_empty());
        send(&rig, near, near_inbox, vec![Bytes::from_static(b"hel"), Bytes::from_static(b"lo")]);
        assert_eq!(received(rig.next(far_inbox)), "hello");
        send(&rig, near, near_inbox, vec![Bytes::from_static(b"more")]);
        let mut buffer = BytesMut::with_capacity(8);
        buffer.extend_from_slice(b"and ");
        far.receive(Some(buffer)).expect("it begins");
        assert!(far_inbox.is_empty(), "within the call");
        assert_eq!(received(rig.next(far_inbox)), "and more");
    }
}

pub(crate) fn a_receive_outlives_the_thread_that_began_it(backend: &str) {
    let rig = Rig::new(backend);
    let [(one, one_inbox), (other, other_inbox)] = both(&rig);
    // Into the engine's buffer, and into one of the thread's.
    for buffer in [None, Some(BytesMut::with_capacity(8))] {
        thread::scope(|scope| {
            let began = scope.spawn(|| other.receive(buffer));
            began.join().expect("no panic").expect("it begins");
        });
        send(&rig, &one, &one_inbox, vec![Bytes::from_static(b"hello")]);
        assert_eq!(received(rig.next(&other_inbox)), "hello");
    }
}

pub(crate) fn small_slices_keep_their_order_among_large_ones(backend: &str) {
    let rig = Rig::new(backend);
    let [(one, inbox), (other, other_inbox)] = both(&rig);
    let all = numbers(600_000);
    let mut rest = all.clone();
    let mut slices = Vec::new();
    // Empty, tiny, around what is put together, and beyond what a pipe has room for.
    for size in
        [0, 1, 3, 70, 5_000, 0, 16_383, 16_384, 16_385, 2, 65_536, 9, 200_000, 1, 0].iter().cycle()
    {
        if rest.len() <= *size {
            break;
        }
        slices.push(rest.split_to(*size));
    }
    slices.push(rest);
    other.receive(None).expect("it begins");
    let mut arrived = BytesMut::new();
    let sending = one.send(slices);
    assert!(matches!(sending, Sending::Pending), "there is not room for all");
    while arrived.len() < all.len() {
        let bytes = received(rig.next(&other_inbox));
        assert!(!bytes.is_empty(), "the stream ended");
        arrived.extend_from_slice(&bytes);
        other.receive(None).expect("it begins");
    }
    assert!(arrived == all, "the bytes differ");
    assert!(matches!(rig.next(&inbox), Event::Sent { sent: 600_000, result: Ok(()), .. }));
}

pub(crate) fn a_full_pipe_takes_the_rest_when_there_is_room(backend: &str) {
    const SIZE: usize = 1 << 20;
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = pair(&rig);
    assert!(matches!(handle.send(vec![numbers(SIZE)]), Sending::Pending));
    rig.settle();
    assert!(inbox.is_empty(), "nobody has read");
    let reader = thread::spawn(move || {
        let mut all = vec![0; SIZE];
        far.read_exact(&mut all).map(|()| (all, far))
    });
    assert!(matches!(rig.next(&inbox), Event::Sent { sent: SIZE, result: Ok(()), .. }));
    let (all, _far) = reader.join().expect("no panic").expect("it reads");
    assert!(all == numbers(SIZE), "the bytes differ");
}

pub(crate) fn what_was_sent_outlives_its_sender(backend: &str) {
    let rig = Rig::new(backend);
    for by_client in [true, false] {
        let [one, other] = both(&rig);
        let ((near, near_inbox), (far, far_inbox)) =
            if by_client { (one, other) } else { (other, one) };
        send(&rig, &near, &near_inbox, vec![numbers(5_000)]);
        near.retire();
        released(&rig, &near_inbox);
        assert_eq!(receive(&rig, &far, &far_inbox, 5_000), numbers(5_000));
        // The end of the stream, as often as one asks; of a buffer that holds something, too.
        far.receive(None).expect("it begins");
        assert!(received(rig.next(&far_inbox)).is_empty());
        let mut buffer = BytesMut::with_capacity(8);
        buffer.extend_from_slice(b"as was");
        far.receive(Some(buffer)).expect("it begins");
        assert_eq!(received(rig.next(&far_inbox)), "as was");
    }
}

pub(crate) fn send_to_a_closed_peer_fails(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, far) = pair(&rig);
    // One that waits, and one that comes later.
    assert!(matches!(handle.send(vec![numbers(1 << 20)]), Sending::Pending));
    drop(far);
    let Event::Sent { result: Err(error), .. } = rig.next(&inbox) else { panic!("it is gone") };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    match handle.send(vec![numbers(10)]) {
        Sending::Done { sent: 0, result: Err(error), .. } => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        other => panic!("an error expected, not {other:?}"),
    }
}

pub(crate) fn nobody_listens_says_so(backend: &str) {
    let rig = Rig::new(backend);
    let (_handle, inbox) = connecting(&rig, &Name::new());
    let Event::Connected(Err(error)) = rig.next(&inbox) else { panic!("nobody listens") };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    // No path at all, and one that no pipe can have.
    let (handle, _) = adopt(&rig, NamedPipe::unconnected());
    let tcp = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let error = handle.connect(&tcp.into()).expect_err("no path");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

pub(crate) fn a_name_is_one_listeners(backend: &str) {
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    let taken = |name: &Name| NamedPipe::listen(&name.address()).err().map(|error| error.kind());
    assert_eq!(taken(&listening.name), Some(ErrorKind::AddrInUse));
    // Nor while it accepts, nor while a connection is all that it has.
    listening.handle.accept().expect("it accepts");
    assert_eq!(taken(&listening.name), Some(ErrorKind::AddrInUse));
    let client = listening.name.open().expect("it listens");
    let connection = listening.accepted(&rig);
    assert_eq!(taken(&listening.name), Some(ErrorKind::AddrInUse));
    let Listening { name, handle, inbox } = listening;
    handle.retire();
    released(&rig, &inbox);
    drop((client, connection));
    rig.until("the name to be free", || taken(&name).is_none().then_some(()));
}

pub(crate) fn more_come_at_once_than_are_accepted(backend: &str) {
    const CLIENTS: usize = 40;
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    let clients: Vec<_> = (0..CLIENTS).map(|_| connecting(&rig, &listening.name)).collect();
    rig.settle();
    let waiting = clients.iter().filter(|(_, inbox)| inbox.is_empty()).count();
    assert!(waiting >= CLIENTS - 1, "one instance is there, {waiting} wait");
    let servers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            listening.handle.accept().expect("it accepts");
            let (server, inbox) = adopt(&rig, listening.accepted(&rig));
            send(&rig, &server, &inbox, vec![Bytes::from_static(b"your turn")]);
            server
        })
        .collect();
    for (client, inbox) in &clients {
        assert!(matches!(rig.next(inbox), Event::Connected(Ok(()))));
        assert_eq!(receive(&rig, client, inbox, 9), "your turn");
    }
    drop(servers);
}

pub(crate) fn a_listener_that_goes_refuses_those_who_wait(backend: &str) {
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    let first = listening.name.open().expect("it listens");
    let (_handle, inbox) = connecting(&rig, &listening.name);
    rig.settle();
    assert!(inbox.is_empty(), "it is not its turn");
    listening.handle.retire();
    drop(first);
    let Event::Connected(Err(error)) = rig.next(&inbox) else { panic!("nobody listens any more") };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
}

pub(crate) fn a_connect_that_waits_can_be_cancelled(backend: &str) {
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    let _first = listening.name.open().expect("it listens");
    let (handle, inbox) = connecting(&rig, &listening.name);
    rig.settle();
    handle.cancel(Direction::Outward);
    let Event::Connected(Err(error)) = rig.next(&inbox) else { panic!("it waited in vain") };
    assert!(is_cancelled(&error), "{error}");
    let (handle, inbox) = connecting(&rig, &listening.name);
    rig.settle();
    handle.retire();
    released(&rig, &inbox);
    assert!(inbox.is_empty());
}

pub(crate) fn a_cancelled_accept_keeps_the_name(backend: &str) {
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    listening.handle.accept().expect("it accepts");
    rig.settle();
    listening.handle.cancel(Direction::Inward);
    let Event::Accepted(Err(error)) = rig.next(&listening.inbox) else { panic!("nobody came") };
    assert!(is_cancelled(&error), "{error}");
    // Who comes now finds it listening, and is accepted later.
    let mut client = listening.name.open().expect("it listens");
    client.write_all(b"early").expect("it is connected");
    listening.handle.accept().expect("it accepts");
    let (server, inbox) = adopt(&rig, listening.accepted(&rig));
    assert_eq!(receive(&rig, &server, &inbox, 5), "early");
}

pub(crate) fn a_client_that_left_is_accepted_with_what_it_wrote(backend: &str) {
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    let mut client = listening.name.open().expect("it listens");
    client.write_all(b"in passing").expect("it is connected");
    drop(client);
    listening.handle.accept().expect("it accepts");
    let (server, inbox) = adopt(&rig, listening.accepted(&rig));
    assert_eq!(receive(&rig, &server, &inbox, 10), "in passing");
    server.receive(None).expect("it begins");
    assert!(received(rig.next(&inbox)).is_empty());
}

pub(crate) fn cancel_ends_a_pending_receive_and_a_pending_send(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = pair(&rig);
    handle.receive(None).expect("it begins");
    rig.settle();
    handle.cancel(Direction::Inward);
    let Event::Received(Err(error)) = rig.next(&inbox) else { panic!("nothing came") };
    assert!(is_cancelled(&error), "{error}");
    far.write_all(b"later").expect("it is connected");
    assert_eq!(receive(&rig, &handle, &inbox, 5), "later");
    assert!(matches!(handle.send(vec![numbers(1 << 20)]), Sending::Pending));
    rig.settle();
    handle.cancel(Direction::Outward);
    let Event::Sent { sent, result: Err(error), .. } = rig.next(&inbox) else {
        panic!("it is full")
    };
    assert!(is_cancelled(&error), "{error}");
    // So much of it is there, and no more.
    handle.retire();
    released(&rig, &inbox);
    let mut all = Vec::new();
    // The end of a pipe is an error to this reader, under some systems.
    let _ = far.read_to_end(&mut all);
    assert_eq!(all.len(), sent);
}

pub(crate) fn a_second_operation_is_refused(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = pair(&rig);
    handle.receive(None).expect("it begins");
    let error = handle.receive(None).expect_err("one is pending");
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    far.write_all(b"undisturbed").expect("it is connected");
    assert_eq!(received(rig.next(&inbox)), "undisturbed");
    assert!(matches!(handle.send(vec![numbers(1 << 20)]), Sending::Pending));
    match handle.send(vec![numbers(1)]) {
        Sending::Done { sent: 0, result: Err(error), .. } => {
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        }
        other => panic!("one is pending: {other:?}"),
    }
    handle.retire();
    let error = handle.receive(None).expect_err("it is retired");
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}

pub(crate) fn what_pipes_lack_is_refused(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, _far) = pair(&rig);
    for refused in [
        handle.shutdown_send(),
        handle.connect(&Name::new().address()),
        handle.probe(Interest { readable: true, writable: false }),
        handle.probe(Interest { readable: true, writable: true }),
    ] {
        assert!(refused.is_err());
    }
    // Nothing is left pending by it.
    handle.receive(None).expect("it begins");
    send(&rig, &handle, &inbox, vec![numbers(10)]);
    // Other backends have no pipes at all.
    let mut options = PortOptions::default();
    options.backend = Some("select".to_owned());
    let port = Port::new(&options).expect("it starts");
    let refused = port.register_pipe(NamedPipe::unconnected(), Inbox::new());
    assert_eq!(refused.expect_err("it has none").kind(), ErrorKind::Unsupported);
}

pub(crate) fn a_pipe_stays_on_its_listeners_port(backend: &str) {
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    let mut client = listening.name.open().expect("it listens");
    listening.handle.accept().expect("it accepts");
    let connection = listening.accepted(&rig);
    let other = Rig::new(backend);
    let refused = other.port.register_pipe(connection, Inbox::new());
    assert_eq!(refused.expect_err("it is on the first").kind(), ErrorKind::InvalidInput);
    assert!(client.write_all(b"lost").is_err(), "it is closed");
}

pub(crate) fn retiring_closes_and_says_nothing(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = pair(&rig);
    handle.receive(None).expect("it begins");
    assert!(matches!(handle.send(vec![numbers(1 << 20)]), Sending::Pending));
    rig.settle();
    handle.retire();
    released(&rig, &inbox);
    assert!(inbox.is_empty(), "an event of a retired handle");
    let _ = far.read_to_end(&mut Vec::new());
    assert!(far.write_all(b"lost").is_err(), "it is closed");
}

pub(crate) fn drop_port_with_operations_in_flight(backend: &str) {
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    let _first = listening.name.open().expect("it listens");
    let (_client, client_inbox) = connecting(&rig, &listening.name);
    let (handle, inbox, _far) = pair(&rig);
    handle.receive(None).expect("it begins");
    assert!(matches!(handle.send(vec![numbers(1 << 20)]), Sending::Pending));
    let idle = Listening::new(&rig);
    idle.handle.accept().expect("it accepts");
    rig.settle();
    drop(rig);
    for inbox in [&inbox, &client_inbox, &listening.inbox, &idle.inbox] {
        assert_eq!(Arc::strong_count(inbox), 1, "a handler is kept");
        assert!(inbox.is_empty());
    }
    assert!(idle.name.open().is_err(), "it listens still");
}

pub(crate) fn idle_pipes_hear_all_the_same(backend: &str) {
    let rig = Rig::new(backend);
    let listening = Listening::new(&rig);
    let idle: Vec<_> = (0..IDLE)
        .map(|_| {
            let far = listening.name.open().expect("it listens");
            listening.handle.accept().expect("it accepts");
            let (handle, inbox) = adopt(&rig, listening.accepted(&rig));
            handle.receive(None).expect("it begins");
            (handle, inbox, far)
        })
        .collect();
    rig.settle();
    let mut idle = idle;
    for (number, (_, inbox, far)) in idle.iter_mut().enumerate() {
        assert!(inbox.is_empty());
        far.write_all(&numbers(number + 1)).expect("it is connected");
    }
    for (number, (handle, inbox, _)) in idle.iter().enumerate() {
        let mut bytes = received(rig.next(inbox));
        if bytes.len() < number + 1 {
            bytes.extend_from_slice(&receive(&rig, handle, inbox, number + 1 - bytes.len()));
        }
        assert_eq!(bytes, numbers(number + 1));
    }
    // Those that wait for nothing in particular see the end, too.
    for (handle, inbox, far) in idle {
        handle.receive(None).expect("it begins");
        drop(far);
        assert!(received(rig.next(&inbox)).is_empty());
    }
}

/// Sends back what it receives.
#[derive(Default)]
struct Echo {
    handle: OnceLock<Handle>,
}

impl Handler for Echo {
    fn complete(&self, event: Event) {
        let Some(handle) = self.handle.get() else { return };
        match event {
            Event::Received(Ok(bytes)) if !bytes.is_empty() => {
                match handle.send(vec![bytes.freeze()]) {
                    Sending::Pending => {}
                    Sending::Done { result: Ok(()), .. } => _ = handle.receive(None),
                    Sending::Done { .. } => handle.retire(),
                }
            }
            Event::Sent { result: Ok(()), .. } => _ = handle.receive(None),
            _ => handle.retire(),
        }
    }
}

/// Accepts for ever.
struct Accept {
    port: Port,
    handle: OnceLock<Handle>,
    accepted: AtomicUsize,
}

impl Handler for Accept {
    fn complete(&self, event: Event) {
        let pipe = accepted(event);
        let echo = Arc::new(Echo::default());
        let connection = self.port.register_pipe(pipe, echo.clone()).expect("it registers");
        connection.receive(None).expect("it begins");
        let _ = echo.handle.set(connection);
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.handle.get().expect("it listens").accept().expect("it accepts");
    }
}

pub(crate) fn many_connections_echo(backend: &str) {
    let rig = Rig::new(backend);
    let name = Name::new();
    let accept = Arc::new(Accept {
        port: rig.port.clone(),
        handle: OnceLock::new(),
        accepted: AtomicUsize::new(0),
    });
    let pipe = NamedPipe::listen(&name.address()).expect("the name is free");
    let listening = rig.port.register_pipe(pipe, accept.clone()).expect("it registers");
    let listening = accept.handle.get_or_init(|| listening);
    listening.accept().expect("it accepts");
    let _driver = rig.spawn();
    // Each on a port of its own thread's.
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            let (address, backend) = (name.address(), backend.to_owned());
            thread::spawn(move || {
                let rig = Rig::new(&backend);
                let clients: Vec<_> = (0..MANY / 4)
                    .map(|_| {
                        let (client, inbox) = adopt(&rig, NamedPipe::unconnected());
                        client.connect(&address).expect("it begins");
                        (client, inbox)
                    })
                    .collect();
                for (client, inbox) in &clients {
                    assert!(matches!(rig.next(inbox), Event::Connected(Ok(()))));
                    client.receive(None).expect("it begins");
                }
                for round in 0..5 {
                    let size = 1 + 7_777 * round + seed;
                    for (client, inbox) in &clients {
                        let sending = client.send(vec![numbers(size)]);
                        let mut echoed = BytesMut::new();
                        let mut pending = matches!(sending, Sending::Pending);
                        while echoed.len() < size || pending {
                            match rig.next(inbox) {
                                Event::Sent { result, .. } => {
                                    result.expect("it is sent");
                                    pending = false;
                                }
                                event => {
                                    echoed.extend_from_slice(&received(event));
                                    client.receive(None).expect("it begins");
                                }
                            }
                        }
                        assert!(echoed == numbers(size), "the bytes differ");
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(accept.accepted.load(Ordering::Relaxed), MANY / 4 * 4);
    listening.retire();
}
