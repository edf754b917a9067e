//! `rempart schemas`: the schemas of what the commands write.

use std::path::PathBuf;

use clap::Parser;

use super::output;
use crate::report::schemas;

/// Prints the JSON schemas of what the commands write with -o json, or writes them into directories
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  rempart schemas | jq .title\n  rempart schemas docs/schemas")]
pub(super) struct SchemasCommand {
    /// Directories to write them into, one file each; standard output when there are none
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
}

impl SchemasCommand {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let all: Vec<_> = schemas::all().into_iter().map(|schema| (schema.file.to_owned(), schema.text)).collect();
        output::print_or_write(&all, "", &self.directories)
    }
}
