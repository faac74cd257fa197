//! The Windows programs, under Wine.

use super::interop::{PACKAGE, WINDOWS_TEST};
use super::{BUILD_PROGRAMS, Suite, WINDOWS_BACKENDS, backend_tests, cargo, ours, runner, tests};
use crate::counts::Runner;
use crate::recorder::Recorder;
use crate::windows::{self, Windows};
use crate::{bench, endure, needs};

pub(super) const SUITE: Suite = Suite {
    name: "windows",
    about: "engine, sockets and command as Windows programs, and a short endurance run, under Wine",
    needs: &[&needs::WINDOWS_RUST, &needs::MINGW, &needs::WINE, &needs::CPP_COMPILER],
    run,
};

fn run(recorder: &mut Recorder) {
    let windows = match Windows::start() {
        Ok(windows) => windows,
        Err(message) => return recorder.fail(&message),
    };
    let (runner, run) = runner();
    let cargo_of_tests = || ours(windows.cargo(), run);
    tests(recorder, "unit tests", cargo_of_tests(), &["--lib"]);
    backend_tests(recorder, WINDOWS_BACKENDS, &cargo_of_tests);
    let build = ours(windows.cargo(), BUILD_PROGRAMS);
    if !recorder.build("build of the command and the endurance run", build) {
        return;
    }
    recorder.check("endurance on iocp", endure::briefly_under_wine(&windows));

    let command = bench::comparisons(windows.cargo(), "test");
    recorder.tests("every comparison", Runner::Libtest, command);

    let mut command = cargo();
    command
        .args(run)
        .args(["--package", PACKAGE, "--test", WINDOWS_TEST, "--features", "windows-command"])
        .env("NEXTEST_PROFILE", windows::NEXTEST_PROFILE)
        .env("SERVERLINK_WINDOWS_COMMAND", windows.program("serverlink"))
        .env("SERVERLINK_WINE_RUNNER", windows.runner());
    recorder.tests("the command and a native libzmq", runner, command);
}
