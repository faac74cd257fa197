//! Connections that are made and then do nothing.
//!
//! The end that accepts is in this process, the end that connects in another that this one starts, so
//! that the memory of each can be told: one PULL and one PUSH socket, with many connections between
//! them. The connections are made a hundred at a time, which is as many as may wait to be accepted if
//! not set otherwise.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{SysconfVar, sysconf},
};

use crate::{
    arguments::Connect,
    case::{Metric, Transport},
    failure::{Failure, Result},
    implementation::Implementation,
    measurement::Figures,
    peer::{Kind, Library, Socket},
};

/// How many connections are made at a time.
const BATCH: usize = 100;

/// Descriptors for other things than connections.
const OTHER_DESCRIPTORS: u64 = 200;

/// Measures the end that accepts, and has the other measured.
pub(super) fn measure<L: Library>(count: usize, implementation: Implementation) -> Result<Figures> {
    allow_descriptors(count)?;
    let context = L::context()?;
    let mut pull = L::socket(&context, Kind::Pull)?;
    let endpoint = L::run(&context, async {
        pull.watch_peers().await?;
        pull.bind(&Transport::Tcp.endpoint(), count).await
    })?;
    let mut connecting = Command::new(env::current_exe()?)
        .args(["connect", &endpoint, implementation.name(), &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut orders), Some(answers)) = (connecting.stdin.take(), connecting.stdout.take())
    else {
        return Err(Failure::new("the process that connects cannot be talked to"));
    };
    let mut answers = BufReader::new(answers).lines();
    let mut order = || -> Result<String> {
        writeln!(orders)?;
        let ended = || Failure::new("the process that connects ended before its time");
        Ok(answers.next().ok_or_else(ended)??)
    };
    // The first one touches what all connections need.
    order()?;
    L::run(&context, pull.await_peers(1))?;
    let before = resident_memory()?;
    let start = Instant::now();
    let mut made = 0;
    for batch in batches(count) {
        order()?;
        L::run(&context, pull.await_peers(batch))?;
        made += batch;
    }
    let elapsed = start.elapsed();
    let grown = resident_memory()?.saturating_sub(before);
    let connected = order()?.parse()?;
    connecting.wait()?;
    Ok([
        (Metric::Rate, made as f64 / elapsed.as_secs_f64()),
        (Metric::AcceptedMemory, grown as f64 / made as f64),
        (Metric::ConnectedMemory, connected),
    ]
    .into())
}

/// The end that connects: takes each step when the other end says so by a line, and answers with one.
pub(crate) fn connect<L: Library>(connect: &Connect) -> Result<()> {
    allow_descriptors(connect.count)?;
    let context = L::context()?;
    let mut push = L::socket(&context, Kind::Push)?;
    let mut orders = io::stdin().lines();
    let mut next = || -> Result<()> {
        let gone = || Failure::new("the process that accepts ended before its time");
        orders.next().ok_or_else(gone)??;
        Ok(())
    };
    next()?;
    L::run(&context, push.connect(&connect.endpoint))?;
    println!();
    // By the next step the first connection is complete.
    let mut before = None;
    let mut made = 0;
    for batch in batches(connect.count) {
        next()?;
        if before.is_none() {
            before = Some(resident_memory()?);
        }
        L::run(&context, async {
            for _ in 0..batch {
                push.connect(&connect.endpoint).await?;
            }
            Ok::<_, Failure>(())
        })?;
        made += batch;
        println!();
    }
    next()?;
    let grown = resident_memory()?.saturating_sub(before.unwrap_or_default());
    println!("{}", grown as f64 / made as f64);
    Ok(())
}

/// The sizes of the batches of all connections but the first.
fn batches(count: usize) -> impl Iterator<Item = usize> {
    (1..count).step_by(BATCH).map(move |made| BATCH.min(count - made))
}

/// Sees to it that so many connections can be open.
fn allow_descriptors(connections: usize) -> Result<()> {
    let wanted = connections as u64 + OTHER_DESCRIPTORS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).map_err(|error| {
        Failure::new(format!(
            "{connections} connections need {wanted} open files, and only {hard} are allowed \
             (ulimit -Hn): {error}"
        ))
    })
}

/// How much memory this process occupies, in bytes.
fn resident_memory() -> Result<u64> {
    // proc_pid_statm(5): the second number is the resident set, in pages.
    let statm = fs::read_to_string("/proc/self/statm")
        .map_err(Failure::doing("reading how much memory is used (/proc/self/statm)"))?;
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let page = sysconf(SysconfVar::PAGE_SIZE)?;
    pages
        .zip(page)
        .and_then(|(pages, page)| Some(pages * u64::try_from(page).ok()?))
        .ok_or_else(|| Failure::new("/proc/self/statm is not as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_add_up_to_all_but_the_first() {
        for count in [1, 2, 100, 101, 102, 1000] {
            assert_eq!(batches(count).sum::<usize>(), count - 1);
            assert!(batches(count).all(|batch| (1..=BATCH).contains(&batch)));
        }
    }
}
