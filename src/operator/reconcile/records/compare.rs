//! Record comparison: every workload with the record that is there, and what is to be written where they differ.
//!
//! Takes the entries of a view and the memory of the reconciler, and fills its list of requests. What a record follows
//! from is kept as a number, so that a workload of which nothing has changed is not planned again.

use crate::api::conditions;
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    ops::Bound,
    time::Instant,
};

use serde_json::json;

use super::{
    LoweredLevel, PACE, RecordReconciler, RecordWrite, VerifiedRecord,
    content::RecordContent,
    entry::{EntrySource, RecordEntry, exists},
    subject::{ConditionContent, RecordSubject},
};
use crate::{
    api,
    operator::{
        cache::ClusterCache,
        evaluate::{Evaluation, time},
        reconcile::{
            migration::status::{MigrationStatus, MigrationStatuses},
            statuses::whole_seconds,
        },
        watch::{node::PoolMembership, record::RecordDigest},
        write::{EventRequest, WriteRequest},
    },
};
use rempart_core::{
    clearance::PoolClearance,
    cluster_objects::{ClusterObjects, split},
    instant::Timestamp,
    namespace::NamespaceFacts,
    plan::{
        ClusterSource, NodeOwnership, PlacementOutcome, PlanAssumptions, PlannedWorkload, Planner, UnrestrictedReason,
    },
    selector::LabelSource,
    sensitivity::SensitivitySource,
    workload::Workload,
};

/// Records that wait, worked out, to be written.
const READY: usize = 256;
/// Records that are ended at a time, before others are written.
const ENDED: usize = 64;
/// Workloads that are judged at a time.
const CHUNK: usize = 128;

/// The cluster as it is followed.
pub(super) struct CachedCluster<'a> {
    pub(super) evaluation: &'a Evaluation,
    pub(super) cache: &'a ClusterCache,
    pub(super) exempt: &'a BTreeSet<String>,
}

impl ClusterSource for CachedCluster<'_> {
    fn world(&self) -> &rempart_core::clearance::ClearanceInput {
        &self.evaluation.world
    }

    fn namespace(&self, name: &str) -> NamespaceFacts<'_> {
        NamespaceFacts::of_cluster(self.cache.namespaces.live(), self.exempt, name)
    }

    fn labels_of(&self, node: &str) -> Option<&dyn LabelSource> {
        self.cache.nodes.get(node).map(|node| node as &dyn LabelSource)
    }
}

/// What the record of `entry` follows from, beside what all do, as a number.
fn inputs(entry: &RecordEntry<'_, '_>, base: u64, migration: &MigrationStatus, cluster: &CachedCluster<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let (tally, nodes, misplaced) = entry.pods();
    (base, entry.uid, tally, nodes, migration).hash(&mut hasher);
    for pod in misplaced {
        (pod.key, &pod.pod.node, &*pod.compliance).hash(&mut hasher);
        pod.requirements.refusal().map(ToString::to_string).hash(&mut hasher);
    }
    match &entry.of {
        EntrySource::Controller(found, _) => {
            (&found.statement, &found.template_statements, &found.node_requirements, found.owner.is_some())
                .hash(&mut hasher);
        }
        EntrySource::Pod(_, found, _) => (&found.statements, &found.node_requirements).hash(&mut hasher),
    }
    cluster.cache.namespaces.get(&entry.identity.namespace).map(|known| &known.labels).hash(&mut hasher);
    hasher.finish()
}

/// What there is to tell of a workload whose record was `before`.
fn events(
    entry: &RecordEntry<'_, '_>,
    before: Option<&RecordDigest>,
    said: &[ConditionContent; 3],
    lowered: &[LoweredLevel],
    at: Timestamp,
) -> Vec<EventRequest> {
    let held =
        |index: usize| before.and_then(|before| before.since.get(index).copied().flatten()).map(|(held, _)| held);
    let [placeable, compliant, migrating] = said;
    let blocked = !placeable.holds && held(0) != Some(false);
    // Of what is seen for the first time nobody knows whether it ever stood right.
    let lost = !compliant.holds && held(1) == Some(true);
    let stopped = migrating.reason == conditions::MOVE_STOPPED && !before.is_some_and(|before| before.stopped);
    let of = |reason, note| EventRequest::of_workload(&entry.identity, entry.uid, reason, note, at);
    let lowered = lowered.iter().map(|LoweredLevel { policy, from, to, source, .. }| {
        let says = match source {
            SensitivitySource::Namespace => "as its namespace says",
            SensitivitySource::Workload => "as the workload says",
            SensitivitySource::Pod => "as its pod template says",
            SensitivitySource::Default => "the default of the policy, since nothing says otherwise",
            SensitivitySource::Minimum => "the minimum of the policy",
        };
        let note = format!("its level under PlacementPolicy {policy} was {from} and is {to} now, {says}");
        of(conditions::LEVEL_LOWERED, note)
    });
    [
        (blocked, conditions::PLACEMENT_BLOCKED, placeable),
        (lost, conditions::CLEARANCE_LOST, compliant),
        (stopped, conditions::MOVE_STOPPED, migrating),
    ]
    .into_iter()
    .filter(|(due, ..)| *due)
    .map(|(_, reason, said)| of(reason, said.message.clone()))
    .chain(lowered)
    .collect()
}

fn body(name: &str, entry: &RecordEntry<'_, '_>, status: &api::WorkloadPlacementStatus) -> serde_json::Value {
    let (namespace, name) = split(name);
    json!({
        "apiVersion": format!("{}/{}", api::GROUP, api::VERSION),
        "kind": "WorkloadPlacement",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "ownerReferences": [{
                "apiVersion": entry.identity.kind.api_version(),
                "kind": entry.identity.kind.as_str(),
                "name": &*entry.identity.name,
                "uid": entry.uid.to_string(),
                "controller": false,
                "blockOwnerDeletion": false,
            }],
        },
        "status": status,
    })
}

/// One look at everything.
pub(super) struct RecordComparison<'e, 's, 'a> {
    pub(super) entries: &'e BTreeMap<String, RecordEntry<'s, 'a>>,
    pub(super) cluster: &'e CachedCluster<'a>,
    pub(super) migrations: &'e MigrationStatuses,
    pub(super) at: Timestamp,
    pub(super) now: Instant,
}

impl RecordComparison<'_, '_, '_> {
    /// Works out what is to be written, and returns what is to be told of records that say it already.
    pub(super) fn compare(&self, records: &mut RecordReconciler) -> Vec<EventRequest> {
        let Self { entries, cluster, migrations, at, now } = *self;
        records.asked.retain(|_, asked| *asked + PACE > now);
        records.schedule.begin(now, PACE);
        records.has_more = false;
        records.ready.clear();
        let pools = cluster.evaluation.clearances(at);
        let nodes = nodes(cluster.cache, &pools);
        let base = base(cluster);
        let (mut changed, mut told) = (Vec::new(), Vec::new());
        let after = entries.range::<String, _>((Bound::Excluded(&records.cursor), Bound::Unbounded));
        let until = entries.range::<String, _>((Bound::Unbounded, Bound::Included(&records.cursor)));
        for (name, entry) in after.chain(until) {
            let migration = entry.migration(migrations);
            let from = inputs(entry, base, &migration, cluster);
            let record = cluster.cache.records.get(name).map(|record| record.version);
            if record.is_some_and(|record| records.verified.get(name) == Some(&VerifiedRecord { from, record })) {
                continue;
            }
            if records.asked.contains_key(name) {
                // Written a moment ago: it is compared again the next time.
                records.schedule.mark_due();
                continue;
            }
            changed.push((name, entry, migration, from));
        }
        for chunk in changed.chunks(CHUNK) {
            if records.ready.len() >= READY {
                records.has_more = true;
                break;
            }
            let workloads: Vec<Workload> = chunk.iter().map(|(_, entry, ..)| entry.workload()).collect();
            let mut composer = RecordComposer::new(cluster, &pools, &nodes);
            for ((name, entry, migration, from), workload) in chunk.iter().zip(&workloads) {
                let before = cluster.cache.records.get(name);
                let (content, lowered) = composer.compose(workload, entry, migration, before);
                if let Some(before) = before
                    && (before.digest, before.owner) == (content.digest, entry.uid)
                {
                    let verified = VerifiedRecord { from: *from, record: before.version };
                    records.verified.insert((*name).clone(), verified);
                    told.extend(records.untold.remove(*name).unwrap_or_default());
                    continue;
                }
                let events = events(entry, before, &content.conditions, &lowered, at);
                let body = body(name, entry, &content.status(before, &time(whole_seconds(at))));
                let request = WriteRequest::ApplyRecord((*name).clone(), body);
                records.ready.push_back(RecordWrite { request, events, lowered });
            }
        }
        told
    }

    /// Has records ended whose workloads no policy governs any more: some of them before anything is written, so that
    /// neither holds up the other.
    pub(super) fn end(&self, objects: &ClusterObjects<'_>, records: &mut RecordReconciler) {
        let surplus = self.cluster.cache.records.iter().filter(|(name, _)| !self.entries.contains_key(*name));
        let (asked, ready) = (&records.asked, &mut records.ready);
        // With its workload it is ended by the garbage collector.
        let is_left = |(name, found): &(&String, &RecordDigest)| {
            !asked.contains_key(*name) && (found.is_orphaned || exists(objects, name, found.owner))
        };
        let mut ended = surplus.filter(is_left);
        for (name, found) in ended.by_ref().take(ENDED) {
            let request = WriteRequest::DeleteRecord(name.clone(), found.version);
            ready.push_front(RecordWrite { request, events: Vec::new(), lowered: Vec::new() });
        }
        records.has_more |= ended.next().is_some();
    }
}

/// Whose each node is.
fn nodes<'a>(cache: &'a ClusterCache, pools: &[PoolClearance<'_>]) -> BTreeMap<&'a str, NodeOwnership> {
    let places: BTreeMap<_, _> = pools.iter().enumerate().map(|(place, pool)| (&pool.pool.name, place)).collect();
    let of = |membership: &PoolMembership| match membership {
        PoolMembership::Of(pool) => places.get(pool).map_or(NodeOwnership::Nobody, |place| NodeOwnership::Pool(*place)),
        PoolMembership::Disputed(_) => NodeOwnership::Disputed,
        PoolMembership::None | PoolMembership::Unproven(_) => NodeOwnership::Nobody,
    };
    cache.nodes.iter().map(|(name, node)| (name.as_str(), of(&node.membership))).collect()
}

/// What all records follow from, as a number.
fn base(cluster: &CachedCluster<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    cluster.evaluation.serial.hash(&mut hasher);
    for (name, node) in cluster.cache.nodes.iter() {
        name.hash(&mut hasher);
        node.hash_place(&mut hasher);
    }
    hasher.finish()
}

/// What the record `before` says otherwise of the level of a workload that was judged to be `planned`, where that was a higher one.
fn lowered(planned: &PlannedWorkload<'_>, before: Option<&RecordDigest>) -> Vec<LoweredLevel> {
    let Some(before) = before else { return Vec::new() };
    let lowered = planned.judgement.policies.iter().filter_map(|now| {
        let policy = now.policy.name.as_str();
        let mut above = now.policy.levels.iter().skip(now.rank.saturating_add(1)).map(|level| level.name.as_str());
        let from = above.find(|level| before.says_level(policy, level))?;
        let to = now.level.to_string();
        let workload = planned.workload.identity.clone();
        Some(LoweredLevel { workload, policy: policy.to_owned(), from: from.to_owned(), to, source: now.source })
    });
    lowered.collect()
}

/// Judges workloads, and works out what their records should say.
struct RecordComposer<'a, 'p> {
    nodes: &'p BTreeMap<&'a str, NodeOwnership>,
    planner: Planner<'a, 'p>,
    /// As if every policy were in Enforce.
    enforced: Planner<'a, 'p>,
}

impl<'a, 'p> RecordComposer<'a, 'p> {
    fn new(
        cluster: &'a CachedCluster<'a>,
        pools: &'p [PoolClearance<'a>],
        nodes: &'p BTreeMap<&'a str, NodeOwnership>,
    ) -> Self {
        let planner = |assume| Planner::new(cluster, assume, pools, nodes);
        Self {
            nodes,
            planner: planner(PlanAssumptions::default()),
            enforced: planner(PlanAssumptions { enforced: true }),
        }
    }

    fn compose(
        &mut self,
        workload: &'a Workload,
        entry: &RecordEntry<'_, '_>,
        migration: &MigrationStatus,
        before: Option<&RecordDigest>,
    ) -> (RecordContent, Vec<LoweredLevel>) {
        let before = before.filter(|before| before.owner == entry.uid);
        let (pods, nodes, misplaced) = entry.pods();
        let subject = RecordSubject { pods, nodes: &nodes, misplaced: &misplaced, migration };
        let pool_of = |node: &str| match self.nodes.get(node) {
            Some(NodeOwnership::Pool(pool)) => Some(*pool),
            _ => None,
        };
        let planned = self.planner.workload(workload);
        if planned.outcome != PlacementOutcome::Unrestricted(UnrestrictedReason::NotEnforced) {
            let content = RecordContent::new(self.planner.plan_context(), &planned, None, &subject, &pool_of);
            return (content, lowered(&planned, before));
        }
        // What a policy that only watches would do is what it is there to tell.
        let aside = self.planner.plan_context().message(&planned, Some(&pods));
        let planned = self.enforced.workload(workload);
        let content = RecordContent::new(self.enforced.plan_context(), &planned, Some(&aside), &subject, &pool_of);
        (content, lowered(&planned, before))
    }
}
