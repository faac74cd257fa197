//! Platforms that cannot run here.

use super::Suite;
use crate::needs;
use crate::recorder::Recorder;
use crate::toolchain::Toolchain;

pub(super) const SUITE: Suite = Suite {
    name: "platforms",
    about: "type checks for the platforms that cannot run here, warnings denied",
    needs: &[&needs::PLATFORMS_RUST],
    run,
};

pub(crate) const TARGETS: &[&str] = &[
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-unknown-freebsd",
    "x86_64-unknown-netbsd",
];

// TLS takes a compiler of C for each of them, and nothing of ours in it is theirs alone.

/// Those whose tests are checked, too: one of each family.
const WITH_TESTS: &[&str] =
    &["x86_64-pc-windows-msvc", "aarch64-apple-darwin", "x86_64-unknown-freebsd"];

const PACKAGES: &[&str] = &["serverlink-io", "serverlink-zmtp", "serverlink", "serverlink-cli"];

fn run(recorder: &mut Recorder) {
    for target in TARGETS {
        let Some(toolchain) = Toolchain::find(target) else {
            recorder.fail(&format!("{target}: no toolchain"));
            continue;
        };
        let mut command = toolchain.cargo(target);
        command
            .args(["check", "--no-default-features"])
            .args(WITH_TESTS.contains(target).then_some("--all-targets"))
            .args(PACKAGES.iter().flat_map(|name| ["--package", name]));
        toolchain.deny_warnings(&mut command);
        recorder.check(target, command);
    }
}
