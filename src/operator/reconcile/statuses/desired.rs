//! Desired statuses: what the status of a provider, a pool and a policy should say.
//!
//! Takes the object with what the evaluation found of it, and returns the status. A condition keeps the time of the one
//! that is there where its status is the same, so that nothing is written that says nothing new.

use crate::api::conditions;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{self, PolicyMode, limits};
use crate::operator::{
    cache::{ClusterCache, DeclaredObject},
    evaluate::{ExpiryOutcome, PolicyFindings, PoolFindings, ProviderFindings, cut},
    reconcile::{
        admission::propagation::AdmissionFault,
        migration::breaker::stop_message,
        records::counts::{LevelCounts, UNJUDGED},
    },
    watch::node::PoolMembership,
};
use rempart_core::{
    name::PoolName,
    spread::{SpreadDemand, SpreadShortfall},
};

/// A condition before it is known since when it holds.
struct ConditionDraft {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

impl ConditionDraft {
    /// As a condition of `generation`. It keeps the time of `current` where the status is still the same.
    fn condition(self, current: &[Condition], generation: Option<i64>, now: &Time) -> Condition {
        let status = if self.holds { "True" } else { "False" };
        let since = api::find_condition(current, self.kind)
            .filter(|condition| condition.status == status)
            .map_or_else(|| now.clone(), |condition| condition.last_transition_time.clone());
        Condition {
            type_: self.kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message: cut(self.message, limits::MESSAGE),
            observed_generation: generation,
            last_transition_time: since,
        }
    }
}

/// How many of several things a message names before it counts the rest.
const NAMED: usize = 3;

/// `a, b, c and 4 more`.
fn some_of(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn problems(found: &[String]) -> String {
    found.join("; ")
}

/// The status that a `CloudProvider` should have.
#[must_use]
pub fn of_provider(
    record: &DeclaredObject<api::CloudProvider>,
    found: &ProviderFindings,
    now: &Time,
) -> api::CloudProviderStatus {
    let current = record.object.as_ref().ok().and_then(|object| object.status.as_ref());
    let ready = if found.problems.is_empty() {
        let message = format!("{} understood", counted(found.offers.len(), "offer"));
        ConditionDraft { kind: conditions::READY, holds: true, reason: conditions::UNDERSTOOD, message }
    } else {
        let message = format!("what is wrong counts as unknown and clears nothing: {}", problems(&found.problems));
        ConditionDraft { kind: conditions::READY, holds: false, reason: conditions::INVALID_ENTRIES, message }
    };
    let current = current.map_or(&[][..], |status| &status.conditions);
    api::CloudProviderStatus {
        conditions: vec![ready.condition(current, record.meta.generation, now)],
        offers: found.offers.clone(),
        next_expiry: found.next_expiry.clone(),
    }
}

/// `1 offer`, `2 offers`.
fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// What the nodes say about one pool.
#[derive(Clone, Debug, Default)]
pub struct NodeCensus {
    nodes: i32,
    ready: i32,
    disputed: Vec<String>,
    rivals: std::collections::BTreeSet<String>,
    unproven: Vec<String>,
}

/// Counts the nodes of every pool.
#[must_use]
pub fn census(cache: &ClusterCache) -> BTreeMap<PoolName, NodeCensus> {
    let mut pools: BTreeMap<PoolName, NodeCensus> = BTreeMap::new();
    for (name, node) in cache.nodes.iter() {
        match &node.membership {
            PoolMembership::None => {}
            PoolMembership::Of(pool) => {
                let census = pools.entry(pool.clone()).or_default();
                census.nodes = census.nodes.saturating_add(1);
                census.ready = census.ready.saturating_add(i32::from(node.ready));
            }
            PoolMembership::Disputed(claimants) => {
                for pool in claimants {
                    let census = pools.entry(pool.clone()).or_default();
                    census.disputed.push(name.clone());
                    census.rivals.extend(claimants.iter().filter(|rival| *rival != pool).map(ToString::to_string));
                }
            }
            PoolMembership::Unproven(claimants) => {
                for pool in claimants {
                    pools.entry(pool.clone()).or_default().unproven.push(name.clone());
                }
            }
        }
    }
    pools
}

/// The status that a `PlacementPool` should have.
#[must_use]
pub fn of_pool(
    record: &DeclaredObject<api::PlacementPool>,
    found: &PoolFindings,
    census: &NodeCensus,
    now: &Time,
) -> api::PlacementPoolStatus {
    let object = record.object.as_ref().ok();
    let current = object.and_then(|object| object.status.as_ref());
    let is_control_plane = is_of_control_plane(record);
    let prefix = object.and_then(|object| object.spec.provider_id_prefix.as_deref()).unwrap_or_default();
    let failed = |reason, message| ConditionDraft { kind: conditions::READY, holds: false, reason, message };
    let ready = if !found.problems.is_empty() {
        failed(conditions::INVALID_SPEC, format!("the pool claims no node: {}", problems(&found.problems)))
    } else if let Some((reason, message)) = &found.unresolved {
        failed(
            reason,
            if is_control_plane {
                format!("{message}; until then no pool is cleared for what counts the control plane in")
            } else {
                format!("{message}; until then the pool's nodes carry no stamp")
            },
        )
    } else if is_control_plane {
        let message =
            "provider, offer and zone are known; the control plane runs there, and no node is of the pool".to_owned();
        ConditionDraft { kind: conditions::READY, holds: true, reason: conditions::RESOLVED, message }
    } else if !census.disputed.is_empty() {
        let rivals: Vec<_> = census.rivals.iter().cloned().collect();
        failed(
            conditions::NODES_CLAIMED_TWICE,
            format!(
                "{} also claimed by {}, so by none: {}; make the nodeSelectors exclude each other",
                are(census.disputed.len()),
                some_of(&rivals),
                some_of(&census.disputed)
            ),
        )
    } else if !census.unproven.is_empty() {
        failed(
            conditions::PROVIDER_ID_MISMATCH,
            format!(
                "{} matched by nodeSelector without a spec.providerID that begins with {prefix:?}, so not of this pool: {}",
                are(census.unproven.len()),
                some_of(&census.unproven)
            ),
        )
    } else {
        let message = match usize::try_from(census.nodes) {
            Ok(0) => "provider, offer and zone are known; no node carries the labels of nodeSelector".to_owned(),
            nodes => format!("provider, offer and zone are known; {}", counted(nodes.unwrap_or_default(), "node")),
        };
        ConditionDraft { kind: conditions::READY, holds: true, reason: conditions::RESOLVED, message }
    };
    let current = current.map_or(&[][..], |status| &status.conditions);
    api::PlacementPoolStatus {
        nodes: Some(census.nodes),
        ready_nodes: Some(census.ready),
        verdicts: found.verdicts.clone(),
        exceptions: found.exceptions.clone(),
        next_expiry: found.next_expiry.clone(),
        conditions: vec![ready.condition(current, record.meta.generation, now)],
    }
}

/// Whether a pool says that it is of the control plane.
fn is_of_control_plane(record: &DeclaredObject<api::PlacementPool>) -> bool {
    record.object.as_ref().is_ok_and(|object| object.spec.role == Some(api::PoolRole::ControlPlane))
}

/// `1 node is`, `2 nodes are`.
fn are(nodes: usize) -> String {
    format!("{} {}", counted(nodes, "node"), if nodes == 1 { "is" } else { "are" })
}

/// What Rempart has done for a policy.
#[derive(Debug)]
pub struct EnforcementState<'a> {
    /// The admission policies and bindings that it should have and that are missing or altered.
    pub lacking: &'a [AdmissionFault],
    /// Those of the chart.
    pub chart: &'a [AdmissionFault],
    /// Whether API servers act on them.
    pub propagated: bool,
    /// Whether no namespace that exists is one of those that it governs.
    pub governs_nothing: bool,
    /// What runs of each of its levels, least sensitive first.
    pub level_counts: Option<&'a BTreeMap<String, LevelCounts>>,
    /// The moves that wait for an officer's word.
    pub stops: Vec<api::MoveStop>,
    /// What the nodes say about each pool.
    pub census: &'a BTreeMap<PoolName, NodeCensus>,
}

/// The status that a `PlacementPolicy` should have.
#[must_use]
pub fn of_policy(
    name: &str,
    record: &DeclaredObject<api::PlacementPolicy>,
    found: &PolicyFindings,
    state: EnforcementState<'_>,
    cache: &ClusterCache,
    now: &Time,
) -> api::PlacementPolicyStatus {
    let EnforcementState { lacking, chart, propagated, governs_nothing, level_counts, stops, census } = state;
    // As the scheduler has it: nodes that are not ready take nothing, and are none of those that pods are spread over.
    let can_take = |pool: &PoolName| census.get(pool).is_some_and(|census| census.ready > 0);
    let object = record.object.as_ref().ok();
    let ready = if record.is_terminating() {
        let message = "the policy is being deleted: admission lets go of it, and strips its keys".to_owned();
        ConditionDraft { kind: conditions::READY, holds: false, reason: conditions::DELETING, message }
    } else if found.problems.is_empty() {
        let message = format!(
            "{} and {} judged for {}",
            counted(found.levels.len(), "level"),
            if found.categories.len() == 1 {
                "1 category".to_owned()
            } else {
                format!("{} categories", found.categories.len())
            },
            counted(cache.pools.iter().filter(|(_, record)| !is_of_control_plane(record)).count(), "pool")
        );
        let ended = found.exceptions.iter().filter(|exception| !exception.in_force);
        let ended: Vec<_> = ended.map(|found| format!("{} with {}", found.name, found.until)).collect();
        let message = match ended.len() {
            0 => message,
            1 => format!("{message}; an exception has ended and can be removed: {}", some_of(&ended)),
            many => format!("{message}; {many} exceptions have ended and can be removed: {}", some_of(&ended)),
        };
        if found.dangling.is_empty() {
            ConditionDraft { kind: conditions::READY, holds: true, reason: conditions::EVALUATED, message }
        } else {
            let message = format!("{message}; nothing in the catalogue is named {}", found.dangling.join(", "));
            ConditionDraft { kind: conditions::READY, holds: true, reason: conditions::UNKNOWN_NAMES, message }
        }
    } else {
        let what = if found.is_unread {
            "the policy cannot be evaluated and clears nothing"
        } else {
            "places are judged by all that the policy demands, and what is wrong counts as not said, where a window never opens"
        };
        let message = format!("{what}: {}", problems(&found.problems));
        ConditionDraft { kind: conditions::READY, holds: false, reason: conditions::INVALID_SPEC, message }
    };
    let mut enforced =
        enforced(name, object.map(|object| object.spec.mode), record.is_terminating(), propagated, lacking, chart);
    if governs_nothing && !record.is_terminating() {
        enforced.message.push_str("; no namespace that exists is governed by it: see spec.namespaceSelector");
    }
    if matches!(enforced.reason, conditions::MODE_WARN | conditions::MODE_AUDIT) {
        enforced.message.push_str(&kept_keys(level_counts));
    }
    let current = object.and_then(|object| object.status.as_ref()).map_or(&[][..], |status| &status.conditions);
    let generation = record.meta.generation;
    let stopped = stopped(name, &stops);
    let mut levels = found.levels.clone();
    let running = |level: &str| level_counts.and_then(|counts| counts.get(level));
    for level in &mut levels {
        if let Some(running) = running(&level.name) {
            (level.workloads, level.violating_pods) = (Some(running.workloads), Some(running.violating));
        }
    }
    for demand in &found.spreads {
        let available = demand.available(can_take).len();
        if let Some(level) = levels.iter_mut().find(|level| level.name == demand.level.as_str()) {
            level.spread = Some(api::SpreadStatus {
                demanded: demand.spread.needed().into(),
                available: i32::try_from(available).unwrap_or(i32::MAX),
            });
        }
    }
    let shortfalls: Vec<_> = found.spreads.iter().filter_map(|demand| demand.shortfall(can_take)).collect();
    let unjudged_pods = running(UNJUDGED).map(|running| running.violating).filter(|pods| *pods > 0);
    api::PlacementPolicyStatus {
        levels,
        categories: found.categories.clone(),
        exceptions: found.exceptions.clone(),
        next_change: found.next_change.clone(),
        unjudged_pods,
        conditions: [
            Some(ready),
            Some(enforced),
            Some(stopped),
            ending(found),
            satisfiable(&found.spreads, &shortfalls),
        ]
        .into_iter()
        .flatten()
        .map(|verdict| verdict.condition(current, generation, now))
        .collect(),
        stops,
    }
}

fn stopped(name: &str, stops: &[api::MoveStop]) -> ConditionDraft {
    match stops {
        [] => ConditionDraft {
            kind: conditions::MOVE_STOPPED,
            holds: false,
            reason: conditions::NOTHING_STOPPED,
            message: "pods that must move do so by themselves".to_owned(),
        },
        stops => ConditionDraft {
            kind: conditions::MOVE_STOPPED,
            holds: true,
            reason: conditions::TOO_MANY_AT_ONCE,
            message: stops.iter().map(|stop| stop_message(name, stop)).collect::<Vec<_>>().join("; "),
        },
    }
}

/// Whether there is what pods must be spread over; nothing where no level demands any.
fn satisfiable(spreads: &[SpreadDemand], shortfalls: &[SpreadShortfall<'_>]) -> Option<ConditionDraft> {
    let kind = conditions::SPREAD_SATISFIABLE;
    if spreads.is_empty() {
        return None;
    }
    if shortfalls.is_empty() {
        let message = format!("the pods of {} can be spread as demanded", counted(spreads.len(), "level"));
        return Some(ConditionDraft { kind, holds: true, reason: conditions::ENOUGH_DOMAINS, message });
    }
    let message = shortfalls.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Some(ConditionDraft { kind, holds: false, reason: conditions::TOO_FEW_DOMAINS, message })
}

/// Whether pools of the policy's levels are near their end; nothing where no level has a lead time.
fn ending(found: &PolicyFindings) -> Option<ConditionDraft> {
    let kind = conditions::QUALIFICATION_ENDING;
    let Some(first) = found.endings.first() else {
        let message = "no pool that is cleared ends within the lead time of a level".to_owned();
        return found.has_lead.then_some(ConditionDraft {
            kind,
            holds: false,
            reason: conditions::NONE_ENDING,
            message,
        });
    };
    let reason = match first.outcome {
        ExpiryOutcome::ControlPlane => conditions::CONTROL_PLANE_ENDING,
        ExpiryOutcome::Last => conditions::LAST_POOL_ENDING,
        ExpiryOutcome::Leaving => conditions::POOLS_LEAVING,
        ExpiryOutcome::Reported => conditions::REPORTED,
    };
    let shown: Vec<&str> = found.endings.iter().take(NAMED).map(|ending| ending.message.as_str()).collect();
    let message = match found.endings.len().saturating_sub(NAMED) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    };
    Some(ConditionDraft { kind, holds: true, reason, message })
}

/// What to add where workloads keep keys of a policy that left Enforce: nobody takes them away.
fn kept_keys(level_counts: Option<&BTreeMap<String, LevelCounts>>) -> String {
    let keeping: i32 = level_counts.into_iter().flat_map(BTreeMap::values).map(|running| running.keeping).sum();
    let number = usize::try_from(keeping).unwrap_or_default();
    if number == 0 {
        return String::new();
    }
    let (keep, go) = if number == 1 { ("keeps", "its pods") } else { ("keep", "their pods") };
    format!("; {} {keep} its keys in spec.nodeSelector, and {go} still go where those say", counted(number, "workload"))
}

fn enforced(
    name: &str,
    mode: Option<PolicyMode>,
    ending: bool,
    propagated: bool,
    lacking: &[AdmissionFault],
    chart: &[AdmissionFault],
) -> ConditionDraft {
    let not = |reason, message| ConditionDraft { kind: conditions::ENFORCED, holds: false, reason, message };
    // The last of them, and no number: as objects are made in their order, one by one, the message stays what it is.
    let named = |faults: &[AdmissionFault]| {
        let last: Vec<_> = faults.iter().rev().take(NAMED).map(ToString::to_string).collect();
        format!("{}{}", last.join(", "), if faults.len() > NAMED { " and others" } else { "" })
    };
    match mode {
        _ if ending => not(conditions::DELETING, "the policy is being deleted and refuses nothing".to_owned()),
        _ if !chart.is_empty() => not(
            conditions::INSTALLATION_DIFFERS,
            format!(
                "not as the chart installs it: {}; delete what is altered or foreign, then upgrade the release to its own \
                 version again",
                named(chart)
            ),
        ),
        _ if !lacking.is_empty() => not(
            conditions::ADMISSION_DIFFERS,
            format!("not as the policy says: {}; rempart-admission restores it, if it runs", named(lacking)),
        ),
        None => not(
            conditions::UNDECODABLE,
            format!("PlacementPolicy {name} cannot be decoded; admission goes on as it was"),
        ),
        Some(PolicyMode::Enforce) if !propagated => not(
            conditions::SETTLING,
            "admission policies and bindings are in place, and API servers are taking them up".to_owned(),
        ),
        Some(PolicyMode::Enforce) => ConditionDraft {
            kind: conditions::ENFORCED,
            holds: true,
            reason: conditions::BOUND,
            message: "pods are placed and violations refused, inside the API server".to_owned(),
        },
        Some(PolicyMode::Warn) => not(
            conditions::MODE_WARN,
            "mode is Warn: applying users are warned, nothing is altered or refused".to_owned(),
        ),
        Some(PolicyMode::Audit) => {
            not(conditions::MODE_AUDIT, "mode is Audit: the audit log has it, nothing is altered or refused".to_owned())
        }
    }
}
