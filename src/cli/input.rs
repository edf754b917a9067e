//! Command input: files, directories, standard input, a cluster, and an instant.
//!
//! Takes the options that the offline commands share, and returns the inventory that they judge. One error among the
//! diagnostics, and nothing is judged.

use std::{collections::BTreeSet, io::BufRead, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::{
    cluster::{self, ClusterSnapshot, PodScope, SnapshotScope},
    failure::WrongInput,
    output,
    passed_over::tell_left_out,
    progress::ProgressSpinner,
    render::render,
};
use crate::{
    api::validate::ResourceKind,
    diagnostic::{
        Diagnostic, Severity,
        position::{TextPosition, TextSpan},
        source::{FileId, SourceMap, SourceSpan},
    },
    gather::{GatherSettings, GatheredObjects, LocatedInventory, PodTemplateKinds},
    manifest::{
        files::{self, FileOrigin, FileSet, LeftOut, UnreadPath, UnrenderedDirectory},
        read::{read, read_from, split},
        stream,
        walk::FileExclusions,
    },
    report::{self, LocationLookup, LocationTarget},
    terminal::{ColourChoice, layout_of_errors},
};
use rempart_core::{
    admission::SensitivitySource,
    instant::{CalendarDay, Timestamp},
    text::counted,
    workload::{TemplatedKind, WorkloadKind},
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

    /// Namespaces that no policy governs; with --cluster those that Rempart was installed with, where they can be read, and
    /// otherwise kube-system, kube-public, kube-node-lease and rempart-system
    #[arg(long, value_delimiter = ',', value_name = "NAME,…", value_parser = namespace)]
    pub(super) exempt_namespaces: Option<Vec<String>>,

    /// Leaves out files and directories that match, written as a line of a .gitignore: 'vendor/', '**/fixtures/*.json'
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<String>,

    /// Renders charts and kustomizations in directories, by `helm template` and `kubectl kustomize`
    #[arg(long)]
    pub(super) render: bool,

    /// A further kind that makes pods, and the way to its pod template, as example.org/Worker=spec.workers[*].template
    #[arg(long, value_name = "GROUP/KIND=PATH")]
    pub(super) pod_template: Vec<String>,

    /// When to colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub(super) color: ColourChoice,

    /// Whether what pods request and nodes have is asked for, which is not typed but follows from the command
    #[arg(skip)]
    pub(super) with_pods: bool,
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

/// Namespaces that no policy governs where nobody says which.
const EXEMPT: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "rempart-system"];

/// Texts that were named together, and what could not be read of them.
#[derive(Debug, Default)]
pub(super) struct NamedTexts {
    files: Vec<(FileId, FileOrigin)>,
    diagnostics: Vec<Diagnostic>,
    pub(super) left_out: LeftOut,
    /// What may hold manifests and was not read.
    pub(super) not_read: Vec<UnreadPath>,
    /// What texts hold that were too large to be kept.
    streamed: Option<GatheredObjects<'static>>,
}

impl NamedTexts {
    /// What is wrong with what was to be read.
    pub(super) fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The files whose texts are kept whole; `None` where one was too large to be.
    pub(super) fn kept(&self) -> Option<Vec<FileId>> {
        self.streamed.is_none().then(|| self.files.iter().map(|(file, _)| *file).collect())
    }
}

/// A text to be read, or a part of one.
#[derive(Clone, Copy)]
struct TextChunk<'s> {
    file: FileId,
    origin: FileOrigin,
    line: u32,
    text: &'s str,
}

/// What is read by one thread at least, in bytes: less is read sooner than a thread starts.
const CHUNK: usize = 128 << 10;

impl InputOptions {
    /// Reads the texts of `paths` into `sources`.
    ///
    /// # Errors
    /// When an option is not written as it must be.
    pub(super) fn read_texts(&self, paths: &[PathBuf], sources: &mut SourceMap) -> anyhow::Result<NamedTexts> {
        let _progress = ProgressSpinner::of("reading files");
        let exclusions = FileExclusions::new(&self.exclude).map_err(anyhow::Error::msg)?;
        let (mut streamed, mut kept) = (None, Vec::new());
        let empty = self.empty()?;
        let mut stream = |name: &str, from: &mut dyn BufRead, sources: &mut SourceMap| {
            let gathered = streamed.get_or_insert_with(|| empty.clone());
            let place = sources.add(name, String::new());
            stream::parts(from, &mut |part| {
                // Of our own objects, the text is kept to be pointed into.
                if ResourceKind::ALL.iter().any(|kind| part.text.contains(kind.as_str())) {
                    kept.push((sources.add_part(name, part.text, part.line), FileOrigin::Named));
                } else {
                    read_from(place, part.line, &part.text, &mut |found| gathered.pass(place, found));
                }
            })
        };
        let found = files::gather(paths, &exclusions, &mut std::io::stdin(), &mut stream, sources);
        let FileSet { mut files, mut diagnostics, left_out, unrendered, mut not_read } = found;
        files.extend(kept);
        if self.render {
            diagnostics.retain(|found| !files::is_of_unrendered(found));
            let rendered = render(&unrendered, paths, &self.namespace, sources);
            files.extend(rendered.files.into_iter().map(|file| (file, FileOrigin::Named)));
            diagnostics.extend(rendered.diagnostics);
            not_read.extend(rendered.not_read);
        } else {
            not_read.extend(unrendered.iter().map(UnrenderedDirectory::unread_path));
        }
        Ok(NamedTexts { files, diagnostics, left_out, not_read, streamed })
    }

    /// Nothing gathered yet.
    ///
    /// # Errors
    /// When a kind is not written as it must be.
    fn empty(&self) -> anyhow::Result<GatheredObjects<'static>> {
        let templates = self.templates()?;
        let empty = GatheredObjects::new(&self.namespace).with_templates(templates);
        Ok(if self.with_pods { empty.with_pods() } else { empty })
    }

    /// The kinds of others that have pods.
    ///
    /// # Errors
    /// When one is not written as it must be.
    pub(super) fn templates(&self) -> anyhow::Result<PodTemplateKinds> {
        PodTemplateKinds::with(&self.pod_template).map_err(|error| anyhow::anyhow!("--pod-template {error}"))
    }

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
        let given = self.gather(named, sources)?;
        let namespaces = given.workloads.iter().map(|found| found.workload.identity.namespace.to_string()).collect();
        let pods = match (self.with_pods, running) {
            (true, _) => PodScope::Room,
            (false, true) => PodScope::Running,
            (false, false) => PodScope::Workloads,
        };
        let wanted = SnapshotScope {
            workloads: given.workloads.is_empty(),
            pods,
            namespaces,
            namespace: self.namespace.clone(),
            own: given.own.keys().map(|(kind, _)| *kind).collect(),
            exempt: self.exempt_namespaces.is_none(),
        };
        let _progress = ProgressSpinner::of("reading the cluster");
        let snapshot = cluster::snapshot(self.context.as_deref(), &wanted, &self.empty()?, sources);
        Ok(Some(snapshot.context("the cluster cannot be read")?))
    }

    /// What the cluster has of our own kinds, if it is to be asked.
    ///
    /// # Errors
    /// When it cannot be reached, or does not let them be read.
    pub(super) fn own_snapshot(
        &self,
        named: &NamedTexts,
        sources: &mut SourceMap,
    ) -> anyhow::Result<Option<ClusterSnapshot>> {
        if !self.cluster {
            return Ok(None);
        }
        let given = self.gather(&[named], sources)?.own.keys().map(|(kind, _)| *kind).collect();
        let _progress = ProgressSpinner::of("reading the cluster");
        let snapshot = cluster::own_snapshot(self.context.as_deref(), &given, &self.empty()?, sources);
        Ok(Some(snapshot.context("the cluster cannot be read")?))
    }

    /// What `named` says, in the order of the groups: what a later one has replaces what an earlier one has.
    ///
    /// # Errors
    /// When an option is not written as it must be.
    pub(super) fn gather<'s>(
        &self,
        named: &[&NamedTexts],
        sources: &'s SourceMap,
    ) -> anyhow::Result<GatheredObjects<'s>> {
        let _progress = ProgressSpinner::of("reading manifests");
        let empty = self.empty()?;
        let mut gathered = empty.clone();
        for group in named {
            gathered.diagnostics.extend(group.diagnostics.iter().cloned());
            gathered.append(read_all(&group.files, &empty, sources));
            if let Some(streamed) = &group.streamed {
                gathered.append(streamed.clone());
            }
        }
        Ok(gathered)
    }

    /// The same, with what `snapshot` has beside it.
    pub(super) fn complete<'s>(
        &self,
        mut given: GatheredObjects<'s>,
        snapshot: Option<&ClusterSnapshot>,
        sources: &'s SourceMap,
    ) -> GatheredObjects<'s> {
        if let Some(ClusterSnapshot { own, rest, .. }) = snapshot {
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
    ///
    /// # Errors
    /// When an option is not written as it must be.
    pub(super) fn read_inventory<'s>(
        &self,
        named: &NamedTexts,
        snapshot: Option<&ClusterSnapshot>,
        sources: &'s SourceMap,
    ) -> anyhow::Result<LocatedInventory<'s>> {
        let located = self.locate(self.complete(self.gather(&[named], sources)?, snapshot, sources), snapshot);
        tell_left_out(&[named], &located, sources);
        self.tell_unused_templates(&located);
        Ok(located)
    }

    /// Warns of kinds that `--pod-template` names and that nothing in `located` is of.
    fn tell_unused_templates(&self, located: &LocatedInventory<'_>) {
        let Ok(templates) = self.templates() else { return };
        // An object where the way leads elsewhere is told already.
        if located.diagnostics.iter().any(|found| found.code == "NoPodTemplate") {
            return;
        }
        let is_of = |kind: &TemplatedKind| {
            let same = |of: WorkloadKind| matches!(of, WorkloadKind::Templated(of) if of == kind);
            located.inventory.workloads.iter().any(|workload| same(workload.identity.kind))
        };
        for TemplatedKind { group, kind, template, .. } in templates.unused(is_of) {
            let kind = if group.is_empty() { kind.clone() } else { format!("{group}/{kind}") };
            output::warn(&format!(
                "--pod-template {kind}={template}: no {kind} with a pod template there is among what was read"
            ));
        }
    }

    /// What `gathered` comes to.
    pub(super) fn locate<'s>(
        &self,
        gathered: GatheredObjects<'s>,
        snapshot: Option<&ClusterSnapshot>,
    ) -> LocatedInventory<'s> {
        let installed = snapshot.and_then(|snapshot| snapshot.exempt.as_ref());
        let assumed = || EXEMPT.map(str::to_owned).to_vec();
        let exempt = self.exempt_namespaces.as_ref().or(installed).cloned().unwrap_or_else(assumed);
        gathered.into_inventory(&GatherSettings { exempt })
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
            output::note(&format!("{count} about what was read; rempart lint tells them"));
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
        note_volumes_not_looked_at(located);
        Ok(())
    }

    /// Tells `diagnostics`.
    ///
    /// # Errors
    /// When one of them is an error: an answer could not be trusted.
    pub(super) fn report(&self, diagnostics: &[Diagnostic], sources: &SourceMap) -> anyhow::Result<()> {
        output::diagnose(diagnostics, sources, layout_of_errors(self.color));
        let wrong: Vec<_> = diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
        match wrong.len() {
            0 => Ok(()),
            errors => {
                let message = format!("nothing was judged: {}, told above", counted(errors, "error", "errors"));
                let findings = wrong.into_iter().map(|found| finding(found, sources)).collect();
                Err(WrongInput { message, findings }.into())
            }
        }
    }
}

/// What `files` hold, read by as many threads as there are processors, as if by one.
fn read_all<'s>(
    files: &[(FileId, FileOrigin)],
    empty: &GatheredObjects<'static>,
    sources: &'s SourceMap,
) -> GatheredObjects<'s> {
    let all: usize = files.iter().map(|(file, _)| sources.text(*file).len()).sum();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(all / CHUNK).max(1);
    let size = all.div_ceil(threads).max(1);
    let mut shares: Vec<Vec<TextChunk<'s>>> = vec![Vec::new()];
    let mut room = size;
    for (file, origin) in files {
        let text = sources.text(*file);
        // A text that is larger than a share is read by several threads, each of which takes whole documents.
        for (line, text) in split(text, sources.first_line(*file), text.len().div_ceil(size).max(1)) {
            if text.len() > room && shares.len() < threads && shares.last().is_some_and(|share| !share.is_empty()) {
                shares.push(Vec::new());
                room = size;
            }
            room = room.saturating_sub(text.len());
            if let Some(share) = shares.last_mut() {
                share.push(TextChunk { file: *file, origin: *origin, line, text });
            }
        }
    }
    let mut shares = shares.into_iter();
    let first = shares.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = shares.map(|share| scope.spawn(move || read_share(&share, empty, sources))).collect();
        let mut gathered = read_share(&first, empty, sources);
        for other in others {
            match other.join() {
                Ok(found) => gathered.append(found),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        gathered
    })
}

fn read_share<'s>(
    share: &[TextChunk<'s>],
    empty: &GatheredObjects<'static>,
    sources: &'s SourceMap,
) -> GatheredObjects<'s> {
    let mut gathered: GatheredObjects<'s> = empty.clone();
    // The last file of which it was told that it is a template: that is one thing to mend.
    let mut template = None;
    for TextChunk { file, origin, line, text } in share.iter().copied() {
        read_from(file, line, text, &mut |found| {
            let found = match found {
                Err(diagnostic) if origin == FileOrigin::Directory => {
                    let told = files::in_directory(diagnostic, sources.name(file), text);
                    if told.code == files::NOT_RENDERED && template.replace(file) == Some(file) {
                        return;
                    }
                    Err(told)
                }
                found => found,
            };
            gathered.take_from(file, origin, found);
        });
    }
    gathered
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

pub(super) fn location(sources: &SourceMap, place: SourceSpan) -> Option<report::FileLocation> {
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

/// Says that volumes are not looked at where no node is known: which of them reach what, nobody can say.
fn note_volumes_not_looked_at(located: &LocatedInventory<'_>) {
    let inventory = &located.inventory;
    let limited = inventory.volumes.values().any(|volume| !volume.is_reached_from_anywhere());
    let holding = inventory.workloads.iter().filter(|workload| !workload.claims.is_empty()).count();
    if inventory.nodes.is_empty() && limited && holding > 0 {
        let who = counted(holding, "workload", "workloads");
        output::note(&format!(
            "the volumes of {who} are not looked at, since no node is known: give the nodes too, or --cluster"
        ));
    }
}
