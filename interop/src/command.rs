//! The command `serverlink`, as a process.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    thread::{self, JoinHandle},
};

use crate::until;

/// The first line on standard error of a command that binds.
const BOUND: &str = "bound to ";

/// The command, built for this system or for another.
#[derive(Debug, Clone)]
pub struct Serverlink {
    program: PathBuf,
    /// What runs a program that this system cannot run.
    runner: Option<OsString>,
    backend: Option<&'static str>,
}

impl Serverlink {
    /// The command for this system: the one that `SERVERLINK_COMMAND` names, or else one that is
    /// built now, of the profile of the tests.
    ///
    /// # Panics
    ///
    /// If it cannot be built.
    #[must_use]
    pub fn native() -> Self {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM
            .get_or_init(|| env::var_os("SERVERLINK_COMMAND").map_or_else(build, PathBuf::from))
            .clone();
        Self { program, runner: None, backend: None }
    }

    /// The Windows program that `SERVERLINK_WINDOWS_COMMAND` names, run by the script that
    /// `SERVERLINK_WINE_RUNNER` names, on the I/O backend `backend`.
    ///
    /// # Panics
    ///
    /// If either is not set.
    #[must_use]
    pub fn windows(backend: &'static str) -> Self {
        let needed = |name: &str| {
            env::var_os(name).unwrap_or_else(|| {
                panic!("{name} is not set: run this with `cargo xtask test --only windows`")
            })
        };
        Self {
            program: needed("SERVERLINK_WINDOWS_COMMAND").into(),
            runner: Some(needed("SERVERLINK_WINE_RUNNER")),
            backend: Some(backend),
        }
    }

    /// Starts it. A `--bind` argument makes it tell its endpoint: [`Running::endpoint`].
    #[track_caller]
    #[must_use]
    pub fn start(&self, arguments: &[&str], input: Stdio, output: Stdio) -> Running {
        let mut command = match &self.runner {
            None => Command::new(&self.program),
            Some(runner) => {
                let mut command = Command::new(runner);
                command.arg(&self.program);
                command
            }
        };
        command.args(arguments);
        if let Some(backend) = self.backend {
            command.args(["--backend", backend]);
        }
        let started = command.stdin(input).stdout(output).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut endpoint = String::new();
        let mut told = String::new();
        if arguments.iter().any(|argument| argument.starts_with("--bind")) {
            errors.read_line(&mut told).unwrap();
            let Some(bound) = told.trim_end().strip_prefix(BOUND) else {
                let _ = errors.read_to_string(&mut told);
                panic!("{command:?} says: {told}; {:?}", child.wait());
            };
            endpoint = bound.to_owned();
        }
        let printed = child.stdout.take().map(|output| gather(output, String::new()));
        let told = gather(errors, told);
        Running { child, endpoint, printed, told: Some(told), wine: self.runner.is_some() }
    }
}

/// Reads to the end, behind what was read before.
fn gather(mut from: impl Read + Send + 'static, mut text: String) -> JoinHandle<String> {
    thread::spawn(move || {
        from.read_to_string(&mut text).unwrap();
        text
    })
}

/// Builds the command beside the tests.
fn build() -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile_folder = test.parent().and_then(Path::parent).unwrap();
    let target = profile_folder.parent().unwrap();
    let release = profile_folder.ends_with("release");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--package", "serverlink-cli", "--target-dir"])
        .arg(target)
        .args(release.then_some("--release"));
    let status = cargo.status().unwrap_or_else(|error| panic!("{cargo:?}: {error}"));
    assert!(status.success(), "{cargo:?}: {status}");
    profile_folder.join(format!("serverlink{}", env::consts::EXE_SUFFIX))
}

/// A command that runs, and ends with the test at the latest.
#[derive(Debug)]
pub struct Running {
    child: Child,
    endpoint: String,
    printed: Option<JoinHandle<String>>,
    told: Option<JoinHandle<String>>,
    wine: bool,
}

impl Running {
    /// What it is bound to.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Waits for its end, which must be a good one, and returns its standard output as far as it
    /// is a pipe.
    #[track_caller]
    pub fn finish(mut self) -> String {
        let mut status = None;
        let mut hanging = 0;
        until("the command ends", || {
            status = self.child.try_wait().unwrap();
            hanging = if self.wine && hangs_at_exit(&self.child) { hanging + 1 } else { 0 };
            status.is_some() || hanging == PATIENCE_AT_EXIT
        });
        // Of one that hangs, this ends the output.
        let _ = self.child.kill();
        let printed = self.printed.take().map(|printed| printed.join().unwrap());
        let told = self.told.take().unwrap().join().unwrap();
        let well = status.is_none_or(|status| status.success() || self.wine && killed(status));
        assert!(well, "{status:?}: {told}");
        printed.unwrap_or_default()
    }
}

/// How many looks in a row, about a millisecond apart, must find a program hanging.
const PATIENCE_AT_EXIT: u32 = 5_000;

/// Wine 8 may end a program's other threads while one of them holds a lock that Wine then waits for:
/// the program has done everything but to go. It has one thread left; while it works, the command
/// has several.
fn hangs_at_exit(child: &Child) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id()));
    threads.is_ok_and(|threads| threads.count() == 1)
}

/// What Wine's server does after a second with a program that hangs at its exit.
fn killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = status.code();
    signal == Some(9)
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
