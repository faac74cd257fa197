//! Builds libzmq with its drafts.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    zeromq_src::Build::new().enable_draft(true).build();
}
