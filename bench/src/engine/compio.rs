//! compio: completions, by io_uring where the system has it.

use std::{
    io,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use compio::{
    BufResult,
    buf::{IntoInner as _, IoBuf as _},
    io::{AsyncRead as _, AsyncWriteExt as _},
    net::{TcpListener as CompioListener, TcpStream},
    runtime::Runtime,
};
use hdrhistogram::Histogram;
use tokio::sync::Notify;

use super::{Answers, Engine, Timers, Wake};
use crate::{
    failure::{Failure, Result},
    measurement::{histogram, record},
};

const BUFFER: usize = 4096;

/// Tasks over completions.
pub(super) struct Compio;

impl Engine for Compio {
    fn echo(listener: TcpListener, connections: usize) -> Result<()> {
        Runtime::new()?.block_on(async {
            let listener = CompioListener::from_std(listener)?;
            let mut tasks = Vec::with_capacity(connections);
            for _ in 0..connections {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tasks.push(compio::runtime::spawn(send_back(stream)));
            }
            for task in tasks {
                task.await.map_err(|_| Failure::new("a task panicked"))??;
            }
            Ok(())
        })
    }

    fn wakes(tell: impl FnOnce(Wake) -> Result<()>, answers: Arc<Answers>) -> Result<()> {
        // It has no means of its own; this one serves any runtime.
        let notify = Arc::new(Notify::new());
        let woken = notify.clone();
        tell(Box::new(move || woken.notify_one()))?;
        Runtime::new()?.block_on(async {
            loop {
                notify.notified().await;
                if !answers.answer() {
                    return Ok(());
                }
            }
        })
    }
}

impl Timers for Compio {
    fn timers(start: Instant, delays: &[Duration]) -> Result<Histogram<u64>> {
        Runtime::new()?.block_on(async {
            let mut tasks = Vec::with_capacity(delays.len());
            for delay in delays {
                let deadline = start + *delay;
                tasks.push(compio::runtime::spawn(async move {
                    compio::time::sleep_until(deadline).await;
                    deadline.elapsed()
                }));
            }
            let mut late = histogram()?;
            for task in tasks {
                record(&mut late, task.await.map_err(|_| Failure::new("a task panicked"))?);
            }
            Ok(late)
        })
    }
}

async fn send_back(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let BufResult(read, received) = stream.read(buffer).await;
        let read = read?;
        if read == 0 {
            return Ok(());
        }
        let BufResult(written, sent) = stream.write_all(received.slice(..read)).await;
        written?;
        buffer = sent.into_inner();
        buffer.clear();
    }
}
