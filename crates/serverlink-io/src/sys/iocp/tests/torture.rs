//! Everything at once, from many threads.

use std::{
    collections::HashMap,
    io::{Read, Write},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use bytes::Bytes;

use super::*;
use crate::Sending;

/// Restarts its receive at each completion, and counts what ends.
struct Echo {
    entry: Mutex<Option<Arc<Entry>>>,
    begun: AtomicUsize,
    ended: AtomicUsize,
    inside: AtomicBool,
    retired: AtomicBool,
}

impl Echo {
    fn receive(&self, entry: &Entry) {
        if entry.receive(None).is_ok() {
            self.begun.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Handler for Echo {
    fn complete(&self, event: Event) {
        assert!(!self.inside.swap(true, Ordering::SeqCst), "two events at a time");
        let Some(entry) = lock(&self.entry).clone() else { panic!("no entry yet") };
        self.ended.fetch_add(1, Ordering::SeqCst);
        match event {
            Event::Received(Ok(data)) if !data.is_empty() => {
                self.receive(&entry);
                // Busy is fine: another thread sends.
                if let Sending::Pending = entry.send(vec![data.freeze()]) {
                    self.begun.fetch_add(1, Ordering::SeqCst);
                }
            }
            Event::Received(Err(error)) if is_cancelled(&error) => self.receive(&entry),
            _ => {}
        }
        self.inside.store(false, Ordering::SeqCst);
    }
}

/// Four threads send, cancel and retire on entries of which a driver serves the completions, while
/// their peers write, read, and go with a reset. Every operation ends once or silently with its
/// entry, and nothing is left.
#[test]
fn survives_everything_at_once() {
    for round in 0..3_u64 {
        let bench = if round == 1 { Bench::without_skipping() } else { Bench::new() };
        let _armed = (round == 2).then(|| bench.without_buffers());
        let over = AtomicBool::new(false);
        let handlers: Mutex<HashMap<usize, Arc<Echo>>> = Mutex::default();
        thread::scope(|scope| {
            let driver = scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    bench.port.turn(Some(Duration::from_millis(5))).unwrap();
                }
            });
            let workers: Vec<_> = (0..4)
                .map(|worker| {
                    let (bench, handlers) = (&bench, &handlers);
                    scope.spawn(move || {
                        let mut random = fastrand(round * 4 + worker);
                        for number in 0..30 {
                            let key = worker as usize * 1_000 + number;
                            lock(handlers).insert(key, connection(bench, &mut random));
                        }
                    })
                })
                .collect();
            for worker in workers {
                worker.join().unwrap();
            }
            over.store(true, Ordering::SeqCst);
            driver.join().unwrap();
        });
        // What was not retired ends by itself, for the peers are gone.
        let deadline = Instant::now() + LONG;
        while !bench.port.shared.is_empty() && Instant::now() < deadline {
            bench.port.turn(Some(Duration::from_millis(5))).unwrap();
        }
        assert!(bench.port.shared.is_empty(), "entries are left: {:?}", bench.port);
        for handler in lock(&handlers).values() {
            let (begun, ended) =
                (handler.begun.load(Ordering::SeqCst), handler.ended.load(Ordering::SeqCst));
            assert!(ended <= begun, "{ended} ended of {begun}");
            assert!(handler.retired.load(Ordering::SeqCst));
            lock(&handler.entry).take();
            assert_eq!(Arc::strong_count(handler), 1, "an entry kept its handler");
        }
        if round != 2 {
            assert_eq!(bench.port.shared.buffers.armed(), 0);
        }
    }
}

/// A small generator: the tests need no better one.
fn fastrand(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

/// The life of one connection.
fn connection(bench: &Bench, random: &mut impl FnMut(u64) -> u64) -> Arc<Echo> {
    let (near, mut far) = streams();
    let handler = Arc::new(Echo {
        entry: Mutex::default(),
        begun: AtomicUsize::new(0),
        ended: AtomicUsize::new(0),
        inside: AtomicBool::new(false),
        retired: AtomicBool::new(false),
    });
    let entry = Arc::new(bench.port.adopt(Socket::from(near), handler.clone()).unwrap());
    *lock(&handler.entry) = Some(Arc::clone(&entry));
    handler.begun.fetch_add(1, Ordering::SeqCst);
    entry.receive(None).unwrap();
    far.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut retired = false;
    for _ in 0..20 {
        match random(8) {
            0..=2 => {
                let _ = far.write(&vec![7; 1 + random(5_000) as usize]);
            }
            3 => {
                let _ = far.read(&mut [0; 4_096]);
            }
            4 => {
                let size = 1 + random(3) as usize * 400_000;
                handler.begun.fetch_add(1, Ordering::SeqCst);
                if !matches!(
                    entry.send(vec![Bytes::from(vec![1; size]), Bytes::from_static(b"tail")]),
                    Sending::Pending
                ) {
                    handler.begun.fetch_sub(1, Ordering::SeqCst);
                }
            }
            5 => entry.cancel(Direction::Inward),
            6 => entry.cancel(Direction::Outward),
            _ if random(6) == 0 => {
                entry.retire();
                retired = true;
            }
            _ => {}
        }
    }
    if random(2) == 0 {
        reset(far);
    }
    if !retired && random(2) == 0 {
        thread::yield_now();
    }
    entry.retire();
    handler.retired.store(true, Ordering::SeqCst);
    handler
}
