//! Plan document: `rempart.dev/plan/v1`.
//!
//! The report borrows the plan. Its long lists are made entry by entry while they are written, so that the sentences of
//! ten thousand workloads never lie in memory together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::ignored::{UnjudgedRow, UnreadRow};
use crate::report::{
    entries::{EntryOutcome, ObjectName, OutcomeCounts, ReportEntry},
    location::IgnoredKinds,
};
use rempart_core::{
    clearance::PoolClearance,
    name::{LevelName, PolicyName, PoolName},
    plan::{EffectiveLevel, PlacementDemand, Plan},
    reason::{Reason, ReasonCode, RequirementSource},
};

/// Where each workload may run, and why not elsewhere.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "rempart plan")]
pub struct PlanReport<'p> {
    /// What this document is, with its version.
    #[schemars(extend("const" = "rempart.dev/plan/v1"))]
    api_version: &'static str,
    /// The instant at which everything was judged (UTC).
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// Every workload, by namespace, kind and name. Before them, every namespace whose own labels are refused: nothing
    /// that is of a policy's concern starts in it.
    #[schemars(with = "Vec<WorkloadRow<'p>>")]
    workloads: WorkloadRows<'p>,
    /// What the workloads ask of places, each once, in the order in which the list of workloads first asks for it.
    #[schemars(with = "Vec<DemandRow<'p>>")]
    demands: DemandRows<'p>,
    /// Of each level that prefers pools, or spreads the pods of a workload over a number of places, what becomes of it.
    wishes: Vec<WishRow<'p>>,
    /// The objects that say a level or categories, or would have pods, and of which no pod is judged here: nothing is known
    /// of their places.
    not_judged: Vec<UnjudgedRow<'p>>,
    /// The files and directories that may hold manifests and were not read, as charts and kustomizations that were not
    /// rendered, templates, and links that lead nowhere: nothing is known of what they hold.
    not_read: Vec<UnreadRow<'p>>,
    /// How many fare how.
    summary: OutcomeCounts,
}

/// A workload, or a namespace, and what becomes of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PlannedWorkload")]
struct WorkloadRow<'p> {
    /// Its kind: one of those that have pods, or `Namespace`.
    kind: &'static str,
    /// Its namespace; null of a namespace.
    namespace: Option<&'p str>,
    /// Its name.
    name: &'p str,
    /// Its level under each policy that governs its namespace, whatever that policy's mode, and that understands what is
    /// said: a policy that refuses what is said gives it no level.
    policies: Vec<PolicyRow<'p>>,
    /// Its categories of data.
    categories: Vec<&'p str>,
    /// What becomes of it. `Placeable`: its pods have somewhere to run. `Unplaceable`: they would stay pending.
    /// `Refused`: admission refuses it or its pods. `Unrestricted`: no policy asks anything of its places.
    outcome: EntryOutcome,
    /// What becomes of it and why, for people. Its words may change.
    message: String,
    /// The `id` of what it asks of places; null where nothing is asked, or it is refused.
    demand: Option<String>,
}

/// The level of a workload under a policy.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PolicyLevel")]
struct PolicyRow<'p> {
    /// The policy.
    name: &'p str,
    /// The level.
    level: &'p str,
    /// Who said so: a label of the namespace, an annotation of the workload or of its pods, or nobody.
    level_from: LevelFrom,
    /// The exception of the policy that applies to it; null where none does.
    exception: Option<&'p str>,
}

/// Who says how sensitive a workload is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
enum LevelFrom {
    Namespace,
    Workload,
    Pod,
    Default,
    Minimum,
}

/// What a level wishes beyond what it requires.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Wish")]
struct WishRow<'p> {
    /// The policy.
    policy: &'p str,
    /// The level.
    level: &'p str,
    /// How good each pool is that takes its pods, the best first; empty where the level prefers nothing.
    scores: Vec<ScoreRow<'p>>,
    /// Over how many places its pods must be spread and could be; null where no number is demanded.
    spread: Option<SpreadRow>,
}

/// How good a pool is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Score")]
struct ScoreRow<'p> {
    /// The pool.
    pool: &'p str,
    /// From 0 to 100, the best.
    score: u8,
}

/// Over how many places pods must be spread, and could be.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Spread")]
struct SpreadRow {
    /// `Provider`, `Region`, `Zone` or `Pool`.
    across: &'static str,
    /// How many are demanded.
    demanded: u16,
    /// Those that could take its pods.
    available: Vec<String>,
    /// What is missing and what to do, for people; null where nothing is.
    message: Option<String>,
}

/// What is asked of places, and how every pool fares by it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Demand")]
struct DemandRow<'p> {
    /// What workloads call it by, within this document.
    id: String,
    /// Every pool, by name.
    #[schemars(with = "Vec<PoolRow<'p>>")]
    pools: PoolRows<'p>,
}

/// How a pool fares.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Pool")]
struct PoolRow<'p> {
    /// The pool.
    name: &'p str,
    /// Whether it meets all that is asked.
    cleared: bool,
    /// Whether it is withheld from new pods although it is cleared, because a qualification ends within the lead time
    /// of a level and another pool outlasts it.
    withdrawn: bool,
    /// All that keeps it from being cleared. Of a cleared pool, that a qualification ends within the lead time of a
    /// level: `QualificationEnding`.
    reasons: Vec<ReasonRow<'p>>,
}

/// What keeps a pool from being cleared. Exactly one of `level` and `category` is not null.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Reason")]
struct ReasonRow<'p> {
    /// The policy that demands otherwise.
    policy: &'p str,
    /// Its level that does: of the levels that add up, the lowest that demands it.
    level: Option<&'p str>,
    /// Its category that does.
    category: Option<&'p str>,
    /// A stable word for what is missing. Further words may come.
    code: String,
    /// The fact, the demand and the remedy, for people. Its words may change.
    message: String,
}

impl<'p> PlanReport<'p> {
    /// Of `plan`.
    #[must_use]
    pub fn new(plan: &'p Plan<'p>, ignored: &'p IgnoredKinds) -> Self {
        let entries = ReportEntry::of(plan);
        let mut ids = BTreeMap::new();
        let mut order = Vec::new();
        for entry in &entries {
            let ReportEntry::Workload(_, planned) = entry else { continue };
            let Some(index) = planned.judgement.demand else { continue };
            let Some(demand) = plan.demands.get(index) else { continue };
            ids.entry(index).or_insert_with(|| {
                order.push(demand);
                order.len()
            });
        }
        Self {
            api_version: "rempart.dev/plan/v1",
            at: plan.at.to_string(),
            workloads: WorkloadRows { plan, entries, ids },
            demands: DemandRows { plan, order },
            wishes: wishes(plan),
            not_judged: ignored.unjudged.iter().map(UnjudgedRow::of).collect(),
            not_read: ignored.unread.iter().map(UnreadRow::of).collect(),
            summary: OutcomeCounts::of(plan, ignored),
        }
    }
}

fn wishes<'p>(plan: &'p Plan<'p>) -> Vec<WishRow<'p>> {
    let (scores, spreads) = (plan.scores(), plan.spreads());
    let levels = plan.inventory.world.policies.values();
    let levels = levels.flat_map(|policy| policy.levels.iter().map(|level| (&policy.name, &level.name)));
    let row = |(policy, level): (&'p PolicyName, &'p LevelName)| {
        let ranked = scores.iter().find(|found| (found.policy, found.level) == (policy, level));
        let spread = spreads.iter().find(|found| (&found.policy, &found.level) == (policy, level));
        if ranked.is_none() && spread.is_none() {
            return None;
        }
        let has_node = |pool: &PoolName| plan.has_node(pool);
        let score = |(pool, score): &(&'p PoolName, u8)| ScoreRow { pool: pool.as_str(), score: *score };
        let spread = spread.map(|demand| SpreadRow {
            across: demand.spread.across.as_str(),
            demanded: demand.spread.needed(),
            available: demand.available(has_node).into_iter().map(str::to_owned).collect(),
            message: demand.shortfall(has_node).map(|shortfall| shortfall.to_string()),
        });
        let scores = ranked.map(|found| found.pools.iter().map(score).collect()).unwrap_or_default();
        Some(WishRow { policy: policy.as_str(), level: level.as_str(), scores, spread })
    };
    levels.filter_map(row).collect()
}

fn id(number: usize) -> String {
    format!("d{number}")
}

/// The entries, to be written.
#[derive(Debug)]
struct WorkloadRows<'p> {
    plan: &'p Plan<'p>,
    entries: Vec<ReportEntry<'p>>,
    /// The number of each demand, by its place in the plan.
    ids: BTreeMap<usize, usize>,
}

impl Serialize for WorkloadRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries.iter().map(|entry| self.row(entry)))
    }
}

impl<'p> WorkloadRows<'p> {
    fn row(&self, entry: &ReportEntry<'p>) -> WorkloadRow<'p> {
        let ObjectName { kind, namespace, name } = entry.object();
        let (outcome, message) = (entry.fate(), entry.message(self.plan));
        let judgement = match entry {
            ReportEntry::Namespace(_) => None,
            ReportEntry::Workload(_, planned) => Some(&planned.judgement),
        };
        let policies = judgement.into_iter().flat_map(|judgement| &judgement.policies).map(PolicyRow::from).collect();
        let categories = judgement.into_iter().flat_map(|judgement| &judgement.categories);
        let demand = judgement.and_then(|judgement| self.ids.get(&judgement.demand?).copied()).map(id);
        let categories = categories.map(|category| category.as_str()).collect();
        WorkloadRow { kind, namespace, name, policies, categories, outcome, message, demand }
    }
}

impl<'p> From<&'p EffectiveLevel<'p>> for PolicyRow<'p> {
    fn from(levelled: &'p EffectiveLevel<'p>) -> Self {
        use rempart_core::admission::SensitivitySource;
        let level_from = match levelled.source {
            SensitivitySource::Namespace => LevelFrom::Namespace,
            SensitivitySource::Workload => LevelFrom::Workload,
            SensitivitySource::Pod => LevelFrom::Pod,
            SensitivitySource::Default => LevelFrom::Default,
            SensitivitySource::Minimum => LevelFrom::Minimum,
        };
        let exception = levelled.exception.map(rempart_core::name::ExceptionName::as_str);
        Self { name: levelled.policy.name.as_str(), level: levelled.level.as_str(), level_from, exception }
    }
}

/// The demands in the order of their numbers, to be written.
#[derive(Debug)]
struct DemandRows<'p> {
    plan: &'p Plan<'p>,
    order: Vec<&'p PlacementDemand<'p>>,
}

impl Serialize for DemandRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = (1..).zip(&self.order);
        serializer.collect_seq(
            rows.map(|(number, demand)| DemandRow { id: id(number), pools: PoolRows { plan: self.plan, demand } }),
        )
    }
}

/// The pools as one demand sees them, to be written.
#[derive(Debug)]
struct PoolRows<'p> {
    plan: &'p Plan<'p>,
    demand: &'p PlacementDemand<'p>,
}

impl Serialize for PoolRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.plan.pools.iter().map(|pool| PoolRow::new(pool, self.demand)))
    }
}

impl<'p> PoolRow<'p> {
    fn new(pool: &'p PoolClearance<'p>, demand: &'p PlacementDemand<'p>) -> Self {
        let obstacles = demand.reasons(pool);
        let cleared = obstacles.iter().all(|reason| reason.code() == ReasonCode::QualificationEnding);
        let withdrawn = cleared && !obstacles.is_empty();
        let kept = demand.endings(pool).filter(|_| cleared && !withdrawn);
        let reasons = obstacles.into_iter().chain(kept);
        let reasons = reasons.map(|reason| ReasonRow::from(&reason)).collect();
        Self { name: pool.pool.name.as_str(), cleared, withdrawn, reasons }
    }
}

impl<'p> From<&Reason<'p>> for ReasonRow<'p> {
    fn from(reason: &Reason<'p>) -> Self {
        let (level, category) = match reason.demander {
            RequirementSource::Level(level) => (Some(level.as_str()), None),
            RequirementSource::Category(category) => (None, Some(category.as_str())),
        };
        let (code, message) = (reason.code().to_string(), reason.to_string());
        Self { policy: reason.policy.as_str(), level, category, code, message }
    }
}
