//! What the figures are to reach, as data.

use crate::{
    case::{Case, Metric},
    implementation::Implementation,
    selection,
};

/// Whom a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// The ratio to what another implementation reaches.
    Ratio(Implementation),
    /// The figure itself.
    Figure,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

type Condition = (Measure, Bound);

/// What some rows are to reach.
#[derive(Debug)]
struct Target {
    /// The rows, by patterns as for `--only`, one of which matches.
    rows: &'static [&'static str],
    /// All of these.
    reach: &'static [Condition],
    /// And if possible, this.
    beyond: Option<Condition>,
}

const LIBZMQ: Measure = Measure::Ratio(Implementation::Libzmq);
const MIO: Measure = Measure::Ratio(Implementation::Mio);
const TOKIO: Measure = Measure::Ratio(Implementation::Tokio);
const FLOOR: Measure = Measure::Ratio(Implementation::Floor);

const TARGETS: &[Target] = &[
    Target {
        rows: &["^push-pull/tcp/16B/throughput", "^push-pull/tcp/64B/throughput"],
        reach: &[(LIBZMQ, Bound::AtLeast(4.0))],
        beyond: Some((LIBZMQ, Bound::AtLeast(6.0))),
    },
    Target {
        rows: &["^push-pull/tcp/1KiB/throughput"],
        reach: &[(LIBZMQ, Bound::AtLeast(3.0))],
        beyond: Some((FLOOR, Bound::AtLeast(0.9))),
    },
    Target {
        rows: &["^push-pull/tcp/64KiB/throughput", "^push-pull/tcp/1MiB/throughput"],
        reach: &[(LIBZMQ, Bound::AtLeast(1.2))],
        beyond: Some((FLOOR, Bound::AtLeast(0.9))),
    },
    Target {
        rows: &["^req-rep/tcp/64B/p50", "^dealer-router/tcp/64B/p50"],
        reach: &[(LIBZMQ, Bound::AtMost(0.5)), (FLOOR, Bound::AtMost(1.3))],
        beyond: Some((FLOOR, Bound::AtMost(1.1))),
    },
    Target {
        rows: &["^req-rep/tcp/*/p99$", "^dealer-router/tcp/*/p99$"],
        reach: &[(LIBZMQ, Bound::AtMost(1.0))],
        beyond: Some((FLOOR, Bound::AtMost(1.5))),
    },
    Target {
        rows: &["^push-pull/inproc/64B/throughput"],
        reach: &[(LIBZMQ, Bound::AtLeast(4.0))],
        beyond: Some((LIBZMQ, Bound::AtLeast(8.0))),
    },
    Target {
        rows: &["^push-pull/inproc/64KiB/throughput"],
        reach: &[(LIBZMQ, Bound::AtLeast(1.0))],
        beyond: None,
    },
    Target {
        rows: &["^req-rep/inproc/*/p50", "^dealer-router/inproc/*/p50"],
        reach: &[(LIBZMQ, Bound::AtMost(0.6))],
        beyond: Some((FLOOR, Bound::AtMost(1.2))),
    },
    Target {
        rows: &["^pub-sub-64*throughput"],
        reach: &[(LIBZMQ, Bound::AtLeast(3.0))],
        beyond: None,
    },
    Target {
        rows: &["^router-1000-dealers/tcp/64B/requests"],
        reach: &[(LIBZMQ, Bound::AtLeast(2.0))],
        beyond: None,
    },
    Target {
        rows: &["^10000-connections/tcp/*-memory"],
        reach: &[(Measure::Figure, Bound::AtMost(4096.0))],
        beyond: Some((Measure::Figure, Bound::AtMost(1024.0))),
    },
    Target {
        rows: &["^engine-echo/*/p50"],
        reach: &[(MIO, Bound::AtMost(1.0)), (TOKIO, Bound::AtMost(1.0))],
        beyond: None,
    },
    Target {
        rows: &["^engine-echo-1000/*/requests"],
        reach: &[(MIO, Bound::AtLeast(1.0)), (TOKIO, Bound::AtLeast(1.0))],
        beyond: None,
    },
];

/// Who is to be left behind in every row.
const AHEAD_OF: &[Implementation] = &[Implementation::Zeromq, Implementation::Rzmq];

/// What became of a row's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More than was asked for.
    Beyond,
    /// All that was asked for.
    Reached,
    /// Not all of it: what not.
    Short(Vec<String>),
}

/// Judges a row of which our median is `figure`; nothing if it has no target, or was not measured.
pub(crate) fn judge(
    case: &Case,
    metric: Metric,
    figure: Option<f64>,
    ratio: impl Fn(Implementation) -> Option<f64>,
) -> Option<Verdict> {
    let figure = figure?;
    let row = case.row(metric);
    let value = |measure| match measure {
        Measure::Ratio(peer) => ratio(peer),
        Measure::Figure => Some(figure),
    };
    let target = TARGETS
        .iter()
        .find(|target| target.rows.iter().any(|pattern| selection::matches(pattern, &row)));
    let mut conditions: Vec<Condition> =
        target.map(|target| target.reach.to_vec()).unwrap_or_default();
    conditions.extend(AHEAD_OF.iter().map(|peer| {
        let bound = if metric.more_is_better() { Bound::AtLeast(1.0) } else { Bound::AtMost(1.0) };
        (Measure::Ratio(*peer), bound)
    }));
    let mut judged = false;
    let mut short = Vec::new();
    for (measure, bound) in conditions {
        if let Some(value) = value(measure) {
            judged = true;
            if !bound.holds(value) {
                short.push(describe(measure, bound));
            }
        }
    }
    if !short.is_empty() {
        return Some(Verdict::Short(short));
    }
    let beyond = target.and_then(|target| target.beyond);
    let exceeded = beyond.and_then(|(measure, bound)| Some(bound.holds(value(measure)?)));
    match (judged, exceeded) {
        (_, Some(true)) => Some(Verdict::Beyond),
        (true, _) => Some(Verdict::Reached),
        (false, _) => None,
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

fn describe(measure: Measure, bound: Bound) -> String {
    let (sign, limit) = match bound {
        Bound::AtLeast(least) => (">=", least),
        Bound::AtMost(most) => ("<=", most),
    };
    match measure {
        Measure::Ratio(peer) => format!("{sign} {limit}x {}", peer.name()),
        Measure::Figure => format!("{sign} {limit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case;

    fn judged(row: &str, figure: f64, ratios: &[(Implementation, f64)]) -> Option<Verdict> {
        let (name, metric) = row.rsplit_once('/').unwrap();
        let case = Case::named(name).unwrap();
        let metric = *case.metrics().iter().find(|known| known.name() == metric).unwrap();
        judge(&case, metric, Some(figure), |peer| {
            ratios.iter().find(|(of, _)| *of == peer).map(|(_, ratio)| *ratio)
        })
    }

    #[test]
    fn a_row_is_judged_by_all_its_conditions() {
        use Implementation::{Floor, Libzmq};

        let row = "req-rep/tcp/64B/p50";
        assert_eq!(judged(row, 9.0, &[(Libzmq, 0.4), (Floor, 1.2)]), Some(Verdict::Reached));
        assert_eq!(judged(row, 9.0, &[(Libzmq, 0.4), (Floor, 1.05)]), Some(Verdict::Beyond));
        let short = judged(row, 9.0, &[(Libzmq, 0.6), (Floor, 1.4)]);
        let both = vec!["<= 0.5x libzmq".to_owned(), "<= 1.3x floor".to_owned()];
        assert_eq!(short, Some(Verdict::Short(both)));
        assert_eq!(judged(row, 9.0, &[]), None, "nobody to compare with");
    }

    #[test]
    fn memory_is_judged_by_itself() {
        let row = "10000-connections/tcp/accepted-memory";
        assert_eq!(judged(row, 900.0, &[]), Some(Verdict::Beyond));
        assert_eq!(judged(row, 4000.0, &[]), Some(Verdict::Reached));
        assert!(matches!(judged(row, 5000.0, &[]), Some(Verdict::Short(_))));
    }

    #[test]
    fn the_engine_is_to_equal_those_that_others_build_on() {
        use Implementation::{Mio, Tokio};

        let row = "engine-echo/tcp/64B/p50";
        assert_eq!(judged(row, 9.0, &[(Mio, 0.99), (Tokio, 1.0)]), Some(Verdict::Reached));
        assert!(matches!(judged(row, 9.0, &[(Mio, 1.01)]), Some(Verdict::Short(_))));
        let row = "engine-echo-1000/tcp/64B/requests";
        assert_eq!(judged(row, 9e4, &[(Mio, 1.0), (Tokio, 1.1)]), Some(Verdict::Reached));
        assert!(matches!(judged(row, 9e4, &[(Tokio, 0.99)]), Some(Verdict::Short(_))));
    }

    #[test]
    fn the_other_libraries_are_to_be_left_behind_in_every_row() {
        use Implementation::{Rzmq, Zeromq};

        let row = "push-pull/tcp/256B/throughput";
        assert_eq!(judged(row, 1e6, &[(Zeromq, 5.0), (Rzmq, 1.1)]), Some(Verdict::Reached));
        assert!(matches!(judged(row, 1e6, &[(Rzmq, 0.9)]), Some(Verdict::Short(_))));
        let row = "push-pull/tcp/256B/cpu";
        assert!(matches!(judged(row, 100.0, &[(Rzmq, 1.1)]), Some(Verdict::Short(_))));
    }

    #[test]
    fn every_target_is_one_of_rows_that_there_are() {
        let rows: Vec<String> = case::all()
            .iter()
            .flat_map(|case| case.metrics().iter().map(|metric| case.row(*metric)))
            .collect();
        for pattern in TARGETS.iter().flat_map(|target| target.rows) {
            assert!(rows.iter().any(|row| selection::matches(pattern, row)), "{pattern}");
        }
    }
}
