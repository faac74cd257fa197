//! How the system runs a thread.

use std::io;

/// How the system is to run a thread: what is not set stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ThreadSchedule {
    /// The scheduling policy, by its number in sched(7).
    pub policy: Option<i32>,
    /// The priority, from 1 to 99, of the policies that have one.
    pub priority: Option<i32>,
    /// The processors on which it may run; empty, all. Those from 1024 on are left out.
    pub processors: Vec<u32>,
}

impl ThreadSchedule {
    /// Has the calling thread run so.
    ///
    /// # Errors
    ///
    /// Those of pthread_setschedparam(3) and sched_setaffinity(2);
    /// [`Unsupported`](io::ErrorKind::Unsupported) where the system is not Linux.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn apply(&self) -> io::Result<()> {
        if self.policy.is_some() || self.priority.is_some() {
            self.set_policy()?;
        }
        if !self.processors.is_empty() {
            self.set_processors()?;
        }
        Ok(())
    }

    /// Has the calling thread run so.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported), if anything is set.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn apply(&self) -> io::Result<()> {
        if *self == Self::default() { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn set_policy(&self) -> io::Result<()> {
        let (mut policy, mut parameters) = (0, libc::sched_param { sched_priority: 0 });
        // SAFETY: both are ours to write, and the thread that asks is alive.
        let code = unsafe {
            libc::pthread_getschedparam(libc::pthread_self(), &raw mut policy, &raw mut parameters)
        };
        succeeded(code)?;
        policy = self.policy.unwrap_or(policy);
        let has_priority = policy == libc::SCHED_FIFO || policy == libc::SCHED_RR;
        parameters.sched_priority = match self.priority {
            Some(priority) if has_priority => priority,
            None if has_priority => parameters.sched_priority.max(1),
            // The only one that the others have.
            _ => 0,
        };
        // SAFETY: the parameters are read, and the thread that asks is alive.
        let code = unsafe {
            libc::pthread_setschedparam(libc::pthread_self(), policy, &raw const parameters)
        };
        succeeded(code)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn set_processors(&self) -> io::Result<()> {
        // SAFETY: a set is an array of integers, and empty with all of them zero.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        let most = size_of::<libc::cpu_set_t>() * 8;
        for &processor in &self.processors {
            let processor = processor as usize;
            if processor < most {
                // SAFETY: the set has a bit of that number.
                unsafe { libc::CPU_SET(processor, &mut set) };
            }
        }
        // SAFETY: the set is as long as it is said to be, and read; zero is the calling thread.
        let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// What a call says that returns its error.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn succeeded(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}
