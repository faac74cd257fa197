//! Sizes in bytes and rates.

/// The largest message that can be generated or cut: 1 GiB.
const MAX_SIZE: usize = 1 << 30;

const UNITS: [(&str, usize); 8] = [
    ("", 1),
    ("B", 1),
    ("k", 1000),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A size in bytes, `64`, `64KiB` or `1MB`, of at most 1 GiB.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("write a number of bytes, like 64, 64KiB or 1MB".into());
    }
    let unit = &text[digits.len()..];
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("the unit {unit:?} is unknown; use B, kB, MB, KiB, MiB or GiB"));
    };
    digits
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .filter(|size| *size <= MAX_SIZE)
        .ok_or_else(|| "it is more than 1GiB".into())
}

/// Messages per second: above zero, fractions allowed.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e9 => Ok(rate),
        Ok(_) => Err("it must be above 0 and at most 1000000000 messages a second".into()),
        Err(_) => Err("write a number of messages a second, like 1000 or 0.5".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_unless_a_unit_follows() {
        for (text, bytes) in
            [("0", 0), ("64", 64), ("64B", 64), ("2k", 2000), ("64KiB", 65_536), ("1GiB", MAX_SIZE)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "1.5MB", "x", "1 MB", "7Mb", "2GiB", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_positive_and_finite() {
        assert_eq!(rate("0.5"), Ok(0.5));
        assert_eq!(rate("1e6"), Ok(1e6));
        for text in ["0", "-1", "inf", "NaN", "fast", ""] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
