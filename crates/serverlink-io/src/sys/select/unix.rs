//! select(2) with sets as large as the highest descriptor.
//!
//! The library's `fd_set` ends at `FD_SETSIZE`; the kernels read as many bits as
//! the first argument says (Linux, FreeBSD: select(2), "BUGS" and
//! "DESCRIPTION"; macOS in the variant `_DARWIN_UNLIMITED_SELECT`).

use std::{io, os::fd::RawFd, ptr, time::Duration};

use crate::sys::readiness::Want;
pub(super) use crate::sys::{poll::check, waker::Waker};

/// See `Backend::timer_grain`.
pub(super) const TIMER_GRAIN: Duration = Duration::from_micros(50);

/// A set of descriptors: bit n is descriptor n.
///
/// In the C libraries the unit is a `long`, or an `int` on Apple's
/// little-endian machines, where that is the same.
#[derive(Debug, Default)]
struct Set(Vec<libc::c_ulong>);

const UNIT: usize = libc::c_ulong::BITS as usize;

impl Set {
    fn insert(&mut self, descriptor: RawFd) {
        let Some((index, bit)) = place(descriptor) else { return };
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] |= bit;
    }

    fn contains(&self, descriptor: RawFd) -> bool {
        place(descriptor)
            .is_some_and(|(index, bit)| self.0.get(index).is_some_and(|unit| unit & bit != 0))
    }
}

fn place(descriptor: RawFd) -> Option<(usize, libc::c_ulong)> {
    let number = usize::try_from(descriptor).ok()?;
    Some((number / UNIT, 1 << (number % UNIT)))
}

/// The sets of one call.
#[derive(Debug, Default)]
pub(super) struct Sets {
    read: Set,
    write: Set,
    /// One more than the highest descriptor.
    end: i32,
}

impl Sets {
    pub(super) fn clear(&mut self) {
        self.read.0.clear();
        self.write.0.clear();
        self.end = 0;
    }

    pub(super) fn add(&mut self, descriptor: RawFd, read: bool, write: Option<Want>) {
        if read {
            self.read.insert(descriptor);
        }
        if write.is_some() {
            self.write.insert(descriptor);
        }
        self.end = self.end.max(descriptor + 1);
    }

    /// Waits, and leaves those that are ready in the sets.
    pub(super) fn select(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // Both as long as the kernel reads: whole units up to `end`.
        let units = usize::try_from(self.end).unwrap_or(0).div_ceil(UNIT);
        self.read.0.resize(units, 0);
        self.write.0.resize(units, 0);
        let mut limit = timeout.map(time_value);
        // SAFETY: the sets have a bit for every descriptor below `end`; `limit` is valid for the
        // call, or null to wait for ever.
        let count = unsafe {
            system_select(
                self.end,
                self.read.0.as_mut_ptr().cast(),
                self.write.0.as_mut_ptr().cast(),
                ptr::null_mut(),
                limit.as_mut().map_or(ptr::null_mut(), ptr::from_mut),
            )
        };
        if count == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub(super) fn is_readable(&self, descriptor: RawFd) -> bool {
        self.read.contains(descriptor)
    }

    pub(super) fn is_writable(&self, descriptor: RawFd) -> bool {
        self.write.contains(descriptor)
    }
}

#[cfg(not(target_vendor = "apple"))]
use libc::select as system_select;

#[cfg(target_vendor = "apple")]
unsafe extern "C" {
    /// The variant that takes descriptors from `FD_SETSIZE` on; select(2) on macOS.
    #[link_name = "select$DARWIN_EXTSN"]
    fn system_select(
        end: libc::c_int,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        timeout: *mut libc::timeval,
    ) -> libc::c_int;
}

/// Rounded up: a timer must not be early. At most a day: some systems refuse much more, and a
/// wait may end early.
fn time_value(timeout: Duration) -> libc::timeval {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let micros = timeout.min(DAY).as_nanos().div_ceil(1_000);
    libc::timeval {
        tv_sec: (micros / 1_000_000) as libc::time_t,
        tv_usec: (micros % 1_000_000) as libc::suseconds_t,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::fd::{AsRawFd, FromRawFd, OwnedFd},
    };

    use super::*;

    #[test]
    fn sets_hold_any_descriptor() {
        let mut set = Set::default();
        for descriptor in [0, 63, 64, 1023, 1024, 70_000] {
            assert!(!set.contains(descriptor));
            set.insert(descriptor);
            assert!(set.contains(descriptor));
            assert!(!set.contains(descriptor + 1));
        }
        set.insert(-1);
        assert!(!set.contains(-1));
    }

    #[test]
    fn a_closed_descriptor_is_told_from_other_errors() {
        let file = File::open("/dev/null").expect("there is a null device");
        // A number that the tests beside this one do not reach, but that the process has room
        // for: the kernel ignores those beyond.
        // SAFETY: takes no pointer.
        let high = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 200) };
        assert!(high >= 200);
        // SAFETY: fcntl(2) has just made it; nobody else owns it.
        drop(unsafe { OwnedFd::from_raw_fd(high) });
        let mut sets = Sets::default();
        sets.add(high, true, None);
        let error = sets.select(Some(Duration::ZERO)).expect_err("nothing is open there");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn timeouts_are_rounded_up_and_bounded() {
        let value = time_value(Duration::from_nanos(1_000_001));
        assert_eq!((value.tv_sec, value.tv_usec), (0, 1_001));
        assert_eq!(time_value(Duration::MAX).tv_sec, 24 * 60 * 60);
    }
}
