//! Where a connection is cut, and how.

use std::{fmt, time::Duration};

use fastrand::Rng;

/// So many bytes go by before a connection that is cut within its handshake is: greeting and READY
/// of both sides are about so long.
const HANDSHAKE: u64 = 240;

/// What happens to a connection once so many bytes have passed, both ways together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) after: u64,
    pub(super) manner: Manner,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// Both ends read the end of the stream.
    Close,
    /// Both ends read that the stream was reset.
    Reset,
    /// One end reads the end of the stream; what it sends goes on, for so long or until it ends.
    HalfClose { near: bool, time: Duration },
    /// One end reads the end of the stream, or that it was reset; the other, only so much later.
    OneFirst { near: bool, reset: bool, then: Duration },
    /// Nothing goes by for so long; then it is reset.
    StallAndReset(Duration),
    /// Nothing goes by for so long; then all goes on.
    Stall(Duration),
}

impl Plan {
    /// What becomes of the next connection, through which `mean` bytes may go.
    pub(super) fn draw(random: &mut Rng, mean: u64) -> Self {
        let after = match random.u32(..100) {
            0..10 => random.u64(..HANDSHAKE),
            10..20 => random.u64(..20_000),
            _ => (-(1.0 - random.f64()).ln() * mean as f64) as u64,
        };
        Self { after, manner: Manner::draw(random) }
    }
}

impl Manner {
    fn draw(random: &mut Rng) -> Self {
        let while_ = Duration::from_micros(random.u64(200..25_000));
        match random.u32(..100) {
            0..25 => Self::Close,
            25..50 => Self::Reset,
            50..65 => Self::HalfClose { near: random.bool(), time: while_ * 2 },
            65..75 => Self::OneFirst { near: random.bool(), reset: random.bool(), then: while_ },
            75..85 => Self::StallAndReset(while_),
            _ => Self::Stall(while_ * 2),
        }
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close => write!(f, "closed at both ends"),
            Self::Reset => write!(f, "reset at both ends"),
            Self::HalfClose { near, time } => {
                write!(f, "half closed towards the {} end, {time:?} before all is", end(*near))
            }
            Self::OneFirst { near, reset, then } => {
                let how = if *reset { "reset" } else { "closed" };
                write!(f, "{how} at the {} end, {then:?} later at the other", end(*near))
            }
            Self::StallAndReset(time) => write!(f, "stalled for {time:?}, then reset"),
            Self::Stall(time) => write!(f, "stalled for {time:?}"),
        }
    }
}

fn end(near: bool) -> &'static str {
    if near { "connecting" } else { "bound" }
}
