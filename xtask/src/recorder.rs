//! Runs the commands of a suite, shows and keeps their output, and counts.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::counts::{Counts, Runner, sanitizers_report, without_escapes};
use crate::layout;

/// How wide the line shown on a terminal may be.
const LIVE_WIDTH: usize = 78;
/// How often that line is renewed, and an ended child noticed.
const TICK: Duration = Duration::from_millis(200);
/// For how many ticks to read on, after the child ended, from a pipe that some
/// process it left behind keeps open.
const GRACE: u32 = 10;

/// Of how many failing tests of one command the end of the report repeats what they printed.
const MAX_EXCERPTS: usize = 5;
/// How many of the last lines of a failed command that is no test runner the report repeats.
const LAST_LINES: usize = 24;

/// Besides those of ServerLink, the variables shown with a command.
const SHOWN_VARIABLES: &[&str] = &["CARGO_BUILD_TARGET", "RUSTDOCFLAGS"];

/// What one suite has done so far.
pub(crate) struct Recorder {
    suite: &'static str,
    counts: Counts,
    flaky: u64,
    failures: Vec<String>,
    remarks: Vec<String>,
    log: File,
    display: Display,
}

/// How a suite ended.
pub(crate) struct Summary {
    pub(crate) counts: Counts,
    /// What there is to say of every failure.
    pub(crate) failures: Vec<String>,
    /// What there is to say of every test that passed only when it was tried again.
    pub(crate) remarks: Vec<String>,
}

/// How output is shown while it comes in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Display {
    /// All of it, as on CI.
    Stream,
    /// One line that changes, and everything only once a command has failed.
    Live,
}

struct Finished {
    status: ExitStatus,
    output: String,
}

impl Recorder {
    pub(crate) fn new(suite: &'static str, verbose: bool) -> Result<Self, String> {
        let folder = layout::target().join("xtask");
        let path = folder.join(format!("{suite}.log"));
        let log = fs::create_dir_all(folder)
            .and_then(|()| File::create(&path))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        let display =
            if verbose || !io::stdout().is_terminal() { Display::Stream } else { Display::Live };
        Ok(Self {
            suite,
            counts: Counts::default(),
            flaky: 0,
            failures: Vec::new(),
            remarks: Vec::new(),
            log,
            display,
        })
    }

    /// Runs a command that counts as one test, passed if it succeeds.
    pub(crate) fn check(&mut self, what: &str, command: Command) -> bool {
        let passed = self.build(what, command);
        if passed {
            self.counts += Counts::ONE_PASSED;
        }
        passed
    }

    /// Runs a command that is no test, but a failure if it fails.
    pub(crate) fn build(&mut self, what: &str, command: Command) -> bool {
        match self.execute(what, command) {
            Some(finished) if finished.status.success() => return true,
            Some(Finished { status, output }) => {
                self.fail(&format!("{what}: {status}\n{}", last_lines(&output)));
            }
            None => self.fail(what),
        }
        false
    }

    /// Runs tests, which must be at least one, and counts them.
    pub(crate) fn tests(&mut self, what: &str, runner: Runner, command: Command) {
        let Some(Finished { status, output }) = self.execute(what, command) else {
            return self.fail(what);
        };
        let counts = runner.counts(&output);
        self.counts += counts.unwrap_or_default();
        let flaky = runner.flaky(&output);
        self.flaky += flaky;
        let told = || {
            let excerpts = runner.failures(&output).into_iter().take(MAX_EXCERPTS);
            excerpts.fold(String::new(), |told, excerpt| told + "\n" + &excerpt)
        };
        if flaky > 0 {
            let remark = format!("{}: {what}: {flaky} passed when tried again", self.suite);
            self.remarks.push(remark + &told());
        }
        match counts {
            Some(counts) if counts.failed > 0 => {
                let failure = format!("{}: {what}: {} tests", self.suite, counts.failed);
                self.failures.push(failure + &told());
            }
            Some(counts) if counts.executed() > 0 && status.success() => {
                // The second try takes nothing back of what was seen in the first.
                if let Some(report) = sanitizers_report(&output) {
                    self.fail(&format!("{what}: {report}"));
                }
            }
            Some(counts) if counts.executed() == 0 => self.fail(&format!("{what}: no test ran")),
            _ => self.fail(&format!("{what}: {status}")),
        }
    }

    /// Counts one failure.
    pub(crate) fn fail(&mut self, why: &str) {
        self.counts += Counts::ONE_FAILED;
        self.failures.push(format!("{}: {why}", self.suite));
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// How many tests passed only when they were tried again.
    pub(crate) fn flaky(&self) -> u64 {
        self.flaky
    }

    /// How it ended.
    pub(crate) fn finish(mut self) -> Summary {
        if self.counts.executed() == 0 {
            self.fail("nothing ran");
        }
        let Self { counts, failures, remarks, .. } = self;
        Summary { counts, failures, remarks }
    }

    /// Runs a command to its end; `None` where it could not be started.
    fn execute(&mut self, what: &str, command: Command) -> Option<Finished> {
        let line = format!("  > {what}: {}", rendered(&command));
        println!("{line}");
        let _ = writeln!(self.log, "{line}");
        let begun = Instant::now();
        let finished = self.follow(what, command);
        match &finished {
            Ok(finished) if self.display == Display::Live => {
                print!("\r\x1b[2K");
                if !finished.status.success() {
                    println!("{}", finished.output.trim_end());
                }
            }
            Ok(_) => {}
            Err(error) => println!("cannot run it: {error}"),
        }
        println!("    {what}: {:.1} s", begun.elapsed().as_secs_f64());
        let _ = io::stdout().flush();
        finished.ok()
    }

    fn follow(&mut self, what: &str, mut command: Command) -> io::Result<Finished> {
        // One pipe for both, to keep the lines in order.
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // It holds the writing ends; the reader is to see the child's end.
        drop(command);

        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });

        let begun = Instant::now();
        let mut output = String::new();
        let mut last = String::new();
        let mut quiet_ticks = 0;
        loop {
            match lines.recv_timeout(TICK) {
                Ok(line) => {
                    quiet_ticks = 0;
                    self.log.write_all(line.as_bytes())?;
                    if self.display == Display::Stream {
                        print!("{line}");
                    }
                    if !line.trim().is_empty() {
                        last.clone_from(&line);
                    }
                    output.push_str(&line);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if child.try_wait()?.is_some() {
                        quiet_ticks += 1;
                    }
                    if quiet_ticks > GRACE {
                        break;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.display == Display::Live {
                let seconds = begun.elapsed().as_secs();
                let line = format!("    {what} {seconds} s  {}", without_escapes(last.trim()));
                let line: String = line.chars().take(LIVE_WIDTH).collect();
                print!("\r\x1b[2K{line}");
                let _ = io::stdout().flush();
            }
        }
        Ok(Finished { status: child.wait()?, output })
    }
}

/// What a report repeats of a failed command's output.
fn last_lines(output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// The command as one would type it, without what only CI or cargo cares for.
fn rendered(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let name = name.to_str()?;
        let ours = name.starts_with("SERVERLINK_") || SHOWN_VARIABLES.contains(&name);
        ours.then(|| format!("{name}={:?} ", value.unwrap_or_default()))
            .map(|text| text.replace('"', "'"))
    });
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    variables.chain([program]).chain(arguments).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_failed_command_are_repeated() {
        let lines = |numbers: std::ops::RangeInclusive<usize>| {
            numbers.map(|number| number.to_string()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(last_lines(&(lines(1..=LAST_LINES + 2) + "\n")), lines(3..=LAST_LINES + 2));
        assert_eq!(last_lines("one\n"), "one");
        assert_eq!(last_lines(""), "");
    }
}
