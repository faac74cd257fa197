//! Processors that do not go to sleep.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use crate::{cores, failure::Result};

/// Keeps every processor awake, until it is dropped, by a thread that turns round and round whenever
/// nobody else wants to run (`SCHED_IDLE`, sched(7)): whoever is woken there takes its place at once.
///
/// To wake a processor that sleeps takes longer than anything that is measured here, on a virtual
/// machine above all, and meets whoever hands over to another thread, however well.
#[derive(Debug)]
pub(crate) struct Awake {
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    pub(crate) fn keep() -> Result<Self> {
        let mut awake = Self { enough: Arc::default(), threads: Vec::new() };
        let (tell, told) = mpsc::channel();
        for processor in 0..cores::count()? {
            let (enough, tell) = (awake.enough.clone(), tell.clone());
            awake.threads.push(thread::Builder::new().spawn(move || {
                let begun = cores::pin(processor).and_then(|()| Ok(be_idle()?));
                let failed = begun.is_err();
                let _ = tell.send(begun);
                // Without the instruction for such loops, at which a virtual machine may give the
                // processor away.
                while !failed && !enough.load(Ordering::Relaxed) {}
            })?);
        }
        for _ in &awake.threads {
            told.recv()??;
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Has the calling thread run only when no other wants to.
fn be_idle() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread, and the parameters are there.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
