//! `rempart crds`: the custom resource definitions.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;

use super::output;
use crate::api::crds;

/// Prints the custom resource definitions, or writes them into directories
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  rempart crds | kubectl apply -f -\n  rempart crds crds charts/rempart/files/crds")]
pub(super) struct Crds {
    /// Directories to write them into, one file each; standard output when there are none
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
}

impl Crds {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let rendered = crds::render()?;
        if self.directories.is_empty() {
            let all: Vec<_> = rendered.iter().map(|(_, yaml)| yaml.as_str()).collect();
            return output::print(&all.join("---\n"));
        }
        for directory in &self.directories {
            std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
            for (name, yaml) in &rendered {
                let path = directory.join(name);
                // Whole or not at all: whoever reads it may be reading now.
                let unfinished = directory.join(format!(".{name}.unfinished"));
                std::fs::write(&unfinished, yaml)
                    .and_then(|()| std::fs::rename(&unfinished, &path))
                    .with_context(|| format!("{} cannot be written", path.display()))?;
            }
        }
        Ok(())
    }
}
