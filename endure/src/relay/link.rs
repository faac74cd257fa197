//! One link: who connects to it is connected to its target, until the connection is cut.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use socket2::Socket;
use std::net::Shutdown;

use super::{
    Troubles,
    cut::{Manner, Plan},
    stream,
};
use crate::stamp::mix;

/// So much is read at once.
const CHUNK: usize = 128 * 1024;
/// The threads of a relay need little.
const STACK: usize = 128 * 1024;

/// A relay, from its endpoint to that of a bound socket.
#[derive(Debug)]
pub(crate) struct Relay {
    shared: Arc<Shared>,
    endpoint: String,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<String>,
    troubles: Arc<Troubles>,
    mean: u64,
    seed: u64,
    over: AtomicBool,
}

impl Relay {
    /// Begins to relay. `path`, if given, is one for a Unix domain socket.
    pub(crate) fn start(
        path: Option<&str>,
        target: &str,
        seed: u64,
        mean: u64,
    ) -> Result<Self, String> {
        let (listener, endpoint) = stream::listen(path, target)
            .map_err(|error| format!("the relay cannot listen: {error}"))?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target.to_owned()),
            troubles: Arc::default(),
            mean,
            seed,
            over: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        spawn(move || accepting.accept(&listener))?;
        Ok(Self { shared, endpoint })
    }

    /// Where to connect to.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn troubles(&self) -> &Arc<Troubles> {
        &self.shared.troubles
    }

    /// Where connections to come lead.
    pub(crate) fn set_target(&self, target: &str) {
        target.clone_into(&mut self.shared.target.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Cuts nothing from now on, once those that are being cut are.
    pub(crate) fn calm(&self) {
        let troubles = self.troubles();
        troubles.calm.store(true, Ordering::SeqCst);
        while troubles.cutting.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Cuts again.
    pub(crate) fn disturb(&self) {
        self.troubles().calm.store(false, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes whoever accepts.
        let _ = stream::connect(&self.endpoint);
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let builder = thread::Builder::new().name("relay".to_owned()).stack_size(STACK);
    builder.spawn(work).map(drop).map_err(|error| format!("no thread for the relay: {error}"))
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &Socket) {
        for number in 0_u64.. {
            let Ok((near, _)) = listener.accept() else { return };
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let mut random = Rng::with_seed(mix(self.seed ^ mix(number)));
            let plan = Plan::draw(&mut random, self.mean);
            let target = self.target.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Without a target the connection just ends.
            let Ok(far) = stream::connect(&target) else { continue };
            if stream::prepare(&near).is_err() {
                continue;
            }
            let connection = Arc::new(Connection {
                number,
                near,
                far,
                passed: AtomicU64::new(0),
                after: AtomicU64::new(plan.after),
                chance: Mutex::new((random, plan.manner)),
                stalled: AtomicBool::new(false),
                shut: Default::default(),
                ended: AtomicBool::new(false),
                shared: self.clone(),
            });
            let back = connection.clone();
            let _ = spawn(move || connection.pump(true));
            let _ = spawn(move || back.pump(false));
        }
    }
}

struct Connection {
    number: u64,
    near: Socket,
    far: Socket,
    /// How many bytes have passed, both ways.
    passed: AtomicU64,
    /// After how many of them it is cut.
    after: AtomicU64,
    /// What the next cut is like, and where the one after it comes from.
    chance: Mutex<(Rng, Manner)>,
    stalled: AtomicBool,
    shut: [AtomicBool; 2],
    ended: AtomicBool,
    shared: Arc<Shared>,
}

impl Connection {
    fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst) || self.shared.over.load(Ordering::SeqCst)
    }

    /// Passes bytes on in one direction, until the connection ends.
    fn pump(self: Arc<Self>, forward: bool) {
        let (from, to) = if forward { (&self.near, &self.far) } else { (&self.far, &self.near) };
        let mut buffer = vec![0; CHUNK];
        while !self.is_over() && !self.shut(forward).load(Ordering::SeqCst) {
            let count = match (&mut &*from).read(&mut buffer) {
                Ok(0) => {
                    // The other direction may go on.
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(count) => count,
                Err(error) if stream::is_patience(&error) => continue,
                Err(_) => return self.end(true),
            };
            while self.stalled.load(Ordering::SeqCst) && !self.is_over() {
                thread::sleep(Duration::from_micros(200));
            }
            let after = self.after.load(Ordering::SeqCst);
            let before = self.passed.fetch_add(count as u64, Ordering::SeqCst);
            if before + (count as u64) < after || !self.begin_cut() {
                let shut = || self.shut(forward).load(Ordering::SeqCst);
                if !self.write(to, &buffer[..count]) && !shut() {
                    return self.end(true);
                }
                continue;
            }
            // The first whose bytes reach so far cuts.
            let mut done = 0;
            if self.after.swap(u64::MAX, Ordering::SeqCst) != u64::MAX {
                done = (after.saturating_sub(before) as usize).min(count);
                if self.write(to, &buffer[..done]) {
                    self.cut(forward, after);
                } else {
                    self.end(true);
                }
            }
            self.shared.troubles.cutting.fetch_sub(1, Ordering::SeqCst);
            let goes_on = !self.is_over() && !self.shut(forward).load(Ordering::SeqCst);
            if goes_on && !self.write(to, &buffer[done..count]) {
                self.end(true);
            }
        }
    }

    /// Whether cutting is allowed; then, it is waited for.
    fn begin_cut(&self) -> bool {
        let troubles = &self.shared.troubles;
        troubles.cutting.fetch_add(1, Ordering::SeqCst);
        let allowed = !troubles.calm.load(Ordering::SeqCst);
        if !allowed {
            troubles.cutting.fetch_sub(1, Ordering::SeqCst);
        }
        allowed
    }

    fn cut(self: &Arc<Self>, forward: bool, after: u64) {
        let troubles = &self.shared.troubles;
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let manner = chance.1;
        if let Manner::Stall(time) = manner {
            troubles.stalls.fetch_add(1, Ordering::Relaxed);
            self.stall(time);
            let next = Plan::draw(&mut chance.0, self.shared.mean);
            chance.1 = next.manner;
            self.after.store(after.saturating_add(next.after), Ordering::SeqCst);
            return;
        }
        drop(chance);
        let way = if forward { "towards the bound end" } else { "towards the connecting end" };
        let number = self.number;
        troubles
            .cut(|| format!("connection {number}, after byte {after}, which went {way}: {manner}"));
        match manner {
            Manner::Close => self.end(false),
            Manner::Reset => self.end(true),
            Manner::HalfClose { near, time } => self.half_close(near, time),
            Manner::OneFirst { near, reset, then } => {
                end(if near { &self.near } else { &self.far }, reset);
                thread::sleep(then);
                self.end(reset);
            }
            Manner::StallAndReset(time) => {
                self.stall(time);
                self.end(true);
            }
            Manner::Stall(_) => {}
        }
    }

    fn half_close(self: &Arc<Self>, near: bool, time: Duration) {
        self.shut(!near).store(true, Ordering::SeqCst);
        let end = if near { &self.near } else { &self.far };
        let _ = end.shutdown(Shutdown::Write);
        // The cut lasts until all is closed.
        let me = self.clone();
        me.shared.troubles.cutting.fetch_add(1, Ordering::SeqCst);
        let spawned = spawn(move || {
            thread::sleep(time);
            me.end(false);
            me.shared.troubles.cutting.fetch_sub(1, Ordering::SeqCst);
        });
        if spawned.is_err() {
            self.end(false);
            self.shared.troubles.cutting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Whether a direction is closed, and the other not.
    fn shut(&self, forward: bool) -> &AtomicBool {
        &self.shut[usize::from(forward)]
    }

    fn stall(&self, time: Duration) {
        self.stalled.store(true, Ordering::SeqCst);
        thread::sleep(time);
        self.stalled.store(false, Ordering::SeqCst);
    }

    /// Ends both streams; those who pump notice soon.
    fn end(&self, reset: bool) {
        if !self.ended.swap(true, Ordering::SeqCst) {
            end(&self.near, reset);
            end(&self.far, reset);
        }
    }

    /// Writes all; false if that cannot be.
    fn write(&self, mut to: &Socket, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if stream::is_patience(&error) && !self.is_over() => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Ends a stream, or prepares that closing it resets it.
fn end(stream: &Socket, reset: bool) {
    let how = if reset && cfg!(unix) && reset_on_close(stream).is_ok() {
        // Wakes who reads, and tells the peer nothing.
        Shutdown::Read
    } else {
        Shutdown::Both
    };
    let _ = stream.shutdown(how);
}

fn reset_on_close(stream: &Socket) -> io::Result<()> {
    stream.set_linger(Some(Duration::ZERO))
}
