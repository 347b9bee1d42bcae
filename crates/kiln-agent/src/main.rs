//! PID 1 of the build container, and the helper commands that builds call.

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln_agent::main(std::env::args_os())
}
