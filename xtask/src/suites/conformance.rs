//! The engine and the sockets, on every backend of this platform.

use super::{BACKEND, KQUEUE_MODEL, NATIVE_BACKENDS, Suite, backend_tests, cargo, runner, uring};
use crate::endure;
use crate::needs;
use crate::recorder::Recorder;

pub(super) const SUITE: Suite = Suite {
    name: "conformance",
    about: "all tests of the engine and of the sockets on every backend, and a short endurance run",
    needs: &[&needs::SS],
    run: |recorder| {
        backend_tests(recorder, NATIVE_BACKENDS, &cargo);
        for backend in uring::usable(NATIVE_BACKENDS) {
            recorder.check(&format!("endurance on {backend}"), endure::briefly(cargo(), backend));
        }
        for (by, arguments) in [("CURVE", &["--curve"][..]), ("TLS", &["--transport", "wss"])] {
            let run = endure::briefly_encrypted(cargo(), arguments);
            recorder.check(&format!("endurance, encrypted by {by}"), run);
        }
        if cfg!(target_os = "linux") {
            kqueue_tests(recorder);
        }
    },
};

/// The same over a model of kqueue's kernel, with and without its events of users.
fn kqueue_tests(recorder: &mut Recorder) {
    let (runner, run) = runner();
    let mut command = cargo();
    command.args(run).args(["--package=serverlink-io", "--test=conformance", KQUEUE_MODEL]);
    uring::spare(&mut command);
    recorder.tests("engine, beside a model of kqueue", runner, command);
    let mut command = cargo();
    command
        .args(run)
        .args(["--package=serverlink", "--tests", KQUEUE_MODEL])
        .env(BACKEND, "kqueue");
    recorder.tests("sockets on a model of kqueue", runner, command);
}
