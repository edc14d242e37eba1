//! The `eyrie` command: the example server, and everything that can be done from a terminal.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
