//! The Python that has pyzmq and websockets.

use std::{env, ffi::OsString, path::Path, process::Command, sync::OnceLock};

/// A command that runs one of the scripts in `interop/python`.
///
/// The interpreter is the one that `SERVERLINK_PYTHON` names, as `cargo xtask test` does, or else
/// `python3`.
///
/// # Panics
///
/// If it cannot import pyzmq and websockets.
#[must_use]
pub fn script(name: &str) -> Command {
    static PYTHON: OnceLock<OsString> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let python = env::var_os("SERVERLINK_PYTHON").unwrap_or_else(|| "python3".into());
        let tried = Command::new(&python).args(["-c", "import websockets, zmq"]).output();
        assert!(
            tried.as_ref().is_ok_and(|tried| tried.status.success()),
            "{} cannot import pyzmq and websockets: run the suite with `cargo xtask test --only interop`, or \
             `python3 -m pip install pyzmq websockets`, or have SERVERLINK_PYTHON name a Python that can \
             ({tried:?})",
            python.display(),
        );
        python
    });
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name));
    command
}
