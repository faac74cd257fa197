//! WebSockets, from the head or from the handshake on or behind it: no panic, bounded memory and output, and
//! the same events however the input is split.
#![no_main]

#[path = "../../crates/serverlink-zmtp/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| support::fuzz::web(data));
