//! The results, as a table or as JSON.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::Duration,
};

use serde_json::{Value, json};

use super::part::Measured;
use crate::{exit, failure::Failure};

/// What the demonstration has measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) backend: &'static str,
    pub(super) message_bytes: usize,
    pub(super) seconds: f64,
    pub(super) parts: Vec<Measured>,
}

const QUANTILES: [(&str, &str, f64); 3] =
    [("p50", "p50", 0.5), ("p99", "p99", 0.99), ("p99.9", "p99_9", 0.999)];

impl Report {
    /// Prints the results; a failure if anything was lost or wrong.
    pub(super) fn print(&self, json: bool) -> Result<u8, Failure> {
        let text = if json { format!("{}\n", self.json()) } else { self.table() };
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|error| Failure::output(&error))?;
        let faulty: Vec<_> = self.parts.iter().filter_map(fault).collect();
        if faulty.is_empty() {
            return Ok(exit::OK);
        }
        let advice = "this is a defect; please report it with the line above";
        Err(Failure::new(exit::LOST, faulty.join(", "), advice))
    }

    fn table(&self) -> String {
        let mut rows = vec![heading()];
        rows.extend(self.parts.iter().map(row));
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Names to the left, numbers to the right.
                let _ = match column {
                    0..=2 => write!(line, "{cell:<width$}  "),
                    _ => write!(line, "{cell:>width$}  "),
                };
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let Self { backend, message_bytes, seconds, .. } = self;
        let _ = writeln!(
            text,
            "\nI/O backend {backend}, messages of {message_bytes} bytes, all side by side for {seconds:.1} s"
        );
        text
    }

    fn json(&self) -> Value {
        let parts: Vec<_> = self.parts.iter().map(part_json).collect();
        json!({
            "event": "demo",
            "backend": self.backend,
            "message_bytes": self.message_bytes,
            "seconds": self.seconds,
            "parts": parts,
        })
    }
}

fn heading() -> Vec<String> {
    let fixed = ["pattern", "transport", "latency", "messages", "messages/s", "MB/s"];
    let quantiles = QUANTILES.map(|(heading, ..)| heading);
    fixed.into_iter().chain(quantiles).chain(["lost", "wrong"]).map(str::to_owned).collect()
}

fn row(part: &Measured) -> Vec<String> {
    let received = &part.received;
    let (rate, megabytes) = rates(part);
    let mut row = vec![
        part.pattern.to_owned(),
        part.transport.to_owned(),
        part.timed.to_owned(),
        received.messages.to_string(),
        format!("{rate:.0}"),
        format!("{megabytes:.1}"),
    ];
    for (.., quantile) in QUANTILES {
        row.push(time(received.latency.value_at_quantile(quantile)));
    }
    row.extend([received.lost.to_string(), received.wrong.to_string()]);
    row
}

fn part_json(part: &Measured) -> Value {
    let received = &part.received;
    let (rate, megabytes) = rates(part);
    let mut latency = serde_json::Map::new();
    for (_, key, quantile) in QUANTILES {
        let nanos = received.latency.value_at_quantile(quantile);
        latency.insert(key.to_owned(), json!(nanos as f64 / 1e3));
    }
    latency.insert("max".to_owned(), json!(received.latency.max() as f64 / 1e3));
    json!({
        "pattern": part.pattern,
        "transport": part.transport,
        "messages": received.messages,
        "bytes": received.bytes,
        "seconds": part.elapsed.as_secs_f64(),
        "messages_per_second": rate,
        "megabytes_per_second": megabytes,
        "latency": part.timed,
        "latency_us": latency,
        "lost": received.lost,
        "wrong": received.wrong,
    })
}

/// Messages and megabytes a second.
fn rates(part: &Measured) -> (f64, f64) {
    let seconds = part.elapsed.as_secs_f64();
    (part.received.messages as f64 / seconds, part.received.bytes as f64 / seconds / 1e6)
}

/// A latency with three digits or more.
fn time(nanos: u64) -> String {
    match nanos {
        0..10_000 => format!("{:.2} us", nanos as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} us", nanos as f64 / 1e3),
        _ => format!("{:.2} ms", Duration::from_nanos(nanos).as_secs_f64() * 1e3),
    }
}

fn fault(part: &Measured) -> Option<String> {
    let received = &part.received;
    if received.messages == 0 {
        return Some(format!("{}: no message came", part.pattern));
    }
    (received.lost + received.wrong > 0).then(|| {
        format!("{}: {} messages lost, {} wrong", part.pattern, received.lost, received.wrong)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::part::Received;

    fn report(lost: u64) -> Report {
        let mut received = Received::nothing();
        for micros in 1..=1000 {
            received.record(64, Duration::from_micros(micros));
        }
        received.lost = lost;
        let elapsed = Duration::from_millis(500);
        let part = Measured {
            pattern: "PUSH/PULL",
            transport: "tcp",
            elapsed,
            timed: "one way",
            received,
        };
        Report { backend: "epoll", message_bytes: 64, seconds: 0.5, parts: vec![part] }
    }

    #[test]
    fn the_table_has_all_figures_in_aligned_columns() {
        let table = report(0).table();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0].len(), lines[1].len());
        let cells: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(cells[..6], ["PUSH/PULL", "tcp", "one", "way", "1000", "2000"]);
        assert!(lines[1].contains("500 us"), "{table}");
        assert!(table.contains("I/O backend epoll"));
    }

    #[test]
    fn loss_is_a_fault() {
        assert_eq!(fault(&report(0).parts[0]), None);
        assert!(fault(&report(3).parts[0]).unwrap().contains("3 messages lost"));
    }

    #[test]
    fn json_has_latencies_in_microseconds() {
        let json = report(0).json();
        let p50 = json["parts"][0]["latency_us"]["p50"].as_f64().unwrap();
        assert!((499.0..=501.0).contains(&p50), "{p50}");
        assert_eq!(json["parts"][0]["messages"], 1000);
    }
}
