//! Which processors the threads run on.

use clap::ValueEnum;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::failure::{Failure, Result};

/// Where threads may run.
///
/// Two threads that wake each other do so several times faster on one processor than on two that go
/// to sleep meanwhile, and the system chooses, by its load and by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cores {
    /// Wherever the system puts them
    Any,
    /// All on one processor, so that round trips compare and do not depend on the system's choice
    One,
    /// The threads of the two ends on two processors; those of the libraries anywhere
    Two,
}

impl Cores {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::One => "one",
            Self::Two => "two",
        }
    }

    /// Places the whole process, before it starts threads.
    pub(crate) fn place_process(self) -> Result<()> {
        if self == Self::One { pin(0) } else { Ok(()) }
    }

    /// Places the calling thread, which is the first or second end.
    pub(crate) fn place_end(self, end: usize) -> Result<()> {
        if self == Self::Two { pin(end) } else { Ok(()) }
    }
}

/// How many processors this process may use.
pub(crate) fn count() -> Result<usize> {
    Ok(usable()?.len())
}

fn usable() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect())
}

/// Keeps the calling thread on the processor of this index among those that it may use.
pub(crate) fn pin(index: usize) -> Result<()> {
    let this = Pid::from_raw(0);
    let usable = usable()?;
    let cpu = usable.get(index).ok_or_else(|| Failure::new("there are not so many processors"))?;
    let mut only = CpuSet::new();
    only.set(*cpu)?;
    Ok(sched_setaffinity(this, &only)?)
}
