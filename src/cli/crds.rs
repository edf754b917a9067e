//! `rempart crds`: the custom resource definitions.

use std::path::PathBuf;

use clap::Parser;

use super::output;
use crate::api::crds;

/// Prints the custom resource definitions, or writes them into directories
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  rempart crds | kubectl apply -f -\n  rempart crds crds charts/rempart/files/crds")]
pub(super) struct CrdsCommand {
    /// Directories to write them into, one file each; standard output when there are none
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
}

impl CrdsCommand {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        output::print_or_write(&crds::render()?, "---\n", &self.directories)
    }
}
