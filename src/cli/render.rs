//! Rendered directories: the manifests of charts and kustomizations, made by the programs that make them in a cluster.
//!
//! Takes directories, runs `helm template` and `kubectl kustomize`, and returns their output as texts, or what they said
//! when they failed: in a repository one that cannot be rendered costs itself alone.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    diagnostic::{
        Diagnostic, Severity,
        source::{FileId, SourceMap},
    },
    manifest::files::{RenderTool, UnreadPath, UnrenderedDirectory},
};

/// How many lines of what a program complains of are told.
const COMPLAINED: usize = 5;

/// What came of directories that were to be rendered.
#[derive(Debug, Default)]
pub(super) struct RenderedDirectories {
    /// The manifests that were made.
    pub(super) files: Vec<FileId>,
    /// What programs complained of.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Those that could not be rendered, and are passed over.
    pub(super) not_read: Vec<UnreadPath>,
}

/// Why a directory was not rendered.
enum RenderFailure {
    /// No directory can be: the program is not there, or cannot be run.
    Program(Diagnostic),
    /// This one cannot be.
    Directory(Diagnostic),
}

/// Renders `directories` for `namespace`, each into a text of `sources`. Those that are `named` themselves must be.
pub(super) fn render(
    directories: &[UnrenderedDirectory],
    named: &[PathBuf],
    namespace: &str,
    sources: &mut SourceMap,
) -> RenderedDirectories {
    let mut rendered = RenderedDirectories::default();
    let is_named = |path: &Path| named.iter().any(|named| named.components().eq(path.components()));
    for directory in directories {
        match run(directory, namespace) {
            Ok(text) => rendered.files.push(sources.add(format!("{} (rendered)", directory.path.display()), text)),
            Err(RenderFailure::Directory(told)) if !is_named(&directory.path) => {
                rendered.diagnostics.push(Diagnostic { severity: Severity::Warning, ..told });
                rendered.not_read.push(directory.unread_path());
            }
            Err(RenderFailure::Directory(told) | RenderFailure::Program(told)) => rendered.diagnostics.push(told),
        }
    }
    rendered
}

fn run(directory: &UnrenderedDirectory, namespace: &str) -> Result<String, RenderFailure> {
    let mut words = directory.command();
    if directory.tool == RenderTool::Helm {
        words.extend(["--namespace".to_owned(), namespace.to_owned()]);
    }
    let line = words.join(" ");
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let failed = |why: String| Diagnostic::error("RenderFailed", format!("`{line}`: {why}"));
    let output = Command::new(&program).args(words).output().map_err(|error| {
        RenderFailure::Program(match error.kind() {
            io::ErrorKind::NotFound => {
                failed(format!("there is no {program} on the PATH")).hint("install it, or leave --render out")
            }
            _ => failed(error.to_string()),
        })
    })?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = complaint.lines().map(str::trim).filter(|line| !line.is_empty()).take(COMPLAINED).collect();
        let hint = "correct it, or leave the directory out with --exclude";
        return Err(RenderFailure::Directory(failed(lines.join("; ")).hint(hint)));
    }
    String::from_utf8(output.stdout).map_err(|_| RenderFailure::Directory(failed("it writes no UTF-8".to_owned())))
}
