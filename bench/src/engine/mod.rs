//! The engine alone, beside others of its kind: what an event loop does, without any messaging.
//!
//! The loop runs on one thread. At the other end of its connections is a thread with plain blocking
//! sockets, the same for all.

mod compio;
mod mio;
mod plain;
mod polling;
mod serverlink;
mod tokio;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    case::{Case, EngineTask, Metric},
    child::{insist, spawn},
    failure::{Failure, Result},
    implementation::Implementation,
    measurement::{Figures, Plan, Stopwatch, histogram, quantiles, record},
    payload::{Mark, Payload, check},
};

/// Timers expire within this time after a head start for setting them.
const TIMERS_WITHIN: Duration = Duration::from_millis(200);
const HEAD_START: Duration = Duration::from_millis(100);

/// An event loop.
trait Engine {
    /// Accepts so many connections and sends back what they bring, until all have ended.
    fn echo(listener: TcpListener, connections: usize) -> Result<()>;

    /// Tells how to wake the loop, and then answers whenever it is woken, as long as it is to.
    fn wakes(tell: impl FnOnce(Wake) -> Result<()>, answers: Arc<Answers>) -> Result<()>;
}

/// An event loop with timers.
trait Timers: Engine {
    /// Sets timers that expire so long after the start, and waits for them all; returns how late
    /// they were.
    fn timers(start: Instant, delays: &[Duration]) -> Result<Histogram<u64>>;
}

/// Wakes a loop.
type Wake = Box<dyn Fn() + Send>;

/// Measures what an implementation has an engine for.
pub(crate) fn measure(
    case: &Case,
    task: EngineTask,
    plan: &Plan,
    implementation: Implementation,
) -> Result<Figures> {
    match implementation {
        Implementation::Serverlink => with_timers::<serverlink::Port>(case, task, plan),
        Implementation::Tokio => with_timers::<tokio::Tokio>(case, task, plan),
        Implementation::Compio => with_timers::<compio::Compio>(case, task, plan),
        Implementation::Floor => with_timers::<plain::Plain>(case, task, plan),
        Implementation::Mio => without_timers::<mio::Mio>(case, task, plan),
        Implementation::Polling => without_timers::<polling::Polling>(case, task, plan),
        Implementation::Libzmq | Implementation::Zeromq | Implementation::Rzmq => {
            Err(Failure::new("it is no engine"))
        }
    }
}

fn with_timers<E: Timers>(case: &Case, task: EngineTask, plan: &Plan) -> Result<Figures> {
    match task {
        EngineTask::Timers { count } => timers::<E>(plan.timers(count)),
        _ => without_timers::<E>(case, task, plan),
    }
}

fn without_timers<E: Engine>(case: &Case, task: EngineTask, plan: &Plan) -> Result<Figures> {
    match task {
        EngineTask::Echo { connections } => echo::<E>(case, plan, connections),
        EngineTask::Wakes => wakes::<E>(plan),
        EngineTask::Timers { .. } => Err(Failure::new("it has no timers")),
    }
}

/// Round trips over so many connections, each of which always has one under way.
fn echo<E: Engine>(case: &Case, plan: &Plan, connections: usize) -> Result<Figures> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let serving = spawn(scope, || {
            plan.cores.place_end(1)?;
            E::echo(listener, connections)
        });
        plan.cores.place_end(0)?;
        let figures = insist(ask(address, case.size, plan, connections));
        serving();
        Ok(figures)
    })
}

fn ask(address: SocketAddr, size: usize, plan: &Plan, connections: usize) -> Result<Figures> {
    let payload = Payload::new(size, Mark::Ordinary);
    let mut reply = vec![0; size];
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // When it has an answer, it does not wait to be accepted any more.
        stream.write_all(payload.bytes())?;
        stream.read_exact(&mut reply)?;
        streams.push(stream);
    }
    let mut asked = Vec::with_capacity(connections);
    for stream in &mut streams {
        asked.push(Instant::now());
        stream.write_all(payload.bytes())?;
    }
    let mut times = histogram()?;
    let mut round = |times: &mut Histogram<u64>| -> Result<Instant> {
        let mut now = Instant::now();
        for (stream, asked) in streams.iter_mut().zip(&mut asked) {
            stream.read_exact(&mut reply)?;
            check(&reply, size)?;
            now = Instant::now();
            record(times, now - *asked);
            *asked = now;
            stream.write_all(payload.bytes())?;
        }
        Ok(now)
    };
    let warm = Instant::now() + plan.warm_up;
    while round(&mut times)? < warm {}
    times.reset();
    let stopwatch = Stopwatch::start()?;
    let end = Instant::now() + plan.window;
    while round(&mut times)? < end {}
    let mut figures = stopwatch.stop(times.len())?;
    quantiles(&times, &mut figures);
    if let Some(rate) = figures.remove(&Metric::Throughput) {
        figures.insert(Metric::Requests, rate);
    }
    for stream in &mut streams {
        stream.read_exact(&mut reply)?;
    }
    Ok(figures)
}

fn timers<E: Timers>(count: usize) -> Result<Figures> {
    // Scattered, and the same each time: Knuth's multiplicative hash.
    let scattered = |index: usize| (index as u32).wrapping_mul(2_654_435_761);
    let delays: Vec<Duration> = (0..count)
        .map(|index| {
            HEAD_START + TIMERS_WITHIN.mul_f64(f64::from(scattered(index)) / f64::from(u32::MAX))
        })
        .collect();
    let stopwatch = Stopwatch::start()?;
    let late = E::timers(Instant::now(), &delays)?;
    let mut figures = stopwatch.stop(count as u64)?;
    if late.len() != count as u64 {
        return Err(Failure::new(format!("{count} timers were set, and {} expired", late.len())));
    }
    quantiles(&late, &mut figures);
    Ok(figures)
}

/// Round trips between a thread that wakes the loop and the loop.
fn wakes<E: Engine>(plan: &Plan) -> Result<Figures> {
    let answers = Arc::new(Answers {
        count: AtomicU64::new(0),
        enough: AtomicBool::new(false),
        asking: thread::current(),
    });
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let theirs = answers.clone();
        let looping = spawn(scope, move || {
            plan.cores.place_end(1)?;
            E::wakes(|wake| Ok(tell.send(wake)?), theirs)
        });
        plan.cores.place_end(0)?;
        let wake = told.recv()?;
        let mut times = histogram()?;
        let warm = Instant::now() + plan.warm_up;
        while answers.ask(&wake)? < warm {}
        let stopwatch = Stopwatch::start()?;
        let mut now = Instant::now();
        let end = now + plan.window;
        while now < end {
            let then = now;
            now = answers.ask(&wake)?;
            record(&mut times, now - then);
        }
        let mut figures = stopwatch.stop(times.len())?;
        quantiles(&times, &mut figures);
        answers.enough.store(true, Ordering::Release);
        wake();
        looping();
        Ok(figures)
    })
}

/// What a loop answers to the thread that wakes it.
struct Answers {
    count: AtomicU64,
    enough: AtomicBool,
    asking: Thread,
}

impl Answers {
    /// Answers once, on the loop's thread; false if it was the last time.
    fn answer(&self) -> bool {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.asking.unpark();
        !self.enough.load(Ordering::Acquire)
    }

    /// Wakes the loop and waits for its answer; returns the time.
    fn ask(&self, wake: &Wake) -> Result<Instant> {
        let before = self.count.load(Ordering::Acquire);
        wake();
        while self.count.load(Ordering::Acquire) == before {
            thread::park();
        }
        Ok(Instant::now())
    }
}
