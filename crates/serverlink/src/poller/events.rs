//! Sets of events.

use std::{
    fmt,
    ops::{BitAnd, BitOr, BitOrAssign},
};

/// What something is ready for, or should be waited for to be.
///
/// ```
/// use serverlink::Events;
///
/// let both = Events::IN | Events::OUT;
/// assert!(both.contains(Events::IN));
/// assert_eq!(both & Events::IN, Events::IN);
/// assert_eq!(format!("{both:?}"), "IN | OUT");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Events(u8);

impl Events {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A message can be received, or a descriptor read (`ZMQ_POLLIN`).
    pub const IN: Self = Self(1);
    /// A message can be sent, or a descriptor written (`ZMQ_POLLOUT`).
    pub const OUT: Self = Self(2);
    /// The socket is closed or its context terminated, or a descriptor is in error
    /// (`ZMQ_POLLERR`). It is told without being asked for, and along with everything that was
    /// asked for, for no call waits then.
    pub const ERR: Self = Self(4);
    /// A descriptor has urgent data (`ZMQ_POLLPRI`): for [`poll`](crate::poll()) only, and not on
    /// Windows.
    pub const PRI: Self = Self(8);

    const NAMES: [(Self, &'static str); 4] =
        [(Self::IN, "IN"), (Self::OUT, "OUT"), (Self::ERR, "ERR"), (Self::PRI, "PRI")];

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in it.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Events {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Self::NAMES.iter().filter(|(event, _)| self.contains(*event));
        f.write_str(names.next().map_or("NONE", |(_, name)| name))?;
        names.try_for_each(|(_, name)| write!(f, " | {name}"))
    }
}
