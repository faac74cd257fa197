//! Wine, with files of its own under `target/wine`.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{layout, needs};

/// Exports the one function that Rust needs and Wine 8 lacks.
const SHIM_SOURCE: &str = include_str!("bcryptprimitives.c");
pub(crate) const SHIM_COMPILER: &str = "x86_64-w64-mingw32-gcc";

/// Without the debugger disabled, a crashing program at times exits with 0.
/// The rest keeps Wine from asking about Mono and Gecko and from making menus.
const DLL_OVERRIDES: &str = "winedbg.exe=d;mscoree=;mshtml=;winemenubuilder.exe=d";

/// Seconds the server outlives its last program, should nobody stop it: longer than a build between two
/// of them takes. Without it each program starts one of its own, which takes longer than most tests.
const SERVER_PERSISTENCE: &str = "-p600";

/// The two programs of a Wine installation that are used here.
struct Installation {
    wine: PathBuf,
    server: PathBuf,
}

impl Installation {
    fn find() -> Option<Self> {
        // Debian's own files come first: its `wineserver` on the path is a
        // wrapper that overrides the persistence.
        let candidates = [
            ("/usr/lib/wine/wine64", "/usr/lib/wine/wineserver64"),
            ("wine64", "wineserver"),
            ("wine", "wineserver"),
        ];
        candidates.iter().find_map(|(wine, server)| {
            Some(Self { wine: layout::program(wine)?, server: layout::program(server)? })
        })
    }
}

/// Whether Wine is installed.
pub(crate) fn installed() -> bool {
    Installation::find().is_some()
}

/// Wine's server, running for one prefix until this is dropped.
///
/// Any number of these may exist at once, in several processes; the last one
/// dropped stops the server.
pub(crate) struct Wine {
    installation: Installation,
    directory: PathBuf,
    runner: PathBuf,
    /// Held shared while in use, exclusively to make the prefix or stop the server.
    lock: File,
}

impl Wine {
    /// Makes the prefix where it is missing and starts the server.
    pub(crate) fn start() -> Result<Self, String> {
        let installation = Installation::find()
            .ok_or_else(|| format!("Wine is missing ({})", needs::WINE.remedy))?;
        let directory = layout::target().join("wine");
        let failed = |what: &str, error: std::io::Error| format!("cannot {what}: {error}");
        // The server wants its prefix to exist.
        fs::create_dir_all(directory.join("prefix"))
            .map_err(|error| failed("make the folder of Wine's files", error))?;
        let lock = File::create(directory.join("lock"))
            .map_err(|error| failed("make the lock of Wine's prefix", error))?;
        let wine = Self { runner: directory.join("run"), installation, directory, lock };
        if !wine.is_complete() {
            wine.lock.lock().map_err(|error| failed("lock Wine's prefix", error))?;
            // Another process may have made it meanwhile.
            if !wine.is_complete() {
                wine.make_prefix()?;
            }
            wine.lock.unlock().map_err(|error| failed("unlock Wine's prefix", error))?;
        }
        wine.lock.lock_shared().map_err(|error| failed("lock Wine's prefix", error))?;
        wine.start_server()?;
        // The first program starts the services of the prefix, which inherit
        // its output: better nowhere than a test's.
        let mut first = wine.quiet(&wine.installation.wine);
        first.args(["cmd", "/c", "exit"]);
        wine.succeed(first, "run a program under Wine")?;
        Ok(wine)
    }

    /// The script that runs a Windows program: `run PROGRAM ARGUMENTS`.
    pub(crate) fn runner(&self) -> &Path {
        &self.runner
    }

    fn prefix(&self) -> PathBuf {
        self.directory.join("prefix")
    }

    /// Tells a finished prefix, and of which version of these files.
    fn mark(&self) -> PathBuf {
        self.directory.join("complete")
    }

    fn is_complete(&self) -> bool {
        fs::read_to_string(self.mark()).is_ok_and(|mark| mark == self.fingerprint())
    }

    fn fingerprint(&self) -> String {
        format!("{}\n{SHIM_SOURCE}", self.runner_script())
    }

    fn make_prefix(&self) -> Result<(), String> {
        eprintln!("making a Wine prefix in {}", self.directory.display());
        self.make_shim()?;
        self.make_runner()?;
        self.start_server()?;
        let mut boot = self.quiet(&self.installation.wine);
        boot.arg("wineboot");
        self.succeed(boot, "initialise Wine's prefix")?;
        fs::write(self.mark(), self.fingerprint())
            .map_err(|error| format!("cannot write {}: {error}", self.mark().display()))
    }

    fn make_shim(&self) -> Result<(), String> {
        let source = self.directory.join("bcryptprimitives.c");
        fs::write(&source, SHIM_SOURCE)
            .map_err(|error| format!("cannot write {}: {error}", source.display()))?;
        let mut compiler = Command::new(SHIM_COMPILER);
        compiler
            .args(["-shared", "-O2", "-s", "-o"])
            .arg(self.directory.join("bcryptprimitives.dll"))
            .arg(source)
            .arg("-ladvapi32");
        self.succeed(compiler, "compile Wine's missing library")
    }

    fn make_runner(&self) -> Result<(), String> {
        fs::write(&self.runner, self.runner_script())
            .and_then(|()| set_executable(&self.runner))
            .map_err(|error| format!("cannot write {}: {error}", self.runner.display()))
    }

    fn runner_script(&self) -> String {
        let wine = self.installation.wine.display();
        let prefix = self.prefix();
        let prefix = prefix.display();
        let folder = self.windows_path();
        // Where addresses are random, Wine's loader finds one of those it must have taken, once in some
        // five thousand times: "failed to map the shared user data". Containers may forbid it.
        let mut fixed = Command::new("setarch");
        let fixed = if needs::succeeds(fixed.args(["-R", "true"])) { "setarch -R " } else { "" };
        format!(
            "#!/bin/sh\n\
             export WINEPREFIX='{prefix}'\n\
             export WINEDEBUG=\"${{WINEDEBUG:--all}}\"\n\
             export WINEDLLOVERRIDES='{DLL_OVERRIDES}'\n\
             export WINEPATH='{folder}'\n\
             exec {fixed}'{wine}' \"$@\"\n"
        )
    }

    /// The folder of the shim as a Windows program sees it.
    fn windows_path(&self) -> String {
        format!("Z:{}", self.directory.display()).replace('/', "\\")
    }

    fn start_server(&self) -> Result<(), String> {
        let mut server = self.quiet(&self.installation.server);
        server.arg(SERVER_PERSISTENCE);
        // It exits with 2 where one is running already.
        let status =
            server.status().map_err(|error| format!("cannot start Wine's server: {error}"))?;
        match status.code() {
            Some(0 | 2) => Ok(()),
            _ => Err(format!("Wine's server failed: {status}")),
        }
    }

    /// A program of Wine that keeps none of our descriptors: the server, and
    /// the services of the prefix, outlive it.
    fn quiet(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("WINEPREFIX", self.prefix())
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", DLL_OVERRIDES)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn succeed(&self, mut command: Command, what: &str) -> Result<(), String> {
        let status = command
            .status()
            .map_err(|error| format!("cannot {what}: {:?}: {error}", command.get_program()))?;
        if status.success() { Ok(()) } else { Err(format!("cannot {what}: {status}")) }
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        if self.lock.unlock().is_err() {
            return;
        }
        match self.lock.try_lock() {
            // A failure to stop it is harmless: it ends by itself.
            Ok(()) => {
                let _ = self.quiet(&self.installation.server).arg("-k").status();
            }
            // Somebody else uses it.
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

#[cfg(unix)]
fn set_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn set_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
