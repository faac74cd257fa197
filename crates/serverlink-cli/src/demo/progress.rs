//! What is shown while the demonstration runs.

use std::{
    cell::Cell,
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::part::Meter;
use crate::args::DemoArgs;

/// The display: bars on a terminal, and else a line each second.
#[derive(Debug)]
pub(super) struct Progress {
    meters: Vec<Arc<Meter>>,
    display: Display,
}

#[derive(Debug)]
enum Display {
    None,
    /// The last second told.
    Lines(Cell<u64>),
    Bars(Vec<ProgressBar>),
}

impl Progress {
    pub(super) fn new(meters: &[Arc<Meter>], args: &DemoArgs) -> Self {
        let display = if args.quiet {
            Display::None
        } else if io::stderr().is_terminal() {
            Display::Bars(bars(meters, args.seconds))
        } else {
            Display::Lines(Cell::new(0))
        };
        Self { meters: meters.to_vec(), display }
    }

    /// Shows the state after so long.
    pub(super) fn show(&self, elapsed: Duration) {
        match &self.display {
            Display::None => {}
            Display::Lines(told) => {
                let seconds = elapsed.as_secs();
                if seconds > told.replace(seconds) {
                    let counts = self.counts();
                    // Nobody there to read it is no reason to fail.
                    let _ = writeln!(io::stderr(), "after {seconds} s: {counts} messages");
                }
            }
            Display::Bars(bars) => {
                for (bar, meter) in bars.iter().zip(&self.meters) {
                    let messages = meter.messages();
                    let rate = messages as f64 / elapsed.as_secs_f64();
                    bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
                    bar.set_message(format!("{messages:>12} messages {rate:>12.0}/s"));
                }
            }
        }
    }

    fn counts(&self) -> String {
        let counts = self.meters.iter();
        let counts = counts.map(|meter| format!("{} {}", meter.name, meter.messages()));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// Shows the last state and makes room for the results.
    pub(super) fn finish(&self, elapsed: Duration) {
        self.show(elapsed);
        if let Display::Bars(bars) = &self.display {
            bars.iter().for_each(ProgressBar::finish_and_clear);
        }
    }
}

fn bars(meters: &[Arc<Meter>], seconds: u64) -> Vec<ProgressBar> {
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix:<9} [{bar:24}] {msg}")
        .expect("the template is well-formed")
        .progress_chars("=> ");
    let bar = |meter: &Arc<Meter>| {
        let bar = ProgressBar::new(seconds * 1000).with_style(style.clone());
        all.add(bar.with_prefix(meter.name))
    };
    meters.iter().map(bar).collect()
}
