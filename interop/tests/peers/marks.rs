//! High-water marks that are changed while there is a connection: how many messages are taken when
//! nobody receives any, and that none is lost or overtakes another.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serverlink::SocketType::{Pull, Push};
use serverlink_interop::{Contexts, Library::ServerLink, Peer, Way, each_way, until};

/// What the system's buffers hold is less than one message.
const LENGTH: usize = 256 * 1024;
/// What is on its way besides: one message that the sender writes, one that the receiver reads, and
/// parts of two in the system's buffers.
const ON_THE_WAY: usize = 4;

each_way!(as_many_are_taken_as_the_marks_say_now, a_raised_mark_of_ours_lets_who_waits_go_on);

/// A connection with the least marks, and what has passed through it.
struct Link {
    from: Peer,
    to: Peer,
    sent: usize,
    received: usize,
}

fn message(number: usize) -> [Vec<u8>; 1] {
    let mut body = vec![0; LENGTH];
    body[..8].copy_from_slice(&number.to_be_bytes());
    [body]
}

/// How many of as many messages as a mark allows are taken at least: who waits is told when half of
/// them have gone, by either library.
fn sure(mark: usize) -> usize {
    mark - mark / 2
}

impl Link {
    fn new(way: Way) -> Self {
        let [from, to] = Contexts::new().link(way, [Push, Pull], |from, to| {
            for peer in [from, to] {
                peer.set_high_water_marks(1);
                peer.set_buffers(16 * 1024);
            }
        });
        let mut link = Self { from, to, sent: 0, received: 0 };
        link.pass_some();
        link
    }

    fn set_marks(&self, [send, receive]: [u16; 2]) {
        self.from.set_high_water_marks(send);
        self.to.set_high_water_marks(receive);
    }

    fn send(&mut self) {
        self.from.send(message(self.sent));
        self.sent += 1;
    }

    fn receive_all(&mut self) {
        for number in self.received..self.sent {
            self.to.expect(message(number));
        }
        self.received = self.sent;
    }

    /// libzmq's I/O thread knows of a mark before it has taken the second message since.
    fn pass_some(&mut self) {
        self.receive_all();
        for _ in 0..2 {
            self.send();
            self.receive_all();
        }
    }

    /// Sends until no more is taken, which has to be between `least` and `most` that wait.
    fn fill(&mut self, least: usize, most: usize) {
        while self.sent - self.received < least {
            self.send();
        }
        while self.from.send_within(Duration::from_millis(100), message(self.sent)) {
            self.sent += 1;
            let waiting = self.sent - self.received;
            assert!(waiting <= most, "{waiting} are taken, of {most}");
        }
    }
}

/// libzmq stays as it is for ever if a mark is raised while it is full, or lowered when it has nothing
/// left: what it tells itself of, half a mark at a time, is counted by the mark of then. So marks are
/// lowered while messages wait, and raised when none do.
fn as_many_are_taken_as_the_marks_say_now(way: Way) {
    let mut link = Link::new(way);
    let mut before = [1, 1];
    for marks in [[1, 1], [20, 1], [1, 1], [1, 20], [20, 20], [20, 1], [7, 7], [1, 1]] {
        link.set_marks([0, 1].map(|end| before[end].min(marks[end])));
        // Those that wait already are all there.
        link.pass_some();
        link.set_marks(marks);
        link.pass_some();
        let [send, receive] = marks.map(usize::from);
        link.fill(sure(send) + sure(receive), send + receive + ON_THE_WAY);
        before = marks;
    }
    // None at all, and one again.
    link.receive_all();
    link.set_marks([0, 1]);
    link.pass_some();
    (0..100).for_each(|_| link.send());
    link.set_marks([1, 1]);
    link.pass_some();
    link.fill(2, 2 + ON_THE_WAY);
    link.receive_all();
    assert_eq!(link.to.recv_within(Duration::ZERO), None);
}

/// Though nothing is received. libzmq looks at a mark of its own that was raised only when something is.
fn a_raised_mark_of_ours_lets_who_waits_go_on(way: Way) {
    const STEPS: usize = 20;
    let mut link = Link::new(way);
    link.fill(2, 2 + ON_THE_WAY);
    let (first, sent) = (link.sent, AtomicUsize::new(link.sent));
    let ours = if way.from == ServerLink { link.from.ours() } else { link.to.ours() };
    thread::scope(|scope| {
        scope.spawn(|| {
            for step in 1..=STEPS {
                if way.from == ServerLink {
                    ours.set_send_high_water_mark(1 + step).unwrap();
                } else {
                    ours.set_receive_high_water_mark(1 + step).unwrap();
                }
                until("one more is taken", || sent.load(Ordering::Relaxed) >= first + step);
            }
        });
        for number in first..first + STEPS {
            link.from.send(message(number));
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    link.sent += STEPS;
    link.fill(0, 2 + STEPS + ON_THE_WAY);
    link.receive_all();
}
