//! Results for programs.

use std::{collections::BTreeMap, io::Write};

use serde::Serialize;

use super::Row;
use crate::{failure::Result, implementation::Implementation};

/// One row, with null for what was not measured.
#[derive(Debug, Serialize)]
struct Record {
    workload: String,
    transport: &'static str,
    /// In bytes.
    size: usize,
    metric: &'static str,
    unit: &'static str,
    serverlink: Option<f64>,
    libzmq: Option<f64>,
    floor: Option<f64>,
    ratio_libzmq: Option<f64>,
    ratio_floor: Option<f64>,
    rounds: usize,
    spread: Option<f64>,
    /// The figures of the others by their names, and our ratios to them.
    #[serde(flatten)]
    others: BTreeMap<String, Option<f64>>,
}

/// Those that have fields in every row.
const FIXED: &[Implementation] =
    &[Implementation::Serverlink, Implementation::Libzmq, Implementation::Floor];

impl From<&Row> for Record {
    fn from(row: &Row) -> Self {
        let median = |peer| row.medians.get(&peer).copied();
        let ratio = |peer| row.ratios.get(&peer).copied();
        let others = Implementation::ALL.iter().filter(|peer| !FIXED.contains(peer));
        let others = others.flat_map(|&peer| {
            let name = peer.name();
            [(name.to_owned(), median(peer)), (format!("ratio_{name}"), ratio(peer))]
        });
        Self {
            workload: row.case.workload.to_string(),
            transport: row.case.transport.name(),
            size: row.case.size,
            metric: row.metric.name(),
            unit: row.metric.unit(),
            serverlink: median(Implementation::Serverlink),
            libzmq: median(Implementation::Libzmq),
            floor: median(Implementation::Floor),
            ratio_libzmq: ratio(Implementation::Libzmq),
            ratio_floor: ratio(Implementation::Floor),
            rounds: row.rounds,
            spread: row.spread,
            others: others.collect(),
        }
    }
}

/// Writes a list with one object for each row.
pub(super) fn write(to: &mut impl Write, rows: &[Row]) -> Result<()> {
    let records: Vec<Record> = rows.iter().map(Record::from).collect();
    serde_json::to_writer_pretty(&mut *to, &records)?;
    writeln!(to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::case::{Case, Metric};

    #[test]
    fn a_row_has_all_fields_and_null_for_what_is_not_there() {
        let values = BTreeMap::from([
            (Implementation::Serverlink, vec![30.0, 10.0, 20.0]),
            (Implementation::Libzmq, vec![10.0, 10.0, 10.0]),
        ]);
        let case = Case::named("push-pull/tcp/64B").unwrap();
        let mut written = Vec::new();
        write(&mut written, &[Row::new(case, Metric::Throughput, &values)]).unwrap();
        let rows: Value = serde_json::from_slice(&written).unwrap();
        let row = rows[0].as_object().unwrap();
        for (field, value) in [
            ("workload", json!("push-pull")),
            ("transport", json!("tcp")),
            ("size", json!(64)),
            ("metric", json!("throughput")),
            ("unit", json!("msg/s")),
            ("serverlink", json!(20.0)),
            ("libzmq", json!(10.0)),
            ("floor", Value::Null),
            ("ratio_libzmq", json!(2.0)),
            ("ratio_floor", Value::Null),
            ("rounds", json!(3)),
            ("spread", json!(0.5)),
            ("zeromq", Value::Null),
            ("ratio_rzmq", Value::Null),
        ] {
            assert_eq!(row[field], value, "{field}");
        }
    }
}
