//! Manifest intake: our own objects, namespaces, nodes and workloads, wherever their manifests were read.
//!
//! Takes objects one by one, and returns an inventory for the core with the places of what it holds.
//!
//! Nothing is passed over in silence: what is no concern of Rempart's is counted by kind, and what cannot be read is a
//! diagnostic that points at it. Files and clusters are read by the same code, so that both are judged alike.

mod key_walk;
mod kind;
mod located;
mod metadata;
mod own;
mod passed_over;
mod placeholder;
mod pod;
mod pod_templates;
mod repeated;
mod running;
mod unheard;
mod unjudged;
mod volume;
mod workload;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use self::{kind::ObjectClass, metadata::ObjectMetadata, running::GatheredPods, volume::WorkloadClaims};
pub use self::{
    located::{GatherSettings, LocatedInventory},
    own::{OwnObject, OwnSpec, demander},
    pod_templates::PodTemplateKinds,
    unjudged::{UnjudgedObject, UnjudgedStatement},
};
use crate::{
    api,
    diagnostic::{Diagnostic, capped::CappedDiagnostics, position::TextSpan, source::FileId},
    manifest::{
        files::FileOrigin,
        node::{ManifestNode, ManifestObject},
    },
};
use rempart_core::{
    admission::SensitivitySource,
    inventory,
    name::quoted,
    selector::Labels,
    volume::{Claim, Volume},
    workload::{TemplatedKind, Workload, WorkloadKind},
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
    /// The claims of volumes, by namespace and name.
    pub claims: BTreeMap<String, Claim>,
    /// The volumes, by name.
    pub volumes: BTreeMap<String, Volume>,
    /// The volumes that claims are bound to, as the volumes say.
    bound: BTreeMap<String, Arc<str>>,
    /// Objects that say a level or categories, or would have pods, and of which no pod is judged.
    pub unjudged: Vec<UnjudgedObject>,
    /// The files of directories with documents that are no objects, a document each.
    pub not_objects: Vec<FileId>,
    /// What could not be read, or hardly says what was meant.
    pub diagnostics: CappedDiagnostics,
    /// The kinds of others that have pods.
    templates: PodTemplateKinds,
    /// Pods, and `ReplicaSet`s and `Job`s, that are of something: to be judged themselves where that is not among what was
    /// read.
    orphans: Vec<(ControllerKey, LocatedWorkload)>,
    /// The namespace of objects that name none.
    default_namespace: Arc<str>,
    /// Whose pods stand where.
    running: Vec<RunningPod>,
    /// Who controls what itself controls pods: `ReplicaSet`s and `Job`s.
    controllers: HashMap<ControllerKey, ControllerKey>,
    /// What pods request and nodes have, where that is asked for.
    pods: Option<GatheredPods>,
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
    /// What its annotation adds to the node selector of every pod in it.
    pub(in crate::gather) node_selector: Labels,
}

/// A workload, and where it says what.
#[derive(Clone, Debug)]
pub struct LocatedWorkload {
    /// The workload.
    pub workload: Workload,
    /// Where it stands.
    pub origin: WorkloadOrigin,
    /// The claims that its pods have.
    claims: WorkloadClaims,
}

/// Where a workload stands, and where it says what.
#[derive(Clone, Debug)]
pub struct WorkloadOrigin {
    /// The file.
    pub file: FileId,
    /// Its name.
    pub name: TextSpan,
    /// Whether its name is the beginning of those that the API server makes: others may have the same.
    pub is_generated: bool,
    /// The annotations of ours.
    pub statements: Vec<(SensitivitySource, &'static str, TextSpan)>,
    /// The field `nodeName`, where somebody wrote it.
    pub node_name: Option<TextSpan>,
    /// The keys of policies in its node selector, and where they stand.
    stamps: Vec<(String, TextSpan)>,
}

impl WorkloadOrigin {
    /// The beginning of `file`, where nothing is said.
    fn new(file: FileId) -> Self {
        let name = TextSpan::at(crate::diagnostic::position::TextPosition::START);
        Self { file, name, is_generated: false, statements: Vec::new(), node_name: None, stamps: Vec::new() }
    }

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

    /// The same, with the kinds of others that have pods.
    #[must_use]
    pub fn with_templates(self, templates: PodTemplateKinds) -> Self {
        Self { templates, ..self }
    }

    /// The same, with what pods request and nodes have: not everybody who asks needs it, and it is more than all else.
    #[must_use]
    pub fn with_pods(self) -> Self {
        Self { pods: Some(GatheredPods::default()), ..self }
    }

    /// Takes in what a reader found in `file`, which was named.
    pub fn take(&mut self, file: FileId, found: Result<ManifestObject<'t>, Diagnostic>) {
        self.take_from(file, FileOrigin::Named, found);
    }

    /// Takes in what a reader found in `file`, to which somebody came so.
    pub fn take_from(&mut self, file: FileId, origin: FileOrigin, found: Result<ManifestObject<'t>, Diagnostic>) {
        let Some(object) = self.read(found) else { return };
        let Some(known) = self.known(file, origin, &object) else { return };
        self.repeated(file, known, &object);
        match known {
            ObjectClass::Own(kind) => {
                self.unheard(file, known, &object);
                self.own_object(file, kind, object.node);
            }
            known => {
                let before = self.taken();
                self.object(file, known, &object);
                if origin == FileOrigin::Directory {
                    self.leave_unfilled(file, known, &object, &before);
                }
            }
        }
    }

    /// Takes in what a reader found in a text that is not kept. Objects of our own, which are, are passed over.
    pub fn pass(&mut self, file: FileId, found: Result<ManifestObject<'_>, Diagnostic>) {
        let Some(object) = self.read(found) else { return };
        if let Some(known) = self.known(file, FileOrigin::Named, &object) {
            self.repeated(file, known, &object);
            self.object(file, known, &object);
        }
    }

    /// Forgets what claims to be of something that is not there: a cluster lists what controls pods too, so that none of
    /// its pods is judged by itself, and it may have very many.
    pub fn forget_orphans(&mut self) {
        self.orphans.clear();
    }

    /// Takes in all that `other`, of later texts, has found.
    pub fn append(&mut self, other: Self) {
        let Self { own, namespaces, nodes, workloads, ignored, claims, volumes, unjudged, not_objects, .. } = other;
        self.diagnostics.append(other.diagnostics);
        for own in own.into_values() {
            self.add_own(own);
        }
        for (name, namespace) in namespaces {
            self.add_namespace(&name, namespace);
        }
        for (name, node) in nodes {
            self.add_node(&name, node);
        }
        self.workloads.extend(workloads);
        for (what, count) in ignored {
            let known = self.ignored.entry(what).or_default();
            *known = known.saturating_add(count);
        }
        self.claims.extend(claims);
        self.volumes.extend(volumes);
        self.bound.extend(other.bound);
        self.unjudged.extend(unjudged);
        self.not_objects.extend(not_objects);
        self.orphans.extend(other.orphans);
        self.running.extend(other.running);
        self.controllers.extend(other.controllers);
        self.complete_pods(other.pods);
    }

    fn complete_pods(&mut self, other: Option<GatheredPods>) {
        if let (Some(pods), Some(other)) = (&mut self.pods, other) {
            pods.complete(other);
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
        } else if self.pods.is_some() {
            running::add_unknown(&mut self.workloads, other.workloads);
        }
        for (name, claim) in other.claims {
            self.claims.entry(name).or_insert(claim);
        }
        for (name, volume) in other.volumes {
            self.volumes.entry(name).or_insert(volume);
        }
        for (claim, volume) in other.bound {
            self.bound.entry(claim).or_insert(volume);
        }
        self.running.extend(other.running);
        self.controllers.extend(other.controllers);
        self.complete_pods(other.pods);
        self.diagnostics.extend(other.diagnostics.into_vec());
    }

    /// The same without our own objects and without what was to be said of any: namespaces, nodes and workloads.
    #[must_use]
    pub fn places(&self) -> Self {
        let Self { namespaces, nodes, workloads, running, controllers, orphans, default_namespace, .. } = self;
        Self {
            claims: self.claims.clone(),
            volumes: self.volumes.clone(),
            bound: self.bound.clone(),
            templates: self.templates,
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

    fn read<'n>(&mut self, found: Result<ManifestObject<'n>, Diagnostic>) -> Option<ManifestObject<'n>> {
        let found = found.map_err(|diagnostic| self.diagnostics.push(diagnostic));
        found.ok().filter(|object| !object.is_null())
    }

    fn known(&mut self, file: FileId, origin: FileOrigin, node: &ManifestNode<'_>) -> Option<ObjectClass> {
        let (api_version, kind) = match kind::of(node, origin) {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.not_objects.push(file);
                self.document(file, node, false);
                return None;
            }
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic.at(file, node.span));
                self.document(file, node, true);
                return None;
            }
        };
        let fault = match kind::known(api_version, kind, &self.templates) {
            Ok(known) => return Some(known),
            Err(fault) => fault,
        };
        let place = kind::place(node, &fault);
        if kind::is_ours(api_version) {
            self.diagnostics.push(fault.at(file, place));
        } else {
            self.outdated(file, kind, fault.at(file, place), node);
        }
        None
    }

    fn object(&mut self, file: FileId, known: ObjectClass, node: &ManifestNode<'_>) {
        self.unheard(file, known, node);
        match known {
            ObjectClass::Namespace => self.namespace(file, node),
            ObjectClass::Node => self.node(file, node),
            ObjectClass::Workload(kind) => self.workload(file, kind, node),
            ObjectClass::Templated(templates) => self.templated(file, templates, node),
            ObjectClass::Claim => self.claim(file, node),
            ObjectClass::Volume => self.volume(file, node),
            ObjectClass::Own(_) | ObjectClass::Other => self.other(file, node),
        }
    }

    fn templated(&mut self, file: FileId, templates: &'static [TemplatedKind], node: &ManifestNode<'_>) {
        let Some(kind) = templates.first().map(|template| template.kind.as_str()) else { return };
        let Some(metadata) = self.metadata(file, kind, node) else { return };
        let namespace = self.namespace_of(&metadata);
        if workload::take_templated(self, file, templates, &namespace, &metadata, node) {
            self.misplaced(file, &metadata, kind, metadata::WORKLOAD);
            return;
        }
        if let Some(added) = templates.iter().find(|template| PodTemplateKinds::is_added(template)) {
            let (path, object) = (&added.template, format!("{kind} {}", metadata.name));
            let message = format!("there is nothing at {path}, where --pod-template says that its pod template is");
            let hint = format!("correct the way to the pod template of {}", passed_over::a_kind(kind));
            let told = Diagnostic::error("NoPodTemplate", message).at(file, metadata.name_span);
            self.diagnostics.push(told.of(object).hint(hint));
        }
        self.other(file, node);
    }

    fn claim(&mut self, file: FileId, node: &ManifestNode<'_>) {
        let Some(metadata) = self.metadata(file, "PersistentVolumeClaim", node) else { return };
        let namespace = self.namespace_of(&metadata);
        self.claims.insert(format!("{namespace}/{}", metadata.name), volume::claim(node));
    }

    fn volume(&mut self, file: FileId, node: &ManifestNode<'_>) {
        let Some(metadata) = self.metadata(file, "PersistentVolume", node) else { return };
        let mut faults = Vec::new();
        let object = format!("PersistentVolume {}", metadata.name);
        self.volumes.insert(metadata.name.to_owned(), volume::volume(node, &object, &mut faults));
        if let Some(claim) = volume::bound_to(node) {
            self.bound.insert(claim, metadata.name.into());
        }
        self.diagnostics.extend(faults.into_iter().map(|fault| fault.in_file(file)));
    }

    fn namespace_of(&mut self, metadata: &ObjectMetadata<'_>) -> Arc<str> {
        match metadata.namespace {
            Some(namespace) => self.shared(namespace),
            None => Arc::clone(&self.default_namespace),
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
        if let Some(own) = own {
            self.add_own(own);
        }
    }

    fn add_own(&mut self, own: OwnObject<'t>) {
        let key = (own.kind, own.name.clone());
        if let Some(first) = self.own.get(&key) {
            let diagnostic = Diagnostic::error(
                "DuplicateObject",
                format!(
                    "{} {} is given twice; the first is at line {}",
                    own.kind, own.name, first.node.span.start.line
                ),
            );
            let hint = "keep one of them, or name the files of one environment only";
            self.diagnostics.push(diagnostic.at(own.file, own.name_span()).of(own.to_string()).hint(hint));
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
            node_selector: self.namespace_selector(file, &metadata),
        };
        let object = format!("Namespace {}", metadata.name);
        let unfilled = metadata.labels.iter().filter_map(|(key, text)| {
            let told = placeholder::unfilled(&format!("metadata.labels[{}]", quoted(key)), text.said)?;
            Some(told.at(file, text.span).of(object.clone()))
        });
        self.diagnostics.extend(unfilled.collect::<Vec<_>>());
        let name = self.shared(metadata.name);
        self.add_namespace(&name, namespace);
    }

    /// What the annotation of a namespace adds to the node selector of every pod in it, where the API server's plugin
    /// `PodNodeSelector` is on, which nobody can see: it is taken to be.
    fn namespace_selector(&mut self, file: FileId, metadata: &ObjectMetadata<'_>) -> Labels {
        const KEY: &str = "scheduler.alpha.kubernetes.io/node-selector";
        let Some((_, text)) = metadata.annotations.iter().find(|(key, _)| *key == KEY) else { return Labels::new() };
        let entries = text.said.split(',').filter_map(|entry| entry.split_once('='));
        let found: Labels = entries.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect();
        if !found.is_empty() {
            let message = format!(
                "annotation {KEY} adds {} to the nodeSelector of every pod here where the API server's plugin \
                 PodNodeSelector is on: it is taken to be",
                quoted(text.said)
            );
            let object = format!("Namespace {}", metadata.name);
            self.diagnostics.push(Diagnostic::warning("NamespaceSelector", message).at(file, text.span).of(object));
        }
        found
    }

    fn add_namespace(&mut self, name: &Arc<str>, namespace: LocatedNamespace) {
        let (file, span) = (namespace.file, namespace.name);
        let differs = self.namespaces.get(name).is_some_and(|first| first.labels != namespace.labels);
        self.namespaces.insert(Arc::clone(name), namespace);
        self.twice("Namespace", name, differs, Some((file, span)));
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
        if let Some(Err(why)) = self.pods.as_mut().map(|pods| pods.node(&name, node)) {
            let object = format!("Node {name}");
            let told = Diagnostic::error("NoRoom", why).at(file, metadata.name_span).of(object);
            self.diagnostics.push(told.hint("take it from `kubectl get nodes -o yaml`"));
        }
        let differs = self.nodes.get(&name).is_some_and(|first| *first != found);
        self.nodes.insert(Arc::clone(&name), found);
        self.twice("Node", &name, differs, Some((file, metadata.name_span)));
    }

    fn add_node(&mut self, name: &Arc<str>, found: inventory::Node) {
        let differs = self.nodes.get(name).is_some_and(|first| *first != found);
        self.nodes.insert(Arc::clone(name), found);
        self.twice("Node", name, differs, None);
    }

    /// Tells that an object `differs` from one of its name that was read before: nobody knows which one counts.
    fn twice(&mut self, kind: &str, name: &str, differs: bool, place: Option<(FileId, TextSpan)>) {
        if differs {
            let diagnostic = Diagnostic::error("DuplicateObject", format!("{kind} {name} is given twice, and differs"));
            let hint = "keep one of them, or name the files of one environment only";
            let diagnostic = diagnostic.of(format!("{kind} {name}")).hint(hint);
            self.diagnostics.push(match place {
                Some((file, span)) => diagnostic.at(file, span),
                None => diagnostic,
            });
        }
    }

    fn workload(&mut self, file: FileId, kind: WorkloadKind, node: &ManifestNode<'_>) {
        let Some(metadata) = self.metadata(file, kind.as_str(), node) else { return };
        self.misplaced(file, &metadata, kind.as_str(), metadata::WORKLOAD);
        let namespace = self.namespace_of(&metadata);
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
