//! The engine and the sockets, on every backend of this platform.

use super::{BACKEND, BACKEND_CRATES, NATIVE_BACKENDS, Suite, cargo, runner};

pub(super) const SUITE: Suite = Suite {
    name: "conformance",
    about: "all tests of the engine and of the sockets, once per backend",
    needs: &[],
    run: |recorder| {
        let (runner, run) = runner();
        for backend in NATIVE_BACKENDS {
            let mut command = cargo();
            command.args(run).args(BACKEND_CRATES).arg("--tests").env(BACKEND, backend);
            recorder.tests(backend, runner, command);
        }
    },
};
