//! tokio, on one thread.

use std::{
    io,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener as TokioListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::Notify,
    task::JoinSet,
};

use super::{Answers, Engine, Timers, Wake};
use crate::{
    failure::Result,
    measurement::{histogram, record},
};

const BUFFER: usize = 4096;

/// Tasks over readiness.
pub(super) struct Tokio;

impl Engine for Tokio {
    fn echo(listener: TcpListener, connections: usize) -> Result<()> {
        listener.set_nonblocking(true)?;
        runtime()?.block_on(async {
            let listener = TokioListener::from_std(listener)?;
            let mut tasks = JoinSet::new();
            for _ in 0..connections {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tasks.spawn(send_back(stream));
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok(())
        })
    }

    fn wakes(tell: impl FnOnce(Wake) -> Result<()>, answers: Arc<Answers>) -> Result<()> {
        let notify = Arc::new(Notify::new());
        let woken = notify.clone();
        tell(Box::new(move || woken.notify_one()))?;
        runtime()?.block_on(async {
            loop {
                notify.notified().await;
                if !answers.answer() {
                    return Ok(());
                }
            }
        })
    }
}

impl Timers for Tokio {
    fn timers(start: Instant, delays: &[Duration]) -> Result<Histogram<u64>> {
        runtime()?.block_on(async {
            let mut tasks = JoinSet::new();
            for delay in delays {
                let deadline = start + *delay;
                tasks.spawn(async move {
                    tokio::time::sleep_until(deadline.into()).await;
                    deadline.elapsed()
                });
            }
            let mut late = histogram()?;
            while let Some(ended) = tasks.join_next().await {
                record(&mut late, ended?);
            }
            Ok(late)
        })
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn send_back(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}
