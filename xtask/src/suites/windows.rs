//! The Windows programs, under Wine.

use super::interop::{PACKAGE, WINDOWS_TEST};
use super::{BACKEND, BACKEND_CRATES, Suite, WINDOWS_BACKENDS, cargo, runner};
use crate::layout;
use crate::needs;
use crate::recorder::Recorder;
use crate::windows::wine::Wine;
use crate::windows::{self, TARGET};

pub(super) const SUITE: Suite = Suite {
    name: "windows",
    about: "engine, sockets and command as Windows programs, under Wine",
    needs: &[&needs::WINDOWS_RUST, &needs::MINGW, &needs::WINE, &needs::CPP_COMPILER],
    run,
};

fn run(recorder: &mut Recorder) {
    let wine = match Wine::start() {
        Ok(wine) => wine,
        Err(message) => return recorder.fail(&message),
    };
    if let Err(message) = run_under(&wine, recorder) {
        recorder.fail(&message);
    }
}

fn run_under(wine: &Wine, recorder: &mut Recorder) -> Result<(), String> {
    let (runner, run) = runner();
    for backend in WINDOWS_BACKENDS {
        let mut command = windows::cargo(wine)?;
        command.args(run).args(BACKEND_CRATES).arg("--tests").env(BACKEND, backend);
        recorder.tests(backend, runner, command);
    }

    let mut command = windows::cargo(wine)?;
    command.args(["build", "--package", "serverlink-cli"]);
    if recorder.build("build of the command", command) {
        let program = layout::cross_target().join(TARGET).join("debug/serverlink.exe");
        let mut command = cargo();
        command
            .args(run)
            .args(["--package", PACKAGE, "--test", WINDOWS_TEST])
            .env("NEXTEST_PROFILE", windows::NEXTEST_PROFILE)
            .env("SERVERLINK_WINDOWS_COMMAND", program)
            .env("SERVERLINK_WINE_RUNNER", wine.runner());
        recorder.tests("the command and a native libzmq", runner, command);
    }
    Ok(())
}
