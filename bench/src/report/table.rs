//! Results for people.

use std::io::{self, Write as _};

use super::Row;
use crate::{failure::Result, implementation::Implementation, target::Verdict};

/// Prints the table of all rows.
pub(crate) fn print(rows: &[Row]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    for line in table(rows) {
        writeln!(stdout, "{line}")?;
    }
    let short = rows.iter().filter(|row| matches!(row.verdict, Some(Verdict::Short(_)))).count();
    let judged = rows.iter().filter(|row| row.verdict.is_some()).count();
    if judged > 0 {
        writeln!(stdout, "\n{} of {judged} rows with a target reached it", judged - short)?;
    }
    Ok(())
}

fn table(rows: &[Row]) -> Vec<String> {
    // Those that were measured, ourselves first and the floor last.
    let peers: Vec<Implementation> = Implementation::ALL
        .iter()
        .copied()
        .filter(|peer| rows.iter().any(|row| row.medians.contains_key(peer)))
        .collect();
    let mut lines = vec![heading(&peers)];
    lines.extend(rows.iter().map(|row| cells(row, &peers)));
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let last = widths.len() - 1;
    let line = |line: Vec<String>| {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Names to the left, numbers to the right.
            text += &match column {
                0 | 1 => format!("{cell:<width$}  "),
                _ if column == last => cell.clone(),
                _ => format!("{cell:>width$}  "),
            };
        }
        text.trim_end().to_owned()
    };
    lines.into_iter().map(line).collect()
}

fn heading(peers: &[Implementation]) -> Vec<String> {
    let mut heading = vec!["row".to_owned(), "unit".to_owned()];
    for peer in peers {
        let beside = if *peer == Implementation::Serverlink { "spread" } else { "ratio" };
        heading.extend([peer.name().to_owned(), beside.to_owned()]);
    }
    heading.push("target".to_owned());
    heading
}

fn cells(row: &Row, peers: &[Implementation]) -> Vec<String> {
    let mut cells = vec![row.case.row(row.metric), row.metric.unit().to_owned()];
    for peer in peers {
        cells.push(row.medians.get(peer).map_or_else(nothing, |median| digits(*median)));
        cells.push(match (peer, row.ratios.get(peer)) {
            (Implementation::Serverlink, _) => {
                row.spread.map_or_else(nothing, |spread| format!("{:.0}%", spread * 100.0))
            }
            (_, Some(ratio)) => format!("{ratio:.2}x"),
            (_, None) => nothing(),
        });
    }
    let mut remarks = match &row.verdict {
        None => Vec::new(),
        Some(Verdict::Beyond) => vec!["beyond".to_owned()],
        Some(Verdict::Reached) => vec!["reached".to_owned()],
        Some(Verdict::Short(of)) => vec![format!("short of {}", of.join(", "))],
    };
    remarks.extend(row.failed.iter().map(|peer| format!("{} failed", peer.name())));
    cells.push(remarks.join("; "));
    cells
}

fn nothing() -> String {
    "-".to_owned()
}

/// A number with three digits or more, and a letter for thousands and millions.
pub(super) fn digits(value: f64) -> String {
    let (value, letter) = match value.abs() {
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    match value.abs() {
        100.0.. => format!("{value:.0}{letter}"),
        10.0.. => format!("{value:.1}{letter}"),
        _ => format!("{value:.2}{letter}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::case::{Case, Metric};

    #[test]
    fn numbers_have_three_digits_or_more() {
        assert_eq!(digits(4_321_000.0), "4.32M");
        assert_eq!(digits(43_210.0), "43.2k");
        assert_eq!(digits(4321.0), "4321");
        assert_eq!(digits(43.21), "43.2");
        assert_eq!(digits(0.5), "0.50");
    }

    #[test]
    fn the_table_shows_who_was_measured_and_what_is_short() {
        let row = |name, ours, libzmq| {
            let values = BTreeMap::from([
                (Implementation::Serverlink, vec![ours]),
                (Implementation::Libzmq, vec![libzmq]),
            ]);
            Row::new(Case::named(name).unwrap(), Metric::Throughput, &values)
        };
        let rows = [row("push-pull/tcp/64B", 1e7, 2e6), row("push-pull/tcp/1KiB", 2e6, 1e6)];
        assert_eq!(
            table(&rows),
            [
                "row                            unit   serverlink  spread  libzmq  ratio  target",
                "push-pull/tcp/64B/throughput   msg/s       10.0M      0%   2.00M  5.00x  reached",
                "push-pull/tcp/1KiB/throughput  msg/s       2.00M      0%   1.00M  2.00x  \
             short of >= 3x libzmq",
            ]
        );
    }
}
