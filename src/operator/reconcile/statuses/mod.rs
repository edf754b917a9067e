//! Status reconciler: the statuses of providers, pools and policies.
//!
//! It compares those that they have with those that they should have, at a pace, and asks for the difference. Where an
//! object cannot be decoded, and so cannot be compared with, what was last written stands in for it.

mod desired;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use self::desired::{EnforcementState, NodeCensus, census, of_policy, of_pool, of_provider};
use super::{
    CycleClocks, ReconcileOutcome, Reconciler, migration::breaker::CircuitBreaker, records::counts::PolicyLevelCounts,
    schedule::ComparisonSchedule, view::ClusterView,
};
use crate::api::{self, PlacementPolicy, PlacementPolicyStatus, conditions};
use crate::operator::{
    cache::{DeclaredObject, LastSeen, Revision},
    evaluate::time,
    metrics::Metrics,
    names::FINALIZER,
    write::{EventRequest, WriteRequest, WriteTarget},
};
use rempart_core::{instant::Timestamp, namespace::NamespaceFacts};

/// How often statuses are compared while things keep changing.
const PACE: Duration = Duration::from_millis(500);

/// The revisions of everything that statuses follow from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StatusRevisions {
    evaluation: u64,
    propagation: Revision,
    declared_objects: Revision,
    node_objects: Revision,
    pool_membership: Revision,
    admission: Revision,
    records: Revision,
    namespaces: Revision,
    breaker: Option<Revision>,
    level_counts: PolicyLevelCounts,
}

impl StatusRevisions {
    fn of(view: &ClusterView<'_>) -> Self {
        let revisions = &view.cache.revisions;
        Self {
            evaluation: view.evaluation.serial,
            propagation: view.propagation.revision,
            declared_objects: revisions.declared_objects,
            node_objects: revisions.node_objects,
            pool_membership: revisions.pool_membership,
            admission: revisions.admission,
            records: revisions.records,
            namespaces: revisions.namespaces,
            breaker: view.breaker.map(CircuitBreaker::revision),
            level_counts: view.level_counts.cloned().unwrap_or_default(),
        }
    }
}

/// What is remembered of statuses.
#[derive(Default)]
pub struct StatusReconciler {
    seen: LastSeen<StatusRevisions>,
    schedule: ComparisonSchedule,
    /// The last status asked for of an object that cannot be decoded; without times.
    said: BTreeMap<WriteTarget, serde_json::Value>,
    /// By policy, what was last said of whether its pods can be spread.
    spread: BTreeMap<String, String>,
    metrics: Metrics,
}

impl StatusReconciler {
    /// One that has compared no status.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// A write that was due is not made now, or has failed: its status is compared again, and where it waits out failures
    /// when these are over.
    pub fn put_off(&mut self, target: &WriteTarget, not_before: Option<Instant>) {
        if !target.is_status() {
            return;
        }
        self.said.remove(target);
        self.schedule.put_off(not_before);
    }

    fn compare(&mut self, view: &ClusterView<'_>, at: Timestamp, outcome: &mut ReconcileOutcome) {
        let due = &mut outcome.requests;
        let (cache, evaluation) = (view.cache, view.evaluation);
        let stamp = time(whole_seconds(at));
        let census = census(cache);
        self.metrics.set_object_counts(cache, view.settings);
        for (name, record) in cache.providers.iter() {
            let Some(found) = evaluation.providers.get(name) else { continue };
            let desired = of_provider(record, found, &stamp);
            let current = record.object.as_ref().map(|object| object.status.as_ref());
            due.extend(
                self.difference(&desired, current, |status| WriteRequest::ApplyProviderStatus(name.clone(), status)),
            );
        }
        for (name, record) in cache.pools.iter() {
            let Some(found) = evaluation.pools.get(name) else { continue };
            let empty = NodeCensus::default();
            let desired = of_pool(record, found, census.get(name.as_str()).unwrap_or(&empty), &stamp);
            let current = record.object.as_ref().map(|object| object.status.as_ref());
            due.extend(
                self.difference(&desired, current, |status| WriteRequest::ApplyPoolStatus(name.clone(), status)),
            );
        }
        for (name, record) in cache.policies.iter() {
            let Some(found) = evaluation.policies.get(name) else { continue };
            // Its finalizer is written first, and follows from the version that a status would alter.
            if !record.is_terminating()
                && !record.meta.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
            {
                continue;
            }
            let governs_nothing = evaluation.world.policies.iter().any(|(known, policy)| {
                let mut namespaces = cache.namespaces.live().keys();
                let governs = |name: &String| {
                    NamespaceFacts::of_cluster(cache.namespaces.live(), view.exempt(), name).governed_by(policy, name)
                };
                known.as_str() == name && !namespaces.any(governs)
            });
            let state = EnforcementState {
                governs_nothing,
                lacking: view.propagation.lacking.get(name).map(Vec::as_slice).unwrap_or_default(),
                chart: &view.propagation.chart,
                propagated: view.propagation.policies.contains(name),
                level_counts: view.level_counts.and_then(|counts| counts.get(name)),
                stops: view.breaker.map(|breaker| breaker.of(name)).unwrap_or_default(),
                census: &census,
            };
            let desired = of_policy(name, record, found, state, cache, &stamp);
            let current = record.object.as_ref().map(|object| object.status.as_ref());
            outcome.events.extend(self.spread_event(name, record, &desired, at));
            let due = &mut outcome.requests;
            due.extend(
                self.difference(&desired, current, |status| WriteRequest::ApplyPolicyStatus(name.clone(), status)),
            );
        }
    }

    /// Tells of a policy whose demand for spread can be met no more, or can be again. What its status says already, as of an
    /// earlier leader, is no news.
    fn spread_event(
        &mut self,
        name: &str,
        record: &DeclaredObject<PlacementPolicy>,
        desired: &PlacementPolicyStatus,
        at: Timestamp,
    ) -> Option<EventRequest> {
        let found = api::find_condition(&desired.conditions, conditions::SPREAD_SATISFIABLE)?;
        let written = record.object.as_ref().ok().and_then(|object| object.status.as_ref());
        let written =
            written.and_then(|status| api::find_condition(&status.conditions, conditions::SPREAD_SATISFIABLE));
        let before = self.spread.insert(name.to_owned(), found.message.clone());
        let before = before.as_ref().or_else(|| written.map(|written| &written.message));
        let is_met = found.status == "True";
        if before == Some(&found.message) || (is_met && before.is_none()) {
            return None;
        }
        let (uid, note) = (record.meta.uid.clone(), found.message.clone());
        Some(if is_met {
            EventRequest::of_policy(name, uid, conditions::ENOUGH_DOMAINS, note, at)
        } else {
            EventRequest::warning_of_policy(name, uid, conditions::TOO_FEW_DOMAINS, note, at)
        })
    }

    /// The request for `desired` where it is not `current`.
    fn difference<S: serde::Serialize + PartialEq>(
        &mut self,
        desired: &S,
        current: Result<Option<&S>, &String>,
        request: impl FnOnce(serde_json::Value) -> WriteRequest,
    ) -> Option<WriteRequest> {
        if current == Ok(Some(desired)) {
            return None;
        }
        let value = serde_json::to_value(desired).ok()?;
        let said = current.is_err().then(|| timeless(value.clone()));
        let request = request(value);
        match said {
            Some(said) if self.said.get(&request.target()) == Some(&said) => return None,
            Some(said) => drop(self.said.insert(request.target(), said)),
            None => drop(self.said.remove(&request.target())),
        }
        Some(request)
    }
}

impl Reconciler for StatusReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome {
        let mut outcome = ReconcileOutcome::default();
        if self.seen.update(StatusRevisions::of(view)) {
            self.schedule.mark_due();
        }
        if self.schedule.is_time(clocks.monotonic) {
            self.schedule.begin(clocks.monotonic, PACE);
            self.compare(view, clocks.wall, &mut outcome);
        }
        self.schedule.report(&mut outcome);
        outcome
    }

    fn take_over(&mut self, _: &ClusterView<'_>) {
        *self = Self::new(self.metrics.clone());
    }
}

/// `status` without the times of its conditions: where they cannot be read they are those of every new look.
fn timeless(mut status: serde_json::Value) -> serde_json::Value {
    let conditions = status.get_mut("conditions").and_then(serde_json::Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(serde_json::Value::as_object_mut) {
        condition.remove("lastTransitionTime");
    }
    status
}

/// `at` without fractions of a second: conditions are written down to the second.
#[must_use]
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.timestamp().as_second())
}
