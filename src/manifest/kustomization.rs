//! Kustomizations: which files of a repository are parts that a kustomization puts together.
//!
//! Takes the manifests of a directory, and returns those that are not judged as they stand, with the directories to be
//! rendered instead. A file that a kustomization only lists, and that nothing of it alters where it runs, stands as it is:
//! so does a kustomization of which every resource is among those manifests. What it lists and nobody has read, as a base
//! elsewhere, is never taken for judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{node::ManifestNode, read::read};
use crate::diagnostic::{Diagnostic, source::SourceMap};

/// The names under which kustomize looks for a kustomization.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Fields that list files or directories to be put together.
const RESOURCES: [&str; 2] = ["resources", "bases"];

/// Fields that list parts: files that alter what the resources say, or directories of them.
const PARTS: [&str; 8] = [
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "components",
    "transformers",
    "generators",
    "configurations",
    "replacements",
];

/// Fields after which nobody knows what the resources will say before they are rendered.
const OPAQUE: [&str; 6] = ["components", "transformers", "generators", "replacements", "helmCharts", "vars"];

/// Words of a patch, or of a kustomization, that has a say in where pods run.
const DECISIVE: [&str; 6] = ["rempart.dev", "nodeselector", "affinity", "nodename", "namespace:", "metadata/namespace"];

/// What the kustomizations of a repository come to.
#[derive(Debug, Default)]
pub(super) struct KustomizedFiles {
    /// The files that are not judged as they stand, without links.
    pub(super) parts: BTreeSet<PathBuf>,
    /// The directories to be rendered instead, as they were named.
    pub(super) roots: Vec<KustomizationRoot>,
    /// The components that nothing here puts together: they cannot be rendered by themselves.
    pub(super) components: Vec<PathBuf>,
    /// Those that cannot be read, and why: nobody knows what they put together.
    pub(super) unreadable: Vec<(PathBuf, Diagnostic)>,
    /// Those of them of which every file is judged as it stands: nothing of them alters where it runs.
    pub(super) plain: usize,
}

/// A kustomization to be rendered.
#[derive(Debug)]
pub(super) struct KustomizationRoot {
    /// Its directory, as it was named.
    pub(super) path: PathBuf,
    /// What it lists as a resource and was not read, as it is written there.
    pub(super) unread: Vec<String>,
}

/// A kustomization.
struct Kustomization {
    directory: PathBuf,
    /// The files and directories that it lists, without links.
    resources: Vec<PathBuf>,
    /// The same as they are written.
    written: Vec<String>,
    /// What it lists and is not here, as it is written.
    absent: Vec<String>,
    /// The files and directories of its patches and other parts.
    parts: Vec<PathBuf>,
    /// Whether it is put together by others alone.
    is_component: bool,
    /// Whether it alters where its resources run, or may.
    is_decisive: bool,
}

/// What `manifests` come to.
pub(super) fn sort_out(manifests: &[PathBuf]) -> KustomizedFiles {
    let mut found = KustomizedFiles::default();
    let mut known: BTreeMap<PathBuf, Kustomization> = BTreeMap::new();
    for path in manifests.iter().filter(|path| is_named_so(path)) {
        let (Some(directory), Ok(text)) = (path.parent(), fs::read_to_string(path)) else { continue };
        match (fs::canonicalize(directory), Kustomization::read(directory, &text)) {
            (Ok(real), Ok(Some(kustomization))) => {
                found.parts.extend(fs::canonicalize(path));
                known.insert(real, kustomization);
            }
            (_, Err(why)) => {
                found.parts.extend(fs::canonicalize(path));
                found.unreadable.push((path.clone(), *why));
            }
            _ => {}
        }
    }
    let are_read: BTreeSet<PathBuf> = manifests.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let referred: BTreeSet<&PathBuf> = known.values().flat_map(|one| one.refers_to(&known)).collect();
    let roots = known.iter().filter(|(real, one)| !one.is_component && !referred.contains(real));
    let mut reached: BTreeSet<&PathBuf> = roots.map(|(real, _)| real).collect();
    let mut tops = reached.clone();
    loop {
        let mut ahead: Vec<&PathBuf> = reached.iter().copied().collect();
        while let Some(one) = ahead.pop() {
            let below = known.get(one).into_iter().flat_map(|one| one.refers_to(&known));
            ahead.extend(below.filter(|below| reached.insert(below)));
        }
        // Of those that refer to each other, the first stands for all: each is told by whoever renders it.
        let Some((next, one)) = known.iter().find(|(real, _)| !reached.contains(real)) else { break };
        reached.insert(next);
        if one.is_component {
            found.components.push(one.directory.clone());
        } else {
            tops.insert(next);
        }
    }
    for (real, one) in &known {
        found.parts.extend(one.parts.iter().cloned());
        let is_root = tops.contains(real);
        let unread = one.unread(&are_read, &known);
        let refers = one.resources.iter().any(|path| known.contains_key(path));
        let stands = is_root && !one.is_decisive && !refers && unread.is_empty();
        if !stands {
            found.parts.extend(one.resources.iter().filter(|path| path.is_file()).cloned());
        }
        if is_root && stands {
            found.plain = found.plain.saturating_add(1);
        } else if is_root {
            found.roots.push(KustomizationRoot { path: one.directory.clone(), unread });
        }
    }
    found
}

/// Whether kustomize looks for a kustomization by the name of `path`.
pub(super) fn is_named_so(path: &Path) -> bool {
    path.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known))
}

impl Kustomization {
    /// Reads `text`, that of a kustomization in `directory`; nothing where it is one of something else, as of Flux.
    ///
    /// # Errors
    /// What keeps it from being read, at a place in the first file of any map.
    fn read(directory: &Path, text: &str) -> Result<Option<Self>, Box<Diagnostic>> {
        let (mut root, mut fault) = (None, None);
        let file = SourceMap::default().add("", String::new());
        read(file, text, &mut |found| match found {
            Ok(found) => root = root.take().or(Some(found.node)),
            Err(diagnostic) => fault = fault.take().or(Some(diagnostic)),
        });
        if let Some(diagnostic) = fault {
            return Err(Box::new(diagnostic));
        }
        let Some(root): Option<ManifestNode<'_>> = root else { return Ok(None) };
        let said = |key: &str| root.get(key).and_then(|found| found.text().ok());
        if said("apiVersion").is_some_and(|version| !version.starts_with("kustomize.config.k8s.io/")) {
            return Ok(None);
        }
        let mut one = Self {
            directory: directory.to_owned(),
            resources: Vec::new(),
            written: Vec::new(),
            absent: Vec::new(),
            parts: Vec::new(),
            is_component: said("kind") == Some("Component"),
            is_decisive: is_decisive(text) || OPAQUE.iter().any(|field| root.get(field).is_some()),
        };
        for field in RESOURCES {
            for path in listed(&root, field) {
                match local(directory, path) {
                    Some(found) => {
                        one.resources.push(found);
                        one.written.push(path.to_owned());
                    }
                    None => one.absent.push(path.to_owned()),
                }
            }
        }
        for field in PARTS {
            for path in listed(&root, field) {
                match local(directory, path) {
                    Some(part) => {
                        let decides = fs::read_to_string(&part).is_ok_and(|text| is_decisive(&text));
                        one.is_decisive = one.is_decisive || decides || part.is_dir();
                        one.parts.push(part);
                    }
                    // What cannot be looked at may say anything.
                    None if !path.contains('\n') => one.is_decisive = true,
                    None => {}
                }
            }
        }
        Ok(Some(one))
    }

    /// The kustomizations among `known` that it puts together.
    fn refers_to<'k>(&'k self, known: &'k BTreeMap<PathBuf, Self>) -> impl Iterator<Item = &'k PathBuf> {
        self.resources.iter().chain(&self.parts).filter_map(|path| known.get_key_value(path).map(|(real, _)| real))
    }

    /// What it lists as a resource that is neither a file that is read nor a kustomization that is known.
    fn unread(&self, are_read: &BTreeSet<PathBuf>, known: &BTreeMap<PathBuf, Self>) -> Vec<String> {
        let listed = self.resources.iter().zip(&self.written);
        let elsewhere = listed.filter(|(path, _)| !are_read.contains(*path) && !known.contains_key(*path));
        self.absent.iter().chain(elsewhere.map(|(_, written)| written)).cloned().collect()
    }
}

/// The paths that `field` lists: texts, or maps with a path.
fn listed<'n>(root: &'n ManifestNode<'_>, field: &str) -> impl Iterator<Item = &'n str> {
    let items = root.get(field).map(ManifestNode::items).unwrap_or_default();
    items.iter().filter_map(|item| item.text().ok().or_else(|| item.get("path")?.text().ok()))
}

/// What `path` leads to from `directory`, if it is here.
fn local(directory: &Path, path: &str) -> Option<PathBuf> {
    fs::canonicalize(directory.join(path)).ok()
}

fn is_decisive(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    DECISIVE.iter().any(|word| text.contains(word))
}
