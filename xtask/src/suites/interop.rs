//! Exchanges with real ZeroMQ peers.

use std::path::PathBuf;
use std::process::Command;

use super::{
    BACKEND, BUILD_PROGRAMS, NATIVE_BACKENDS, Suite, cargo, ours_here, runner, test_targets, uring,
};
use crate::{bench, counts::Runner, layout, needs};

pub(super) const SUITE: Suite = Suite {
    name: "interop",
    about: "exchanges with libzmq, pyzmq and websockets, once per backend",
    needs: &[&needs::CPP_COMPILER, &needs::PYZMQ],
    run: |recorder| {
        if !recorder.build("build of the command", ours_here(BUILD_PROGRAMS)) {
            return;
        }
        let (runner, run) = runner();
        for backend in uring::usable(NATIVE_BACKENDS) {
            let mut command = cargo();
            command
                .args(run)
                .args(["--package", PACKAGE])
                .args(native_tests())
                .env(BACKEND, backend)
                .env("SERVERLINK_COMMAND", layout::debug_program("serverlink"))
                .env("SERVERLINK_PYTHON", python());
            recorder.tests(backend, runner, command);
            // The whole workspace, so that libzmq is built once for it.
            let mut command = bench::cargo("test");
            command.args(["--workspace", "--test=peers"]).env(BACKEND, backend);
            recorder.tests(&format!("libzmq's drafts on {backend}"), Runner::Libtest, command);
        }
    },
};

pub(super) const PACKAGE: &str = "serverlink-interop";

/// The one test target that belongs to the suite `windows`.
pub(super) const WINDOWS_TEST: &str = "windows_command";

/// The options that choose all other test targets.
fn native_tests() -> Vec<String> {
    test_targets(&layout::root().join("interop/tests"), &[WINDOWS_TEST])
}

/// A virtual environment with pyzmq and websockets in it.
fn environment() -> PathBuf {
    layout::target().join("python")
}

fn python() -> PathBuf {
    let python = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    environment().join(python)
}

pub(crate) fn pyzmq_works() -> bool {
    needs::succeeds(Command::new(python()).args(["-c", "import websockets, zmq"]))
}

pub(crate) fn make_pyzmq() -> bool {
    let system = if cfg!(windows) { "python" } else { "python3" };
    let status = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    status(Command::new(system).args(["-m", "venv", "--clear"]).arg(environment()))
        && status(
            Command::new(python())
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--only-binary=:all:", "pyzmq", "websockets"]),
        )
}
