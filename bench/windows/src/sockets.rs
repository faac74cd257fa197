//! Sockets of two threads, over TCP or within the process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serverlink::{Context, Socket, SocketType};

use crate::Result;

const PATIENCE: Duration = Duration::from_secs(20);

/// Two sockets that are connected.
fn pair(endpoint: &str, one: SocketType, other: SocketType) -> Result<(Socket, Socket)> {
    let context = Context::new()?;
    let one = context.socket(one)?;
    let endpoint = one.bind(endpoint)?;
    let other = context.socket(other)?;
    other.connect(&endpoint)?;
    for socket in [&one, &other] {
        socket.set_receive_timeout(Some(PATIENCE))?;
        socket.set_send_timeout(Some(PATIENCE))?;
        socket.set_linger(Some(Duration::ZERO))?;
    }
    Ok((one, other))
}

/// Microseconds of a round trip of 64 bytes.
pub(crate) fn round_trip(endpoint: &str, warm_up: Duration, window: Duration) -> Result<f64> {
    let (server, client) = pair(endpoint, SocketType::Rep, SocketType::Req)?;
    let serving = thread::spawn(move || -> Result<()> {
        loop {
            let request = server.recv()?;
            let last = request[0].is_empty();
            server.send(request).map_err(|refused| refused.error)?;
            if last {
                return Ok(());
            }
        }
    });
    let ask = |body: &[u8]| -> Result<()> {
        client.send(body).map_err(|refused| refused.error)?;
        if client.recv()?[0] == *body { Ok(()) } else { Err("not what was sent".into()) }
    };
    let warm = Instant::now() + warm_up;
    while Instant::now() < warm {
        ask(&[7; 64])?;
    }
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < window {
        ask(&[7; 64])?;
        rounds += 1;
    }
    let took = start.elapsed().as_secs_f64() * 1e6;
    ask(&[])?;
    serving.join().map_err(|_| "the server panicked")??;
    Ok(took / f64::from(rounds))
}

/// Messages of that size a second, from one thread to another.
pub(crate) fn stream(
    endpoint: &str,
    size: usize,
    warm_up: Duration,
    window: Duration,
) -> Result<f64> {
    let (to, from) = pair(endpoint, SocketType::Pull, SocketType::Push)?;
    let enough = Arc::new(AtomicBool::new(false));
    let stop = enough.clone();
    let sending = thread::spawn(move || -> Result<()> {
        let body = Bytes::from(vec![7; size]);
        while !stop.load(Ordering::Relaxed) {
            from.send(&body[..]).map_err(|refused| refused.error)?;
        }
        Ok(())
    });
    let receive = || -> Result<()> {
        if to.recv()?[0].len() == size { Ok(()) } else { Err("not what was sent".into()) }
    };
    let warm = Instant::now() + warm_up;
    while Instant::now() < warm {
        receive()?;
    }
    let (start, mut count) = (Instant::now(), 0_u32);
    while count % 64 != 0 || start.elapsed() < window {
        receive()?;
        count += 1;
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    enough.store(true, Ordering::Relaxed);
    // It may wait for room.
    while !sending.is_finished() {
        let _ = to.try_recv();
    }
    sending.join().map_err(|_| "the sender panicked")??;
    Ok(rate)
}
