//! What sockets do about the pauses of the I/O thread.

use std::{
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use super::{Context, ContextBuilder};
use crate::{Error, Events, Message, PollItem, Poller, Result, Socket, SocketType, poll};

/// Longer than any test: every pause that ends is one that was ended.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// What has not come by then is held back, or late; either will do.
const A_WHILE: Duration = Duration::from_millis(20);
/// What has not come by then never will.
const LIMIT: Duration = Duration::from_secs(30);
/// So many little messages are taken, at most, before there is a pause; and where there is to be none.
const MANY: usize = 200;

/// Calls until it is true, for as long as `limit`.
fn is_soon(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_micros(100));
    }
}

/// Calls again and again, which is all that the calls have to bring them what they are after.
fn insist<T>(mut call: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    assert!(is_soon(LIMIT, || {
        found = call();
        found.is_some()
    }));
    found.expect("it was found")
}

fn unless_vain(result: Result<Message>) -> Option<Message> {
    match result {
        Err(Error::WouldBlock) => None,
        other => Some(other.expect("it receives")),
    }
}

/// A context with one socket that nobody reads, two that are tried, and the peers of all, in another
/// context.
struct Rig {
    context: Context,
    idle: Socket,
    to_idle: Socket,
    pull: Socket,
    to_pull: Socket,
    push: Socket,
    of_push: Socket,
}

impl Rig {
    fn new() -> Self {
        Self::with(Context::builder())
    }

    fn with(builder: ContextBuilder) -> Self {
        let context = builder.build_pausing(FOR_EVER).unwrap();
        let far = Context::new().unwrap();
        let couple = |from: &Context, to: &Context| {
            let pull = to.socket(SocketType::Pull).unwrap();
            let push = from.socket(SocketType::Push).unwrap();
            push.set_linger(Some(Duration::ZERO)).unwrap();
            // What the system holds is bounded.
            pull.set_receive_buffer(Some(1 << 16)).unwrap();
            push.set_send_buffer(Some(1 << 16)).unwrap();
            push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
            push.send("first").unwrap();
            assert_eq!(pull.recv().unwrap()[0], "first");
            (push, pull)
        };
        let (to_idle, idle) = couple(&far, &context);
        let (to_pull, pull) = couple(&far, &context);
        let (push, of_push) = couple(&context, &far);
        // All of what comes there is taken from the connection.
        idle.set_receive_high_water_mark(0).unwrap();
        Self { context, idle, to_idle, pull, to_pull, push, of_push }
    }

    /// Sends a little to the socket that nobody reads. Whether it comes in time.
    fn trickles(&self, limit: Duration) -> bool {
        let before = self.context.statistics().bytes_received;
        self.to_idle.send("little").unwrap();
        is_soon(limit, || self.context.statistics().bytes_received > before)
    }

    /// Has the I/O thread pause.
    fn pause(&self) {
        assert!((0..MANY).any(|_| !self.trickles(A_WHILE)), "it does not pause");
    }

    /// It does not pause, whatever little comes.
    fn goes_on(&self) {
        assert!((0..MANY).all(|_| self.trickles(LIMIT)), "it pauses");
    }

    /// Closes the socket.
    fn close_pull(&mut self) {
        self.pull = self.context.socket(SocketType::Pull).unwrap();
    }

    /// There are no pauses during a wait, which ends with what comes for it.
    fn while_in_wait(&self, wait: impl FnOnce() -> Result<usize> + Send) {
        self.pause();
        thread::scope(|scope| {
            let waiter = scope.spawn(wait);
            self.goes_on();
            self.to_pull.send("awaited").unwrap();
            assert_eq!(waiter.join().unwrap().unwrap(), 1);
        });
        receive(&self.pull);
        self.pause();
    }

    /// What is called in a pause finds what comes in it.
    fn finds(&self, mut look: impl FnMut(&Socket)) {
        for _ in 0..3 {
            self.pause();
            self.to_pull.send("awaited").unwrap();
            look(&self.pull);
        }
    }
}

/// One that waits for messages to all of these.
fn poller_of<const N: usize>(sockets: [&Socket; N]) -> Poller {
    let poller = Poller::new();
    for (token, socket) in (0..).zip(sockets) {
        poller.add(socket, token, Events::IN).unwrap();
    }
    poller
}

/// What a poll waits for in vain.
fn stream_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn receive(socket: &Socket) {
    assert_eq!(socket.try_recv().unwrap()[0], "awaited");
}

#[test]
fn who_waits_is_not_kept_waiting() {
    Rig::new().finds(|pull| assert_eq!(pull.recv_timeout(LIMIT).unwrap()[0], "awaited"));
}

#[test]
fn who_tries_again_and_again_receives() {
    Rig::new().finds(|pull| {
        assert_eq!(insist(|| unless_vain(pull.try_recv()))[0], "awaited");
    });
}

#[test]
fn who_gives_no_time_but_asks_again_receives() {
    Rig::new().finds(|pull| {
        assert_eq!(insist(|| unless_vain(pull.recv_timeout(Duration::ZERO)))[0], "awaited");
    });
}

#[test]
fn who_asks_again_and_again_what_there_is_is_told() {
    Rig::new().finds(|pull| {
        insist(|| pull.events().unwrap().contains(Events::IN).then_some(()));
        receive(pull);
    });
}

#[test]
fn who_waits_at_a_poller_is_told() {
    let rig = Rig::new();
    let poller = poller_of([&rig.pull]);
    rig.finds(|pull| {
        assert_eq!(poller.wait(&mut Vec::new(), Some(LIMIT)).unwrap(), 1);
        receive(pull);
    });
}

#[test]
fn who_asks_a_poller_again_and_again_is_told() {
    let rig = Rig::new();
    let poller = poller_of([&rig.pull]);
    rig.finds(|pull| {
        insist(|| (poller.wait(&mut Vec::new(), Some(Duration::ZERO)).unwrap() == 1).then_some(()));
        receive(pull);
    });
}

/// Of two contexts, of which one has a port where the poller does not wait.
#[test]
fn who_waits_at_a_poller_of_several_contexts_is_told() {
    let rig = Rig::new();
    let poller = poller_of([&rig.of_push, &rig.pull]);
    rig.finds(|pull| {
        assert_eq!(poller.wait(&mut Vec::new(), Some(LIMIT)).unwrap(), 1);
        receive(pull);
    });
}

#[test]
fn no_pauses_come_while_a_poller_waits_for_descriptors_besides() {
    let rig = Rig::new();
    let (quiet, _far) = stream_pair();
    let poller = poller_of([&rig.pull]);
    poller.add_descriptor(&quiet, 9, Events::IN).unwrap();
    rig.while_in_wait(|| poller.wait(&mut Vec::new(), Some(2 * LIMIT)));
}

#[test]
fn who_could_send_but_asks_what_has_come_is_told() {
    let rig = Rig::new();
    let poller = Poller::new();
    poller.add(&rig.push, 0, Events::OUT).unwrap();
    poller.add(&rig.pull, 1, Events::IN).unwrap();
    let (stream, _far) = stream_pair();
    let found = |token| {
        let mut events = Vec::new();
        poller.wait(&mut events, Some(LIMIT)).unwrap();
        events.iter().any(|event| event.token == token).then_some(())
    };
    rig.finds(|pull| {
        assert_eq!(found(0), Some(()));
        insist(|| found(1));
        receive(pull);
    });
    rig.finds(|pull| {
        let mut items =
            [PollItem::socket(&rig.push, Events::OUT), PollItem::socket(pull, Events::IN)];
        insist(|| {
            poll(&mut items, Some(LIMIT)).unwrap();
            items[1].ready().contains(Events::IN).then_some(())
        });
        receive(pull);
    });
    // A stream that can be written to is no message.
    rig.finds(|pull| {
        let mut items =
            [PollItem::descriptor(&stream, Events::OUT), PollItem::socket(pull, Events::IN)];
        insist(|| {
            poll(&mut items, Some(LIMIT)).unwrap();
            items[1].ready().contains(Events::IN).then_some(())
        });
        receive(pull);
    });
    poller.add_descriptor(&stream, 2, Events::OUT).unwrap();
    poller.remove(0).unwrap();
    rig.finds(|pull| {
        assert_eq!(insist(|| found(2)), ());
        insist(|| found(1));
        receive(pull);
    });
}

#[test]
fn no_pauses_come_while_a_poller_waits_for_who_has_no_peers() {
    let rig = Rig::new();
    let lonely = rig.context.socket(SocketType::Pull).unwrap();
    let poller = poller_of([&lonely]);
    rig.pause();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| poller.wait(&mut Vec::new(), Some(2 * LIMIT)));
        rig.goes_on();
        poller.wake();
        assert_eq!(waiter.join().unwrap().unwrap(), 0);
    });
    rig.pause();
}

#[test]
fn who_polls_is_told() {
    Rig::new().finds(|pull| {
        assert_eq!(poll(&mut [PollItem::socket(pull, Events::IN)], Some(LIMIT)).unwrap(), 1);
        receive(pull);
    });
}

#[test]
fn who_polls_again_and_again_is_told() {
    Rig::new().finds(|pull| {
        let items = &mut [PollItem::socket(pull, Events::IN)];
        insist(|| (poll(items, Some(Duration::ZERO)).unwrap() == 1).then_some(()));
        receive(pull);
    });
}

#[test]
fn who_polls_descriptors_besides_is_told() {
    let rig = Rig::new();
    let (quiet, _far) = stream_pair();
    let descriptor = || PollItem::descriptor(&quiet, Events::IN);
    rig.finds(|pull| {
        let items = &mut [PollItem::socket(pull, Events::IN), descriptor()];
        assert_eq!(poll(items, Some(LIMIT)).unwrap(), 1);
        receive(pull);
    });
    rig.finds(|pull| {
        let items = &mut [PollItem::socket(pull, Events::IN), descriptor()];
        let short = Some(Duration::from_nanos(1));
        insist(|| (poll(items, short).unwrap() == 1).then_some(()));
        receive(pull);
    });
    rig.while_in_wait(|| {
        poll(&mut [PollItem::socket(&rig.pull, Events::IN), descriptor()], Some(2 * LIMIT))
    });
}

#[test]
fn no_pauses_come_until_a_socket_with_a_descriptor_is_closed() {
    for descriptor in [Socket::receive_descriptor, Socket::change_descriptor] {
        let mut rig = Rig::new();
        rig.pause();
        let _descriptor = descriptor(&rig.pull).unwrap();
        rig.goes_on();
        rig.close_pull();
        rig.pause();
    }
}

#[test]
fn no_pauses_come_while_messages_wait_for_room() {
    /// More than what the peer takes before it is read from, and what the system holds.
    const WAITING: usize = 8;
    let rig = Rig::new();
    rig.of_push.set_receive_high_water_mark(1).unwrap();
    for _ in 0..3 {
        rig.pause();
        for _ in 0..WAITING {
            rig.push.try_send(Message::from(vec![7; 1 << 20])).unwrap();
        }
        rig.goes_on();
        for _ in 0..WAITING {
            assert_eq!(rig.of_push.recv_timeout(LIMIT).unwrap()[0].len(), 1 << 20);
        }
    }
}

#[test]
fn several_threads_do_not_pause() {
    Rig::with(Context::builder().io_threads(2)).goes_on();
}

#[test]
fn what_was_held_back_is_all_there_in_order() {
    let rig = Rig::new();
    rig.pause();
    for number in 0..MANY {
        rig.to_pull.send(number.to_string()).unwrap();
    }
    for number in 0..MANY {
        assert_eq!(rig.pull.recv_timeout(LIMIT).unwrap()[0], *number.to_string());
    }
    assert_eq!(rig.idle.recv_timeout(LIMIT).unwrap()[0], "little");
}
