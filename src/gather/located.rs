//! Located inventory: what was gathered, as the core judges it, with the places where all of it stands.
//!
//! Takes what was gathered, and returns an inventory, locations and diagnostics. What cannot be converted is left out
//! and told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    ControllerKey, GatheredObjects, LocatedNamespace, LocatedWorkload, OwnObject, RunningPod, UnjudgedObject,
    own::OwnSpec,
};
use crate::{
    api::validate::ResourceKind,
    convert::{self, Converted},
    diagnostic::{Diagnostic, FieldDiagnostic, Severity, source::FileId},
};
use rempart_core::{
    clearance::ClearanceInput,
    drill::RunningCluster,
    inventory::PlanInventory,
    keys,
    name::quoted,
    volume::Claim,
    workload::{WorkloadIdentity, WorkloadKind},
};

/// What is not in any manifest.
#[derive(Clone, Debug, Default)]
pub struct GatherSettings {
    /// Namespaces that no policy governs.
    pub exempt: Vec<String>,
}

/// What was gathered, ready to be judged, and where each thing of it stands.
#[derive(Debug)]
pub struct LocatedInventory<'t> {
    /// What is judged.
    pub inventory: PlanInventory,
    /// What runs and how much room there is, where that was asked for.
    pub running: Option<RunningCluster>,
    /// Where the workloads of the inventory stand, in its order.
    pub origins: Vec<super::WorkloadOrigin>,
    /// Our own objects, with what was written.
    pub own: BTreeMap<(ResourceKind, String), OwnObject<'t>>,
    /// Where the namespaces stand.
    pub namespaces: BTreeMap<Arc<str>, LocatedNamespace>,
    /// How many objects of other kinds were passed over, by kind.
    pub ignored: BTreeMap<String, usize>,
    /// Objects that say a level or categories, or would have pods, and of which no pod is judged.
    pub unjudged: Vec<UnjudgedObject>,
    /// The files of directories with documents that are no objects, a document each.
    pub not_objects: Vec<FileId>,
    /// What could not be read, or hardly says what was meant.
    pub diagnostics: Vec<Diagnostic>,
}

impl LocatedInventory<'_> {
    /// Whether something could not be read, so that no answer is to be trusted.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }
}

impl<'t> GatheredObjects<'t> {
    /// Converts all that was gathered. What cannot be converted is left out and told.
    #[must_use]
    pub fn into_inventory(mut self, settings: &GatherSettings) -> LocatedInventory<'t> {
        self.adopt();
        self.place_pods();
        self.tell_twins();
        self.add_namespace_selectors();
        self.add_claims();
        let mut diagnostics = std::mem::take(&mut self.diagnostics).into_vec();
        let world = world(&self.own, &mut diagnostics);
        diagnostics.extend(left_over(&self.workloads, &world));
        let (workloads, origins) =
            self.workloads.into_iter().map(|LocatedWorkload { workload, origin, .. }| (workload, origin)).unzip();
        let known = |(name, found): (&Arc<str>, &LocatedNamespace)| {
            (Arc::clone(name), rempart_core::namespace::Namespace::new(0, found.labels.clone()))
        };
        let inventory = PlanInventory {
            world,
            namespaces: self.namespaces.iter().map(known).collect(),
            exempt: settings.exempt.iter().cloned().collect(),
            nodes: self.nodes,
            workloads,
            claims: self.claims,
            volumes: self.volumes,
        };
        let controllers = &self.controllers;
        let owner = |by: &ControllerKey| identity(controllers.get(by).unwrap_or(by));
        let running = self.pods.map(|pods| pods.into_running(&inventory, owner));
        LocatedInventory {
            inventory,
            running,
            origins,
            own: self.own,
            namespaces: self.namespaces,
            ignored: self.ignored,
            unjudged: self.unjudged,
            not_objects: self.not_objects,
            diagnostics,
        }
    }

    /// Judges `ReplicaSet`s, `Job`s and pods themselves where nothing that was read speaks for them; counts the others.
    fn adopt(&mut self) {
        let mut known: BTreeSet<WorkloadIdentity> =
            self.workloads.iter().map(|found| found.workload.identity.clone()).collect();
        let is_pod = |found: &LocatedWorkload| found.workload.identity.kind == WorkloadKind::Pod;
        let (pods, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.orphans).into_iter().partition(|(_, found)| is_pod(found));
        // What controls pods comes first: it may speak for them.
        for (by, found) in others.into_iter().chain(pods) {
            let owner = self.controllers.get(&by).unwrap_or(&by);
            let own = &found.workload.identity;
            if identity(owner).is_some_and(|owner| known.contains(&owner)) {
                self.ignore(&format!("{} of a {}", own.kind, by.0));
            } else {
                self.controllers.remove(&(
                    own.kind.as_str().to_owned(),
                    Arc::clone(&own.namespace),
                    own.name.to_string(),
                ));
                known.insert(own.clone());
                self.workloads.push(found);
            }
        }
    }

    /// Warns of workloads that are given more than once: each is judged. The API server makes a name of its own for each of
    /// those that say only how it begins.
    fn tell_twins(&mut self) {
        let mut seen: BTreeSet<&WorkloadIdentity> = BTreeSet::new();
        let named = self.workloads.iter().filter(|found| !found.origin.is_generated);
        let twins = named.filter(|found| !seen.insert(&found.workload.identity));
        let told: Vec<Diagnostic> = twins
            .map(|LocatedWorkload { workload, origin, .. }| {
                let WorkloadIdentity { namespace, kind, name } = &workload.identity;
                let object = format!("{kind} {namespace}/{name}");
                let diagnostic =
                    Diagnostic::warning("DuplicateObject", format!("{object} is given twice, and judged twice"));
                let hint = "name the files of one environment only";
                diagnostic.at(origin.file, origin.name).of(object).hint(hint)
            })
            .collect();
        self.diagnostics.extend(told);
    }

    /// Adds to the wishes of workloads what their namespaces add to the node selector of every pod.
    fn add_namespace_selectors(&mut self) {
        for LocatedWorkload { workload, .. } in &mut self.workloads {
            let Some(namespace) = self.namespaces.get(&workload.identity.namespace) else { continue };
            for (key, value) in &namespace.node_selector {
                workload.node_requirements.selector.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    /// Tells each workload which claims its pods have.
    fn add_claims(&mut self) {
        // A claim that is not among what was read, or is still to be bound, is known by the volume that is kept for it.
        for (claim, volume) in std::mem::take(&mut self.bound) {
            let new = Claim { version: 0, volume: None, single_writer: false, terminating: false };
            self.claims.entry(claim).or_insert(new).volume.get_or_insert(volume);
        }
        for LocatedWorkload { workload, claims, .. } in self.workloads.iter_mut().filter(|it| !it.claims.is_empty()) {
            workload.claims = claims.of_pods(&workload.identity.namespace, &self.claims);
        }
    }

    /// Tells each workload on which nodes its pods stand.
    fn place_pods(&mut self) {
        let index: BTreeMap<WorkloadIdentity, usize> =
            self.workloads.iter().enumerate().map(|(i, found)| (found.workload.identity.clone(), i)).collect();
        for RunningPod { of, node } in std::mem::take(&mut self.running) {
            let owner = identity(self.controllers.get(&of).unwrap_or(&of));
            if let Some(found) = owner.and_then(|owner| index.get(&owner)).and_then(|i| self.workloads.get_mut(*i)) {
                found.workload.runs_on.push(node);
            }
        }
    }
}

fn identity((kind, namespace, name): &ControllerKey) -> Option<WorkloadIdentity> {
    let kind = WorkloadKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    Some(WorkloadIdentity { namespace: Arc::clone(namespace), kind, name: name.as_str().into() })
}

/// How long a key of a label may be: a prefix, a slash and a name.
const MOST_OF_KEY: usize = 253 + 1 + 63;

/// Warnings of keys in node selectors that are of policies which nobody has: left over from another cluster, or from before.
fn left_over(workloads: &[LocatedWorkload], world: &ClearanceInput) -> Vec<Diagnostic> {
    if world.policies.is_empty() {
        return Vec::new();
    }
    let known = |policy: &str| world.policies.contains_key(policy) || world.unread_policies.contains(policy);
    let found = workloads.iter().flat_map(|found| found.origin.stamps.iter().map(move |stamp| (found, stamp)));
    let left = found.filter_map(|(LocatedWorkload { workload, origin, .. }, (key, span))| {
        let policy = keys::policy_asked(key).filter(|policy| !known(policy))?;
        // Whole, so that it can be looked for: what may stand in such a key disturbs nobody.
        let is_plain = key.len() <= MOST_OF_KEY && key.bytes().all(|byte| byte.is_ascii_graphic());
        let key = if is_plain { key.clone() } else { quoted(key) };
        let message = format!("nodeSelector asks for {key}, of a PlacementPolicy {policy} that was not read");
        let hint = "take it out: it may come from another cluster, and admission adds what a pod needs here";
        let WorkloadIdentity { namespace, kind, name } = &workload.identity;
        let told = Diagnostic::warning("LeftOver", message).at(origin.file, *span).hint(hint);
        Some(told.of(format!("{kind} {namespace}/{name}")))
    });
    left.collect()
}

/// Whether admission has let go of `object`: a policy that is being deleted places and refuses nothing.
fn is_ending(object: &OwnObject<'_>) -> bool {
    let ending = object.node.get("metadata").and_then(|metadata| metadata.get("deletionTimestamp"));
    object.kind == ResourceKind::PlacementPolicy && ending.is_some_and(|ending| !ending.is_null())
}

/// The world that our own objects make.
fn world(own: &BTreeMap<(ResourceKind, String), OwnObject<'_>>, diagnostics: &mut Vec<Diagnostic>) -> ClearanceInput {
    let mut world = ClearanceInput::default();
    let faulty = |found: &&Diagnostic| found.severity == Severity::Error;
    let told: BTreeSet<_> =
        diagnostics.iter().filter(faulty).map(|found| (found.object.clone(), found.place)).collect();
    for object in own.values() {
        if is_ending(object) {
            let place = object.place("metadata.deletionTimestamp");
            let message = format!("{object} is being deleted: it places and refuses nothing any more");
            let diagnostic = Diagnostic::warning("PolicyEnding", message).at(place.file, place.span);
            diagnostics.push(diagnostic.of(object.to_string()));
            continue;
        }
        let problems = match &object.spec {
            OwnSpec::Provider(spec) => {
                let Converted { value, problems } = convert::provider(&object.name, spec);
                world.catalogue.providers.extend(value.map(|value| (value.name.clone(), value)));
                problems
            }
            OwnSpec::Pool(spec) => {
                let Converted { value, problems } = convert::pool(&object.name, spec);
                if let Some(value) = value {
                    world.catalogue.add_pool(value);
                }
                problems
            }
            OwnSpec::Policy(spec) => {
                let Converted { value, problems } = convert::policy(&object.name, spec);
                match value {
                    Some(policy) => drop(world.policies.insert(policy.name.clone(), policy)),
                    None => drop(world.unread_policies.insert(object.name.clone())),
                }
                problems
            }
        };
        // Where something is said of a field already, what the conversion says of it adds nothing.
        let known = |found: &FieldDiagnostic| found.place.as_ref().is_some_and(|path| object.is_defect_known(path));
        let problems = problems.into_iter().filter(|found| !known(found)).map(|found| {
            let message = found.to_string();
            let located = found.locate(|path| Some(object.place(&path.0)));
            Diagnostic { message, ..located }.of(object.to_string())
        });
        diagnostics.extend(problems.filter(|found| !told.contains(&(found.object.clone(), found.place))));
    }
    world
}
