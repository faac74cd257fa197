//! What values options take, and how libzmq's C API writes them.

use std::fmt;

/// What values an option takes, and how they are written for
/// [`Socket::set_option`](crate::Socket::set_option), which is how libzmq's C API writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionForm {
    /// Yes or no: an `int`, 0 or 1.
    Flag(OptionTruth),
    /// A number: an `int`, or an `int64_t` where it is `wide`. Both are as the machine has them.
    Number {
        /// Whether it has 64 bits.
        wide: bool,
        /// What it counts.
        unit: OptionUnit,
        /// The least it may be.
        least: i64,
        /// The most it may be, if not what there is room for.
        most: Option<i64>,
        /// What stands for none at all; the first is what is told.
        none: &'static [i64],
    },
    /// A bit for each of what is counted from 0: a `uint64_t`.
    Mask,
    /// So many bytes.
    Bytes {
        /// How few there may be.
        least: usize,
        /// How many there may be.
        most: usize,
    },
    /// Bytes, the first of which is not zero.
    Name {
        /// How many there may be.
        most: usize,
    },
    /// A key of the CURVE mechanism: 32 bytes, or 40 characters of Z85, with or without a zero byte behind
    /// them. Told as 32 bytes, all zero for none.
    Key,
    /// Text, perhaps none. Told with a zero byte at its end.
    Text {
        /// How long it may be, in bytes.
        most: usize,
    },
    /// A property: its name, which begins with `X-`, a colon, and its value. Each is added to those
    /// before, unless there is one of that name.
    Property,
    /// A descriptor of the system's: an `int`, or on Windows a `SOCKET`.
    Descriptor,
    /// A list of `uint32_t`: each is added to those before, and an empty value takes all away.
    Ids,
    /// A list of networks, as text: an IP address, or the first bits that addresses have in common, as
    /// in `192.168.1.0/24`. Each is added to those before, and an empty value takes all away.
    Networks,
}

/// What counts as yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionTruth {
    /// 1; everything but 0 and 1 is refused.
    One,
    /// Everything above 0; what is below is refused.
    Positive,
    /// Everything but 0.
    NotZero,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionUnit {
    /// Whatever it is.
    One,
    /// Bytes.
    Bytes,
    /// Messages.
    Messages,
    /// Milliseconds; parts of one count as one.
    Milliseconds,
    /// Seconds; parts of one count as one.
    Seconds,
}

impl OptionForm {
    /// An `int` from `least` to what there is room for.
    pub(super) const fn int(unit: OptionUnit, least: i64) -> Self {
        Self::Number { wide: false, unit, least, most: None, none: &[] }
    }

    /// The same number, but not above `limit`.
    pub(super) const fn up_to(self, limit: i64) -> Self {
        match self {
            Self::Number { wide, unit, least, none, .. } => {
                Self::Number { wide, unit, least, most: Some(limit), none }
            }
            other => other,
        }
    }

    /// The same number, or one of those that stand for none.
    pub(super) const fn or_none(self, none: &'static [i64]) -> Self {
        match self {
            Self::Number { wide, unit, least, most, .. } => {
                Self::Number { wide, unit, least, most, none }
            }
            other => other,
        }
    }

    /// The same number, in 64 bits.
    pub(super) const fn wide(self) -> Self {
        match self {
            Self::Number { unit, least, most, none, .. } => {
                Self::Number { wide: true, unit, least, most, none }
            }
            other => other,
        }
    }
}

/// The values it takes.
impl fmt::Display for OptionForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Flag(OptionTruth::One) => f.write_str("0 or 1"),
            Self::Flag(OptionTruth::Positive) => f.write_str("0, or 1 and above"),
            Self::Flag(OptionTruth::NotZero) => f.write_str("0 or any other"),
            Self::Number { unit, least, most, none, .. } => {
                match most {
                    Some(most) => write!(f, "{least} to {most}{unit}")?,
                    None => write!(f, "{least}{unit} and above")?,
                }
                if let Some(none) = none.first() {
                    write!(f, ", or {none} for none")?;
                }
                Ok(())
            }
            Self::Mask => f.write_str("64 bits"),
            Self::Bytes { least: 0, most: usize::MAX } => f.write_str("any bytes"),
            Self::Bytes { least, most: usize::MAX } => write!(f, "{least} bytes and more"),
            Self::Bytes { least, most } => write!(f, "{least} to {most} bytes"),
            Self::Name { most } => {
                write!(f, "1 to {most} bytes, the first of which is not zero")
            }
            Self::Text { most: usize::MAX } => f.write_str("text"),
            Self::Text { most } => write!(f, "text of up to {most} bytes"),
            Self::Property => f.write_str("X-name:value, to be added"),
            Self::Key => f.write_str("a key of 32 bytes, or of 40 characters of Z85"),
            Self::Descriptor => f.write_str("a descriptor"),
            Self::Ids => f.write_str("an id, to be added; nothing, to take all away"),
            Self::Networks => f.write_str("address/bits, to be added; nothing, to take all away"),
        }
    }
}

impl fmt::Display for OptionUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "",
            Self::Bytes => " bytes",
            Self::Messages => " messages",
            Self::Milliseconds => " ms",
            Self::Seconds => " s",
        })
    }
}
