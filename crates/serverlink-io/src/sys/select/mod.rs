//! The poller of every platform: select(2).
//!
//! It is level-triggered and goes through all descriptors that something waits
//! for, each time: the baseline the others are measured against, and the
//! fallback where there is none. The sets have no fixed size, so neither has
//! the number of descriptors.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

#[cfg(unix)]
use self::unix::{Sets, TIMER_GRAIN, Waker, check};
#[cfg(windows)]
use self::windows::{Sets, TIMER_GRAIN, Waker, check};
use super::{
    RawDescriptor,
    readiness::{Live, Poller, Ready, Token, Want},
};
use crate::{Interest, lock::lock};

/// After so many failures in a row, of which no descriptor was found to be the cause, waiting is
/// given up.
const FAILURES: u32 = 100;
const ANY: Interest = Interest { readable: true, writable: true };

#[derive(Debug)]
pub(super) struct Select {
    registered: Mutex<HashMap<Token, Registered>>,
    /// Used by the one thread that waits.
    wait: Mutex<Wait>,
    /// While it does, what is to be closed afterwards: what select(2) does about a descriptor that is
    /// closed under it is unspecified, and Wine's server (8.0) fails an assertion.
    leaving: Mutex<Option<Vec<Arc<Live>>>>,
    waker: Waker,
}

/// A descriptor and what is waited for on it.
#[derive(Debug, Clone, Copy)]
struct Registered {
    descriptor: RawDescriptor,
    read: bool,
    /// [`Want::Write`] or [`Want::Connect`].
    write: Option<Want>,
}

impl Registered {
    fn is_idle(&self) -> bool {
        !self.read && self.write.is_none()
    }
}

#[derive(Debug, Default)]
struct Wait {
    /// Those in the sets, as they were when the wait began.
    members: Vec<(Token, Registered)>,
    sets: Sets,
    /// How many calls have failed since the last that did not.
    failures: u32,
}

impl Select {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            registered: Mutex::default(),
            wait: Mutex::default(),
            leaving: Mutex::default(),
            waker: Waker::new()?,
        })
    }

    /// Waits, with nothing in the sets that we would close meanwhile.
    fn wait_for(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let Wait { members, sets, failures } = &mut *lock(&self.wait);
        members.clear();
        members.extend(
            lock(&self.registered)
                .iter()
                .filter(|(_, registered)| !registered.is_idle())
                .map(|(token, registered)| (*token, *registered)),
        );
        sets.clear();
        sets.add(self.waker.descriptor(), true, None);
        for (_, registered) in &*members {
            sets.add(registered.descriptor, registered.read, registered.write);
        }
        match sets.select(timeout) {
            Ok(()) => *failures = 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => {
                // Closed by its owner against the rules: the call that is served finds out. Which
                // error this is differs between systems.
                ready.extend(
                    members
                        .iter()
                        .filter(|(_, registered)| check(registered.descriptor, ANY).is_err())
                        .map(|(token, _)| Ready {
                            token: *token,
                            readable: true,
                            writable: true,
                            hangup: true,
                        }),
                );
                *failures += 1;
                return if *failures < FAILURES { Ok(()) } else { Err(error) };
            }
        }
        if sets.is_readable(self.waker.descriptor()) {
            self.waker.drain();
        }
        ready.extend(members.iter().filter_map(|(token, registered)| {
            let readable = registered.read && sets.is_readable(registered.descriptor);
            let writable = registered.write.is_some() && sets.is_writable(registered.descriptor);
            (readable || writable).then_some(Ready {
                token: *token,
                readable,
                writable,
                hangup: false,
            })
        }));
        Ok(())
    }
}

impl Poller for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn add(&self, descriptor: RawDescriptor, token: Token) -> io::Result<()> {
        lock(&self.registered).insert(token, Registered { descriptor, read: false, write: None });
        Ok(())
    }

    fn remove(&self, _descriptor: RawDescriptor, token: Token) {
        lock(&self.registered).remove(&token);
    }

    fn release(&self, live: Arc<Live>) -> bool {
        // Removed before, it is in no sets made later.
        match &mut *lock(&self.leaving) {
            Some(leaving) => leaving.push(live),
            None => return false,
        }
        true
    }

    fn want(&self, token: Token, what: Want, wanted: bool) -> bool {
        let mut registered = lock(&self.registered);
        let Some(entry) = registered.get_mut(&token) else { return false };
        match what {
            Want::Read => entry.read = wanted,
            Want::Write | Want::Connect => entry.write = wanted.then_some(what),
        }
        wanted
    }

    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        *lock(&self.leaving) = Some(Vec::new());
        let waited = self.wait_for(timeout, ready);
        // With no lock held: a handler's own end may call back.
        let left = lock(&self.leaving).take();
        drop(left);
        waited
    }

    fn timer_grain(&self) -> Duration {
        TIMER_GRAIN
    }

    fn wake(&self) {
        self.waker.wake();
    }

    fn check(&self, descriptor: RawDescriptor, interest: Interest) -> io::Result<Interest> {
        check(descriptor, interest)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{Event, Handler, sys::readiness::source::Source};

    struct Nobody;

    impl Handler for Nobody {
        fn complete(&self, _: Event) {}
    }

    /// Calls back when it is let go of.
    struct Parting(Arc<Select>);

    impl Handler for Parting {
        fn complete(&self, _: Event) {}
    }

    impl Drop for Parting {
        fn drop(&mut self) {
            let source = Source::Watched(self.0.waker.descriptor());
            self.0.release(Arc::new(Live { source, handler: Arc::new(Nobody) }));
        }
    }

    #[test]
    fn what_leaves_during_a_wait_is_kept_until_its_end() {
        let select = Select::new().expect("it starts");
        let handler = Arc::new(Nobody);
        let live = || {
            let source = Source::Watched(select.waker.descriptor());
            Arc::new(Live { source, handler: handler.clone() })
        };
        assert!(!select.release(live()), "nobody waits");
        assert_eq!(Arc::strong_count(&handler), 1);
        let meanwhile = thread::scope(|scope| {
            let waiter = scope.spawn(|| select.wait(None, &mut Vec::new()).expect("it waits"));
            while !select.release(live()) {
                thread::yield_now();
            }
            let count = Arc::strong_count(&handler);
            select.wake();
            // Under Wine (8.0) a process may crash that ends while a thread of it does.
            waiter.join().expect("no panic");
            count
        });
        assert_eq!(meanwhile, 2);
        assert_eq!(Arc::strong_count(&handler), 1);
    }

    #[test]
    fn who_leaves_at_the_end_of_a_wait_may_call_back() {
        let select = Arc::new(Select::new().expect("it starts"));
        let handler = Arc::new(Parting(Arc::clone(&select)));
        let mut handler = Some(handler);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| select.wait(None, &mut Vec::new()).expect("it waits"));
            while let Some(parting) = handler.take() {
                let source = Source::Watched(select.waker.descriptor());
                let live = Arc::new(Live { source, handler: parting.clone() });
                if !select.release(live) {
                    handler = Some(parting);
                    thread::yield_now();
                }
            }
            select.wake();
            waiter.join().expect("it does not wait for itself");
        });
        assert_eq!(Arc::strong_count(&select), 1, "all have left");
    }
}
