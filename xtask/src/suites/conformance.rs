//! The engine and the sockets, on every backend of this platform.

use super::{
    BACKEND, BUILD_PROGRAMS, NATIVE_BACKENDS, Suite, backend_tests, ours_here, runner, targets,
    tests, uring,
};
use crate::endure;
use crate::needs;

pub(super) const SUITE: Suite = Suite {
    name: "conformance",
    about: "all tests of the engine and of the sockets on every backend, and a short endurance run",
    needs: &[&needs::SS],
    run: |recorder| {
        let cargo = || ours_here(runner().1);
        backend_tests(recorder, NATIVE_BACKENDS, &cargo);
        if cfg!(target_os = "linux") {
            let mut command = cargo();
            command.env(BACKEND, "kqueue");
            tests(recorder, "sockets on a model of kqueue", command, &targets("serverlink"));
        }
        if !recorder.build("build of the endurance run", ours_here(BUILD_PROGRAMS)) {
            return;
        }
        for backend in uring::usable(NATIVE_BACKENDS) {
            recorder.check(&format!("endurance on {backend}"), endure::briefly(backend));
        }
        for (by, arguments) in [("CURVE", &["--curve"][..]), ("TLS", &["--transport", "wss"])] {
            let run = endure::briefly_encrypted(arguments);
            recorder.check(&format!("endurance, encrypted by {by}"), run);
        }
    },
};
