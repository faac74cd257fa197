//! Builds libzmq, the peer that matters most, as well as its own build system would.

use std::env;

/// What libzmq's own build finds on Linux, and `zeromq-src` does not look for: without the first
/// two, its threads wake each other through pairs of sockets.
const LINUX: &[&str] = &[
    "ZMQ_HAVE_EVENTFD=1",
    "ZMQ_HAVE_EVENTFD_CLOEXEC=1",
    "ZMQ_HAVE_SOCK_CLOEXEC=1",
    "ZMQ_HAVE_O_CLOEXEC=1",
    "ZMQ_HAVE_SO_KEEPALIVE=1",
    "ZMQ_HAVE_NOEXCEPT=1",
    "ZMQ_CACHELINE_SIZE=64",
    "HAVE_ACCEPT4=1",
    "HAVE_POSIX_MEMALIGN=1",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let mut flags = env::var("CXXFLAGS").unwrap_or_default();
    flags.push_str(" -DNDEBUG");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        for define in LINUX {
            flags.push_str(" -D");
            flags.push_str(define);
        }
    }
    // SAFETY: a build script has one thread, and this one has started no other.
    unsafe {
        env::set_var("CXXFLAGS", flags);
        if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
            env::set_var("OPT_LEVEL", "3");
        }
        // Nobody looks into it, and it would be built for longer.
        env::set_var("DEBUG", "false");
    }
    let drafts = env::var_os("CARGO_FEATURE_DRAFTS").is_some();
    zeromq_src::Build::new().enable_draft(drafts).build();
}
