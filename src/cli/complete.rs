//! `rempart complete`: pod templates in files, as admission would complete them.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Parser;

use super::{
    FOUND,
    input::{self, InputOptions},
    output, passed_over,
};
use crate::{
    completion::{CompletedText, ManifestCompleter},
    diagnostic::{
        Severity,
        source::{FileId, SourceMap},
    },
    lint,
    terminal::layout_of_errors,
};
use rempart_core::{
    policy::EnforcementMode,
    text::{ListDisplay, counted},
};

/// Writes into pod templates what admission would add to them: selectors, mirrors of annotations, and marks
///
/// For GitOps, and for clusters where nothing completes pods (`mutation: None`). Reads policies and namespaces as plan does, from
/// FILES, --with and the cluster, and writes YAML as YAML: what is not Rempart's stays as it is. What is complete comes back
/// unchanged. Marks are written where the policy says its metadata.uid, as one of a cluster does.
///
/// Exit code: 0; 1 when something is refused, or with --check is not complete; 2 when it could not be judged or written.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart complete deployment.yaml --with policies/\n  helm template api charts/api | rempart complete - --with policies/ --namespace claims\n  rempart complete apps/ --with policies/ --write\n  rempart complete apps/ --cluster --check"
)]
pub(super) struct CompleteCommand {
    /// What is to be completed: files and directories; - for standard input
    #[arg(value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,

    /// What is only read: files and directories, as of policies and namespaces
    #[arg(short = 'f', long = "with", value_name = "FILE|DIR")]
    with: Vec<PathBuf>,

    #[command(flatten)]
    reading: InputOptions,

    /// Completes by every policy, as if it were in Enforce
    #[arg(long)]
    enforced: bool,

    /// Writes the files anew in place of printing them
    #[arg(short, long, conflicts_with = "check")]
    write: bool,

    /// Says what is not complete, and writes nothing
    #[arg(long)]
    check: bool,
}

impl CompleteCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let Self { files, with, reading, enforced, write, check } = self;
        if reading.render {
            bail!(
                "what is rendered has no file to be written to: pipe the output of `helm template` into `rempart complete -`"
            );
        }
        let stdin = |path: &&PathBuf| path.as_os_str() == "-";
        if files.iter().chain(&with).filter(stdin).count() > 1 {
            bail!("standard input (-) can be read once: name files for the rest");
        }
        if write && files.iter().any(|path| stdin(&path)) {
            bail!("standard input cannot be written: leave --write out");
        }
        let mut sources = SourceMap::default();
        let named = reading.read_texts(&files, &mut sources)?;
        let common = reading.read_texts(&with, &mut sources)?;
        let Some(texts) = named.kept() else {
            bail!("a text of more than 64 MiB cannot be completed: split it");
        };
        let snapshot = reading.snapshot(&[&named, &common], false, &mut sources)?;
        let gathered = reading.gather(&[&named, &common], &sources)?;
        let located = reading.locate(reading.complete(gathered, snapshot.as_ref(), &sources), snapshot.as_ref());
        passed_over::tell_left_out(&[&named, &common], &located, &sources);
        reading.check(&located, &sources)?;
        let refused = lint::refused(&located, input::at(None));
        output::diagnose(&refused, &sources, layout_of_errors(reading.color));
        if refused.iter().any(|found| found.severity == Severity::Error) {
            output::complain("rempart: nothing was completed: admission would refuse what is told above\n");
            return Ok(ExitCode::from(FOUND));
        }
        let policies = located.inventory.world.policies.values();
        let idle = policies.filter(|policy| !enforced && policy.mode != EnforcementMode::Enforce);
        let idle: Vec<_> = idle.map(|policy| policy.name.as_str()).collect();
        if !idle.is_empty() {
            let which = counted(idle.len(), "policy", "policies");
            let message =
                format!("{which} not in Enforce complete nothing ({}); --enforced does", ListDisplay(idle.iter()));
            output::note(&message);
        }
        let by = ManifestCompleter::new(&located, reading.templates()?, &reading.namespace, enforced);
        let mut completed = Vec::new();
        let mut wrong = Vec::new();
        for file in texts {
            match by.complete(file, sources.text(file)) {
                Ok(text) => completed.push((file, text)),
                Err(diagnostic) => wrong.push(diagnostic),
            }
        }
        reading.report(&wrong, &sources)?;
        match (write, check) {
            (true, _) => write_all(&completed, &sources),
            (_, true) => tell_incomplete(&completed, &sources),
            _ => print_all(&completed),
        }
    }
}

/// Prints every text, one after the other.
fn print_all(completed: &[(FileId, CompletedText)]) -> anyhow::Result<ExitCode> {
    output::stream(|out| {
        for (i, (_, CompletedText { text, .. })) in completed.iter().enumerate() {
            if i > 0 && !text.starts_with("---") {
                writeln!(out, "---")?;
            }
            out.write_all(text.as_bytes())?;
            if i.saturating_add(1) < completed.len() && !text.ends_with('\n') {
                writeln!(out)?;
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes every text that differs to its file, whole or not at all.
fn write_all(completed: &[(FileId, CompletedText)], sources: &SourceMap) -> anyhow::Result<ExitCode> {
    for (file, CompletedText { text, objects }) in completed {
        if objects.is_empty() {
            continue;
        }
        let path = Path::new(sources.name(*file));
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let written = tempfile_beside(directory, path)?;
        std::fs::write(&written, text)
            .and_then(|()| std::fs::set_permissions(&written, std::fs::metadata(path)?.permissions()))
            .and_then(|()| std::fs::rename(&written, path))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    tell(completed, sources, "completed")?;
    Ok(ExitCode::SUCCESS)
}

/// A name beside `path` for what is not written whole yet.
fn tempfile_beside(directory: &Path, path: &Path) -> anyhow::Result<PathBuf> {
    let name = path.file_name().context("a file without a name cannot be written")?;
    Ok(directory.join(format!(".{}.unfinished", name.to_string_lossy())))
}

fn tell_incomplete(completed: &[(FileId, CompletedText)], sources: &SourceMap) -> anyhow::Result<ExitCode> {
    tell(completed, sources, "not complete")?;
    let all = completed.iter().all(|(_, text)| text.objects.is_empty());
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// Says of each file which objects of it are `what`.
fn tell(completed: &[(FileId, CompletedText)], sources: &SourceMap, what: &str) -> anyhow::Result<()> {
    output::stream(|out| {
        for (file, CompletedText { objects, .. }) in completed {
            for object in objects {
                writeln!(out, "{}: {object}: {what}", crate::terminal::visible(sources.name(*file)))?;
            }
        }
        let number: usize = completed.iter().map(|(_, text)| text.objects.len()).sum();
        writeln!(
            out,
            "{} {what} in {}",
            counted(number, "object", "objects"),
            counted(completed.len(), "file", "files")
        )
    })
}
