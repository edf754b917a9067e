//! Command line of `rempart-explore`: which worlds to explore.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;

/// Explores every order of events in small worlds, by the code that decides about moves.
#[derive(Debug, Parser)]
#[command(name = "rempart-explore", version)]
struct Arguments {
    /// Only worlds whose names contain it.
    #[arg(value_name = "NAME", default_value = "")]
    filter: String,
    /// Writes what must not happen and can there, as a script for `rempart-lab simulate`.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { filter, script } = Arguments::parse();
    match rempart_explore::explore(&filter, &mut |line| drop(writeln!(std::io::stdout(), "{line}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let found = error.downcast_ref::<rempart_explore::Breach>();
            if let (Some(path), Some(breach)) = (script, found)
                && let Err(error) = std::fs::write(&path, &breach.script)
            {
                eprintln!("error: cannot write {}: {error}", path.display());
            }
            ExitCode::FAILURE
        }
    }
}
