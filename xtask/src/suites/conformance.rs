//! The engine and the sockets, on every backend of this platform.

use super::{NATIVE_BACKENDS, Suite, backend_tests, cargo};

pub(super) const SUITE: Suite = Suite {
    name: "conformance",
    about: "all tests of the engine and of the sockets on every backend",
    needs: &[],
    run: |recorder| backend_tests(recorder, NATIVE_BACKENDS, &cargo),
};
