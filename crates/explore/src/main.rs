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
    /// Prints a long run of the first of them, as a script for `rempart-lab simulate`.
    #[arg(long)]
    example: bool,
    /// Writes what must not happen and can there, as a script for `rempart-lab simulate`.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { filter, script, example } = Arguments::parse();
    if example {
        let found = rempart_explore::worlds().find(|name| name.contains(&filter)).unwrap_or_default();
        return match rempart_explore::example(found) {
            Ok(run) => {
                drop(writeln!(std::io::stdout(), "{}# {}", run.script, run.writes.join(", ")));
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
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
