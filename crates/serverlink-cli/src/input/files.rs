//! Files and standard input, one after the other.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    vec,
};

use super::records::{Cut, Records};
use crate::{exit, failure::Failure};

/// The records of all files in order.
#[derive(Debug)]
pub(super) struct Files {
    waiting: vec::IntoIter<PathBuf>,
    current: Option<(PathBuf, Records<Reader>)>,
    cut: Cut,
}

impl Files {
    /// The records of these files; of standard input if there are none.
    pub(super) fn open(mut paths: Vec<PathBuf>, cut: Cut) -> Result<Self, Failure> {
        if paths.is_empty() {
            paths.push("-".into());
        }
        // A wrong name is to be told before anything is sent.
        for path in &paths {
            Reader::check(path).map_err(|error| failed(path, &error))?;
        }
        Ok(Self { waiting: paths.into_iter(), current: None, cut })
    }

    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        loop {
            if let Some((path, records)) = &mut self.current
                && records.advance().map_err(|error| failed(path, &error))?
            {
                break;
            }
            let Some(path) = self.waiting.next() else { return Ok(None) };
            let reader = Reader::open(&path).map_err(|error| failed(&path, &error))?;
            self.current = Some((path, Records::new(reader, self.cut)));
        }
        Ok(self.current.as_ref().map(|(_, records)| records.record()))
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let name = match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.display().to_string(),
    };
    Failure::new(
        exit::FAILED,
        format!("cannot read {name}: {error}"),
        "check the name given with --file and the permissions",
    )
}

#[derive(Debug)]
enum Reader {
    Standard(io::Stdin),
    File(File),
}

impl Reader {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Standard(io::stdin()));
        }
        Ok(Self::File(File::open(path)?))
    }

    /// Whether it can be opened. A pipe is not, before its turn comes: who writes to it would see it
    /// closed again.
    fn check(path: &Path) -> io::Result<()> {
        if path == Path::new("-") {
            return Ok(());
        }
        match fs::metadata(path)?.file_type() {
            kind if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            kind if kind.is_file() => File::open(path).map(drop),
            _ => Ok(()),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            // Large reads bypass its buffer.
            Self::Standard(stdin) => stdin.lock().read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}
