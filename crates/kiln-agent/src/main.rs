//! PID 1 of the build container.
fn main() {}
