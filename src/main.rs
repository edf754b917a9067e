//! The command `rempart`: the library, with a process around it.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match rempart::cli::Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rempart: {error:#}");
            ExitCode::FAILURE
        }
    }
}
