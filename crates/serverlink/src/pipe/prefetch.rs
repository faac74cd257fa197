//! Cache lines fetched before they are needed.
//!
//! A message's slot was last touched by the other side's core, and to fetch it from there takes
//! longer than everything else about the message. Processors fetch ahead by themselves, but not
//! past a lock's instructions, which wait until all that was written before has reached the cache.

/// The shortest that processors have.
const CACHE_LINE: usize = 64;

/// Fetches the last cache line of what `place` points at, for writing or for reading. It may point
/// anywhere. Where one place follows the other, the lines before were fetched with those before.
#[inline(always)]
pub(super) fn fetch_end<T>(place: *const T, to_write: bool) {
    let line = place.wrapping_add(1).cast::<u8>().wrapping_sub(1);
    if to_write { for_writing(line) } else { for_reading(line) }
}

/// Fetches all cache lines of what `place` points at, for writing. It may point anywhere.
#[inline(always)]
pub(super) fn whole<T>(place: *const T) {
    let begin = place.cast::<u8>();
    (0..size_of::<T>()).step_by(CACHE_LINE).for_each(|at| for_writing(begin.wrapping_add(at)));
    // It may begin within a line.
    fetch_end(place, true);
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn for_writing(line: *const u8) {
    // SAFETY: a hint, which changes nothing and faults on no address. Processors that lack the
    // instruction take it for none.
    unsafe { std::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags)) };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn for_reading(line: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which changes nothing and faults on no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline(always)]
fn for_writing(line: *const u8) {
    // SAFETY: a hint, which changes nothing and faults on no address.
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) line, options(nostack, preserves_flags));
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline(always)]
fn for_reading(line: *const u8) {
    // SAFETY: a hint, which changes nothing and faults on no address.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) line, options(nostack, preserves_flags));
    }
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[inline(always)]
fn for_writing(_line: *const u8) {}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[inline(always)]
fn for_reading(_line: *const u8) {}
