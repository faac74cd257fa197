//! Libzmq as its own build system would make it: to be linked, by `use serverlink_bench_libzmq as _`.
//!
//! A package of its own, outside the workspace: cargo takes the build scripts of members for others
//! when it runs clippy, and libzmq takes long to build.
