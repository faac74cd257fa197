//! How much memory the program has.

/// More than this, in MiB, is a violation: no queue grows beyond its high-water mark.
pub(crate) const MOST: u64 = 768;

/// The memory in use, in MiB, where the system tells.
pub(crate) fn resident() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024)
}
