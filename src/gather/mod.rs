//! Manifest intake: our own objects, namespaces, nodes and workloads, wherever their manifests were read.
//!
//! Takes objects one by one, and returns an inventory for the core with the places of what it holds.
//!
//! Nothing is passed over in silence: what is no concern of Rempart's is counted by kind, and what cannot be read is a
//! diagnostic that points at it. Files and clusters are read by the same code, so that both are judged alike.

mod kind;
mod located;
mod metadata;
mod own;
mod pod;
mod workload;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use self::{kind::ObjectClass, metadata::ObjectMetadata};
pub use self::{
    located::{GatherSettings, LocatedInventory},
    own::{OwnObject, OwnSpec, demander},
};
use crate::{
    api,
    diagnostic::{Diagnostic, capped::CappedDiagnostics, position::TextSpan, source::FileId},
    manifest::node::ManifestNode,
};
use rempart_core::{
    admission::SensitivitySource,
    inventory,
    name::quoted,
    selector::Labels,
    workload::{Workload, WorkloadKind},
};

/// All that was found in manifests.
#[derive(Clone, Debug, Default)]
pub struct GatheredObjects<'t> {
    /// Our own objects, by kind and name.
    pub own: BTreeMap<(api::validate::ResourceKind, String), OwnObject<'t>>,
    /// The namespaces, by name.
    pub namespaces: BTreeMap<Arc<str>, LocatedNamespace>,
    /// The nodes, by name.
    pub nodes: BTreeMap<Arc<str>, inventory::Node>,
    /// The workloads, in the order in which they were found.
    pub workloads: Vec<LocatedWorkload>,
    /// How many objects of other kinds were passed over, by kind.
    pub ignored: BTreeMap<String, usize>,
    /// What could not be read, or hardly says what was meant.
    pub diagnostics: CappedDiagnostics,
    /// Pods that claim to be of something, to be judged themselves where that is not among what was read.
    orphans: Vec<(ControllerKey, LocatedWorkload)>,
    /// The namespace of objects that name none.
    default_namespace: Arc<str>,
    /// Whose pods stand where.
    running: Vec<RunningPod>,
    /// Who controls what itself controls pods: `ReplicaSet`s and `Job`s.
    controllers: HashMap<ControllerKey, ControllerKey>,
    names: HashMap<String, Arc<str>>,
}

/// A namespace.
#[derive(Clone, Debug)]
pub struct LocatedNamespace {
    /// Its labels.
    pub labels: Labels,
    /// Where it stands.
    pub file: FileId,
    /// Where its name stands.
    pub name: TextSpan,
    /// Where its labels of ours stand.
    pub statements: Vec<(&'static str, TextSpan)>,
}

/// A workload, and where it says what.
#[derive(Clone, Debug)]
pub struct LocatedWorkload {
    /// The workload.
    pub workload: Workload,
    /// Where it stands.
    pub origin: WorkloadOrigin,
}

/// Where a workload stands, and where it says what.
#[derive(Clone, Debug)]
pub struct WorkloadOrigin {
    /// The file.
    pub file: FileId,
    /// Its name.
    pub name: TextSpan,
    /// The annotations of ours.
    pub statements: Vec<(SensitivitySource, &'static str, TextSpan)>,
    /// The field `nodeName`, where somebody wrote it.
    pub node_name: Option<TextSpan>,
}

impl WorkloadOrigin {
    /// Where `source` says `key`; the object's name where it does not.
    #[must_use]
    pub fn of(&self, source: Option<SensitivitySource>, key: Option<&str>) -> TextSpan {
        let said = self.statements.iter().find(|(who, what, _)| Some(*who) == source && Some(*what) == key);
        said.map_or(self.name, |(_, _, span)| *span)
    }
}

/// What owns pods, by kind, namespace and name.
type ControllerKey = (String, Arc<str>, String);

/// A pod that stands on a node on behalf of something else.
#[derive(Clone, Debug)]
struct RunningPod {
    of: ControllerKey,
    node: Arc<str>,
}

impl<'t> GatheredObjects<'t> {
    /// Nothing yet. Objects that name no namespace belong to `default_namespace`.
    #[must_use]
    pub fn new(default_namespace: &str) -> Self {
        Self { default_namespace: default_namespace.into(), ..Self::default() }
    }

    /// Takes in what a reader found in `file`.
    pub fn take(&mut self, file: FileId, found: Result<ManifestNode<'t>, Diagnostic>) {
        let Some(node) = self.read(found) else { return };
        match self.known(file, &node) {
            Some(ObjectClass::Own(kind)) => self.own_object(file, kind, node),
            Some(known) => self.object(file, known, &node),
            None => {}
        }
    }

    /// Takes in what a reader found in a text that is not kept. Objects of our own, which are, are passed over.
    pub fn pass(&mut self, file: FileId, found: Result<ManifestNode<'_>, Diagnostic>) {
        let Some(node) = self.read(found) else { return };
        if let Some(known) = self.known(file, &node) {
            self.object(file, known, &node);
            // A cluster lists what controls pods too: none of its pods is judged by itself, and it may have very many.
            self.orphans.clear();
        }
    }

    /// What `other` has beside it: objects of our own, namespaces and nodes by name, workloads where there are none yet.
    /// Where pods run is taken from it in any case.
    pub fn complete(&mut self, other: Self) {
        for (key, own) in other.own {
            self.own.entry(key).or_insert(own);
        }
        for (name, namespace) in other.namespaces {
            self.namespaces.entry(name).or_insert(namespace);
        }
        for (name, node) in other.nodes {
            self.nodes.entry(name).or_insert(node);
        }
        if self.workloads.is_empty() {
            self.workloads = other.workloads;
        }
        self.running.extend(other.running);
        self.controllers.extend(other.controllers);
        self.diagnostics.extend(other.diagnostics.into_vec());
    }

    /// The same without our own objects and without what was to be said of any: namespaces, nodes and workloads.
    #[must_use]
    pub fn places(&self) -> Self {
        let Self { namespaces, nodes, workloads, running, controllers, orphans, default_namespace, .. } = self;
        Self {
            namespaces: namespaces.clone(),
            nodes: nodes.clone(),
            workloads: workloads.clone(),
            running: running.clone(),
            controllers: controllers.clone(),
            orphans: orphans.clone(),
            default_namespace: Arc::clone(default_namespace),
            ..Self::default()
        }
    }

    fn read<'n>(&mut self, found: Result<ManifestNode<'n>, Diagnostic>) -> Option<ManifestNode<'n>> {
        let found = found.map_err(|diagnostic| self.diagnostics.push(diagnostic));
        found.ok().filter(|node| !node.is_null())
    }

    fn known(&mut self, file: FileId, node: &ManifestNode<'_>) -> Option<ObjectClass> {
        let told = kind::of(node).map_err(|diagnostic| diagnostic.at(file, node.span));
        let known = told.and_then(|(api_version, kind)| {
            kind::known(api_version, kind).map_err(|diagnostic| {
                let place = kind::place(node, &diagnostic);
                diagnostic.at(file, place)
            })
        });
        known.map_err(|diagnostic| self.diagnostics.push(diagnostic)).ok()
    }

    fn object(&mut self, file: FileId, known: ObjectClass, node: &ManifestNode<'_>) {
        match known {
            ObjectClass::Namespace => self.namespace(file, node),
            ObjectClass::Node => self.node(file, node),
            ObjectClass::Workload(kind) => self.workload(file, kind, node),
            ObjectClass::Own(_) | ObjectClass::Other => {
                let kind = node.get("kind").and_then(|kind| kind.text().ok()).unwrap_or_default();
                let said = kind::nearly(kind).map(|found| found.at(file, kind::span(node)));
                self.diagnostics.extend(said.or_else(|| metadata::unjudged(file, kind, node)));
                self.ignore(&quoted(kind));
            }
        }
    }

    /// Counts an object that is passed over.
    fn ignore(&mut self, what: &str) {
        match self.ignored.get_mut(what) {
            Some(count) => *count = count.saturating_add(1),
            None => drop(self.ignored.insert(what.to_owned(), 1)),
        }
    }

    fn own_object(&mut self, file: FileId, kind: api::validate::ResourceKind, node: ManifestNode<'t>) {
        let (own, diagnostics) = OwnObject::read(file, kind, node);
        self.diagnostics.extend(diagnostics);
        let Some(own) = own else { return };
        let key = (kind, own.name.clone());
        if let Some(first) = self.own.get(&key) {
            let diagnostic = Diagnostic::error(
                "DuplicateObject",
                format!("{kind} {} is given twice; the first is at line {}", own.name, first.node.span.start.line),
            );
            let hint = "keep one of them, or name the files of one environment only";
            self.diagnostics.push(diagnostic.at(file, own.name_span()).of(own.to_string()).hint(hint));
        }
        self.own.insert(key, own);
    }

    fn namespace(&mut self, file: FileId, node: &ManifestNode<'_>) {
        let Some(metadata) = self.metadata(file, "Namespace", node) else { return };
        self.misplaced(file, &metadata, "Namespace", metadata::NAMESPACE);
        let namespace = LocatedNamespace {
            labels: metadata.labels.iter().map(|(key, text)| ((*key).to_owned(), text.said.to_owned())).collect(),
            file,
            name: metadata.name_span,
            statements: metadata::ours(&metadata.labels).map(|(key, text)| (key, text.span)).collect(),
        };
        let name = self.shared(metadata.name);
        let (span, labels) = (metadata.name_span, namespace.labels.clone());
        let first = self.namespaces.insert(name, namespace);
        self.twice(file, "Namespace", metadata.name, span, first.is_some_and(|first| first.labels != labels));
    }

    fn node(&mut self, file: FileId, node: &ManifestNode<'_>) {
        let Some(metadata) = self.metadata(file, "Node", node) else { return };
        let stamps = rempart_core::keys::is_stamp;
        let labels = metadata.labels.iter().filter(|(key, _)| !stamps(key));
        let found = inventory::Node {
            labels: labels.map(|(key, text)| ((*key).to_owned(), text.said.to_owned())).collect(),
            provider_id: node
                .get("spec")
                .and_then(|spec| spec.get("providerID"))
                .and_then(|id| id.text().ok())
                .map(str::to_owned),
        };
        let name = self.shared(metadata.name);
        let differs = self.nodes.get(&name).is_some_and(|first| *first != found);
        self.nodes.insert(name, found);
        self.twice(file, "Node", metadata.name, metadata.name_span, differs);
    }

    /// Tells that an object `differs` from one of its name that was read before: nobody knows which one counts.
    fn twice(&mut self, file: FileId, kind: &str, name: &str, span: TextSpan, differs: bool) {
        if differs {
            let diagnostic = Diagnostic::error("DuplicateObject", format!("{kind} {name} is given twice, and differs"));
            let hint = "keep one of them, or name the files of one environment only";
            self.diagnostics.push(diagnostic.at(file, span).of(format!("{kind} {name}")).hint(hint));
        }
    }

    fn workload(&mut self, file: FileId, kind: WorkloadKind, node: &ManifestNode<'_>) {
        let Some(metadata) = self.metadata(file, kind.as_str(), node) else { return };
        self.misplaced(file, &metadata, kind.as_str(), metadata::WORKLOAD);
        let namespace = match metadata.namespace {
            Some(namespace) => self.shared(namespace),
            None => Arc::clone(&self.default_namespace),
        };
        workload::take(self, file, kind, namespace, &metadata, node);
    }

    /// The metadata of an object; `None` when it has none that can be used, which is told.
    fn metadata<'n>(&mut self, file: FileId, kind: &str, node: &'n ManifestNode<'_>) -> Option<ObjectMetadata<'n>> {
        let (metadata, diagnostics) = ObjectMetadata::of(kind, node);
        self.diagnostics.extend(diagnostics.into_iter().map(|found| found.in_file(file)));
        metadata
    }

    /// Warns of keys of ours where they mean nothing.
    fn misplaced(&mut self, file: FileId, metadata: &ObjectMetadata<'_>, kind: &str, rules: metadata::MarkedBy) {
        let object = format!("{kind} {}", metadata.name);
        let found = metadata::unheard(metadata, rules).into_iter();
        self.diagnostics.extend(found.map(|diagnostic| diagnostic.in_file(file).of(object.clone())));
    }

    /// One copy of a name that many objects share.
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.names.insert(name.to_owned(), Arc::clone(&new));
        new
    }
}
