//! Durations: `250us`, `500ms`, `2s`, `1.5m`, `1h`.

use std::time::Duration;

/// The longest that can be asked for: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

const UNITS: [(&str, f64); 5] =
    [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// How long unsent messages may keep the command from ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linger {
    Forever,
    For(Duration),
}

/// A duration above zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = any_duration(text)?;
    if duration.is_zero() { Err("it must be more than nothing".into()) } else { Ok(duration) }
}

/// A duration, `0`, or `forever`.
pub(crate) fn linger(text: &str) -> Result<Linger, String> {
    match text {
        "forever" => Ok(Linger::Forever),
        "0" => Ok(Linger::For(Duration::ZERO)),
        _ => any_duration(text)
            .map(Linger::For)
            .map_err(|reason| format!("{reason}; or `forever`, or `0`")),
    }
}

fn any_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    // Rust's numbers may have signs and exponents; a duration may not.
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err("write a number and a unit, like 500ms or 2s".into());
    }
    let number: f64 = digits.parse().map_err(|_| format!("{digits:?} is no number"))?;
    let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(if unit.is_empty() {
            format!("a unit is missing: {text}ms or {text}s")
        } else {
            format!("the unit {unit:?} is unknown; use us, ms, s, m or h")
        });
    };
    Duration::try_from_secs_f64(number * seconds)
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "it is longer than a year".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood() {
        for (text, micros) in [
            ("250us", 250),
            ("500ms", 500_000),
            ("2s", 2_000_000),
            ("1.5m", 90_000_000),
            ("0.5h", 1_800_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "number and a unit"),
            ("s", "number and a unit"),
            ("5", "unit is missing"),
            ("5 s", "number and a unit"),
            ("-5s", "number and a unit"),
            ("1e3s", "number and a unit"),
            ("1.2.3s", "no number"),
            ("5parsec", "unknown"),
            ("0s", "more than nothing"),
            ("9000h", "longer than a year"),
            ("99999999999999999999999h", "longer than a year"),
        ] {
            let refused = duration(text).unwrap_err();
            assert!(refused.contains(reason), "{text:?}: {refused}");
        }
    }

    #[test]
    fn linger_may_be_nothing_or_for_ever() {
        assert_eq!(linger("0"), Ok(Linger::For(Duration::ZERO)));
        assert_eq!(linger("0s"), Ok(Linger::For(Duration::ZERO)));
        assert_eq!(linger("forever"), Ok(Linger::Forever));
        assert!(linger("never").unwrap_err().contains("forever"));
    }
}
