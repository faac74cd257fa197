//! An event loop that sends back what it receives, and a thread with blocking sockets that asks.

#[path = "../../echo/mio.rs"]
mod mio;
#[path = "../../echo/port.rs"]
mod port;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serverlink_io::PortOptions;

use crate::Result;

const MESSAGE: [u8; 64] = [7; 64];

/// Who goes round.
#[derive(Clone, Copy)]
pub(crate) enum Loop {
    /// The engine, with this backend.
    Port(&'static str),
    Mio,
}

/// Microseconds of a round trip, of so many at a time: the time in all, by how many it was for.
pub(crate) fn round_trip(
    of: Loop,
    connections: usize,
    warm_up: Duration,
    window: Duration,
) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let serving = thread::spawn(move || match of {
        Loop::Port(backend) => {
            let mut options = PortOptions::default();
            options.backend = Some(backend.to_owned());
            port::serve(&options, listener, connections)
        }
        Loop::Mio => mio::serve(listener, connections),
    });
    // The connections end with it, and the loop with them.
    let asked = ask(address, connections, warm_up, window);
    if asked.is_ok() || serving.is_finished() {
        serving.join().map_err(|_| "the loop panicked")??;
    }
    asked
}

fn ask(
    address: SocketAddr,
    connections: usize,
    warm_up: Duration,
    window: Duration,
) -> Result<f64> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        // When it has an answer, it does not wait to be accepted any more.
        stream.write_all(&MESSAGE)?;
        hear(&mut stream)?;
        streams.push(stream);
    }
    let mut round = || -> Result<()> {
        for stream in &mut streams {
            stream.write_all(&MESSAGE)?;
        }
        streams.iter_mut().try_for_each(hear)
    };
    let warm = Instant::now() + warm_up;
    while Instant::now() < warm {
        round()?;
    }
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < window {
        round()?;
        rounds += 1;
    }
    let took = start.elapsed().as_secs_f64() * 1e6;
    Ok(took / f64::from(rounds) / connections as f64)
}

fn hear(stream: &mut TcpStream) -> Result<()> {
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer)?;
    if answer == MESSAGE { Ok(()) } else { Err("not what was sent".into()) }
}
