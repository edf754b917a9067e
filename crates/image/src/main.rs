//! The container image of Rempart, made without a container engine: its root file system, an archive of it, and what it is
//! made of.

mod archive;
mod bill_of_materials;
mod root_files;

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use self::{archive::ImageLabels, root_files::RootFiles};

/// Makes the container image of Rempart from its binary.
#[derive(Debug, Parser)]
#[command(name = "rempart-image", version)]
struct ImageArguments {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Writes what is in the image into a directory, for a Dockerfile that copies it.
    Root {
        #[command(flatten)]
        of: BinaryArguments,
        /// The directory.
        #[arg(value_name = "DIR")]
        into: PathBuf,
    },
    /// Writes the image as an archive of an OCI image layout, and prints its digest.
    Archive {
        #[command(flatten)]
        of: BinaryArguments,
        /// When it was made, in seconds since 1970: that of its commit, so that whoever builds it again gets the same.
        #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
        created: i64,
        /// The commit that it is built from.
        #[arg(long, value_name = "COMMIT")]
        revision: String,
        /// The archive.
        #[arg(value_name = "FILE")]
        into: PathBuf,
    },
    /// Writes which crates the binary is made of, each with its licence, in the form of `CycloneDX`.
    BillOfMaterials {
        /// Of this workspace.
        #[arg(long, default_value = "Cargo.toml", value_name = "FILE")]
        manifest: PathBuf,
        /// The file.
        #[arg(value_name = "FILE")]
        into: PathBuf,
    },
}

#[derive(Args, Debug)]
struct BinaryArguments {
    /// The binary, which must be static.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// The licence of Rempart.
    #[arg(long, default_value = "LICENSE", value_name = "FILE")]
    licence: PathBuf,
}

impl BinaryArguments {
    fn read(&self) -> anyhow::Result<RootFiles> {
        let read = |path: &PathBuf| fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
        RootFiles::new(read(&self.binary)?, read(&self.licence)?).with_context(|| self.binary.display().to_string())
    }
}

fn main() -> anyhow::Result<()> {
    match ImageArguments::parse().command {
        ImageCommand::Root { of, into } => of.read()?.write(&into),
        ImageCommand::Archive { of, created, revision, into } => {
            let labels = ImageLabels { created, revision, version: env!("CARGO_PKG_VERSION").to_owned() };
            let archive = archive::of(&of.read()?, &labels)?;
            if let Some(parent) = into.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&into, &archive.bytes).with_context(|| format!("{} cannot be written", into.display()))?;
            println!("{} {} bytes {}", archive.digest, archive.compressed, into.display());
            Ok(())
        }
        ImageCommand::BillOfMaterials { manifest, into } => {
            let text = bill_of_materials::of(&manifest)?;
            if let Some(parent) = into.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&into, text).with_context(|| format!("{} cannot be written", into.display()))
        }
    }
}
