//! The `pangaea` program.

fn main() {}
