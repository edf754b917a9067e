//! Files derived from the charts and the code: the tables in the charts' READMEs, the reference pages of the book, and plain
//! manifests for who does without Helm.
//!
//! [`ChartRenderer`] runs `helm template` on a chart of this repository, without a cluster. [`generated`] returns the files
//! with their texts, and [`write`] puts them where they are kept. They are compared with these in the tests, so that none
//! says what the chart does not.

mod clearances;
mod manifests;
mod reference;
mod section;
mod values;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{LabError, ProgressDisplay, Result, binaries};

pub use values::{DocumentedValue, documented_values};

/// The root of this repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The chart, from there.
const CHART: &str = "charts/rempart";
/// The chart of providers and of policies to begin with.
pub const CATALOGUE: &str = "charts/rempart-catalogue";
/// Directories of which every file is generated.
pub const GENERATED_DIRECTORIES: [&str; 4] =
    [manifests::DIRECTORIES[0], manifests::DIRECTORIES[1], manifests::DIRECTORIES[2], reference::DIRECTORY];

/// A file of this repository that is generated from the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Its path from the root of the repository.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Renders the chart of this repository, as `helm template` does for Argo CD and Flux.
#[derive(Debug)]
pub struct ChartRenderer {
    helm: PathBuf,
    /// Where helm keeps what is its own.
    home: tempfile::TempDir,
}

impl ChartRenderer {
    /// Finds helm, or builds it.
    ///
    /// # Errors
    /// When there is none and it cannot be built.
    pub async fn locate() -> Result<Self> {
        let helm = binaries::helm(ProgressDisplay::detect()).await?;
        let home = tempfile::tempdir().map_err(LabError::file("make a directory in", std::env::temp_dir()))?;
        Ok(Self { helm, home })
    }

    /// What the chart renders to with these arguments of `helm template`, as release `rempart` of the namespace
    /// `rempart-system` unless they name another.
    ///
    /// # Errors
    /// What helm says, when it refuses.
    pub fn template<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        self.template_of(CHART, arguments)
    }

    /// The same of the chart in this directory of the repository.
    ///
    /// # Errors
    /// What helm says, when it refuses.
    pub fn template_of<S: AsRef<OsStr>>(&self, chart: &str, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        let mut command = Command::new(&self.helm);
        command.args(["template", "rempart"]).arg(Path::new(ROOT).join(chart));
        command.args(["--namespace", "rempart-system"]).args(arguments).stdin(Stdio::null());
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{kind}_HOME"), self.home.path());
        }
        let line = || format!("{command:?}");
        let (program, spawned) = (line(), line());
        let output = command.output().map_err(|reason| LabError::Spawn { program, reason })?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            Err(LabError::Command { command: spawned, status: output.status, stderr })
        }
    }
}

/// The files that are generated from the charts.
///
/// # Errors
/// When the chart cannot be read or rendered.
pub fn generated(renderer: &ChartRenderer) -> Result<Vec<GeneratedFile>> {
    let root = Path::new(ROOT);
    let mut files = vec![values::readme(root, Path::new(CHART))?];
    let catalogue = values::readme(root, Path::new(CATALOGUE))?;
    files.push(clearances::readme(root, renderer, catalogue)?);
    files.extend(reference::generated(root)?);
    files.extend(manifests::generated(renderer)?);
    Ok(files)
}

/// Writes the files that are generated from the chart, and removes what else is in their directories.
///
/// # Errors
/// When the chart cannot be rendered, or a file not be written.
pub fn write(renderer: &ChartRenderer) -> Result<Vec<GeneratedFile>> {
    let files = generated(renderer)?;
    let root = Path::new(ROOT);
    for directory in GENERATED_DIRECTORIES {
        let path = root.join(directory);
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(LabError::file("remove", &path))?;
        }
        std::fs::create_dir_all(&path).map_err(LabError::file("make", &path))?;
    }
    for GeneratedFile { path, text } in &files {
        let path = root.join(path);
        std::fs::write(&path, text).map_err(LabError::file("write", &path))?;
    }
    Ok(files)
}
