//! Rendered directories: the manifests of charts and kustomizations, made by the programs that make them in a cluster.
//!
//! Takes directories, runs `helm template` and `kubectl kustomize`, and returns their output as texts, or what they said
//! when they failed.

use std::{io, process::Command};

use crate::{
    diagnostic::{
        Diagnostic,
        source::{FileId, SourceMap},
    },
    manifest::files::{RenderTool, UnrenderedDirectory},
};

/// How many lines of what a program complains of are told.
const COMPLAINED: usize = 5;

/// Renders `directories` for `namespace`, each into a text of `sources`.
pub(super) fn render(
    directories: &[UnrenderedDirectory],
    namespace: &str,
    sources: &mut SourceMap,
) -> (Vec<FileId>, Vec<Diagnostic>) {
    let (mut files, mut diagnostics) = (Vec::new(), Vec::new());
    for directory in directories {
        match run(directory, namespace) {
            Ok(text) => files.push(sources.add(format!("{} (rendered)", directory.path.display()), text)),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    (files, diagnostics)
}

fn run(directory: &UnrenderedDirectory, namespace: &str) -> Result<String, Diagnostic> {
    let mut words = directory.command();
    if directory.tool == RenderTool::Helm {
        words.extend(["--namespace".to_owned(), namespace.to_owned()]);
    }
    let line = words.join(" ");
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let failed = |why: String| Diagnostic::error("RenderFailed", format!("`{line}`: {why}"));
    let output = Command::new(&program).args(words).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            failed(format!("there is no {program} on the PATH")).hint("install it, or leave --render out")
        }
        _ => failed(error.to_string()),
    })?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = complaint.lines().map(str::trim).filter(|line| !line.is_empty()).take(COMPLAINED).collect();
        let hint = "correct it, or leave the directory out with --exclude";
        return Err(failed(lines.join("; ")).hint(hint));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("it writes no UTF-8".to_owned()))
}
