//! What only the backend itself knows.

use socket2::{Domain, Type};

use super::*;
use crate::Event;

/// Counts what has been received.
#[derive(Default)]
struct Count(AtomicUsize);

impl Handler for Count {
    fn complete(&self, event: Event) {
        match event {
            Event::Received(Ok(bytes)) => self.0.fetch_add(bytes.len(), Ordering::Relaxed),
            other => panic!("bytes expected, not {other:?}"),
        };
    }
}

fn receives(backend: &Uring, count: usize, handler: &Arc<Count>) -> Vec<(Arc<dyn Entry>, Socket)> {
    (0..count)
        .map(|_| {
            let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("sockets");
            let entry = backend.register(near, handler.clone()).expect("it registers");
            entry.receive(None).expect("nothing is pending");
            (entry, far)
        })
        .collect()
}

#[test]
fn idle_receives_hold_no_buffers() {
    let backend = Uring::new(&PortOptions::default()).expect("it starts");
    let pairs = receives(&backend, 300, &Arc::default());
    for _ in 0..3 {
        backend.turn(Some(Duration::ZERO)).expect("it turns");
    }
    assert_eq!(backend.engine.submitted.load(Ordering::Relaxed), pairs.len());
    assert_eq!(backend.engine.arming.armed(), 0);
}

/// One that was used last would serve best, but the kernel takes the one that was used first.
#[test]
fn pieces_are_as_many_as_were_needed_at_a_time() {
    let backend = Uring::new(&PortOptions::default()).expect("it starts");
    let received = Arc::new(Count::default());
    let pairs = receives(&backend, 200, &received);
    let used = || usize::from(lock(&backend.engine.provided).used());
    let first = used();
    assert!(first < pairs.len());
    let until = |bytes| {
        while received.0.load(Ordering::Relaxed) < bytes {
            backend.turn(Some(Duration::from_secs(60))).expect("it turns");
        }
    };
    let (entry, far) = &pairs[0];
    for round in 1..=2 * first {
        far.send(b"x").expect("it is connected");
        until(round);
        entry.receive(None).expect("nothing is pending");
    }
    assert_eq!(used(), first);
    backend.turn(Some(Duration::ZERO)).expect("it turns");
    pairs.iter().for_each(|(_, far)| assert_eq!(far.send(b"x").expect("connected"), 1));
    until(2 * first + pairs.len());
    assert!((first + 1..=pairs.len()).contains(&used()), "{}", used());
}

/// They wait already, so that the kernel looks for a piece whether there is one or not.
#[test]
fn a_receive_that_finds_no_piece_is_asked_for_again() {
    let backend = Uring::with_pieces(&PortOptions::default(), 2).expect("it starts");
    let received = Arc::new(Count::default());
    let pairs = receives(&backend, 20, &received);
    while backend.engine.submitted.load(Ordering::Relaxed) < pairs.len() {
        backend.turn(Some(Duration::ZERO)).expect("it turns");
    }
    for (_, far) in &pairs {
        far.send(b"x").expect("it is connected");
    }
    while received.0.load(Ordering::Relaxed) < pairs.len() {
        backend.turn(Some(Duration::from_secs(60))).expect("it turns");
    }
    assert_eq!(received.0.load(Ordering::Relaxed), pairs.len());
}
