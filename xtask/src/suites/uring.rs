//! io_uring, which a kernel may lack and a sandbox forbid: its tests are left out then, aloud.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{BUILD_PROGRAMS, ours_here};
use crate::{layout, windows};

const NAME: &str = "uring";

/// Why the backend does not start, once somebody has asked.
static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();

/// Those of `backends` that start here.
pub(crate) fn usable<'a>(backends: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    backends.iter().copied().filter(|name| *name != NAME || obstacle().is_none())
}

/// Completes a command that runs tests: if the backend does not start, all but those of it.
pub(crate) fn spare(command: &mut Command) {
    if !is_for_windows(command) && obstacle().is_some() {
        command.args(["--", "--skip", "uring::"]);
    }
}

/// Why something was left out, if anything was.
pub(crate) fn left_out() -> Option<&'static str> {
    OBSTACLE.get()?.as_deref()
}

/// Says what was left out, if anything was.
pub(crate) fn report() {
    if let Some(obstacle) = left_out() {
        println!("LEFT OUT the tests of the backend {NAME}: {obstacle}");
    }
}

fn obstacle() -> Option<&'static str> {
    OBSTACLE.get_or_init(ask).as_deref()
}

/// Has the command say why, which lists the backends that start.
fn ask() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    if !ours_here(BUILD_PROGRAMS).stdin(Stdio::null()).status().ok()?.success() {
        return None;
    }
    let mut command = Command::new(layout::debug_program("serverlink"));
    command.arg("backends");
    let told = command.stdin(Stdio::null()).output().ok()?.stderr;
    obstacle_in(&String::from_utf8_lossy(&told))
}

fn obstacle_in(told: &str) -> Option<String> {
    let reason = |line: &str| line.strip_prefix("not used: uring: ").map(str::to_owned);
    told.lines().find_map(reason)
}

fn is_for_windows(command: &Command) -> bool {
    command.get_envs().any(|(name, value)| {
        name == "CARGO_BUILD_TARGET" && value.is_some_and(|value| value == windows::TARGET)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_read_from_what_the_command_tells() {
        let told = "warning: unused\nnot used: uring: it is forbidden\nepoll\n";
        assert_eq!(obstacle_in(told).as_deref(), Some("it is forbidden"));
        assert_eq!(obstacle_in("error: could not compile"), None);
    }
}
