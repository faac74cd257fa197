//! Bytes in place of what the CURVE mechanism encrypts, at any point of the handshake and after it: no panic,
//! and nothing is made of them.
#![no_main]

#[path = "../../crates/serverlink-zmtp/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| support::fuzz::curve(data));
