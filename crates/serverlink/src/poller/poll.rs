//! One wait for a list of sockets and descriptors.

#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(windows)]
use std::os::windows::io::AsSocket;
use std::{
    cell::RefCell,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(unix)]
use serverlink_io::SignalMask;
use serverlink_io::{Condition, Descriptor, look_at};

use super::{Events, Poller, Signal, item::events_of, shared::Shared};
use crate::{Error, Result, Socket};

/// Something to wait for with [`poll`].
#[derive(Debug)]
pub struct PollItem<'a> {
    source: Source<'a>,
    interest: Events,
    ready: Events,
}

#[derive(Debug)]
enum Source<'a> {
    Socket(&'a Socket),
    Descriptor(Descriptor<'a>),
}

impl<'a> PollItem<'a> {
    /// A socket, and what to wait for.
    #[must_use]
    pub fn socket(socket: &'a Socket, interest: Events) -> Self {
        Self { source: Source::Socket(socket), interest, ready: Events::NONE }
    }

    /// A descriptor of the system's, and what to wait for.
    #[cfg(unix)]
    #[must_use]
    pub fn descriptor(descriptor: &'a impl AsFd, interest: Events) -> Self {
        let source = Source::Descriptor(Descriptor::new(descriptor, condition_of(interest)));
        Self { source, interest, ready: Events::NONE }
    }

    /// A socket of the system's, and what to wait for.
    #[cfg(windows)]
    #[must_use]
    pub fn descriptor(socket: &'a impl AsSocket, interest: Events) -> Self {
        let source = Source::Descriptor(Descriptor::new(socket, condition_of(interest)));
        Self { source, interest, ready: Events::NONE }
    }

    /// What it was ready for when the last call returned.
    #[must_use]
    pub fn ready(&self) -> Events {
        self.ready
    }
}

fn condition_of(events: Events) -> Condition {
    let mut condition = Condition::default();
    condition.readable = events.contains(Events::IN);
    condition.writable = events.contains(Events::OUT);
    condition.urgent = events.contains(Events::PRI);
    condition
}

/// Waits until one of `items` is ready, at most `timeout` (for ever if `None`); returns how many are
/// (`zmq_poll`). What each is ready for, it [tells](PollItem::ready) then. With a time-out of zero it
/// only looks.
///
/// It is level-triggered, like a [`Poller`], which costs less where the same things are waited for
/// again and again. If there are only sockets, the thread serves their connections itself meanwhile;
/// if there are descriptors, it waits in the system's own poll.
///
/// # Errors
///
/// [`Error::Terminated`] if the context of one of the sockets is; [`Error::Io`] if the system cannot
/// wait. A descriptor's failure is told as [`Events::ERR`].
///
/// ```
/// use std::time::Duration;
///
/// use serverlink::{Context, Events, PollItem, SocketType, poll};
///
/// let context = Context::new()?;
/// let pull = context.socket(SocketType::Pull)?;
/// let push = context.socket(SocketType::Push)?;
/// push.connect(&pull.bind("tcp://127.0.0.1:*")?)?;
/// push.send("hello")?;
///
/// let mut items = [PollItem::socket(&pull, Events::IN), PollItem::socket(&push, Events::IN)];
/// assert_eq!(poll(&mut items, Some(Duration::from_secs(10)))?, 1);
/// assert_eq!(items[0].ready(), Events::IN);
/// assert!(items[1].ready().is_empty(), "a PUSH receives nothing");
/// # Ok::<(), serverlink::Error>(())
/// ```
pub fn poll(items: &mut [PollItem<'_>], timeout: Option<Duration>) -> Result<usize> {
    let deadline = deadline(timeout);
    if let found @ 1.. = look(items)? {
        return Ok(told(items, found));
    }
    if timeout == Some(Duration::ZERO) {
        return Ok(told(items, 0));
    }
    if descriptors(items).next().is_some() {
        return wait_in_system(items, deadline, look_at);
    }
    let poller = Poller::new();
    add_sockets(&poller, items)?;
    let mut events = Vec::new();
    loop {
        events.clear();
        poller.shared.wait(&mut events, deadline);
        // Another thread may have received what there was.
        let found = look(items)?;
        if found > 0 || is_over(deadline) {
            return Ok(told(items, found));
        }
    }
}

/// The same, with other signals blocked during the wait (`zmq_ppoll`).
///
/// The kernel changes the mask and waits in one step, as in ppoll(2): block a signal in all threads,
/// and let `mask` not block it; it then ends the wait, whether it comes during or before it, and
/// interrupts nothing else. Where there is no ppoll(2), as on macOS, pselect(2) does the same, and
/// descriptors from 1024 on are refused.
///
/// # Errors
///
/// [`Error::Interrupted`] if a signal handler ran; those of [`poll`].
#[cfg(unix)]
pub fn poll_with_signals(
    items: &mut [PollItem<'_>],
    timeout: Option<Duration>,
    mask: &SignalMask,
) -> Result<usize> {
    let deadline = deadline(timeout);
    if let found @ 1.. = look(items)? {
        return Ok(told(items, found));
    }
    // Also with a time-out of zero: a signal that is pending is to be told of.
    wait_in_system(items, deadline, |list, left| {
        serverlink_io::look_at_with_signals(list, left, mask)
    })
}

/// Notes what each item is ready for; returns how many are.
fn look(items: &mut [PollItem<'_>]) -> Result<usize> {
    let mut list: Vec<_> = descriptors(items).cloned().collect();
    if !list.is_empty() {
        look_at(&mut list, Some(Duration::ZERO)).map_err(waiting_failed)?;
    }
    let mut list = list.into_iter();
    let mut found = 0;
    for item in items.iter_mut() {
        item.ready = match &item.source {
            Source::Socket(socket) => match socket.inner.look_for(item.interest) {
                events if events.contains(Events::ERR) => return Err(Error::Terminated),
                events => events,
            },
            Source::Descriptor(_) => {
                list.next().map_or(Events::NONE, |descriptor| events_of(descriptor.found()))
            }
        };
        found += usize::from(!item.ready.is_empty());
    }
    Ok(found)
}

/// What is found is told. If it is no message, whoever looks again and again is not to wait for pauses of
/// the I/O thread.
fn told(items: &[PollItem<'_>], found: usize) -> usize {
    let sockets = || {
        items.iter().filter_map(|item| match &item.source {
            Source::Socket(socket) => Some((&socket.inner, item.ready)),
            Source::Descriptor(_) => None,
        })
    };
    if !sockets().any(|(_, ready)| ready.contains(Events::IN)) {
        sockets().for_each(|(socket, _)| socket.look_was_in_vain());
    }
    found
}

/// Waits in the system's poll for the descriptors, and for a signal that the sockets set.
fn wait_in_system(
    items: &mut [PollItem<'_>],
    deadline: Option<Instant>,
    mut wait: impl FnMut(&mut [Descriptor<'_>], Option<Duration>) -> io::Result<usize>,
) -> Result<usize> {
    let alarm = alarm()?;
    let poller = Poller { shared: Shared::with_alarm(alarm.clone()) };
    add_sockets(&poller, items)?;
    let mut events = Vec::new();
    // The first look sets it by itself.
    poller.shared.look(&mut events);
    loop {
        // Before the look, so that it is set by what changes after.
        alarm.set(false);
        events.clear();
        poller.shared.look(&mut events);
        let over = is_over(deadline);
        let left = match deadline {
            _ if !events.is_empty() => Some(Duration::ZERO),
            Some(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            None => None,
        };
        let mut list = vec![Descriptor::new(&*alarm, condition_of(Events::IN))];
        list.extend(descriptors(items).cloned());
        let hurry = poller.shared.hurry();
        wait(&mut list, left).map_err(waiting_failed)?;
        drop(hurry);
        let found = look(items)?;
        if found > 0 || over {
            return Ok(told(items, found));
        }
    }
}

fn descriptors<'a, 'b>(items: &'b [PollItem<'a>]) -> impl Iterator<Item = &'b Descriptor<'a>> {
    items.iter().filter_map(|item| match &item.source {
        Source::Descriptor(descriptor) => Some(descriptor),
        Source::Socket(_) => None,
    })
}

/// The signal of this thread's waits.
fn alarm() -> Result<Arc<Signal>> {
    thread_local!(static ALARM: RefCell<Option<Arc<Signal>>> = const { RefCell::new(None) });
    ALARM.with_borrow_mut(|alarm| match alarm {
        Some(alarm) => Ok(alarm.clone()),
        None => {
            let fresh = Signal::new().map_err(Error::io("opening an event descriptor"))?;
            Ok(alarm.insert(Arc::new(fresh)).clone())
        }
    })
}

fn add_sockets(poller: &Poller, items: &[PollItem<'_>]) -> Result<()> {
    for (token, item) in (0..).zip(items) {
        if let Source::Socket(socket) = item.source {
            poller.shared.add_socket(&socket.inner, token, item.interest)?;
        }
    }
    Ok(())
}

fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

fn waiting_failed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::Interrupted => Error::Interrupted,
        _ => Error::io("waiting for descriptors")(error),
    }
}
