//! Impact document: `rempart.dev/impact/v1`.
//!
//! Takes an impact and its two plans, and borrows them until it is written.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    WorkloadNameRow,
    ignored::{UnjudgedRow, UnreadRow},
};
use crate::report::{
    entries::{NAMESPACE, ObjectName},
    location::IgnoredKinds,
};
use rempart_core::{impact::PlanImpact, name::PoolName, plan::Plan, reason::RequirementSource};

/// What an edit, or time, changes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "rempart impact")]
pub struct ImpactReport<'p> {
    /// What this document is, with its version.
    #[schemars(extend("const" = "rempart.dev/impact/v1"))]
    api_version: &'static str,
    /// The instant at which the state before was judged (UTC).
    #[schemars(extend("format" = "date-time"))]
    from: String,
    /// The instant at which the state after was judged (UTC).
    #[schemars(extend("format" = "date-time"))]
    to: String,
    /// The levels of each policy for which it matters, least to most sensitive: those of which a pool is gained or lost,
    /// and those that are added or removed.
    levels: Vec<LevelRow<'p>>,
    /// The categories of each policy for which it matters, likewise.
    categories: Vec<CategoryRow<'p>>,
    /// The `DaemonSet`s whose pods Kubernetes ends at once: no wave and no disruption budget applies to them.
    daemon_sets: Vec<DaemonSetRow<'p>>,
    /// The `DaemonSet`s whose templates are completed anew, since their pods would not be given a key of theirs any more: they
    /// restart by their own strategy.
    restarted_daemon_sets: Vec<WorkloadNameRow<'p>>,
    /// The workloads that would be refused and were not: their pods do not come back once they end. Before them, the
    /// namespaces whose own labels would be refused.
    refused: Vec<RefusedRow<'p>>,
    /// The namespaces that would say no level to a policy in force, and did not before: what says none in them has its default.
    silent_namespaces: Vec<&'p str>,
    /// The workloads that lose places and keep others.
    moved: Vec<WorkloadNameRow<'p>>,
    /// The workloads that had somewhere to run and would have nowhere.
    stranded: Vec<WorkloadNameRow<'p>>,
    /// The workloads whose places were restricted and are no more: they may run anywhere.
    freed: Vec<WorkloadNameRow<'p>>,
    /// The objects of either side that say a level or categories, or would have pods, and of which no pod is judged here:
    /// nothing is known of what changes for them.
    not_judged: Vec<UnjudgedRow<'p>>,
    /// The files and directories of either side that may hold manifests and were not read: nothing is known of what they
    /// hold.
    not_read: Vec<UnreadRow<'p>>,
}

/// What becomes of a level.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LevelImpact")]
struct LevelRow<'p> {
    /// The policy.
    policy: &'p str,
    /// The level.
    level: &'p str,
    /// The pools that become cleared for it.
    gained: Vec<&'p str>,
    /// The pools that cease to be cleared for it.
    lost: Vec<&'p str>,
}

/// What becomes of a category.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CategoryImpact")]
struct CategoryRow<'p> {
    /// The policy.
    policy: &'p str,
    /// The category.
    category: &'p str,
    /// The pools that become cleared for it.
    gained: Vec<&'p str>,
    /// The pools that cease to be cleared for it.
    lost: Vec<&'p str>,
}

/// A `DaemonSet` that loses pods at once.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DaemonSet")]
struct DaemonSetRow<'p> {
    /// Its kind.
    kind: &'p str,
    /// Its namespace.
    namespace: &'p str,
    /// Its name.
    name: &'p str,
    /// The nodes on which its pods end; empty where no node is known.
    nodes: Vec<&'p str>,
    /// The pools that cease to be cleared for it; empty where it was free to run anywhere.
    pools: Vec<&'p str>,
}

/// A workload, or a namespace, that would be refused.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Refused")]
struct RefusedRow<'p> {
    /// Its kind: one of those that have pods, or `Namespace`.
    kind: &'p str,
    /// Its namespace; null of a namespace.
    namespace: Option<&'p str>,
    /// Its name.
    name: &'p str,
    /// Why, for people. Its words may change.
    message: String,
}

impl<'p> ImpactReport<'p> {
    /// Of `impact`, which `new` has beside `old`; `ignored` is what was not judged of either.
    #[must_use]
    pub fn new(impact: &'p PlanImpact<'p>, old: &Plan<'_>, new: &Plan<'_>, ignored: &'p IgnoredKinds) -> Self {
        let (mut levels, mut categories) = (Vec::new(), Vec::new());
        for standing in &impact.standings {
            let policy = standing.policy.as_str();
            let (gained, lost) = (names(&standing.gained), names(&standing.lost));
            match standing.demander {
                RequirementSource::Level(level) => {
                    levels.push(LevelRow { policy, level: level.as_str(), gained, lost });
                }
                RequirementSource::Category(category) => {
                    categories.push(CategoryRow { policy, category: category.as_str(), gained, lost });
                }
            }
        }
        let daemon_sets = impact.ended.iter().map(|ended| {
            let WorkloadNameRow { kind, namespace, name } = (&ended.workload.identity).into();
            DaemonSetRow { kind, namespace, name, nodes: ended.nodes.clone(), pools: names(&ended.pools) }
        });
        let namespaces = impact.namespaces.iter().map(|refused| {
            let message = refused.message();
            RefusedRow { kind: NAMESPACE, namespace: None, name: refused.name, message }
        });
        let workloads = impact.refused.iter().map(|refusing| {
            let ObjectName { kind, namespace, name } = (&refusing.workload.identity).into();
            RefusedRow { kind, namespace, name, message: refusing.message() }
        });
        Self {
            api_version: "rempart.dev/impact/v1",
            from: old.at.to_string(),
            to: new.at.to_string(),
            levels,
            categories,
            daemon_sets: daemon_sets.collect(),
            restarted_daemon_sets: impact.restarted.iter().map(|workload| (&workload.identity).into()).collect(),
            refused: namespaces.chain(workloads).collect(),
            silent_namespaces: impact.silent_namespaces.clone(),
            moved: impact.moved.iter().map(|moved| (&moved.workload.identity).into()).collect(),
            stranded: impact.stranded.iter().map(|stranded| (&stranded.workload.identity).into()).collect(),
            freed: impact.freed.iter().map(|workload| (&workload.identity).into()).collect(),
            not_judged: ignored.unjudged.iter().map(UnjudgedRow::of).collect(),
            not_read: ignored.unread.iter().map(UnreadRow::of).collect(),
        }
    }
}

fn names<'p>(pools: &[&'p PoolName]) -> Vec<&'p str> {
    pools.iter().map(|name| name.as_str()).collect()
}
