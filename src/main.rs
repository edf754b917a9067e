//! The command `rempart`: the library, with a process around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    rempart::cli::CommandLine::typed().execute()
}
