//! What `--version` says.

use std::sync::OnceLock;

/// The version of the protocol spoken, and the oldest that is understood.
const ZMTP: &str = "3.1 (and 3.0)";

/// The version, the protocol's, and the I/O backends of this machine.
pub(super) fn long() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let backends = serverlink::backends().join(", ");
        format!("{}\nZMTP {ZMTP}\nI/O backends: {backends}", env!("CARGO_PKG_VERSION"))
    })
}
