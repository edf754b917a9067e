//! The command `rempart`.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Places workloads where their data may be.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the CustomResourceDefinitions into directories.
    Crds {
        /// Where to write them.
        #[arg(default_values = ["crds", "charts/rempart/files/crds"])]
        directories: Vec<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    let Command::Crds { directories } = Arguments::parse().command;
    let files = rempart::api::crds::render().context("cannot write the definitions as YAML")?;
    for directory in &directories {
        fs::create_dir_all(directory).with_context(|| format!("cannot create directory {}", directory.display()))?;
        for (name, text) in &files {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}
