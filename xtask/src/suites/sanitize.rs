//! What of the sanitizers takes little time.

use super::Suite;
use crate::sanitize::address;

pub(super) const SUITE: Suite = Suite {
    name: "sanitize",
    about: "engine and queue under AddressSanitizer; `cargo xtask sanitize` has more",
    needs: &[&address::ADDRESS_SANITIZER],
    run: address::quick,
};
