//! Values of options, and their form in libzmq's C API.

use std::time::Duration;

use bytes::Bytes;
use serverlink_zmtp::{CurvePublicKey, CurveSecretKey, PATTERNS_PROPERTY};

use super::{Network, OptionForm, OptionTruth, OptionUnit};

/// The value of an option, as it is kept.
pub(crate) trait Value: Clone {
    /// Whether it is one of those the option takes.
    fn fits(&self, form: &OptionForm) -> bool;

    /// How the C API writes it.
    fn encode(&self, form: &OptionForm) -> Vec<u8>;

    /// What it becomes when the C API sets it; nothing if the bytes are not for this option.
    fn changed(&self, bytes: &[u8], form: &OptionForm) -> Option<Self>;
}

/// What a setter is given becomes what is kept.
pub(crate) trait Keeps<Given> {
    fn keep(given: Given) -> Self;
}

/// What is kept becomes what a getter tells.
pub(crate) trait Tells<Told> {
    fn tell(&self) -> Told;
}

impl<V: Value> Tells<V> for V {
    fn tell(&self) -> V {
        self.clone()
    }
}

/// A value that the C API writes as a number.
pub(crate) trait Number: Clone {
    /// The number, in whole units; nothing if the value is none.
    fn number(&self, unit: OptionUnit) -> Option<i128>;

    /// The value for a number that the option takes, or for none; nothing if the type has no such
    /// value.
    fn from_number(number: Option<i64>, unit: OptionUnit) -> Option<Self>;
}

impl<N: Number> Keeps<N> for N {
    fn keep(given: N) -> Self {
        given
    }
}

impl<N: Number> Value for N {
    fn fits(&self, form: &OptionForm) -> bool {
        let OptionForm::Number { unit, least, most, none, .. } = form else {
            return matches!(form, OptionForm::Flag(_) | OptionForm::Mask);
        };
        match self.number(*unit) {
            Some(number) => {
                number >= i128::from(*least) && most.is_none_or(|most| number <= i128::from(most))
            }
            None => !none.is_empty(),
        }
    }

    fn encode(&self, form: &OptionForm) -> Vec<u8> {
        let (wide, unit, none) = match form {
            OptionForm::Number { wide, unit, none, .. } => (*wide, *unit, *none),
            _ => (false, OptionUnit::One, &[][..]),
        };
        let number =
            self.number(unit).or(none.first().map(|none| i128::from(*none))).unwrap_or_default();
        if *form == OptionForm::Mask {
            u64::try_from(number).unwrap_or_default().to_ne_bytes().to_vec()
        } else if wide {
            let longest = if number < 0 { i64::MIN } else { i64::MAX };
            i64::try_from(number).unwrap_or(longest).to_ne_bytes().to_vec()
        } else {
            let longest = if number < 0 { i32::MIN } else { i32::MAX };
            i32::try_from(number).unwrap_or(longest).to_ne_bytes().to_vec()
        }
    }

    fn changed(&self, bytes: &[u8], form: &OptionForm) -> Option<Self> {
        match form {
            OptionForm::Flag(truth) => {
                Self::from_number(Some(flag(int(bytes)?, *truth)?), OptionUnit::One)
            }
            OptionForm::Mask => Self::from_number(Some(long(bytes)?), OptionUnit::One),
            OptionForm::Number { wide, unit, least, most, none } => {
                let number = if *wide { long(bytes)? } else { int(bytes)?.into() };
                if none.contains(&number) {
                    return Self::from_number(None, *unit);
                }
                let within = number >= *least && most.is_none_or(|most| number <= most);
                if within { Self::from_number(Some(number), *unit) } else { None }
            }
            _ => None,
        }
    }
}

/// An `int`, as the C API writes it.
pub(super) fn int(bytes: &[u8]) -> Option<i32> {
    bytes.try_into().ok().map(i32::from_ne_bytes)
}

fn long(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_ne_bytes)
}

fn flag(value: i32, truth: OptionTruth) -> Option<i64> {
    let known = match truth {
        OptionTruth::One => (0..=1).contains(&value),
        OptionTruth::Positive => value >= 0,
        OptionTruth::NotZero => true,
    };
    known.then_some(i64::from(value != 0))
}

impl Number for bool {
    fn number(&self, _unit: OptionUnit) -> Option<i128> {
        Some((*self).into())
    }

    fn from_number(number: Option<i64>, _unit: OptionUnit) -> Option<Self> {
        number.map(|number| number != 0)
    }
}

/// Integers are numbers.
macro_rules! integers {
    ($($integer:ty),+) => {$(
        impl Number for $integer {
            fn number(&self, _unit: OptionUnit) -> Option<i128> {
                // All of those listed fit, but for a `usize` of more than 64 bits.
                Some(i128::try_from(*self).unwrap_or(i128::MAX))
            }

            fn from_number(number: Option<i64>, _unit: OptionUnit) -> Option<Self> {
                number.and_then(|number| number.try_into().ok())
            }
        }
    )+};
}

integers!(i32, u32, usize);

impl Number for u64 {
    fn number(&self, _unit: OptionUnit) -> Option<i128> {
        Some((*self).into())
    }

    /// The bits of a mask are those of the number; others are not negative.
    fn from_number(number: Option<i64>, _unit: OptionUnit) -> Option<Self> {
        number.map(i64::cast_unsigned)
    }
}

impl Number for Duration {
    fn number(&self, unit: OptionUnit) -> Option<i128> {
        let whole = match unit {
            OptionUnit::Seconds => self.as_nanos().div_ceil(1_000_000_000),
            _ => self.as_nanos().div_ceil(1_000_000),
        };
        i128::try_from(whole).ok()
    }

    fn from_number(number: Option<i64>, unit: OptionUnit) -> Option<Self> {
        let number = number?.try_into().ok()?;
        Some(match unit {
            OptionUnit::Seconds => Self::from_secs(number),
            _ => Self::from_millis(number),
        })
    }
}

impl<N: Number> Number for Option<N> {
    fn number(&self, unit: OptionUnit) -> Option<i128> {
        self.as_ref()?.number(unit)
    }

    fn from_number(number: Option<i64>, unit: OptionUnit) -> Option<Self> {
        match number {
            Some(number) => N::from_number(Some(number), unit).map(Some),
            None => Some(None),
        }
    }
}

impl<Given: AsRef<[u8]>> Keeps<Given> for Bytes {
    fn keep(given: Given) -> Self {
        Self::copy_from_slice(given.as_ref())
    }
}

impl Value for Bytes {
    fn fits(&self, form: &OptionForm) -> bool {
        match *form {
            OptionForm::Bytes { least, most } => (least..=most).contains(&self.len()),
            OptionForm::Name { most } => (1..=most).contains(&self.len()) && self[0] != 0,
            _ => false,
        }
    }

    fn encode(&self, _form: &OptionForm) -> Vec<u8> {
        self.to_vec()
    }

    fn changed(&self, bytes: &[u8], form: &OptionForm) -> Option<Self> {
        Some(Self::copy_from_slice(bytes)).filter(|value| value.fits(form))
    }
}

impl Keeps<&[u32]> for Vec<u32> {
    fn keep(given: &[u32]) -> Self {
        given.to_vec()
    }
}

impl Value for Vec<u32> {
    fn fits(&self, form: &OptionForm) -> bool {
        match form {
            OptionForm::Ids => true,
            _ => self.iter().all(|id| id.fits(form)),
        }
    }

    fn encode(&self, _form: &OptionForm) -> Vec<u8> {
        self.iter().flat_map(|id| id.to_ne_bytes()).collect()
    }

    fn changed(&self, bytes: &[u8], form: &OptionForm) -> Option<Self> {
        if bytes.is_empty() && *form == OptionForm::Ids {
            return Some(Self::new());
        }
        let mut ids = self.clone();
        ids.push(u32::from_ne_bytes(bytes.try_into().ok()?));
        Some(ids).filter(|ids| ids.fits(form))
    }
}

impl Keeps<Option<&str>> for Option<String> {
    fn keep(given: Option<&str>) -> Self {
        given.filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

impl Value for Option<String> {
    fn fits(&self, form: &OptionForm) -> bool {
        let text = self.as_deref().unwrap_or_default();
        matches!(form, OptionForm::Text { most } if text.len() <= *most) && !text.contains('\0')
    }

    fn encode(&self, _form: &OptionForm) -> Vec<u8> {
        let mut bytes = self.clone().unwrap_or_default().into_bytes();
        bytes.push(0);
        bytes
    }

    fn changed(&self, bytes: &[u8], form: &OptionForm) -> Option<Self> {
        // C programs may count the zero byte at the end in, or not.
        let text = std::str::from_utf8(bytes.strip_suffix(b"\0").unwrap_or(bytes)).ok()?;
        Some(Self::keep(Some(text))).filter(|value| value.fits(form))
    }
}

/// Keys are written alike.
macro_rules! keys {
    ($($key:ty),+) => {$(
        impl Keeps<$key> for Option<$key> {
            fn keep(given: $key) -> Self {
                Some(given)
            }
        }

        impl Value for Option<$key> {
            fn fits(&self, form: &OptionForm) -> bool {
                *form == OptionForm::Key
            }

            fn encode(&self, _form: &OptionForm) -> Vec<u8> {
                self.as_ref().map_or_else(|| vec![0; 32], |key| key.as_bytes().to_vec())
            }

            fn changed(&self, bytes: &[u8], _form: &OptionForm) -> Option<Self> {
                if let Ok(bytes) = <[u8; 32]>::try_from(bytes) {
                    return Some(Some(bytes.into()));
                }
                // C programs may count the zero byte at the end in, or not.
                let text = std::str::from_utf8(bytes.strip_suffix(b"\0").unwrap_or(bytes)).ok()?;
                text.parse().ok().map(Some)
            }
        }
    )+};
}

keys!(CurvePublicKey, CurveSecretKey);

/// A network as it was written, and as it was read if it is one.
type Written = (String, Option<Network>);

fn read(text: &str) -> Written {
    (text.to_owned(), Network::parse(text))
}

impl Keeps<&[&str]> for Vec<Written> {
    fn keep(given: &[&str]) -> Self {
        given.iter().map(|text| read(text)).collect()
    }
}

impl Tells<Vec<String>> for Vec<Written> {
    fn tell(&self) -> Vec<String> {
        self.iter().map(|(text, _)| text.clone()).collect()
    }
}

impl Value for Vec<Written> {
    fn fits(&self, form: &OptionForm) -> bool {
        *form == OptionForm::Networks && self.iter().all(|(_, network)| network.is_some())
    }

    fn encode(&self, _form: &OptionForm) -> Vec<u8> {
        let texts: Vec<String> = self.tell();
        texts.join("\n").into_bytes()
    }

    fn changed(&self, bytes: &[u8], form: &OptionForm) -> Option<Self> {
        // C programs may count the zero byte at the end in, or not.
        let text = std::str::from_utf8(bytes.strip_suffix(b"\0").unwrap_or(bytes)).ok()?;
        let mut networks = self.clone();
        if text.is_empty() {
            networks.clear();
        } else {
            networks.push(read(text));
        }
        Some(networks).filter(|networks| networks.fits(form))
    }
}

/// Longer ones would leave no room for the rest of the handshake.
const LONGEST_METADATA: usize = 32 * 1024;

impl Keeps<&[(&str, &str)]> for Vec<(String, Bytes)> {
    fn keep(given: &[(&str, &str)]) -> Self {
        let owned = |&(name, value): &(&str, &str)| {
            (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
        };
        given.iter().map(owned).collect()
    }
}

impl Value for Vec<(String, Bytes)> {
    fn fits(&self, form: &OptionForm) -> bool {
        let is_property = |at: usize, name: &str, value: &Bytes| {
            name.starts_with("X-")
                && name.len() <= 255
                && name.is_ascii()
                && !name.contains(':')
                && !name.eq_ignore_ascii_case(PATTERNS_PROPERTY)
                && !value.is_empty()
                && self[..at].iter().all(|(earlier, _)| !earlier.eq_ignore_ascii_case(name))
        };
        let length: usize = self.iter().map(|(name, value)| name.len() + value.len() + 5).sum();
        *form == OptionForm::Property
            && length <= LONGEST_METADATA
            && self.iter().enumerate().all(|(at, (name, value))| is_property(at, name, value))
    }

    fn encode(&self, _form: &OptionForm) -> Vec<u8> {
        let written = |(name, value): &(String, Bytes)| [name.as_bytes(), b":", value].concat();
        self.iter().map(written).collect::<Vec<_>>().join(&b'\n')
    }

    fn changed(&self, bytes: &[u8], form: &OptionForm) -> Option<Self> {
        let colon = bytes.iter().position(|&byte| byte == b':')?;
        let name = std::str::from_utf8(&bytes[..colon]).ok()?;
        let mut changed = self.clone();
        if !self.iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            changed.push((name.to_owned(), Bytes::copy_from_slice(&bytes[colon + 1..])));
        }
        Some(changed).filter(|changed| changed.fits(form))
    }
}
