//! What the system allows and what the process uses of it.

#[cfg(unix)]
use rustix::process::{Resource, getrlimit, setrlimit};

/// Sees to it that the process may have `wanted` descriptors.
///
/// # Panics
///
/// If that is more than a user may allow.
#[cfg(unix)]
pub fn raise_open_files(wanted: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    assert!(
        limit.maximum.is_none_or(|maximum| maximum >= wanted),
        "the test needs {wanted} descriptors, and the hard limit is {:?}: see `ulimit -Hn`",
        limit.maximum
    );
    limit.current = Some(wanted);
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// There is no such limit.
#[cfg(not(unix))]
pub fn raise_open_files(_wanted: u64) {}

/// How many descriptors the process has.
#[cfg(target_os = "linux")]
#[must_use]
pub fn open_files() -> usize {
    // Less the one that lists them.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// How much memory the process has in use, in KiB.
#[cfg(target_os = "linux")]
#[must_use]
pub fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
