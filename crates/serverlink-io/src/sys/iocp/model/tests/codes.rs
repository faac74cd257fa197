//! Every code of the table, carried out as it is sorted: by every call, failing at once and in its
//! completion.

use bytes::Bytes;

use super::{
    super::{Called, operations::End, socket::address},
    bench::{Bench, Events},
};
use crate::{
    Direction, Event, Interest, Sending,
    errors::{Action, is_cancelled},
    sys::{
        Entry as _,
        iocp::{
            entry::Entry,
            errors::{self, Call, classify},
            inner::ATTEMPTS,
        },
    },
};

const CALLS: [(Call, Direction); 5] = [
    (Call::Accept, Direction::Inward),
    (Call::Connect, Direction::Outward),
    (Call::Receive, Direction::Inward),
    (Call::Send, Direction::Outward),
    (Call::Probe, Direction::Inward),
];

/// Starts an operation. Gives the event it ended with, if it did within the call.
fn start(entry: &Entry, call: Call) -> Option<Event> {
    match call {
        Call::Accept => entry.accept().unwrap(),
        Call::Connect => entry.connect(&address(7)).unwrap(),
        Call::Receive => entry.receive(None).unwrap(),
        Call::Probe => entry.probe(Interest { readable: true, writable: false }).unwrap(),
        Call::Send => match entry.send(vec![Bytes::from_static(b"sent")]) {
            Sending::Pending => {}
            Sending::Done { buffers, sent, result } => {
                return Some(Event::Sent { buffers, sent, result });
            }
        },
        Call::Dequeue => unreachable!("not an operation"),
    }
    None
}

fn error(event: &Event) -> Option<&std::io::Error> {
    match event {
        Event::Accepted(result) => result.as_ref().err(),
        Event::Connected(result) => result.as_ref().err(),
        Event::Received(result) => result.as_ref().err(),
        Event::Sent { result, .. } => result.as_ref().err(),
        Event::Ready(result) => result.as_ref().err(),
        other => panic!("unexpected: {other:?}"),
    }
}

/// The event that ended it, within the call or in a turn.
fn ended(bench: &Bench, events: &Events, within: Option<Event>) -> Event {
    within.unwrap_or_else(|| {
        bench.turn();
        events.one()
    })
}

/// The table's codes, and one that it does not know; some of them where time passes slowly.
fn codes() -> impl Iterator<Item = u32> {
    let each = if cfg!(miri) { 40 } else { 1 };
    errors::codes().into_iter().step_by(each).chain([12_345])
}

/// What can be an error.
fn failures() -> Vec<u32> {
    codes().filter(|code| ![0, errors::IO_PENDING].contains(code)).collect()
}

#[test]
fn every_code_is_carried_out_when_a_call_fails_at_once() {
    for code in failures() {
        for (call, direction) in CALLS {
            let bench = Bench::new();
            let (entry, events) = bench.entry();
            bench.model.script([Called::Failed(code), Called::Pending]);
            let within = start(&entry, call);
            if classify(call, code) == Action::Retry {
                assert!(within.is_none(), "{code} ended {call:?}");
                bench.turn();
                assert!(bench.has(&entry, direction), "{call:?} is not tried again after {code}");
                // All that the call could give.
                let most = if call == Call::Probe { 0 } else { 4 };
                assert!(bench.model.finish(End::Success(most)));
                bench.turn();
                assert!(error(&events.one()).is_none(), "{call:?} after {code}");
            } else {
                let event = ended(&bench, &events, within);
                let told = error(&event).and_then(std::io::Error::raw_os_error);
                assert_eq!(told, errors::to_io(code).raw_os_error(), "{call:?}: {code}");
            }
            drop(entry);
            bench.end();
        }
    }
}

#[test]
fn every_code_is_carried_out_when_it_comes_with_a_completion() {
    for code in failures() {
        for (call, direction) in CALLS {
            for cancelled in [false, true] {
                let bench = Bench::new();
                let (entry, events) = bench.entry();
                bench.model.script([Called::Pending, Called::Pending]);
                assert!(start(&entry, call).is_none());
                if cancelled {
                    // As if the kernel had not found it.
                    entry.0.operation(direction).slot.cancel();
                }
                assert!(bench.model.finish(End::Failure(code, 0)));
                bench.turn();
                let again = classify(call, code) == Action::Retry;
                match events.take().as_slice() {
                    [event] if cancelled && (again || errors::is_abort(code)) => {
                        assert!(error(event).is_some_and(is_cancelled), "{call:?}: {code}");
                    }
                    [event] if !again => {
                        let told = error(event).and_then(std::io::Error::raw_os_error);
                        assert_eq!(told, errors::to_io(code).raw_os_error(), "{call:?}: {code}");
                    }
                    [] if again && !cancelled => {
                        assert!(bench.has(&entry, direction), "{call:?} is lost after {code}");
                    }
                    events => panic!("{call:?} after {code}, cancelled: {cancelled}: {events:?}"),
                }
                drop(entry);
                bench.turn();
                bench.end();
            }
        }
    }
}

/// Whatever the system calls it, it is the end of the operation, told once, and the next may begin.
#[test]
fn a_peer_that_does_not_answer_ends_the_operation_as_timed_out() {
    // ERROR_SEM_TIMEOUT, ERROR_TIMEOUT, WSAETIMEDOUT.
    for code in [121, 1460, 10_060] {
        for call in [Call::Connect, Call::Receive, Call::Send] {
            let bench = Bench::new();
            let (entry, events) = bench.entry();
            bench.model.script([Called::Pending]);
            assert!(start(&entry, call).is_none());
            // What a send has got rid of by then is told, too.
            let went = if call == Call::Send { 2 } else { 0 };
            assert!(bench.model.finish(End::Failure(code, went)));
            bench.turn();
            let event = events.one();
            let told = error(&event).and_then(std::io::Error::raw_os_error);
            assert_eq!(told, Some(10_060), "{call:?}: {code}");
            if let Event::Sent { sent, .. } = event {
                assert_eq!(sent, 2, "{code}");
            }
            bench.turn();
            assert!(events.take().is_empty(), "{call:?} is told more than once of {code}");
            bench.model.script([Called::Pending]);
            assert!(start(&entry, call).is_none(), "{call:?} after {code}");
            drop(entry);
            bench.turn();
            bench.end();
        }
    }
}

#[test]
fn what_is_tried_again_in_vain_ends() {
    for code in failures() {
        for (call, _) in CALLS {
            if classify(call, code) != Action::Retry {
                continue;
            }
            let bench = Bench::new();
            let (entry, events) = bench.entry();
            let attempts = 1 + usize::from(ATTEMPTS);
            bench.model.script([Called::Failed(code)].repeat(attempts));
            let within = start(&entry, call);
            let event = ended(&bench, &events, within);
            let told = error(&event).and_then(std::io::Error::raw_os_error);
            assert_eq!(told, errors::to_io(code).raw_os_error(), "{call:?}: {code}");
            drop(entry);
            bench.end();
        }
    }
}

/// Packets that say no more than that a thread ended count for nothing, however many there are.
#[test]
fn what_is_aborted_by_others_is_tried_again_for_ever() {
    for (call, direction) in CALLS {
        if call == Call::Connect {
            continue;
        }
        let bench = Bench::new();
        let (entry, events) = bench.entry();
        let many = if cfg!(miri) { 1 } else { 3 } * usize::from(ATTEMPTS);
        bench.model.script(vec![Called::Pending; many + 1]);
        assert!(start(&entry, call).is_none());
        for _ in 0..many {
            assert!(bench.model.finish(End::Failure(995, 0)));
            bench.turn();
            assert!(events.take().is_empty());
        }
        assert!(bench.has(&entry, direction));
        drop(entry);
        bench.turn();
        bench.end();
    }
}

#[test]
fn a_wait_that_fails_is_told_and_loses_nothing() {
    for code in codes() {
        let bench = Bench::new();
        let (entry, events) = bench.entry();
        entry.receive(None).unwrap();
        assert!(bench.model.finish(End::Success(3)));
        bench.model.fail_dequeue(code);
        let turn = crate::sys::Backend::turn(&bench.port, Some(std::time::Duration::ZERO));
        if classify(Call::Dequeue, code) == Action::Ignore {
            turn.unwrap();
        } else {
            let told = turn.unwrap_err().raw_os_error();
            assert_eq!(told, errors::to_io(code).raw_os_error(), "{code}");
        }
        assert!(events.take().is_empty());
        bench.turn();
        assert!(matches!(events.one(), Event::Received(Ok(bytes)) if bytes.len() == 3));
        drop(entry);
        bench.end();
    }
}
