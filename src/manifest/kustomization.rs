//! Kustomizations: which files of a repository are parts that a kustomization puts together.
//!
//! Takes the manifests of a directory, and returns those that are not judged as they stand, with the directories to be
//! rendered instead. A file that a kustomization only lists, and that nothing of it alters where it runs, stands as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{node::ManifestNode, read::read};
use crate::diagnostic::source::SourceMap;

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
    pub(super) roots: Vec<PathBuf>,
    /// Those of them of which every file is judged as it stands: nothing of them alters where it runs.
    pub(super) plain: usize,
}

/// A kustomization.
struct Kustomization {
    directory: PathBuf,
    /// The files and directories that it lists, without links.
    resources: Vec<PathBuf>,
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
        let (Ok(real), Some(kustomization)) = (fs::canonicalize(directory), Kustomization::read(directory, &text))
        else {
            continue;
        };
        found.parts.extend(fs::canonicalize(path));
        known.insert(real, kustomization);
    }
    let referred: BTreeSet<&PathBuf> = known
        .values()
        .flat_map(|one| one.resources.iter().chain(&one.parts))
        .filter(|path| known.contains_key(*path))
        .collect();
    for (real, one) in &known {
        found.parts.extend(one.parts.iter().cloned());
        let is_root = !one.is_component && !referred.contains(real);
        let stands = is_root && !one.is_decisive && !one.resources.iter().any(|path| known.contains_key(path));
        if !stands {
            found.parts.extend(one.resources.iter().filter(|path| path.is_file()).cloned());
        }
        if is_root && stands {
            found.plain = found.plain.saturating_add(1);
        } else if is_root {
            found.roots.push(one.directory.clone());
        }
    }
    found
}

fn is_named_so(path: &Path) -> bool {
    path.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known))
}

impl Kustomization {
    /// Reads `text`, that of a kustomization in `directory`; nothing where it is one of something else, as of Flux.
    fn read(directory: &Path, text: &str) -> Option<Self> {
        let mut root = None;
        let file = SourceMap::default().add("", String::new());
        read(file, text, &mut |found| root = root.take().or(found.ok().map(|found| found.node)));
        let root: ManifestNode<'_> = root?;
        let said = |key: &str| root.get(key).and_then(|found| found.text().ok());
        if said("apiVersion").is_some_and(|version| !version.starts_with("kustomize.config.k8s.io/")) {
            return None;
        }
        let mut one = Self {
            directory: directory.to_owned(),
            resources: Vec::new(),
            parts: Vec::new(),
            is_component: said("kind") == Some("Component"),
            is_decisive: is_decisive(text) || OPAQUE.iter().any(|field| root.get(field).is_some()),
        };
        for field in RESOURCES {
            one.resources.extend(listed(&root, field).filter_map(|path| local(directory, path)));
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
        Some(one)
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
