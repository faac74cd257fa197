//! What a port takes for itself.

use crate::{heap, rig::Rig};

/// What a port may have of the heap at any time from its making to its end. It is below what
/// allocators leave to the system to give and to take back (128 KiB in glibc): with a larger piece
/// that comes and goes they would take all of that size for short-lived, and keep as much.
const PORT: isize = 64 * 1024;

pub(crate) fn a_port_takes_little_of_the_heap(backend: &str) {
    let peak = heap::peak(|| drop(Rig::new(backend)));
    println!("{backend}: {peak} bytes");
    assert!(peak <= PORT, "{peak} bytes");
}
