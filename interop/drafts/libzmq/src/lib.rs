//! Libzmq with its drafts: to be linked, by `use serverlink_interop_drafts_libzmq as _`.
//!
//! A package of its own, outside the workspace: cargo takes the build scripts of members for others
//! when it runs clippy, and libzmq takes long to build.
