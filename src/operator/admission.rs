//! Keeps what admission needs of each policy: its finalizer, its entry in the roster, its bindings, in an order that
//! neither refuses nor frees anything for a moment.
//!
//! A policy begins: finalizer, roster, mutations, and when API servers have taken these up, validations. It ends the
//! other way round: roster, bindings, and when API servers have let go of them, finalizer.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant as Moment},
};

use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBinding};
use kube::api::ObjectMeta;

use super::{
    bindings::{self, Bindings, POLICY_LABEL},
    index::{BindingRecord, Index, Record, Versioned},
    write::{FINALIZER, Key, ROSTER, Write},
};
use crate::api::{PlacementPolicy, PolicyMode};

/// API servers refresh their bindings every second; twice that is safe.
const UPTAKE: Duration = Duration::from_secs(2);
/// Parameters are watched, and arrive sooner.
const ROSTER_UPTAKE: Duration = Duration::from_secs(1);

/// The steps that policies are in.
#[derive(Debug, Default)]
pub struct Admission {
    endings: BTreeMap<String, Ending>,
    mutating_since: BTreeMap<String, Moment>,
    /// Since when a policy's bindings have been as they must, by its name.
    bound_since: BTreeMap<String, Moment>,
    /// The policies whose bindings every API server has taken up.
    settled: BTreeSet<String>,
    wake: Option<Moment>,
}

/// How far a policy has ended, by its unique identifier.
#[derive(Clone, Copy, Debug, Default)]
struct Ending {
    unlisted_since: Option<Moment>,
    swept: bool,
    unbound_since: Option<Moment>,
}

/// The bindings that `record` must have while it exists.
#[must_use]
pub fn bindings_of(name: &str, record: &Record<PlacementPolicy>, exempt: &[String]) -> Bindings {
    record.object.as_ref().map_or_else(|_| Bindings::default(), |object| bindings::bindings(name, &object.spec, exempt))
}

/// One comparison of what is with what should be.
struct Round<'a> {
    index: &'a Index,
    exempt: &'a [String],
    now: Moment,
    wanted: Bindings,
    wake: Option<Moment>,
    due: &'a mut Vec<(Key, Write)>,
}

impl Round<'_> {
    /// Whether `wait` has passed since `since`; if not, asks to be woken when it has.
    fn passed(&mut self, since: Moment, wait: Duration) -> bool {
        let then = since + wait;
        if then > self.now {
            self.wake = Some(self.wake.map_or(then, |wake| wake.min(then)));
        }
        then <= self.now
    }

    fn listed(&self, name: &str) -> bool {
        self.index.roster.get(ROSTER).is_some_and(|roster| roster.data.contains_key(name))
    }

    fn set_finalizers(&mut self, name: &str, record: &Record<PlacementPolicy>, finalizers: Vec<String>) {
        let version = record.meta.resource_version.clone();
        self.due.push((Key::Finalizer(name.to_owned()), Write::Finalizers { finalizers, version }));
    }

    /// Wants the bindings of `name` that are there, as they are.
    fn retain(&mut self, name: &str) {
        for (key, found) in self.index.mutating_bindings.iter().filter(|(_, found)| of(name, &found.meta)) {
            if let Some(spec) = &found.spec {
                self.wanted.mutating.entry(key.clone()).or_insert_with(|| spec.clone());
            }
        }
        for (key, found) in self.index.validating_bindings.iter().filter(|(_, found)| of(name, &found.meta)) {
            if let Some(spec) = &found.spec {
                self.wanted.validating.entry(key.clone()).or_insert_with(|| spec.clone());
            }
        }
    }
}

impl Admission {
    /// When the next step is due though nothing is seen.
    #[must_use]
    pub fn wake(&self) -> Option<Moment> {
        self.wake
    }

    /// The policies whose bindings are as they must be, and have been long enough for every API server to act on them.
    #[must_use]
    pub fn settled(&self) -> &BTreeSet<String> {
        &self.settled
    }

    /// What was asked for until now was not asked of this replica, and is asked for again. Its waits go on: what they
    /// wait for was seen, whoever did it.
    pub fn take_over(&mut self) {
        self.endings.values_mut().for_each(|ending| ending.swept = false);
    }

    /// Asks for whatever separates `index` from what should be.
    pub fn plan(&mut self, index: &Index, exempt: &[String], now: Moment, due: &mut Vec<(Key, Write)>) {
        roster(index, due);
        let mut round = Round { index, exempt, now, wanted: Bindings::default(), wake: None, due };
        for (name, record) in index.policies.iter() {
            if record.ending() {
                self.end(&mut round, name, record);
            } else {
                self.begin(&mut round, name, record);
            }
        }
        self.settle(&mut round);
        self.wake = round.wake;
        let alive = |uid: &String| index.policies.iter().any(|(_, record)| record.meta.uid.as_ref() == Some(uid));
        self.endings.retain(|uid, _| alive(uid));
        self.mutating_since.retain(|name, _| index.policies.get(name).is_some());
        let Round { wanted, due, .. } = round;
        keep(index, &wanted, due);
    }

    fn settle(&mut self, round: &mut Round<'_>) {
        let bound: BTreeSet<&String> = round
            .index
            .policies
            .iter()
            .filter(|(name, record)| !record.ending() && bindings_of(name, record, round.exempt).are_in(round.index))
            .map(|(name, _)| name)
            .collect();
        self.bound_since.retain(|name, _| bound.contains(name));
        self.settled.clear();
        for name in bound {
            let since = *self.bound_since.entry(name.clone()).or_insert(round.now);
            if round.passed(since, UPTAKE) {
                self.settled.insert(name.clone());
            }
        }
    }

    fn begin(&mut self, round: &mut Round<'_>, name: &str, record: &Record<PlacementPolicy>) {
        let finalizers = record.meta.finalizers.clone().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            let finalizers = finalizers.into_iter().chain([FINALIZER.to_owned()]).collect();
            round.set_finalizers(name, record, finalizers);
            return round.retain(name);
        }
        let Ok(object) = &record.object else { return round.retain(name) };
        if !round.listed(name) {
            return round.retain(name);
        }
        let Bindings { mutating, validating } = bindings_of(name, record, round.exempt);
        let in_place = mutating.keys().all(|binding| round.index.mutating_bindings.get(binding).is_some());
        round.wanted.mutating.extend(mutating);
        // A validation that acts before its mutation would refuse what the mutation is about to complete.
        let acting = if object.spec.mode == PolicyMode::Enforce {
            if in_place {
                let since = *self.mutating_since.entry(name.to_owned()).or_insert(round.now);
                round.passed(since, UPTAKE)
            } else {
                self.mutating_since.remove(name);
                false
            }
        } else {
            // Should it enforce again before they are gone, they are not what it will have.
            self.mutating_since.remove(name);
            true
        };
        let index = round.index;
        round.wanted.validating.extend(validating.into_iter().filter_map(|(binding, mut spec)| {
            if !acting {
                // What warned until now goes on warning: to refuse would be too early for it as well.
                let found = index.validating_bindings.get(&binding)?.spec.as_ref()?;
                spec.validation_actions.clone_from(&found.validation_actions);
            }
            Some((binding, spec))
        }));
    }

    fn end(&mut self, round: &mut Round<'_>, name: &str, record: &Record<PlacementPolicy>) {
        let Some(uid) = record.meta.uid.clone() else { return };
        let mut ending = self.endings.get(&uid).copied().unwrap_or_default();
        ending.unlisted_since = (!round.listed(name)).then(|| ending.unlisted_since.unwrap_or(round.now));
        let release = ending.unlisted_since.is_some_and(|since| round.passed(since, ROSTER_UPTAKE));
        if release {
            if !std::mem::replace(&mut ending.swept, true) {
                sweep(name, round.index, round.due);
            }
        } else {
            // Nobody but us may end or alter them early.
            let Bindings { mutating, validating } = bindings_of(name, record, round.exempt);
            let index = round.index;
            let there = |binding: &String| index.mutating_bindings.get(binding).is_some();
            round.wanted.mutating.extend(mutating.into_iter().filter(|(binding, _)| there(binding)));
            let there = |binding: &String| index.validating_bindings.get(binding).is_some();
            round.wanted.validating.extend(validating.into_iter().filter(|(binding, _)| there(binding)));
            round.retain(name);
        }
        let bound = round.index.mutating_bindings.iter().any(|(_, found)| of(name, &found.meta))
            || round.index.validating_bindings.iter().any(|(_, found)| of(name, &found.meta));
        ending.unbound_since = (release && !bound).then(|| ending.unbound_since.unwrap_or(round.now));
        if ending.unbound_since.is_some_and(|since| round.passed(since, UPTAKE)) {
            let finalizers = record.meta.finalizers.iter().flatten();
            let others: Vec<String> = finalizers.clone().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
            if others.len() < finalizers.count() {
                round.set_finalizers(name, record, others);
            }
        }
        self.endings.insert(uid, ending);
    }
}

/// Whether the binding with this metadata is one of the policy `name`.
fn of(name: &str, meta: &ObjectMeta) -> bool {
    meta.labels.as_ref().and_then(|labels| labels.get(POLICY_LABEL)).is_some_and(|policy| policy == name)
}

/// Ends the bindings that a policy of this `name` can have and that are not seen: one whose labels somebody took is out
/// of our sight, and would refuse everything once its policy is gone.
fn sweep(name: &str, index: &Index, due: &mut Vec<(Key, Write)>) {
    let (mutating, validating) = bindings::names(name);
    let mutating = mutating.filter(|binding| index.mutating_bindings.get(binding).is_none());
    let validating = validating.filter(|binding| index.validating_bindings.get(binding).is_none());
    due.extend(mutating.map(|binding| (Key::MutatingBinding(binding), Write::Delete { version: 0 })));
    due.extend(validating.map(|binding| (Key::ValidatingBinding(binding), Write::Delete { version: 0 })));
}

/// The policies that exist, for the mutation that strips the keys of all others.
fn roster(index: &Index, due: &mut Vec<(Key, Write)>) {
    let desired: BTreeMap<String, String> = index
        .policies
        .iter()
        .filter(|(_, record)| !record.ending())
        .map(|(name, record)| {
            let mode = record.object.as_ref().map_or("Unknown", |object| object.spec.mode.as_str());
            (name.clone(), mode.to_owned())
        })
        .collect();
    match index.roster.get(ROSTER) {
        None => due.push((Key::Roster, Write::CreateRoster(desired))),
        Some(found) if found.data == desired => {}
        Some(found) => {
            let gone = found.data.keys().filter(|name| !desired.contains_key(*name)).map(|name| (name.clone(), None));
            let patch = gone.chain(desired.iter().map(|(name, mode)| (name.clone(), Some(mode.clone())))).collect();
            due.push((Key::Roster, Write::PatchRoster(patch)));
        }
    }
}

/// Asks for the difference between the bindings that are there and those that are `wanted`.
fn keep(index: &Index, wanted: &Bindings, due: &mut Vec<(Key, Write)>) {
    for (name, spec) in &wanted.mutating {
        let policy = spec.param_ref.as_ref().and_then(|found| found.name.as_deref()).unwrap_or_default();
        let metadata = bindings::metadata(name, policy);
        if let Some((metadata, exists)) = difference(index.mutating_bindings.get(name), metadata, spec) {
            let binding = Box::new(MutatingAdmissionPolicyBinding { metadata, spec: Some(spec.clone()) });
            let write =
                if exists { Write::ReplaceMutatingBinding(binding) } else { Write::CreateMutatingBinding(binding) };
            due.push((Key::MutatingBinding(name.clone()), write));
        }
    }
    for (name, spec) in &wanted.validating {
        let policy = spec.param_ref.as_ref().and_then(|found| found.name.as_deref()).unwrap_or_default();
        let metadata = bindings::metadata(name, policy);
        if let Some((metadata, exists)) = difference(index.validating_bindings.get(name), metadata, spec) {
            let binding = Box::new(ValidatingAdmissionPolicyBinding { metadata, spec: spec.clone() });
            let write =
                if exists { Write::ReplaceValidatingBinding(binding) } else { Write::CreateValidatingBinding(binding) };
            due.push((Key::ValidatingBinding(name.clone()), write));
        }
    }
    let surplus = |meta: &ObjectMeta| meta.deletion_timestamp.is_none();
    for (name, found) in index.mutating_bindings.iter() {
        if !wanted.mutating.contains_key(name) && surplus(&found.meta) {
            due.push((Key::MutatingBinding(name.clone()), Write::Delete { version: found.version() }));
        }
    }
    for (name, found) in index.validating_bindings.iter() {
        if !wanted.validating.contains_key(name) && surplus(&found.meta) {
            due.push((Key::ValidatingBinding(name.clone()), Write::Delete { version: found.version() }));
        }
    }
}

/// The metadata to write, and whether the binding exists; `None` when it is as it should be.
fn difference<S: PartialEq>(
    found: Option<&BindingRecord<S>>,
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
