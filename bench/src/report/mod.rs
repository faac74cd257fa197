//! What is shown.

mod json;
mod plot;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

pub(crate) use table::print;

use crate::{
    arguments::Arguments,
    case::{Case, Metric},
    failure::{Failure, Result},
    implementation::Implementation,
    rounds::Measured,
    statistics,
    target::{self, Verdict},
};

/// Shows the names of the rows.
pub(crate) fn list(chosen: &[(Case, Vec<Metric>)]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    for (case, metrics) in chosen {
        for metric in metrics {
            writeln!(stdout, "{}", case.row(*metric))?;
        }
    }
    Ok(())
}

/// Where results go besides the standard output.
#[derive(Debug)]
pub(crate) struct Destinations {
    json: Option<File>,
    charts: Option<PathBuf>,
}

impl Destinations {
    /// Sees to it that they can be written to, before anything is measured.
    pub(crate) fn open(arguments: &Arguments) -> Result<Self> {
        let json = arguments
            .json
            .as_deref()
            .map(|path| File::create(path).map_err(|error| cannot_write(path, &error)));
        if let Some(folder) = &arguments.plot {
            fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
        }
        Ok(Self { json: json.transpose()?, charts: arguments.plot.clone() })
    }

    pub(crate) fn write(self, rows: &[Row]) -> Result<()> {
        if let Some(mut file) = self.json {
            json::write(&mut file, rows)?;
        }
        self.charts.map_or(Ok(()), |folder| plot::write(&folder, rows))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}

/// One row of the result.
#[derive(Debug)]
pub(crate) struct Row {
    case: Case,
    metric: Metric,
    /// How often it was measured.
    rounds: usize,
    medians: BTreeMap<Implementation, f64>,
    /// Of our values to those of each other implementation: medians of the ratios within a round.
    ratios: BTreeMap<Implementation, f64>,
    /// Of our values.
    spread: Option<f64>,
    verdict: Option<Verdict>,
    /// Those whose measurement failed.
    failed: BTreeSet<Implementation>,
}

impl Row {
    fn new(case: Case, metric: Metric, values: &BTreeMap<Implementation, Vec<f64>>) -> Self {
        let ours = values.get(&Implementation::Serverlink).map_or(&[][..], Vec::as_slice);
        let medians: BTreeMap<_, _> = values
            .iter()
            .filter_map(|(peer, values)| Some((*peer, statistics::median(values)?)))
            .collect();
        let ratios: BTreeMap<_, _> = values
            .iter()
            .filter(|(peer, _)| **peer != Implementation::Serverlink)
            .filter_map(|(peer, values)| Some((*peer, statistics::ratio(ours, values)?)))
            .collect();
        let ours_in_the_middle = medians.get(&Implementation::Serverlink).copied();
        let verdict =
            target::judge(&case, metric, ours_in_the_middle, |peer| ratios.get(&peer).copied());
        Self {
            case,
            metric,
            rounds: values.values().map(Vec::len).max().unwrap_or(0),
            medians,
            ratios,
            spread: statistics::spread(ours),
            verdict,
            failed: BTreeSet::new(),
        }
    }
}

/// The rows of all that was measured.
pub(crate) fn rows(measured: &[Measured]) -> Vec<Row> {
    let rows = measured.iter().flat_map(|measured| {
        let nothing = BTreeMap::new();
        measured.metrics.iter().map(move |metric| {
            let values = measured.values.get(metric).unwrap_or(&nothing);
            Row { failed: measured.failed.clone(), ..Row::new(measured.case, *metric, values) }
        })
    });
    rows.collect()
}
