//! Exchanges with a libzmq that has its drafts: one program, which links it once.

mod datagrams;
mod groups;
mod notices;
mod single_part;
