//! The `serverlink` command.

fn main() {}
