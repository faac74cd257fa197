//! Which rows to measure.

use crate::{
    case::{Case, Metric},
    failure::{Failure, Result},
};

/// The cases to measure and the metrics to report of each: those of `--quick`, if so, and of them
/// those whose row matches any of the patterns, if there are any.
pub(crate) fn select(
    all: &[Case],
    quick: bool,
    patterns: &[String],
) -> Result<Vec<(Case, Vec<Metric>)>> {
    let rows =
        |case: &Case| case.metrics().iter().map(|metric| case.row(*metric)).collect::<Vec<_>>();
    let candidates: Vec<&Case> = all.iter().filter(|case| case.quick || !quick).collect();
    for pattern in patterns {
        if !candidates.iter().any(|case| rows(case).iter().any(|row| matches(pattern, row))) {
            let among = if quick { " among those of --quick" } else { "" };
            return Err(Failure::new(format!(
                "no row{among} has {pattern:?} in its name; --list shows them"
            )));
        }
    }
    let wanted =
        |row: &str| patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, row));
    let chosen = candidates.into_iter().map(|case| {
        let metrics = case.metrics().iter().copied();
        (*case, metrics.filter(|metric| wanted(&case.row(*metric))).collect::<Vec<_>>())
    });
    Ok(chosen.filter(|(_, metrics)| !metrics.is_empty()).collect())
}

/// Whether the parts of the pattern between its asterisks are found in the row's name, in order. A
/// `^` before it ties it to the beginning of the name, a `$` after it to the end.
pub(crate) fn matches(pattern: &str, row: &str) -> bool {
    let (pattern, from_beginning) = without(pattern, pattern.strip_prefix('^'));
    let (pattern, to_end) = without(pattern, pattern.strip_suffix('$'));
    let mut parts: Vec<&str> = pattern.split('*').collect();
    let mut rest = row;
    if from_beginning {
        match rest.strip_prefix(parts.remove(0)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    if to_end && let Some(last) = parts.pop() {
        match rest.strip_suffix(last) {
            Some(before) => rest = before,
            None => return false,
        }
    } else if to_end {
        return rest.is_empty();
    }
    parts.into_iter().all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// What is left of the pattern without an anchor, and whether it had one.
fn without<'a>(pattern: &'a str, stripped: Option<&'a str>) -> (&'a str, bool) {
    stripped.map_or((pattern, false), |rest| (rest, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case;

    fn chosen(quick: bool, patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let chosen = select(&case::all(), quick, &patterns).unwrap();
        let rows = chosen.iter().flat_map(|(case, metrics)| {
            metrics.iter().map(|metric| case.row(*metric)).collect::<Vec<_>>()
        });
        rows.collect()
    }

    #[test]
    fn patterns_match_anywhere_unless_tied_and_asterisks_anything() {
        assert!(matches("tcp", "push-pull/tcp/64B/cpu"));
        assert!(matches("pull*64B", "push-pull/tcp/64B/cpu"));
        assert!(matches("*", "push-pull/tcp/64B/cpu"));
        assert!(!matches("64B*tcp", "push-pull/tcp/64B/cpu"));
        assert!(!matches("6B", "push-pull/tcp/64B/cpu"));
        assert!(matches("p99", "req-rep/tcp/64B/p99.9"));
        assert!(!matches("p99$", "req-rep/tcp/64B/p99.9"));
        assert!(matches("tcp*p99$", "req-rep/tcp/64B/p99"));
        assert!(matches("64B*p99.9$", "req-rep/tcp/64B/p99.9"));
        assert!(matches("^push*64B", "push-pull/tcp/64B/cpu"));
        assert!(!matches("^push", "4-push-pull/tcp/64B/cpu"));
        assert!(matches("^a$", "a"));
        assert!(!matches("^a$", "ab"));
        assert!(!matches("^a$", "ba"));
    }

    #[test]
    fn rows_are_chosen_by_metric_too() {
        assert_eq!(
            chosen(false, &["req-rep/tcp/64B/p99"]),
            ["req-rep/tcp/64B/p99", "req-rep/tcp/64B/p99.9"]
        );
        assert_eq!(
            chosen(false, &["req-rep/tcp/64B/p50", "push-pull/tcp/16B/t"]),
            ["push-pull/tcp/16B/throughput", "req-rep/tcp/64B/p50"]
        );
    }

    #[test]
    fn quick_leaves_rows_out() {
        assert!(chosen(true, &[]).len() < chosen(false, &[]).len());
        assert!(!chosen(true, &[]).iter().any(|row| row.contains("16B")));
    }

    #[test]
    fn a_pattern_without_rows_is_explained() {
        let none = |quick| select(&case::all(), quick, &["tcp/16B".to_owned(), "upd".to_owned()]);
        assert!(none(false).unwrap_err().to_string().contains("\"upd\""));
        assert!(none(true).unwrap_err().to_string().contains("--quick"));
    }
}
