//! Command input: files, directories, standard input, a cluster, and an instant.
//!
//! Takes the options that the offline commands share, and returns the inventory that they judge. One error among the
//! diagnostics, and nothing is judged.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::{
    cluster::{self, ClusterSnapshot, SnapshotScope},
    output,
    progress::ProgressSpinner,
};
use crate::{
    diagnostic::{
        Diagnostic, Severity,
        position::{TextPosition, TextSpan},
        source::{FileId, SourceMap, SourceSpan},
    },
    gather::{GatherSettings, GatheredObjects, LocatedInventory},
    manifest::{files, read::read},
    report::{self, LocationLookup, LocationTarget},
    terminal::{ColourChoice, layout_of_errors},
};
use rempart_core::{
    admission::SensitivitySource,
    instant::{CalendarDay, Timestamp},
    text::counted,
};

/// From where, beside files, and how what is read is to be understood.
#[derive(Clone, Debug, Args)]
pub(super) struct InputOptions {
    /// Takes what the files do not give from the cluster of the current kubeconfig context
    ///
    /// Objects of the files replace those of the same name. Workloads are taken when the files have none.
    #[arg(long)]
    pub(super) cluster: bool,

    /// The kubeconfig context to take instead of the current one
    #[arg(long, value_name = "NAME", requires = "cluster")]
    pub(super) context: Option<String>,

    /// The namespace of objects that name none, as the output of `helm template`
    #[arg(short, long, default_value = "default", value_name = "NAME", value_parser = namespace)]
    pub(super) namespace: String,

    /// Namespaces that no policy governs
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "kube-system,kube-public,kube-node-lease,rempart-system",
        value_name = "NAME,…",
        value_parser = namespace
    )]
    pub(super) exempt_namespaces: Vec<String>,

    /// When to colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub(super) color: ColourChoice,
}

/// A valid name of a namespace.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let good = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if good {
        Ok(text.to_owned())
    } else {
        Err("a namespace is at most 63 lower-case letters, digits and '-', with a letter or digit at both ends".into())
    }
}

/// An instant, or a day, which stands for its beginning (UTC).
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(day) = CalendarDay::parse(text) {
        return Ok(day.starts());
    }
    let instant = text.parse::<jiff::Timestamp>();
    instant
        .map(Timestamp::from)
        .map_err(|_| "write a day, as 2026-11-30, or an instant, as 2026-11-30T12:00:00Z".to_owned())
}

/// `at`, or now, to the second.
#[expect(clippy::disallowed_methods, reason = "the command line asks what time it is, once, where nobody says")]
pub(super) fn at(at: Option<Timestamp>) -> Timestamp {
    at.unwrap_or_else(|| Timestamp::from_seconds(jiff::Timestamp::now().as_second()))
}

/// Texts that were named together, and what could not be read of them.
#[derive(Debug, Default)]
pub(super) struct NamedTexts {
    files: Vec<FileId>,
    diagnostics: Vec<Diagnostic>,
}

impl NamedTexts {
    /// Reads `paths` into `sources`.
    pub(super) fn read(paths: &[PathBuf], sources: &mut SourceMap) -> Self {
        let _progress = ProgressSpinner::of("reading files");
        let files::FileSet { files, diagnostics, passed_over: _ } =
            files::gather(paths, &mut std::io::stdin(), sources);
        Self { files, diagnostics }
    }
}

impl InputOptions {
    /// What the cluster has beside `named`, if it is to be asked. Workloads are taken where `named` has none; with
    /// `running`, also where whose pods stand.
    ///
    /// # Errors
    /// When it cannot be reached, or does not let something be read that is needed.
    pub(super) fn snapshot(
        &self,
        named: &[&NamedTexts],
        running: bool,
        sources: &mut SourceMap,
    ) -> anyhow::Result<Option<ClusterSnapshot>> {
        if !self.cluster {
            return Ok(None);
        }
        let given = self.gather(named, sources);
        let namespaces = given.workloads.iter().map(|found| found.workload.identity.namespace.to_string()).collect();
        let wanted = SnapshotScope { workloads: given.workloads.is_empty(), running, namespaces };
        let _progress = ProgressSpinner::of("reading the cluster");
        let snapshot = cluster::snapshot(self.context.as_deref(), &wanted, sources);
        Ok(Some(snapshot.context("the cluster cannot be read")?))
    }

    /// What `named` says, in the order of the groups: what a later one has replaces what an earlier one has.
    pub(super) fn gather<'s>(&self, named: &[&NamedTexts], sources: &'s SourceMap) -> GatheredObjects<'s> {
        let _progress = ProgressSpinner::of("reading manifests");
        let mut gathered = GatheredObjects::new(&self.namespace);
        for group in named {
            gathered.diagnostics.extend(group.diagnostics.iter().cloned());
            for file in &group.files {
                read(*file, sources.text(*file), &mut |found| gathered.take(*file, found));
            }
        }
        gathered
    }

    /// The same, with what `snapshot` has beside it.
    pub(super) fn complete<'s>(
        &self,
        mut given: GatheredObjects<'s>,
        snapshot: Option<&ClusterSnapshot>,
        sources: &'s SourceMap,
    ) -> GatheredObjects<'s> {
        if let Some(ClusterSnapshot { own, rest }) = snapshot {
            let mut found = GatheredObjects::new(&self.namespace);
            for file in own {
                read(*file, sources.text(*file), &mut |node| found.take(*file, node));
            }
            given.complete(found);
            given.complete(rest.clone());
        }
        given
    }

    /// What `named` comes to, with what `snapshot` has beside it.
    pub(super) fn read_inventory<'s>(
        &self,
        named: &NamedTexts,
        snapshot: Option<&ClusterSnapshot>,
        sources: &'s SourceMap,
    ) -> LocatedInventory<'s> {
        self.locate(self.complete(self.gather(&[named], sources), snapshot, sources))
    }

    /// What `gathered` comes to.
    pub(super) fn locate<'s>(&self, gathered: GatheredObjects<'s>) -> LocatedInventory<'s> {
        gathered.into_inventory(&GatherSettings { exempt: self.exempt_namespaces.clone() })
    }

    /// Tells what is wrong in `located`, but counts what is only worth a second look: it is about other things.
    ///
    /// # Errors
    /// When an answer could not be trusted.
    pub(super) fn check_errors(&self, located: &LocatedInventory<'_>, sources: &SourceMap) -> anyhow::Result<()> {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            located.diagnostics.iter().cloned().partition(|found| found.severity == Severity::Error);
        self.report(&errors, sources)?;
        if !warnings.is_empty() {
            let count = counted(warnings.len(), "warning", "warnings");
            output::complain(&format!("note: {count} about what was read; rempart lint tells them\n\n"));
        }
        Ok(())
    }

    /// Tells what is wrong in `located`, and what was missing from it.
    ///
    /// # Errors
    /// When an answer could not be trusted.
    pub(super) fn check(&self, located: &LocatedInventory<'_>, sources: &SourceMap) -> anyhow::Result<()> {
        self.report(&located.diagnostics, sources)?;
        if located.inventory.world.policies.is_empty() && !self.cluster {
            bail!(
                "nothing was judged: there is no PlacementPolicy among what was read; give the policies too, or --cluster"
            );
        }
        if located.inventory.world.policies.is_empty() {
            output::warn("there is no PlacementPolicy among what was read, so that nothing is asked of any place");
        }
        warn_of_unknown_namespaces(located);
        Ok(())
    }

    /// Tells `diagnostics`.
    ///
    /// # Errors
    /// When one of them is an error: an answer could not be trusted.
    pub(super) fn report(&self, diagnostics: &[Diagnostic], sources: &SourceMap) -> anyhow::Result<()> {
        output::diagnose(diagnostics, sources, layout_of_errors(self.color));
        match diagnostics.iter().filter(|found| found.severity == Severity::Error).count() {
            0 => Ok(()),
            errors => bail!("nothing was judged: {}, told above", counted(errors, "error", "errors")),
        }
    }
}

/// Says which namespaces were taken to have no labels because nobody gave them.
pub(super) fn warn_of_unknown_namespaces(located: &LocatedInventory<'_>) {
    let inventory = &located.inventory;
    let named: BTreeSet<&str> = inventory.workloads.iter().map(|workload| &*workload.identity.namespace).collect();
    let known = |name: &str| inventory.namespaces.contains_key(name) || inventory.exempt.contains(name);
    let unknown: Vec<&str> = named.into_iter().filter(|name| !known(name)).collect();
    let Some(first) = unknown.first() else { return };
    let who = match unknown.len() {
        1 => format!("namespace {first} is"),
        more => format!("namespace {first} and {} more are", more.saturating_sub(1)),
    };
    output::warn(&format!(
        "{who} not among what was read, and taken to have no labels: give the Namespace too, or --cluster"
    ));
}

/// Where what was gathered stands, for reports.
pub(super) struct GatheredLocations<'a> {
    pub(super) located: &'a LocatedInventory<'a>,
    pub(super) sources: &'a SourceMap,
}

impl GatheredLocations<'_> {
    fn at(&self, file: FileId, span: TextSpan) -> Option<report::FileLocation> {
        location(self.sources, SourceSpan { file, span })
    }
}

fn location(sources: &SourceMap, place: SourceSpan) -> Option<report::FileLocation> {
    let file = sources.name(place.file);
    let TextPosition { line, column } = place.span.start;
    // What a cluster says stands in no file.
    (!file.is_empty()).then(|| report::FileLocation { file: file.to_owned(), line, column })
}

impl LocationLookup for GatheredLocations<'_> {
    fn of(&self, index: usize, pointed: LocationTarget) -> Option<report::FileLocation> {
        let found = self.located.origins.get(index)?;
        let said = |source: SensitivitySource, key: &str| {
            let said = found.statements.iter().find(|(who, what, _)| *who == source && *what == key);
            said.map(|(_, _, span)| *span)
        };
        let span = match pointed {
            LocationTarget::Object => Some(found.name),
            LocationTarget::Said(source, key) => said(source, key),
            LocationTarget::Misplaced(key) => said(SensitivitySource::Default, key),
            LocationTarget::Field(_) => found.node_name,
        };
        span.and_then(|span| self.at(found.file, span))
    }

    fn of_namespace(&self, name: &str, key: &'static str) -> Option<report::FileLocation> {
        let found = self.located.namespaces.get(name)?;
        let said = found.statements.iter().find(|(what, _)| *what == key);
        self.at(found.file, said.map_or(found.name, |(_, span)| *span))
    }
}

/// `diagnostic`, for a report.
pub(super) fn finding(diagnostic: &Diagnostic, sources: &SourceMap) -> report::ReportFinding {
    diagnostic.clone().locate(|place| location(sources, place))
}
