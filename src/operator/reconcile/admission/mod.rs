//! Admission reconciler: what admission needs of each policy, its finalizer, its entry in the list of policies and its
//! bindings, in an order that neither refuses nor frees anything for a moment.
//!
//! A policy begins: finalizer, entry, mutations, and when API servers act on these, validations. It ends the other way
//! pass: entry, bindings, and when API servers have let go of them, finalizer.

pub mod bindings;
pub mod propagation;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBinding};
use kube::api::ObjectMeta;

use self::{
    bindings::{POLICY_LABEL, PolicyBindings},
    propagation::Propagation,
};
use super::{CycleClocks, ReconcileOutcome, Reconciler, view::ClusterView};
use crate::api::{PlacementPolicy, PolicyMode};
use crate::operator::{
    cache::{ClusterCache, DeclaredObject, ObservedBinding, ResourceVersioned},
    hold::HoldReason,
    names::{FINALIZER, POLICY_LIST},
    write::{WriteFailure, WriteRequest, WriteTarget},
};

/// API servers refresh their bindings every second; twice that is safe.
const BINDING_PROPAGATION: Duration = Duration::from_secs(2);
/// Parameters are watched, and arrive sooner.
const LIST_PROPAGATION: Duration = Duration::from_secs(1);

/// How far each policy has come with its bindings.
#[derive(Debug, Default)]
pub struct AdmissionReconciler {
    endings: BTreeMap<String, PolicyTermination>,
    mutating_since: BTreeMap<String, Instant>,
    /// Since when a policy's bindings have been as they must, by its name.
    stable_since: BTreeMap<String, Instant>,
    propagation: Arc<Propagation>,
}

/// How far a policy has ended, by its unique identifier.
#[derive(Clone, Debug, Default)]
struct PolicyTermination {
    unlisted_since: Option<Instant>,
    /// Bindings out of sight whose deletion has not been answered yet; `None` before any was asked for.
    unswept: Option<BTreeSet<WriteTarget>>,
    unbound_since: Option<Instant>,
}

/// The bindings that `record` must have while it exists.
#[must_use]
pub fn bindings_of(name: &str, record: &DeclaredObject<PlacementPolicy>, exempt: &[String]) -> PolicyBindings {
    record
        .object
        .as_ref()
        .map_or_else(|_| PolicyBindings::default(), |object| bindings::bindings(name, &object.spec, exempt))
}

/// One comparison of what is with what should be.
struct AdmissionPass<'a> {
    cache: &'a ClusterCache,
    exempt: &'a [String],
    now: Instant,
    wanted: PolicyBindings,
    outcome: ReconcileOutcome,
}

impl AdmissionPass<'_> {
    /// Whether `wait` has passed since `since` for the policy `name`; if not, asks to be woken when it has.
    fn propagated(&mut self, name: &str, since: Instant, wait: Duration) -> bool {
        let then = since + wait;
        if then > self.now {
            self.outcome.holds.add(HoldReason::AdmissionPropagating, format!("PlacementPolicy {name}"));
            self.outcome.wake_at(Some(then));
        }
        then <= self.now
    }

    fn listed(&self, name: &str) -> bool {
        self.cache.policy_list.get(POLICY_LIST).is_some_and(|policy_list| policy_list.data.contains_key(name))
    }

    fn set_finalizers(&mut self, name: &str, record: &DeclaredObject<PlacementPolicy>, finalizers: Vec<String>) {
        let version = record.meta.resource_version.clone();
        self.outcome.requests.push(WriteRequest::SetFinalizers { policy: name.to_owned(), finalizers, version });
    }

    /// Wants the bindings of `name` that are there, as they are.
    fn retain(&mut self, name: &str) {
        for (key, found) in self.cache.mutating_bindings.iter().filter(|(_, found)| of(name, &found.meta)) {
            if let Some(spec) = &found.spec {
                self.wanted.mutating.entry(key.clone()).or_insert_with(|| spec.clone());
            }
        }
        for (key, found) in self.cache.validating_bindings.iter().filter(|(_, found)| of(name, &found.meta)) {
            if let Some(spec) = &found.spec {
                self.wanted.validating.entry(key.clone()).or_insert_with(|| spec.clone());
            }
        }
    }
}

impl AdmissionReconciler {
    /// The policies whose bindings every API server acts on.
    #[must_use]
    pub fn propagation(&self) -> Arc<Propagation> {
        Arc::clone(&self.propagation)
    }

    /// Takes in how the write about `target` ended.
    pub fn on_write_result(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>) {
        if matches!(failure, None | Some(WriteFailure::Gone)) {
            for unswept in self.endings.values_mut().filter_map(|ending| ending.unswept.as_mut()) {
                unswept.remove(target);
            }
        }
    }

    /// Which policies' bindings are in place, and have been long enough.
    fn propagate(&mut self, pass: &mut AdmissionPass<'_>) {
        let bound: BTreeSet<&String> = pass
            .cache
            .policies
            .iter()
            .filter(|(name, record)| {
                !record.is_terminating() && bindings_of(name, record, pass.exempt).are_in(pass.cache)
            })
            .map(|(name, _)| name)
            .collect();
        self.stable_since.retain(|name, _| bound.contains(name));
        let mut policies = BTreeSet::new();
        for name in bound {
            let since = *self.stable_since.entry(name.clone()).or_insert(pass.now);
            if pass.propagated(name, since, BINDING_PROPAGATION) {
                policies.insert(name.clone());
            }
        }
        if policies != self.propagation.policies {
            let mut revision = self.propagation.revision;
            revision.bump();
            self.propagation = Arc::new(Propagation { policies, revision });
        }
    }

    fn begin(&mut self, pass: &mut AdmissionPass<'_>, name: &str, record: &DeclaredObject<PlacementPolicy>) {
        let finalizers = record.meta.finalizers.clone().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            let finalizers = finalizers.into_iter().chain([FINALIZER.to_owned()]).collect();
            pass.set_finalizers(name, record, finalizers);
            return pass.retain(name);
        }
        let Ok(object) = &record.object else { return pass.retain(name) };
        if !pass.listed(name) {
            return pass.retain(name);
        }
        let PolicyBindings { mutating, validating } = bindings_of(name, record, pass.exempt);
        let in_place = mutating.keys().all(|binding| pass.cache.mutating_bindings.get(binding).is_some());
        pass.wanted.mutating.extend(mutating);
        // A validation that acts before its mutation would refuse what the mutation is about to complete.
        let acting = if object.spec.mode == PolicyMode::Enforce {
            if in_place {
                let since = *self.mutating_since.entry(name.to_owned()).or_insert(pass.now);
                pass.propagated(name, since, BINDING_PROPAGATION)
            } else {
                self.mutating_since.remove(name);
                false
            }
        } else {
            // Should it enforce again before they are gone, they are not what it will have.
            self.mutating_since.remove(name);
            true
        };
        let cache = pass.cache;
        pass.wanted.validating.extend(validating.into_iter().filter_map(|(binding, mut spec)| {
            if !acting {
                // What warned until now goes on warning: to refuse would be too early for it as well.
                let found = cache.validating_bindings.get(&binding)?.spec.as_ref()?;
                spec.validation_actions.clone_from(&found.validation_actions);
            }
            Some((binding, spec))
        }));
    }

    fn end(&mut self, pass: &mut AdmissionPass<'_>, name: &str, record: &DeclaredObject<PlacementPolicy>) {
        let Some(uid) = record.meta.uid.clone() else { return };
        let mut ending = self.endings.get(&uid).cloned().unwrap_or_default();
        ending.unlisted_since = (!pass.listed(name)).then(|| ending.unlisted_since.unwrap_or(pass.now));
        let release = ending.unlisted_since.is_some_and(|since| pass.propagated(name, since, LIST_PROPAGATION));
        if release {
            let deletions = sweep(name, pass.cache);
            let unswept = ending.unswept.get_or_insert_with(|| deletions.iter().map(WriteRequest::target).collect());
            // Asked for until it is answered: a binding that is left behind would refuse everything.
            pass.outcome.requests.extend(deletions.into_iter().filter(|request| unswept.contains(&request.target())));
        } else {
            // Nobody but us may end or alter them early.
            let PolicyBindings { mutating, validating } = bindings_of(name, record, pass.exempt);
            let cache = pass.cache;
            let there = |binding: &String| cache.mutating_bindings.get(binding).is_some();
            pass.wanted.mutating.extend(mutating.into_iter().filter(|(binding, _)| there(binding)));
            let there = |binding: &String| cache.validating_bindings.get(binding).is_some();
            pass.wanted.validating.extend(validating.into_iter().filter(|(binding, _)| there(binding)));
            pass.retain(name);
        }
        let bound = pass.cache.mutating_bindings.iter().any(|(_, found)| of(name, &found.meta))
            || pass.cache.validating_bindings.iter().any(|(_, found)| of(name, &found.meta));
        let is_swept = ending.unswept.as_ref().is_some_and(BTreeSet::is_empty);
        ending.unbound_since = (release && !bound && is_swept).then(|| ending.unbound_since.unwrap_or(pass.now));
        if ending.unbound_since.is_some_and(|since| pass.propagated(name, since, BINDING_PROPAGATION)) {
            let finalizers = record.meta.finalizers.iter().flatten();
            let others: Vec<String> = finalizers.clone().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
            if others.len() < finalizers.count() {
                pass.set_finalizers(name, record, others);
            }
        }
        self.endings.insert(uid, ending);
    }
}

impl Reconciler for AdmissionReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome {
        let (cache, exempt, now) = (view.cache, view.settings.exempt.as_slice(), clocks.monotonic);
        let (wanted, mut outcome) = (PolicyBindings::default(), ReconcileOutcome::default());
        policy_list(cache, &mut outcome.requests);
        let mut pass = AdmissionPass { cache, exempt, now, wanted, outcome };
        for (name, record) in cache.policies.iter() {
            if record.is_terminating() {
                self.end(&mut pass, name, record);
            } else {
                self.begin(&mut pass, name, record);
            }
        }
        self.propagate(&mut pass);
        let alive = |uid: &String| cache.policies.iter().any(|(_, record)| record.meta.uid.as_ref() == Some(uid));
        self.endings.retain(|uid, _| alive(uid));
        self.mutating_since.retain(|name, _| cache.policies.get(name).is_some());
        let AdmissionPass { wanted, mut outcome, .. } = pass;
        keep(cache, &wanted, &mut outcome.requests);
        outcome
    }

    /// What was asked for until now was not asked of this replica, and is asked for again. Its waits go on: what they
    /// wait for was seen, whoever did it.
    fn take_over(&mut self, _: &ClusterView<'_>) {
        self.endings.values_mut().for_each(|ending| ending.unswept = None);
    }
}

/// Whether the binding with this metadata is one of the policy `name`.
fn of(name: &str, meta: &ObjectMeta) -> bool {
    meta.labels.as_ref().and_then(|labels| labels.get(POLICY_LABEL)).is_some_and(|policy| policy == name)
}

/// Ends the bindings that a policy of this `name` can have and that are not seen: one whose labels somebody took is out
/// of our sight, and would refuse everything once its policy is gone.
fn sweep(name: &str, cache: &ClusterCache) -> Vec<WriteRequest> {
    let (mutating, validating) = bindings::names(name);
    let mutating = mutating.filter(|binding| cache.mutating_bindings.get(binding).is_none());
    let validating = validating.filter(|binding| cache.validating_bindings.get(binding).is_none());
    let mutating = mutating.map(|binding| WriteRequest::DeleteMutatingBinding(binding, 0));
    mutating.chain(validating.map(|binding| WriteRequest::DeleteValidatingBinding(binding, 0))).collect()
}

/// The policies that exist, for the mutation that strips the keys of all others.
fn policy_list(cache: &ClusterCache, due: &mut Vec<WriteRequest>) {
    let desired: BTreeMap<String, String> = cache
        .policies
        .iter()
        .filter(|(_, record)| !record.is_terminating())
        .map(|(name, record)| {
            let mode = record.object.as_ref().map_or("Unknown", |object| object.spec.mode.as_str());
            (name.clone(), mode.to_owned())
        })
        .collect();
    match cache.policy_list.get(POLICY_LIST) {
        None => due.push(WriteRequest::CreatePolicyList(desired)),
        Some(found) if found.data == desired => {}
        Some(found) => {
            let gone = found.data.keys().filter(|name| !desired.contains_key(*name)).map(|name| (name.clone(), None));
            let patch = gone.chain(desired.iter().map(|(name, mode)| (name.clone(), Some(mode.clone())))).collect();
            due.push(WriteRequest::PatchPolicyList(patch));
        }
    }
}

/// Asks for the difference between the bindings that are there and those that are `wanted`.
fn keep(cache: &ClusterCache, wanted: &PolicyBindings, due: &mut Vec<WriteRequest>) {
    for (name, spec) in &wanted.mutating {
        let policy = spec.param_ref.as_ref().and_then(|found| found.name.as_deref()).unwrap_or_default();
        let metadata = bindings::metadata(name, policy);
        if let Some((metadata, exists)) = difference(cache.mutating_bindings.get(name), metadata, spec) {
            let binding = Box::new(MutatingAdmissionPolicyBinding { metadata, spec: Some(spec.clone()) });
            let make = if exists { WriteRequest::ReplaceMutatingBinding } else { WriteRequest::CreateMutatingBinding };
            due.push(make(name.clone(), binding));
        }
    }
    for (name, spec) in &wanted.validating {
        let policy = spec.param_ref.as_ref().and_then(|found| found.name.as_deref()).unwrap_or_default();
        let metadata = bindings::metadata(name, policy);
        if let Some((metadata, exists)) = difference(cache.validating_bindings.get(name), metadata, spec) {
            let binding = Box::new(ValidatingAdmissionPolicyBinding { metadata, spec: spec.clone() });
            let make =
                if exists { WriteRequest::ReplaceValidatingBinding } else { WriteRequest::CreateValidatingBinding };
            due.push(make(name.clone(), binding));
        }
    }
    let surplus = |meta: &ObjectMeta| meta.deletion_timestamp.is_none();
    for (name, found) in cache.mutating_bindings.iter() {
        if !wanted.mutating.contains_key(name) && surplus(&found.meta) {
            due.push(WriteRequest::DeleteMutatingBinding(name.clone(), found.version()));
        }
    }
    for (name, found) in cache.validating_bindings.iter() {
        if !wanted.validating.contains_key(name) && surplus(&found.meta) {
            due.push(WriteRequest::DeleteValidatingBinding(name.clone(), found.version()));
        }
    }
}

/// The metadata to write, and whether the binding exists; `None` when it is as it should be.
fn difference<S: PartialEq>(
    found: Option<&ObservedBinding<S>>,
    desired: ObjectMeta,
    spec: &S,
) -> Option<(ObjectMeta, bool)> {
    let Some(found) = found else { return Some((desired, false)) };
    let labelled = desired.labels.iter().flatten().all(|(key, value)| {
        found.meta.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|found| found == value)
    });
    let same = labelled && found.spec.as_ref() == Some(spec);
    (!same).then(|| (ObjectMeta { resource_version: found.meta.resource_version.clone(), ..desired }, true))
}
