//! The same for datagrams, which are lost and overtake each other.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use fastrand::Rng;

/// A relay of datagrams, from its address to another.
#[derive(Debug)]
pub(crate) struct DatagramRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    calm: AtomicBool,
    dropped: AtomicU64,
}

impl DatagramRelay {
    /// Begins to relay, from a port of its own to `target`.
    pub(crate) fn start(target: SocketAddr, seed: u64) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the relay of datagrams cannot start: {error}");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        socket.set_read_timeout(Some(Duration::from_millis(20))).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let shared = Arc::<Shared>::default();
        let ours = shared.clone();
        let thread = thread::spawn(move || ours.pump(&socket, target, Rng::with_seed(seed)));
        Ok(Self { address, shared, thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many it dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Acquire)
    }

    /// Passes on all from now on.
    pub(crate) fn calm(&self) {
        self.shared.calm.store(true, Ordering::SeqCst);
    }
}

impl Drop for DatagramRelay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn pump(&self, socket: &UdpSocket, target: SocketAddr, mut random: Rng) {
        let mut buffer = vec![0; 1 << 16];
        let mut held: Option<Vec<u8>> = None;
        while !self.over.load(Ordering::SeqCst) {
            let Ok(count) = socket.recv(&mut buffer) else { continue };
            let bytes = &buffer[..count];
            let chance = if self.calm.load(Ordering::SeqCst) { 99 } else { random.u32(..100) };
            match chance {
                0 => {
                    self.dropped.fetch_add(1, Ordering::AcqRel);
                    continue;
                }
                1 if held.is_none() => {
                    held = Some(bytes.to_vec());
                    continue;
                }
                _ => {}
            }
            let _ = socket.send_to(bytes, target);
            if let Some(late) = held.take() {
                let _ = socket.send_to(&late, target);
            }
        }
    }
}
