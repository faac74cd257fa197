//! `cargo xtask instructions`.
//!
//! Times vary from run to run; how many instructions a message takes does not, or hardly. They are
//! counted by valgrind, in a program that passes messages steadily, and compared with the figures in
//! [`FIGURES`]. To leave out what the program does once, the count of a short run is subtracted from
//! that of a long one.

mod figures;

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, iter, thread};

use clap::Args;

use crate::{exit, layout, needs};
use figures::{Figures, Verdict};

/// The tracked figures.
const FIGURES: &str = "crates/serverlink/benches/instructions.toml";
/// What is counted: a benchmark of the package `serverlink`.
const PROGRAM: &str = "steady";
const SLOW_TIME: &str = include_str!("slow_time.c");
/// How often to count what does not agree with its figure: what else the machine does can only add.
const ATTEMPTS: u32 = 3;

/// What `cargo xtask instructions` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Track what is counted now
    #[arg(long)]
    update: bool,
}

/// Counts, compares, and tells; returns the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    if !needs::provide(&[&needs::VALGRIND], true).is_empty() {
        return Err(format!("no {} ({})", needs::VALGRIND.name, needs::VALGRIND.remedy));
    }
    let path = layout::root().join(FIGURES);
    let tracked = match fs::read_to_string(&path) {
        Ok(text) => Figures::parse(&text).map_err(|error| format!("{FIGURES}: {error}"))?,
        Err(_) if arguments.update => Figures::default(),
        Err(error) => return Err(format!("cannot read {FIGURES}: {error}")),
    };
    let counter = Counter::make()?;
    let compiler = compiler()?;
    let tolerance = tracked.tolerance(&compiler);
    if tracked.compiler != compiler && !arguments.update {
        println!(
            "The figures are those of {}, and this is {compiler}: {tolerance} % are tolerated.",
            tracked.compiler
        );
    }

    println!("{:24} {:>9} {:>9}", "instructions", "tracked", "counted");
    let judge = |name: &str, count| tracked.judge(name, count, tolerance);
    let results = side_by_side(&counter.ways()?, &processors()?, |(name, messages), processor| {
        let enough = |count| judge(name, count) == Verdict::Within && !arguments.update;
        let least = counter.least(name, *messages, processor, enough)?;
        println!("{}", line(name, tracked.of(name), least));
        Ok((name.clone(), least))
    });
    let counts = results.into_iter().collect::<Result<Vec<_>, String>>()?;
    let verdicts: Vec<_> =
        counts.iter().map(|(name, count)| (name.clone(), judge(name, *count))).collect();
    let counted = Figures { compiler, counts };

    if arguments.update {
        fs::write(&path, counted.to_string())
            .map_err(|error| format!("cannot write {FIGURES}: {error}"))?;
        println!("{FIGURES} is written.");
        return Ok(exit::PASSED);
    }
    Ok(conclude(&tracked, &counted, &verdicts, &counter))
}

fn line(name: &str, tracked: Option<u64>, counted: u64) -> String {
    let Some(tracked) = tracked else { return format!("{name:24} {:>9} {counted:>9}", "-") };
    let more = 100.0 * (counted as f64 / tracked as f64 - 1.0);
    format!("{name:24} {tracked:>9} {counted:>9}  {more:+.1} %")
}

/// Says what is to be done; returns the exit status.
fn conclude(
    tracked: &Figures,
    counted: &Figures,
    verdicts: &[(String, Verdict)],
    counter: &Counter,
) -> u8 {
    let named = |wanted: Verdict| {
        let names = verdicts.iter().filter(|(_, verdict)| *verdict == wanted);
        names.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let (more, fewer) = (named(Verdict::More), named(Verdict::Fewer));
    let mut strangers = named(Verdict::Untracked);
    let gone = tracked.counts.iter().filter(|(name, _)| counted.of(name).is_none());
    strangers.extend(gone.map(|(name, _)| name.as_str()));

    let update = "cargo xtask instructions --update";
    if !fewer.is_empty() {
        println!("\n{}: fewer instructions than are tolerated.", fewer.join(", "));
        println!("Have the gain kept: {update}");
    }
    if !strangers.is_empty() {
        println!("\n{}: tracked, but not counted, or the other way round.", strangers.join(", "));
        println!("If that is meant: {update}");
    }
    if !more.is_empty() {
        println!("\n{}: more instructions than are tolerated.", more.join(", "));
        for name in &more {
            println!("Where they are: callgrind_annotate {}", counter.profile(name).display());
        }
        println!("If it has to be, say why in the commit message: {update}");
    }
    if more.is_empty() && strangers.is_empty() { exit::PASSED } else { exit::FAILED }
}

/// The version of the compiler in use.
fn compiler() -> Result<String, String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg("--version").current_dir(layout::root());
    Ok(output_of(&mut rustc)?.trim().to_owned())
}

/// The program, built, and what it runs under.
struct Counter {
    program: PathBuf,
    slow_time: PathBuf,
    folder: PathBuf,
}

impl Counter {
    fn make() -> Result<Self, String> {
        let folder = layout::target().join("xtask/instructions");
        let source = folder.join("slow_time.c");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&source, SLOW_TIME))
            .map_err(|error| format!("cannot write {}: {error}", source.display()))?;
        let slow_time = folder.join("slow_time.so");
        // Whoever links Rust programs has a C compiler.
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&slow_time);
        output_of(compiler.arg(&source).arg("-ldl"))?;

        let mut cargo = needs::cargo();
        cargo
            .args(["build", "--release", "--package", "serverlink", "--bench", PROGRAM])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(layout::root());
        let messages = output_of(&mut cargo)?;
        let program = executable(&messages).ok_or("cargo does not say what it built")?;
        Ok(Self { program: program.into(), slow_time, folder })
    }

    /// What can be counted, each with how many messages to pass.
    fn ways(&self) -> Result<Vec<(String, u64)>, String> {
        let list = output_of(Command::new(&self.program).arg("--list"))?;
        let ways = list.lines().map(|line| {
            let (name, messages) = line.split_once(' ')?;
            Some((name.to_owned(), messages.parse().ok()?))
        });
        ways.collect::<Option<_>>().ok_or_else(|| format!("a list that makes no sense:\n{list}"))
    }

    /// Where the profile of the last run is.
    fn profile(&self, name: &str) -> PathBuf {
        self.folder.join(name.replace('/', "-")).with_extension("out")
    }

    /// The least of a few counts, the last of which is `enough`, if any is.
    fn least(
        &self,
        name: &str,
        messages: u64,
        processor: &str,
        enough: impl Fn(u64) -> bool,
    ) -> Result<u64, String> {
        let mut least = u64::MAX;
        for _ in 0..ATTEMPTS {
            least = least.min(self.count(name, messages, processor)?);
            if enough(least) {
                break;
            }
        }
        Ok(least)
    }

    /// How many instructions a message takes, by a run of so many of them.
    fn count(&self, name: &str, messages: u64, processor: &str) -> Result<u64, String> {
        let warm = messages / 8;
        let before = self.count_all(name, warm, processor)?;
        let all = self.count_all(name, warm + messages, processor)?;
        Ok((all.saturating_sub(before) + messages / 2) / messages)
    }

    fn count_all(&self, name: &str, messages: u64, processor: &str) -> Result<u64, String> {
        let profile = self.profile(name);
        let _ = fs::remove_file(&profile);
        // With one processor nobody stays awake to wait, and how long that took is not counted.
        let mut valgrind = Command::new("taskset");
        valgrind
            .args(["--cpu-list", processor, VALGRIND, "--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(&self.program)
            .arg(name)
            .arg(messages.to_string())
            .env("LD_PRELOAD", &self.slow_time)
            .env_remove("SERVERLINK_BACKEND");
        output_of(&mut valgrind)?;
        total(&profile)
    }
}

/// Does `work` to each of the items, on each of the processors at once; the results are in order.
fn side_by_side<I: Sync, R: Send>(
    items: &[I],
    processors: &[String],
    work: impl Fn(&I, &str) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work_on = |processor: &String| {
        let mine = iter::from_fn(|| {
            let at = next.fetch_add(1, Ordering::Relaxed);
            Some((at, work(items.get(at)?, processor)))
        });
        mine.collect::<Vec<_>>()
    };
    let mut results: Vec<_> = thread::scope(|scope| {
        let work_on = &work_on;
        let on = |processor| scope.spawn(move || work_on(processor));
        let workers: Vec<_> = processors.iter().map(on).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.flat_map(|results| results.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The numbers of the processors that this process may run on.
fn processors() -> Result<Vec<String>, String> {
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.and_then(numbers).ok_or_else(|| format!("{path} lists no processors"))
}

/// All numbers in a list of the kernel's, such as `0-3,6`.
fn numbers(list: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        all.extend((first.parse().ok()?..=last.parse::<u32>().ok()?).map(|n| n.to_string()));
    }
    (!all.is_empty()).then_some(all)
}

/// The program that counts.
pub(crate) const VALGRIND: &str = "valgrind";

/// The sum in a profile of callgrind's.
fn total(profile: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(profile)
        .map_err(|error| format!("cannot read {}: {error}", profile.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok());
    total.ok_or_else(|| format!("{} has no summary", profile.display()))
}

/// The program in cargo's messages.
fn executable(messages: &str) -> Option<&str> {
    messages.lines().find_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(rest.split_once('"')?.0)
    })
}

/// What a command prints; an error, with all it said, if it fails.
fn output_of(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed ({}):\n{text}{said}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/target/steady-1\",\"x\":1}\n";
        assert_eq!(executable(messages), Some("/target/steady-1"));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn all_is_done_once_and_in_order_of_the_list() {
        let processors = numbers("0-2,7\n").unwrap();
        assert_eq!(processors, ["0", "1", "2", "7"]);
        assert_eq!(numbers(" "), None);
        let items: Vec<u32> = (0..100).collect();
        let results = side_by_side(&items, &processors, |item, processor| {
            assert!(processors.iter().any(|one| one == processor));
            item * 2
        });
        assert_eq!(results, (0..100).map(|item| item * 2).collect::<Vec<_>>());
    }

    #[test]
    fn lines_tell_the_difference() {
        assert_eq!(line("a", Some(1000), 1030).split_whitespace().last(), Some("%"));
        assert!(line("a", Some(1000), 1030).ends_with("+3.0 %"));
        assert!(line("a", Some(1000), 970).ends_with("-3.0 %"));
        assert!(line("a", None, 970).ends_with("970"));
    }
}
