//! Runs every socket pattern between sockets whose connections are cut at random, and checks what it
//! promises by sequence numbers and checksums: see `docs/endurance.md`.
#![deny(unsafe_code)]

mod ledger;
mod memory;
mod patterns;
mod progress;
mod relay;
mod report;
mod stamp;
mod world;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use patterns::Pattern;
use progress::Progress;
use report::{Outcome, Report};
use world::{Transport, World};

/// The exit status when a promise was broken, and when the arguments are wrong.
const BROKEN: u8 = 1;
const MISUSED: u8 = 2;
/// When nothing has come for so long, the run hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Runs every socket pattern under random disconnects and checks what it promises.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask endure",
    after_help = "\
Examples:
  cargo xtask endure --messages 10000000 --only push-pull
  cargo xtask endure --only pub-sub,pair --transport ipc --backend select
  cargo xtask endure --seed 42

docs/endurance.md says what each pattern promises and how that is checked. The seed decides what is
sent and where connections are cut; the rest is up to the system.

Exit status: 0 if every promise was kept, 1 if one was broken, 2 if the arguments are wrong."
)]
struct Arguments {
    /// How many messages through each pattern
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1000..))]
    messages: u64,
    /// Only these patterns, separated by commas
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    only: Vec<String>,
    /// Only this transport
    #[arg(long)]
    transport: Option<Transport>,
    /// The backend of the engine
    #[arg(long)]
    backend: Option<String>,
    /// Encrypt by the CURVE mechanism, where messages go over connections of ZMTP
    #[arg(long)]
    curve: bool,
    /// What all chance follows from
    #[arg(long)]
    seed: Option<u64>,
    /// List the patterns
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        patterns::ALL.iter().for_each(|pattern| println!("{}", pattern.name));
        return ExitCode::SUCCESS;
    }
    let patterns = match chosen(&arguments.only) {
        Ok(patterns) => patterns,
        Err(unknown) => {
            eprintln!("error: there is no pattern {unknown}; --list tells which there are");
            return ExitCode::from(MISUSED);
        }
    };
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let mut report = Report::new(seed);
    for pattern in patterns {
        match run(pattern, &arguments, seed) {
            Ok(outcome) => report.add(outcome),
            Err(story) => {
                report.print();
                eprintln!("\nBROKEN: {}, with --seed {seed}:\n  {story}", pattern.name);
                // Threads may hang: they end with the process.
                return ExitCode::from(BROKEN);
            }
        }
    }
    report.print();
    ExitCode::SUCCESS
}

fn chosen(names: &[String]) -> Result<Vec<&'static Pattern>, &String> {
    if names.is_empty() {
        return Ok(patterns::ALL.iter().collect());
    }
    let find = |name| patterns::ALL.iter().find(|pattern| pattern.name == name).ok_or(name);
    names.iter().map(find).collect()
}

/// Runs one pattern, watching it.
fn run(pattern: &'static Pattern, arguments: &Arguments, seed: u64) -> Result<Outcome, String> {
    let transports = match arguments.transport {
        Some(only) => vec![only],
        None if cfg!(unix) => vec![Transport::Tcp, Transport::Ipc],
        None => vec![Transport::Tcp],
    };
    let backend = arguments.backend.as_deref();
    let world = World::new(backend, arguments.curve, &transports, arguments.messages, seed)?;
    let (begun, progress) = (Instant::now(), Progress::new(pattern.name, arguments.messages));
    let mut most = 0;
    let outcome = thread::scope(|scope| {
        let running = scope.spawn(|| (pattern.run)(&world));
        let (mut last, mut moved) = (0, Instant::now());
        while !running.is_finished() {
            thread::sleep(Duration::from_millis(20));
            let now = progress.show(&world);
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            let resident = memory::resident().unwrap_or(0);
            most = most.max(resident);
            if resident > memory::MOST {
                world.fail(format!("the program has {resident} MiB of memory"));
            }
            if moved.elapsed() > HANGS {
                world.fail(format!("nothing has moved for {HANGS:?}"));
            }
            if world.is_over() && moved.elapsed() > HANGS * 2 {
                progress.end();
                // No thread is waited for that hangs.
                eprintln!(
                    "\nBROKEN: {}, with --seed {seed}:\n  {}",
                    pattern.name,
                    world.failure().unwrap_or_default()
                );
                std::process::exit(i32::from(BROKEN));
            }
        }
        running.join().unwrap_or_else(|_| Err("a thread of the program panicked".to_owned()))
    });
    progress.end();
    if let Some(story) = world.failure() {
        return Err(story);
    }
    outcome?;
    let (backend, took) = (world.context.backend(), begun.elapsed());
    world.context.terminate_timeout(world::PATIENCE * 2).map_err(|error| {
        format!("everything has come, but the context does not terminate: {error}")
    })?;
    let mut outcome = Outcome::new(pattern, &world, backend, took);
    outcome.memory = most;
    Ok(outcome)
}
