//! Admission reconciler: the admission policies and bindings that each policy must have, and its finalizer, in an order
//! that neither refuses nor frees anything for a moment.
//!
//! A policy begins: finalizer, mutations, and when API servers act on these, validations. A change goes the same
//! way; what it makes surplus goes when API servers act on what is new. For a webhook validations wait a while and no longer:
//! nothing that refuses rests on it. A policy ends the other way: validations, and
//! when API servers have let go of them, mutations, finalizer.

pub mod comparison;
mod progress;
pub mod propagation;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::comparison::objects_of;
use self::{
    comparison::{fault_of, faults_of_chart, pool_labels},
    progress::{HeldSince, PolicyProgress, Wait},
    propagation::{AdmissionFault, AdmissionFaultKind, Propagation},
};
use super::{CycleClocks, ReconcileOutcome, Reconciler, view::ClusterView};
use crate::{
    admission::{self, AdmissionKind, AdmissionSettings},
    api::PlacementPolicy,
    operator::{
        cache::{DeclaredObject, LastSeen, ObservedAdmission, Revision},
        component::OperatorComponent,
        hold::{HoldReason, Holds},
        names::FINALIZER,
        write::{WriteRequest, WriteTarget, queue::WriteQueue},
    },
};

/// API servers refresh admission policies and bindings every second; twice that is safe, unless they are starved of
/// processors, and what follows may not wait for ever: until validations follow mutations, nothing is enforced.
const ADMISSION_PROPAGATION: Duration = Duration::from_secs(2);

/// How long validations wait for a webhook that cannot be made as it must be, for want of an authority or because somebody
/// makes it something else: what it would have completed is refused then.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(15);

/// How long is waited for API servers to let go of what was deleted. Nobody waits for the end of a policy, and who is made
/// a moment too early is refused, or waits for a key that nobody gives a node any more: starved of processors, API servers
/// were seen to take longer than five seconds.
const ADMISSION_RELEASE: Duration = Duration::from_secs(10);

/// What is remembered of admission.
#[derive(Debug, Default)]
pub struct AdmissionReconciler {
    seen: LastSeen<(Revision, Revision, Revision)>,
    /// Whether what the last pass asked for is to be asked for until it is so.
    is_open: bool,
    wake: Option<Instant>,
    holds: Holds,
    compiled: BTreeMap<String, CompiledPolicy>,
    progress: BTreeMap<String, PolicyProgress>,
    /// The policies that have been there since it began.
    known: BTreeSet<String>,
    propagation: Arc<Propagation>,
}

/// What a policy must have, by the digests of its objects.
#[derive(Debug)]
struct CompiledPolicy {
    /// The identifier and the generation that it follows from, and the labels by which pools select.
    from: (Option<String>, Option<i64>, BTreeSet<String>),
    digests: Arc<DesiredDigests>,
}

type AdmissionKey = (AdmissionKind, String);

/// What each object must be: its digest, and that of the authorities that it must trust, where these are known.
type DesiredDigests = BTreeMap<AdmissionKey, (u64, Option<u64>)>;

/// The objects of one policy that are there.
type PresentObjects<'a> = BTreeMap<(AdmissionKind, &'a str), &'a ObservedAdmission>;

/// One comparison of what is with what should be.
struct AdmissionPass<'a> {
    settings: &'a AdmissionSettings,
    /// Whether what the webhook is trusted by is not known yet.
    awaits_authorities: bool,
    now: Instant,
    writes: &'a WriteQueue,
    outcome: ReconcileOutcome,
}

impl AdmissionPass<'_> {
    /// Whether `wait` is over for the policy `name`; if it goes on, asks to be woken at its end.
    fn is_over(&mut self, name: &str, wait: Wait) -> bool {
        match wait {
            Wait::NotBegun => false,
            Wait::Until(then) if then > self.now => {
                self.outcome.holds.add(HoldReason::AdmissionPropagating, format!("PlacementPolicy {name}"));
                self.outcome.wake_at(Some(then));
                false
            }
            Wait::Until(_) => true,
        }
    }

    /// Whether a mutation of `present` is being written: what it will be is not known.
    fn is_writing_mutations(&self, present: &PresentObjects<'_>) -> bool {
        present
            .keys()
            .filter(|(kind, _)| !validates(*kind))
            .any(|(kind, name)| self.writes.is_in_flight(&WriteTarget::Admission(*kind, (*name).to_owned())))
    }

    fn set_finalizers(&mut self, name: &str, record: &DeclaredObject<PlacementPolicy>, finalizers: Vec<String>) {
        let version = record.meta.resource_version.clone();
        self.outcome.requests.push(WriteRequest::SetFinalizers { policy: name.to_owned(), finalizers, version });
    }

    /// Asks for those of the objects that `record` must have and that are `wanted`. Only then are they compiled in full.
    fn put(
        &mut self,
        name: &str,
        record: &DeclaredObject<PlacementPolicy>,
        present: &PresentObjects<'_>,
        wanted: &BTreeSet<&AdmissionKey>,
    ) {
        if wanted.is_empty() {
            return;
        }
        let Some(objects) = record.object.as_ref().ok().and_then(|object| objects_of(name, object, self.settings))
        else {
            return;
        };
        for (key, object) in objects.into_iter().filter(|(key, _)| wanted.contains(key)) {
            let version = present.get(&(key.0, key.1.as_str())).map(|found| found.version);
            self.outcome.requests.push(WriteRequest::PutAdmission { object: Box::new(object), version });
        }
    }

    /// Asks for the end of those of the `present` objects that are `surplus`, and says whether there are any.
    fn end(&mut self, present: &PresentObjects<'_>, surplus: impl Fn(AdmissionKind, &str) -> bool) -> bool {
        let mut any = false;
        for ((kind, name), found) in present.iter().filter(|((kind, name), _)| surplus(*kind, name)) {
            any = true;
            if !found.terminating {
                self.outcome.requests.push(WriteRequest::DeleteAdmission(*kind, (*name).to_owned(), found.version));
            }
        }
        any
    }
}

fn validates(kind: AdmissionKind) -> bool {
    match kind {
        AdmissionKind::Validation | AdmissionKind::ValidatingBinding => true,
        AdmissionKind::Mutation | AdmissionKind::MutatingBinding | AdmissionKind::Webhook => false,
    }
}

impl AdmissionReconciler {
    /// The policies on whose objects every API server acts, and what others lack.
    #[must_use]
    pub fn propagation(&self) -> Arc<Propagation> {
        Arc::clone(&self.propagation)
    }

    /// Looks at everything anew, by other settings.
    pub fn forget_compiled(&mut self) {
        self.compiled.clear();
        self.is_open = true;
    }

    /// What `record` must have; `None` where that cannot be said, so that what is there stays.
    fn compiled(
        &mut self,
        name: &str,
        record: &DeclaredObject<PlacementPolicy>,
        settings: &AdmissionSettings,
    ) -> Option<Arc<DesiredDigests>> {
        let object = record.object.as_ref().ok()?;
        let from = (record.meta.uid.clone(), record.meta.generation, settings.pool_labels.clone());
        if self.compiled.get(name).is_none_or(|known| known.from != from || from.1.is_none()) {
            let objects = objects_of(name, object, settings)?;
            let digests = objects.into_iter().map(|(key, object)| (key, (object.digest(), object.authorities())));
            let digests = Arc::new(digests.collect());
            self.compiled.insert(name.to_owned(), CompiledPolicy { from, digests });
        }
        self.compiled.get(name).map(|known| Arc::clone(&known.digests))
    }

    /// Makes admission what `record` says, and returns what it lacks; `None` where that cannot be said.
    fn keep(
        &mut self,
        pass: &mut AdmissionPass<'_>,
        name: &str,
        record: &DeclaredObject<PlacementPolicy>,
        present: &PresentObjects<'_>,
    ) -> Option<Vec<AdmissionFault>> {
        let finalizers = record.meta.finalizers.clone().unwrap_or_default();
        let is_held = finalizers.iter().any(|finalizer| finalizer == FINALIZER);
        if !is_held {
            let finalizers = finalizers.into_iter().chain([FINALIZER.to_owned()]).collect();
            pass.set_finalizers(name, record, finalizers);
        }
        let desired = self.compiled(name, record, pass.settings)?;
        let fault = |((kind, name), digest): (&AdmissionKey, &(u64, Option<u64>))| {
            fault_of(*kind, name, *digest, present.get(&(*kind, name.as_str())).copied())
        };
        let lacks: Vec<_> = desired.iter().filter_map(fault).collect();
        let lacking: BTreeSet<_> = lacks.iter().map(|fault| (fault.kind, fault.name.clone())).collect();
        let (validations, mutations): (BTreeSet<_>, BTreeSet<_>) =
            lacking.iter().partition(|(kind, _)| validates(*kind));
        if !is_held {
            return Some(lacks);
        }
        let progress = self.progress.entry(name.to_owned()).or_default();
        let is_surplus = |kind, name: &str| !desired.contains_key(&(kind, name.to_owned()));
        let lingers = present.keys().any(|(kind, name)| !validates(*kind) && is_surplus(*kind, name));
        progress.released.update(!lingers, pass.now);
        pass.is_over(name, progress.released.wait(ADMISSION_PROPAGATION));
        let mutates = desired.keys().any(|key| !validates(key.0));
        let by_webhook = desired.keys().any(|key| key.0 == AdmissionKind::Webhook);
        let is_mutated = mutates && mutations.is_empty() && !pass.is_writing_mutations(present);
        // Without an authority an API server would trust those of the web.
        if pass.awaits_authorities && mutations.iter().any(|(kind, _)| *kind == AdmissionKind::Webhook) {
            pass.outcome.holds.add(HoldReason::NoAuthority, format!("PlacementPolicy {name}"));
        } else {
            pass.put(name, record, present, &mutations);
        }
        progress.mutated.update(is_mutated, pass.now);
        // A validation that acts before its mutation would refuse what the mutation is about to complete.
        let is_completed = !mutates || pass.is_over(name, progress.mutated.wait(ADMISSION_PROPAGATION));
        progress.uncompleted.update(!is_completed, pass.now);
        let may_validate =
            is_completed || (by_webhook && pass.is_over(name, progress.uncompleted.wait(WEBHOOK_PATIENCE)));
        if may_validate {
            progress.enacted = Some(Arc::clone(&desired));
        }
        // What was in force before is restored at once, whatever became of the mutations.
        if may_validate || progress.enacted.as_ref() == Some(&desired) {
            pass.put(name, record, present, &validations);
        }
        let is_validated = may_validate && validations.is_empty();
        progress.validated.update(is_validated, pass.now);
        if pass.is_over(name, progress.validated.wait(ADMISSION_PROPAGATION)) {
            let any = pass.end(present, |kind, name| validates(kind) && is_surplus(kind, name));
            progress.tidied.update(!any, pass.now);
            if pass.is_over(name, progress.tidied.wait(ADMISSION_RELEASE)) {
                pass.end(present, is_surplus);
            }
        }
        Some(lacks)
    }

    /// Ends what is there of the policy `name`, which is being deleted or is gone.
    fn end(
        &mut self,
        pass: &mut AdmissionPass<'_>,
        name: &str,
        record: Option<&DeclaredObject<PlacementPolicy>>,
        present: &PresentObjects<'_>,
    ) {
        let progress = self.progress.entry(name.to_owned()).or_default();
        let any = pass.end(present, |kind, _| validates(kind));
        progress.freed.update(!any, pass.now);
        if !pass.is_over(name, progress.freed.wait(ADMISSION_RELEASE)) {
            return;
        }
        let any = pass.end(present, |_, _| true);
        progress.ended.update(!any, pass.now);
        let Some(record) = record else { return };
        if pass.is_over(name, progress.ended.wait(ADMISSION_RELEASE)) {
            let finalizers = record.meta.finalizers.iter().flatten();
            let others: Vec<String> = finalizers.clone().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
            if others.len() < finalizers.count() {
                pass.set_finalizers(name, record, others);
            }
        }
    }

    fn pass(&mut self, view: &ClusterView<'_>, now: Instant) -> ReconcileOutcome {
        let cache = view.cache;
        let settings = &AdmissionSettings { pool_labels: pool_labels(cache), ..view.settings.admission.clone() };
        let mut present: BTreeMap<&str, PresentObjects<'_>> = BTreeMap::new();
        // No policy has mutations of its own: one that is named so is somebody else's.
        for kind in AdmissionKind::ALL.into_iter().filter(|kind| *kind != AdmissionKind::Mutation) {
            for (name, found) in cache.admission.of(kind).iter() {
                if let Some(policy) = admission::policy_of(name) {
                    present.entry(policy).or_default().insert((kind, name), found);
                }
            }
        }
        let awaits_authorities = view.settings.is(OperatorComponent::Admission) && settings.awaits_authorities();
        let outcome = ReconcileOutcome::default();
        let mut pass = AdmissionPass { settings, awaits_authorities, now, writes: view.writes, outcome };
        let names: BTreeSet<&str> =
            cache.policies.iter().map(|(name, _)| name.as_str()).chain(present.keys().copied()).collect();
        let (mut policies, mut lingering, mut lacking) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        // Who only keeps admission sees no mutation.
        let compares = view.settings.is(OperatorComponent::Placement);
        let mut chart =
            if compares { faults_of_chart(&view.settings.installed, &view.cache.admission) } else { Vec::new() };
        let none = PresentObjects::new();
        self.known.extend(cache.policies.iter().map(|(name, _)| name.clone()));
        let is_orphan = |name: &&&str| cache.policies.iter().next().is_none() && !self.known.contains(**name);
        let orphaned: BTreeSet<String> = names.iter().filter(is_orphan).map(|name| (*name).to_owned()).collect();
        if compares {
            let objects =
                present.iter().filter(|(name, _)| orphaned.contains(**name)).flat_map(|(_, found)| found.keys());
            let fault = AdmissionFaultKind::Orphaned;
            chart.extend(objects.map(|(kind, name)| AdmissionFault { kind: *kind, name: (*name).to_owned(), fault }));
        }
        for name in names.iter().filter(|name| !orphaned.contains(**name)) {
            let present = present.get(name).unwrap_or(&none);
            match cache.policies.get(name) {
                Some(record) if !record.is_terminating() => {
                    let lacks = self.keep(&mut pass, name, record, present);
                    let holds = |of: fn(&PolicyProgress) -> HeldSince| {
                        let since = self.progress.get(*name).map(of).unwrap_or_default();
                        since.wait(ADMISSION_PROPAGATION).is_over(now)
                    };
                    let acts = holds(|progress| progress.validated);
                    if !holds(|progress| progress.released) {
                        lingering.insert((*name).to_owned());
                    }
                    // Of one that cannot be read what is there stays, and goes on acting.
                    if acts && lacks.as_ref().is_none_or(Vec::is_empty) {
                        policies.insert((*name).to_owned());
                    }
                    lacking.extend(lacks.filter(|lacks| !lacks.is_empty()).map(|lacks| ((*name).to_owned(), lacks)));
                }
                record => self.end(&mut pass, name, record, present),
            }
        }
        self.progress.retain(|name, _| names.contains(name.as_str()));
        self.compiled.retain(|name, _| names.contains(name.as_str()));
        let before = &self.propagation;
        let acts_alike = (&policies, &lingering) == (&before.policies, &before.lingering);
        let is_told_alike = (&policies, &lacking, &chart, &orphaned)
            == (&before.policies, &before.lacking, &before.chart, &before.orphaned);
        if !acts_alike || !is_told_alike {
            let (mut acting, mut revision) = (before.acting, before.revision);
            if !is_told_alike {
                revision.bump();
            }
            if !acts_alike {
                acting.bump();
            }
            self.propagation =
                Arc::new(Propagation { policies, lingering, lacking, chart, orphaned, acting, revision });
        }
        // Who only reads what admission is made of follows what becomes of it, and asks for nothing.
        if !view.settings.is(OperatorComponent::Admission) {
            pass.outcome.requests.clear();
        }
        pass.outcome
    }
}

impl Reconciler for AdmissionReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome {
        let (revisions, now) = (&view.cache.revisions, clocks.monotonic);
        let changed = self.seen.update((revisions.admission, revisions.policies, revisions.catalogue));
        if !changed && !self.is_open && self.wake.is_none_or(|wake| wake > now) {
            let mut outcome = ReconcileOutcome::default();
            outcome.wake_at(self.wake);
            outcome.holds.merge(&self.holds);
            return outcome;
        }
        let outcome = self.pass(view, now);
        self.is_open = !outcome.requests.is_empty();
        self.wake = outcome.wake;
        self.holds = Holds::default();
        self.holds.merge(&outcome.holds);
        outcome
    }

    /// What was asked for until now was not asked of this replica, and is asked for again. Its waits go on: what they
    /// wait for was seen, whoever did it.
    fn take_over(&mut self, _: &ClusterView<'_>) {
        self.is_open = true;
    }
}
