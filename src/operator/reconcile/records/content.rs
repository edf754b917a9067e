//! Record content: what a `WorkloadPlacement` should say of its workload.
//!
//! Takes what the planner judged and what the report found, and returns the status with the digest by which it is compared
//! with the record that is there. It holds no time but those of conditions that have changed.

use std::{collections::BTreeMap, hash::Hasher};

use fnv::FnvHasher;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    conditions,
    subject::{ConditionContent, RecordSubject},
};
use crate::api::{self, WorkloadPlacementStatus, limits};
use crate::operator::{
    evaluate::{cut, time, verdicts::MORE},
    reconcile::{migration::status::MigrationStatus, statuses::whole_seconds},
    watch::record::{CONDITIONS, RecordDigest, digest},
};
use rempart_core::{
    clearance::PoolClearance,
    plan::{PlacementOutcome, PlanContext, PlannedWorkload},
    reason::{Reason, RequirementSource},
    workload::WorkloadIdentity,
};

/// The name of the record of the workload `identity`.
#[must_use]
pub fn name(identity: &WorkloadIdentity) -> String {
    let whole = format!("{}-{}", identity.kind.as_str().to_ascii_lowercase(), identity.name);
    if whole.len() <= limits::OBJECT_NAME {
        return whole;
    }
    // Names of objects are ASCII; the mark tells those apart that begin alike.
    let mut hasher = FnvHasher::default();
    hasher.write(whole.as_bytes());
    let mark = format!("-{:016x}", hasher.finish());
    let kept = whole.get(..limits::OBJECT_NAME.saturating_sub(mark.len())).unwrap_or_default();
    format!("{}{mark}", kept.trim_end_matches(['-', '.']))
}

/// What a record should say.
#[derive(Clone, Debug)]
pub struct RecordContent {
    status: WorkloadPlacementStatus,
    /// What its [`CONDITIONS`] say.
    pub conditions: [ConditionContent; 3],
    /// The digest.
    pub digest: u64,
}

impl RecordContent {
    /// What the record of `subject`, which was judged to be `planned`, should say. `pool_of` tells the pool of a node, as
    /// its place among the pools. With `aside`, that comes first, and the judgement is what would be in Enforce.
    #[must_use]
    pub fn new<'a>(
        plan_context: PlanContext<'_, 'a>,
        planned: &PlannedWorkload<'a>,
        aside: Option<&str>,
        subject: &RecordSubject<'_, '_>,
        pool_of: &dyn Fn(&str) -> Option<usize>,
    ) -> Self {
        let PlannedWorkload { workload, judgement, outcome } = planned;
        let demand = plan_context.demand(planned);
        let allows = |index: usize| match demand {
            Some(demand) => demand.cleared.contains(&index),
            None => *outcome != PlacementOutcome::Refused,
        };
        let (allowed, rejected): (Vec<_>, Vec<_>) =
            (0..).zip(plan_context.pools()).partition(|(index, _)| allows(*index));
        let rejected = if demand.is_some() { rejected } else { Vec::new() };
        let omitted = rejected.len().saturating_sub(limits::REJECTED_POOLS);
        let reasons = |pool: &PoolClearance<'a>| demand.map(|demand| demand.reasons(pool)).unwrap_or_default();
        let rejected_pools = rejected
            .iter()
            .take(limits::REJECTED_POOLS)
            .map(|(_, pool)| api::RejectedPool { name: pool.pool.name.to_string(), reasons: listed(&reasons(pool)) });
        let providers = providers(plan_context, subject, pool_of);
        let said = [
            conditions::placeable(plan_context, planned, aside, subject),
            conditions::compliant(plan_context, planned, subject, pool_of),
            conditions::migrating(subject.migration, subject.misplaced),
        ];
        let policies = policies(planned);
        let identity = &workload.identity;
        let mut status = WorkloadPlacementStatus {
            workload: api::WorkloadReference { kind: identity.kind.to_string(), name: identity.name.to_string() },
            summary: summary(identity, &policies, &providers, &said),
            policies,
            categories: judgement.categories.iter().map(ToString::to_string).collect(),
            allowed_pools: (allowed.iter().take(limits::STATUS_LIST))
                .map(|(_, pool)| pool.pool.name.to_string())
                .collect(),
            rejected_pools: rejected_pools.collect(),
            rejected_pools_omitted: (omitted > 0).then(|| whole(omitted)),
            pods: api::PodCounts {
                total: whole(subject.pods.total),
                placed: whole(subject.pods.placed),
                pending: whole(subject.pods.total.saturating_sub(subject.pods.placed)),
                violating: whole(subject.pods.violating),
            },
            awaited_ready: subject.migration.awaited_ready.as_ref().map(|(_, ready)| whole(*ready)),
            violating_since: violating_since(subject.migration),
            providers,
            conditions: Vec::new(),
        };
        let conditions = CONDITIONS.iter().zip(&said).map(|(kind, said)| Condition {
            type_: (*kind).to_owned(),
            status: if said.holds { "True" } else { "False" }.to_owned(),
            reason: said.reason.to_owned(),
            message: cut(said.message.clone(), limits::MESSAGE),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        });
        status.conditions = conditions.collect();
        let digest = digest(&mut status);
        Self { status, conditions: said, digest }
    }

    /// What is to be written at `now`, where `before` is there: conditions that have not changed keep their times.
    #[must_use]
    pub fn status(mut self, before: Option<&RecordDigest>, now: &Time) -> WorkloadPlacementStatus {
        let since = before.map(|before| before.since).unwrap_or_default();
        for ((condition, said), since) in self.status.conditions.iter_mut().zip(&self.conditions).zip(since) {
            let kept = since.filter(|(held, _)| *held == said.holds);
            let kept = kept.and_then(|(_, seconds)| jiff::Timestamp::from_second(seconds).ok());
            condition.last_transition_time = kept.map_or_else(|| now.clone(), Time);
        }
        self.status
    }
}

/// Since when pods violate whose levels have a deadline, the first ones.
fn violating_since(migration: &MigrationStatus) -> Vec<api::ViolatingPod> {
    let violations = migration.violating.iter();
    let mut all: Vec<_> = violations
        .flat_map(|(pod, (uid, levels))| levels.iter().map(move |level| (level.since, pod, *uid, level)))
        .collect();
    all.sort();
    let first = all.into_iter().take(limits::VIOLATING_PODS);
    first
        .map(|(since, pod, uid, level)| api::ViolatingPod {
            pod: pod.clone(),
            uid: uid.to_string(),
            policy: level.policy.to_string(),
            level: level.level.to_string(),
            since: Some(time(whole_seconds(since))),
        })
        .collect()
}

fn whole(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

/// Reasons of one pool that are listed; the rest is counted.
const LISTED: usize = 8;

fn listed(reasons: &[Reason<'_>]) -> Vec<api::RejectionReason> {
    let entry = |reason: &Reason<'_>| {
        let (level, category) = match reason.demander {
            RequirementSource::Level(level) => (Some(level.to_string()), None),
            RequirementSource::Category(category) => (None, Some(category.to_string())),
        };
        api::RejectionReason {
            policy: Some(reason.policy.to_string()),
            level,
            category,
            reason: api::VerdictReason {
                code: reason.code().to_string(),
                message: cut(reason.to_string(), limits::MESSAGE),
            },
        }
    };
    let kept = if reasons.len() > LISTED { LISTED.saturating_sub(1) } else { LISTED };
    let more = reasons.len().saturating_sub(kept);
    let rest = (more > 0).then(|| api::RejectionReason {
        reason: api::VerdictReason { code: MORE.to_owned(), message: format!("and {more} further reasons") },
        ..api::RejectionReason::default()
    });
    reasons.iter().take(kept).map(entry).chain(rest).collect()
}

fn policies(planned: &PlannedWorkload<'_>) -> Vec<api::AppliedPolicy> {
    let PlannedWorkload { workload, judgement, .. } = planned;
    let mut found: BTreeMap<&str, api::AppliedPolicy> = BTreeMap::new();
    for levelled in &judgement.policies {
        let entry = api::AppliedPolicy {
            name: levelled.policy.name.to_string(),
            level: Some(levelled.level.to_string()),
            level_from: Some(levelled.source.to_string()),
            exception: levelled.exception.map(ToString::to_string),
            ..api::AppliedPolicy::default()
        };
        found.insert(levelled.policy.name.as_str(), entry);
    }
    for refused in &judgement.refusals {
        let name = refused.policy.name.as_str();
        let entry = found.entry(name).or_default();
        name.clone_into(&mut entry.name);
        let told = refused.refusal.told_of(workload.identity.kind).to_string();
        let said = entry.refusal.take().map_or(told.clone(), |before| format!("{before}; {told}"));
        entry.refusal = Some(cut(said, limits::MESSAGE));
    }
    found.into_values().collect()
}

fn providers(
    plan_context: PlanContext<'_, '_>,
    subject: &RecordSubject<'_, '_>,
    pool_of: &dyn Fn(&str) -> Option<usize>,
) -> Vec<api::ProviderPods> {
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    for (node, pods) in subject.nodes {
        if let Some(pool) = pool_of(node).and_then(|pool| plan_context.pool(pool)) {
            let count = found.entry(pool.provider.as_str()).or_default();
            *count = count.saturating_add(*pods);
        }
    }
    found.into_iter().map(|(name, pods)| api::ProviderPods { name: name.to_owned(), pods: whole(pods) }).collect()
}

fn summary(
    identity: &WorkloadIdentity,
    policies: &[api::AppliedPolicy],
    providers: &[api::ProviderPods],
    said: &[ConditionContent; 3],
) -> api::PlacementSummary {
    let level = |policy: &api::AppliedPolicy| {
        let level = policy.level.as_deref().unwrap_or("?");
        if policies.len() == 1 { level.to_owned() } else { format!("{}:{level}", policy.name) }
    };
    let mut from: Vec<_> = policies.iter().filter_map(|policy| policy.level_from.clone()).collect();
    from.dedup();
    let [placeable, compliant, migrating] = said;
    let told = match (placeable.holds, compliant.holds, migrating.holds) {
        (false, ..) => placeable,
        (_, false, _) => compliant,
        (_, _, true) => migrating,
        _ => placeable,
    };
    let line = |parts: Vec<String>| cut(parts.join(", "), limits::TEXT);
    api::PlacementSummary {
        workload: format!("{}/{}", identity.kind, identity.name),
        level: line(policies.iter().map(level).collect()),
        level_from: line(from),
        providers: line(providers.iter().map(|found| format!("{} {}", found.name, found.pods)).collect()),
        message: cut(told.message.clone(), limits::MESSAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rempart_core::workload::WorkloadKind;

    fn named(kind: WorkloadKind, name: &str) -> String {
        super::name(&WorkloadIdentity { namespace: "n".into(), kind, name: name.into() })
    }

    #[test]
    fn a_record_is_named_after_its_workload() {
        assert_eq!(named(WorkloadKind::StatefulSet, "db"), "statefulset-db");
        assert_eq!(named(WorkloadKind::Pod, "db.0"), "pod-db.0");
        let fits = "x".repeat(253 - "deployment-".len());
        assert_eq!(named(WorkloadKind::Deployment, &fits), format!("deployment-{fits}"));
    }

    #[test]
    fn names_that_do_not_fit_are_cut_and_told_apart() {
        let long = |end: &str| named(WorkloadKind::Deployment, &format!("{}{end}", "x".repeat(250)));
        let (one, other) = (long("a"), long("b"));
        assert!(one.len() <= 253 && other.len() <= 253 && one != other, "{one} {other}");
        assert_eq!(long("a"), one);
        // Where it is cut, no dot stands before the mark.
        let dotted = named(WorkloadKind::Deployment, &format!("{}.{}", "x".repeat(224), "y".repeat(28)));
        assert!(!dotted.contains(".-"), "{dotted}");
    }
}
