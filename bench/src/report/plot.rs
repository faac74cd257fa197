//! Charts: bars side by side on a logarithmic scale, one chart for each metric of similar workloads.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use super::{Row, table::digits};
use crate::{
    case::{Metric, Workload, size_name},
    failure::{Failure, Result},
    implementation::Implementation,
};

const BAR: f64 = 22.0;
const GAP: f64 = 26.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 120.0;
const HEIGHT: f64 = 300.0;
const BOTTOM: f64 = 44.0;
const LEGEND: f64 = 104.0;

/// Writes the charts into a folder that exists.
pub(super) fn write(folder: &Path, rows: &[Row]) -> Result<()> {
    let mut charts: BTreeMap<String, Chart> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.medians.is_empty()) {
        let (transport, metric) = (row.case.transport.name(), row.metric.name());
        let title = format!("{} {transport} {metric}", family(row.case.workload));
        let chart = charts.entry(title).or_insert_with(|| Chart::new(row.metric));
        chart.groups.push((label(row), row.medians.clone()));
    }
    for (title, chart) in charts {
        let path = folder.join(format!("{}.svg", title.replace([' ', '.'], "-")));
        fs::write(&path, chart.svg(&title))
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

/// Which workloads share a chart.
fn family(workload: Workload) -> String {
    match workload {
        Workload::PubSub { .. } => "pub-sub".to_owned(),
        other => other.to_string(),
    }
}

/// What stands under a group of bars.
fn label(row: &Row) -> String {
    let case = &row.case;
    match case.workload {
        Workload::PubSub { subscribers, others: false } => format!("{subscribers}"),
        Workload::PubSub { subscribers, others: true } => format!("{subscribers} + topics"),
        _ if case.size > 0 => size_name(case.size),
        _ => String::new(),
    }
}

struct Chart {
    metric: Metric,
    groups: Vec<(String, BTreeMap<Implementation, f64>)>,
}

impl Chart {
    fn new(metric: Metric) -> Self {
        Self { metric, groups: Vec::new() }
    }

    fn svg(&self, title: &str) -> String {
        let values = || self.groups.iter().flat_map(|(_, values)| values.values().copied());
        // Whole decades.
        let positive = || values().filter(|value| *value > 0.0);
        let floor = positive().fold(f64::INFINITY, f64::min).log10().floor();
        let ceiling = positive().fold(0.0, f64::max).log10().ceil();
        let (floor, ceiling) = match floor.is_finite() && ceiling.is_finite() {
            true => (floor, ceiling.max(floor + 1.0)),
            false => (0.0, 1.0),
        };
        let peers: Vec<Implementation> = Implementation::ALL
            .iter()
            .copied()
            .filter(|peer| self.groups.iter().any(|(_, values)| values.contains_key(peer)))
            .collect();
        let bars: usize = self.groups.iter().map(|(_, values)| values.len()).sum();
        let plot = bars as f64 * BAR + self.groups.len() as f64 * GAP;
        let width = (LEFT + plot + RIGHT).max(LEFT + peers.len() as f64 * LEGEND + RIGHT);
        let height = TOP + HEIGHT + BOTTOM;
        let y = |value: f64| {
            let share = (value.max(1e-9).log10() - floor) / (ceiling - floor);
            TOP + HEIGHT * (1.0 - share.clamp(0.0, 1.0))
        };
        let mut svg = String::new();
        let _ = writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#24292f\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"28\" font-size=\"17\" font-weight=\"600\">{title}</text>\n\
             <text x=\"{LEFT}\" y=\"46\" fill=\"#57606a\">{}, {} is better; logarithmic</text>",
            self.metric.unit(),
            if self.metric.more_is_better() { "more" } else { "less" },
        );
        for (index, peer) in peers.iter().enumerate() {
            let x = LEFT + index as f64 * LEGEND;
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.0}\" y=\"58\" width=\"12\" height=\"12\" rx=\"2\" fill=\"{}\"/>\
                 <text x=\"{:.0}\" y=\"68\">{}</text>",
                colour(*peer),
                x + 17.0,
                peer.name(),
            );
        }
        let mut decade = floor;
        while decade <= ceiling {
            let at = y(10_f64.powf(decade));
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#d0d7de\"/>\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#57606a\">{}</text>",
                width - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                power(decade),
            );
            decade += 1.0;
        }
        let mut x = LEFT + GAP / 2.0;
        for (label, values) in &self.groups {
            let middle = x + values.len() as f64 * BAR / 2.0;
            for (peer, value) in values {
                let top = y(*value);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\" \
                     fill=\"{}\"><title>{}: {} {}</title></rect>",
                    x + 1.0,
                    BAR - 2.0,
                    TOP + HEIGHT - top,
                    colour(*peer),
                    peer.name(),
                    digits(*value),
                    self.metric.unit(),
                );
                let (text, above) = (x + BAR / 2.0 + 3.5, top - 5.0);
                let _ = writeln!(
                    svg,
                    "<text transform=\"translate({text:.1} {above:.1}) rotate(-90)\" \
                     font-size=\"10\" fill=\"#57606a\">{}</text>",
                    digits(*value),
                );
                x += BAR;
            }
            let _ = writeln!(
                svg,
                "<text x=\"{middle:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{label}</text>",
                TOP + HEIGHT + 20.0,
            );
            x += GAP;
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn power(decade: f64) -> String {
    digits(10_f64.powf(decade)).replace(".00", "").replace(".0", "")
}

fn colour(peer: Implementation) -> &'static str {
    match peer {
        Implementation::Serverlink => "#cf4a1f",
        Implementation::Libzmq => "#3b6fb6",
        Implementation::Zeromq => "#6aa84f",
        Implementation::Rzmq => "#9b6bb3",
        Implementation::Mio => "#3b6fb6",
        Implementation::Polling => "#6aa84f",
        Implementation::Tokio => "#9b6bb3",
        Implementation::Compio => "#c9a227",
        Implementation::Floor => "#b8bec6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_a_bar_for_each_value_and_stays_within_its_frame() {
        let mut chart = Chart::new(Metric::Throughput);
        for value in [0.0, 1.0, 5e6] {
            let values = BTreeMap::from([(Implementation::Serverlink, value)]);
            chart.groups.push(("64B".to_owned(), values));
        }
        let svg = chart.svg("a title");
        assert_eq!(svg.matches("<title>serverlink: ").count(), 3);
        assert!(svg.contains("a title"));
        for (_, rest) in
            svg.match_indices("height=\"").map(|(at, mark)| svg.split_at(at + mark.len()))
        {
            if let Ok(height) = rest.split('"').next().unwrap().parse::<f64>() {
                assert!((0.0..=TOP + HEIGHT + BOTTOM).contains(&height), "{height}");
            }
        }
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn decades_are_short() {
        assert_eq!(power(6.0), "1M");
        assert_eq!(power(5.0), "100k");
        assert_eq!(power(2.0), "100");
    }
}
