//! Greeting, handshake and what follows: no panic, bounded memory, and the same events however the
//! input is split.
#![no_main]

#[path = "../../crates/serverlink-zmtp/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| support::fuzz::handshake(data));
