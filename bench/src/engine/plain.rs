//! The floor: threads that block.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::{Answers, Engine, Timers, Wake};
use crate::{
    child::spawn,
    failure::Result,
    measurement::{histogram, record},
};

const BUFFER: usize = 4096;

/// A thread for each connection, a heap for timers.
pub(super) struct Plain;

impl Engine for Plain {
    fn echo(listener: TcpListener, connections: usize) -> Result<()> {
        if connections == 1 {
            return send_back(listener.accept()?.0);
        }
        thread::scope(|scope| {
            for _ in 0..connections {
                let (stream, _) = listener.accept()?;
                // It is waited for at the end of the scope.
                let _ = spawn(scope, || send_back(stream));
            }
            Ok(())
        })
    }

    fn wakes(tell: impl FnOnce(Wake) -> Result<()>, answers: Arc<Answers>) -> Result<()> {
        let looping = thread::current();
        tell(Box::new(move || looping.unpark()))?;
        loop {
            // Returns for no reason now and then, which only makes for an early answer.
            thread::park();
            if !answers.answer() {
                return Ok(());
            }
        }
    }
}

impl Timers for Plain {
    fn timers(start: Instant, delays: &[Duration]) -> Result<Histogram<u64>> {
        let mut heap = BinaryHeap::new();
        for delay in delays {
            heap.push(Reverse(start + *delay));
        }
        let mut late = histogram()?;
        while let Some(Reverse(deadline)) = heap.pop() {
            thread::sleep(deadline.saturating_duration_since(Instant::now()));
            record(&mut late, deadline.elapsed());
        }
        Ok(late)
    }
}

fn send_back(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read])?,
        }
    }
}
