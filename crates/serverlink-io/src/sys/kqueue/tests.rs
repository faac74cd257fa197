//! The logic, over a script of what the kernel answers.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    sync::{Arc, Mutex},
};

use super::*;
use crate::lock::lock;

const DESCRIPTOR: RawFd = 7;
const TOKEN: Token = 42;

/// What the kernel answers to one call.
type Answer = Result<Vec<Kevent>, i32>;

#[derive(Debug)]
struct Asked {
    changes: Vec<Kevent>,
    room: usize,
    timeout: Option<Duration>,
}

/// A kernel that plays a part.
#[derive(Debug, Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    /// Makes a poller, whose own wake-up is added first, with this answer.
    fn poller(&self, wake: i32) -> Kqueue<Self> {
        self.answers([receipts(&[wake])]);
        let poller = Kqueue::new(self.clone()).expect("it starts");
        lock(&self.asked).clear();
        poller
    }

    fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.answers).extend(answers);
    }

    /// What was asked since this was called last.
    fn asked(&self) -> Vec<Asked> {
        assert!(lock(&self.answers).is_empty(), "something was not asked");
        std::mem::take(&mut *lock(&self.asked))
    }
}

impl System for Script {
    fn kevent(
        &self,
        changes: &[Kevent],
        room: usize,
        timeout: Option<Duration>,
        each: &mut dyn FnMut(Kevent),
    ) -> io::Result<()> {
        lock(&self.asked).push(Asked { changes: changes.to_vec(), room, timeout });
        let answer = lock(&self.answers).pop_front().expect("an answer for every call");
        answer.map_err(io::Error::from_raw_os_error)?.into_iter().for_each(each);
        Ok(())
    }

    fn timer_grain(&self) -> Duration {
        Duration::ZERO
    }
}

fn receipts(codes: &[i32]) -> Answer {
    Ok(codes.iter().map(|code| receipt(*code)).collect())
}

fn receipt(code: i32) -> Kevent {
    event(Filter::Read, flags::ERROR, 0, code)
}

fn event(filter: Filter, flags: u16, fflags: u32, data: i32) -> Kevent {
    Kevent { ident: DESCRIPTOR as usize, filter, flags, fflags, data: data.into(), udata: TOKEN }
}

fn events(poller: &impl Poller) -> Vec<(bool, bool, bool)> {
    let mut ready = Vec::new();
    poller.wait(None, &mut ready).expect("it waits");
    assert!(ready.iter().all(|ready| ready.token == TOKEN));
    ready.iter().map(|ready| (ready.readable, ready.writable, ready.hangup)).collect()
}

#[test]
fn both_directions_are_added_and_removed_by_one_call() {
    let script = Script::default();
    let poller = script.poller(0);
    script.answers([receipts(&[0, 0]), receipts(&[0, libc::ENOENT])]);
    poller.add(DESCRIPTOR, TOKEN).expect("the kernel takes it");
    poller.remove(DESCRIPTOR, TOKEN);
    let asked = script.asked();
    let kinds = [flags::ADD | flags::CLEAR, flags::DELETE].map(|kind| kind | flags::RECEIPT);
    assert_eq!(asked.len(), kinds.len());
    for (asked, flags) in asked.iter().zip(kinds) {
        let [read, write] = asked.changes[..] else { panic!("{asked:?}") };
        assert_eq!(read, event(Filter::Read, flags, 0, 0));
        assert_eq!(write, event(Filter::Write, flags, 0, 0));
        // Room for the answers, and for nothing that would be lost.
        assert_eq!((asked.room, asked.timeout), (2, Some(Duration::ZERO)));
    }
}

#[test]
fn one_direction_is_enough() {
    let script = Script::default();
    let poller = script.poller(0);
    for codes in [[0, libc::EPIPE], [libc::EINVAL, 0], [0, libc::EBADF]] {
        script.answers([receipts(&codes)]);
        poller.add(DESCRIPTOR, TOKEN).expect("the kernel takes one direction");
        assert_eq!(script.asked().len(), 1);
    }
}

#[test]
fn a_failure_to_add_leaves_nothing_behind() {
    let script = Script::default();
    let poller = script.poller(0);
    for (codes, told) in [
        ([libc::EBADF, libc::EBADF], libc::EBADF),
        ([0, libc::ENOMEM], libc::ENOMEM),
        ([libc::ENOMEM, 0], libc::ENOMEM),
    ] {
        script.answers([receipts(&codes), receipts(&[0, 0])]);
        let error = poller.add(DESCRIPTOR, TOKEN).expect_err("the kernel does not take it");
        assert_eq!(error.raw_os_error(), Some(told));
        let asked = script.asked();
        assert!(asked[1].changes.iter().all(|change| change.flags & flags::DELETE != 0));
    }
}

#[test]
fn changes_are_made_in_spite_of_signals() {
    let script = Script::default();
    let poller = script.poller(0);
    script.answers([Err(libc::EINTR), Err(libc::EINTR), receipts(&[0, 0])]);
    poller.add(DESCRIPTOR, TOKEN).expect("the kernel takes it at last");
    assert_eq!(script.asked().len(), 3);
    script.answers([Err(libc::EBADF)]);
    let error = poller.add(DESCRIPTOR, TOKEN).expect_err("there is no queue");
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn events_become_reports() {
    let (read, write) = (Filter::Read, Filter::Write);
    for (event, expected) in [
        (event(read, 0, 0, 5), (true, false, false)),
        // The end, behind five bytes.
        (event(read, flags::EOF, 0, 5), (true, false, true)),
        (event(read, flags::EOF, libc::ECONNRESET as u32, 0), (true, false, true)),
        (event(write, 0, 0, 9_999), (false, true, false)),
        // Perhaps it was this side that shut it down: nothing is known of the other direction.
        (event(write, flags::EOF, 0, 0), (false, true, false)),
        (event(write, flags::EOF, libc::ECONNREFUSED as u32, 0), (false, true, true)),
        (event(write, flags::ERROR, 0, libc::EBADF), (true, true, true)),
    ] {
        let script = Script::default();
        let poller = script.poller(0);
        script.answers([Ok(vec![event])]);
        assert_eq!(events(&poller), [expected], "{event:?}");
    }
}

#[test]
fn a_wait_asks_for_a_batch_and_at_most_a_day() {
    let script = Script::default();
    let poller = script.poller(0);
    let exact = Duration::from_nanos(1_234_567);
    script.answers([Ok(vec![]), Ok(vec![]), Ok(vec![])]);
    for timeout in [None, Some(exact), Some(Duration::MAX)] {
        poller.wait(timeout, &mut Vec::new()).expect("it waits");
    }
    let asked = script.asked();
    assert!(asked.iter().all(|asked| asked.room == BATCH && asked.changes.is_empty()));
    let timeouts: Vec<_> = asked.iter().map(|asked| asked.timeout).collect();
    assert_eq!(timeouts, [None, Some(exact), Some(Duration::from_secs(24 * 60 * 60))]);
}

#[test]
fn a_signal_ends_a_wait_and_an_error_fails_it() {
    let script = Script::default();
    let poller = script.poller(0);
    script.answers([Err(libc::EINTR), Err(libc::EBADF)]);
    assert_eq!(events(&poller), []);
    let error = poller.wait(None, &mut Vec::new()).expect_err("there is no queue");
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn a_wake_triggers_the_event_of_users() {
    let script = Script::default();
    let poller = script.poller(0);
    script.answers([Err(libc::EINTR), Ok(vec![])]);
    poller.wake();
    let asked = script.asked();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert_eq!(asked.changes, [wake(0, TRIGGER)]);
        assert_eq!(asked.room, 0);
    }
    // It is no report.
    script.answers([Ok(vec![wake(flags::CLEAR, 0), event(Filter::Read, 0, 0, 1)])]);
    assert_eq!(events(&poller), [(true, false, false)]);
}

#[test]
fn where_users_have_no_events_a_pipe_wakes() {
    let script = Script::default();
    script.answers([receipts(&[libc::EINVAL]), receipts(&[0])]);
    let poller = Kqueue::new(script.clone()).expect("it starts all the same");
    let Wake::Pipe(pipe) = &poller.wake else { panic!("{poller:?}") };
    let asked = script.asked();
    let added = asked[1].changes[0];
    assert_eq!((added.filter, added.udata), (Filter::Read, WAKE));
    assert_eq!(added.ident, pipe.descriptor() as usize);

    let readable = Interest { readable: true, writable: false };
    let is_full = || poll::check(pipe.descriptor(), readable).expect("it is open").readable;
    assert!(!is_full());
    (0..3).for_each(|_| poller.wake());
    assert!(is_full());
    script.answers([Ok(vec![Kevent { data: 3, ..added }])]);
    assert_eq!(events(&poller), []);
    // Emptied, or the next wake would be no edge.
    assert!(!is_full());
}

#[test]
fn without_any_wake_up_there_is_no_poller() {
    let script = Script::default();
    script.answers([receipts(&[libc::EINVAL]), receipts(&[libc::ENOMEM])]);
    let error = Kqueue::new(script).expect_err("nothing could end a wait");
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
}
