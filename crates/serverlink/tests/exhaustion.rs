//! A process that runs out of descriptors goes on accepting when it has some again.
//!
//! A program of its own, since the test takes every descriptor there is.
#![cfg(target_os = "linux")]

use std::{
    env,
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::FileExt,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serverlink::{Context, Message, SocketType};

const PATIENCE: Duration = Duration::from_secs(30);

/// Set in the process that runs out.
const INNER: &str = "SERVERLINK_TEST_EXHAUSTION";

#[test]
fn accept_pauses_and_recovers() {
    if env::var_os(INNER).is_some() {
        exhaust();
        return;
    }
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(env::current_exe().expect("this runs"))
        .args(["--exact", "accept_pauses_and_recovers", "--nocapture", "--test-threads=1"])
        .env(INNER, "1")
        .output()
        .expect("there is a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

fn exhaust() {
    #[cfg(feature = "tracing")]
    let told = told::Lines::listen();
    let context = Context::new().unwrap();
    let pull = context.socket(SocketType::Pull).unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let clock = Clock::new();
    let address = endpoint.trim_start_matches("tcp://");
    for _ in 0..2 {
        let mut hoard = hoard();
        // One for the client, none for its other end.
        hoard.pop();
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();

        let (before, used, start) = (context.statistics(), clock.read(), Instant::now());
        let mut after = before;
        // A second, or longer on a busy machine.
        while after.failed - before.failed < 2 {
            assert!(start.elapsed() < PATIENCE, "it is not tried again");
            assert!(pull.recv_timeout(Duration::from_secs(1)).is_err());
            after = context.statistics();
        }
        let (used, seconds) = (clock.read() - used, start.elapsed().as_secs_f64());
        // Ten pauses a second, each an attempt, a timer and a turn or two.
        let failed = (after.failed - before.failed) as f64;
        assert!(failed <= 15.0 * seconds, "{failed} attempts in {seconds} s");
        let turns = (after.turns - before.turns) as f64;
        assert!(turns <= 100.0 * seconds, "{turns} turns in {seconds} s");
        assert!(used <= Duration::from_millis(50).mul_f64(seconds), "{used:?} in {seconds} s");

        hoard.clear();
        client.write_all(&[0xff]).unwrap();
        client.read_exact(&mut [0; 10]).expect("a greeting at last");
        let open = open_files();
        let push = context.socket(SocketType::Push).unwrap();
        push.connect(&endpoint).unwrap();
        push.send("all is well").unwrap();
        assert_eq!(pull.recv_timeout(PATIENCE).unwrap(), Message::from("all is well"));
        drop(push);
        let start = Instant::now();
        while pull.peer_count() > 0 {
            assert!(start.elapsed() < PATIENCE, "the peer does not go");
            let _ = pull.recv_timeout(Duration::from_millis(1));
        }
        // Some are closed a little later: before that they would not be among those taken.
        drop(client);
        while open_files() > open - 2 {
            assert!(start.elapsed() < PATIENCE, "the ends of connections are not closed");
            thread::park_timeout(Duration::from_millis(1));
        }
        // Once for all the attempts of the pause.
        #[cfg(feature = "tracing")]
        assert_eq!(told.take(), ["accept paused 24", "accept resumed"]);
    }
}

/// How many descriptors there are, with the one that is needed to tell.
fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Takes every descriptor that is left.
fn hoard() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Tells the processor time used so far. Open from the beginning: later there is no descriptor.
struct Clock(File);

impl Clock {
    fn new() -> Self {
        Self(File::open("/proc/self/stat").unwrap())
    }

    fn read(&self) -> Duration {
        let mut stat = [0; 1024];
        let length = self.0.read_at(&mut stat, 0).unwrap();
        let stat = String::from_utf8_lossy(&stat[..length]);
        // Fields 14 and 15 of proc(5), in ticks of 10 ms; the second field may hold anything.
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }
}

/// What the library tells `tracing`.
#[cfg(feature = "tracing")]
mod told {
    use std::{
        fmt,
        sync::{Arc, Mutex},
    };

    use tracing::{
        Event, Metadata, Subscriber,
        field::{Field, Visit},
        span,
        subscriber::set_global_default,
    };

    #[derive(Clone, Default)]
    pub(super) struct Lines(Arc<Mutex<Vec<String>>>);

    impl Lines {
        pub(super) fn listen() -> Self {
            let lines = Self::default();
            set_global_default(lines.clone()).unwrap();
            lines
        }

        pub(super) fn take(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "serverlink"
        }

        fn event(&self, event: &Event<'_>) {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }

        fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
        fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
        fn enter(&self, _span: &span::Id) {}
        fn exit(&self, _span: &span::Id) {}
    }

    #[derive(Default)]
    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            match field.name() {
                "message" => self.0.insert_str(0, &format!("{value:?}")),
                "code" => self.0 += &format!(" {value:?}"),
                _ => {}
            }
        }
    }
}
