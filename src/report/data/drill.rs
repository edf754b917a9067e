//! Drill document: `rempart.dev/drill/v1`.
//!
//! Takes a drill, and borrows it until it is written.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    WorkloadNameRow,
    ignored::{UnjudgedRow, UnreadRow},
};
use crate::report::location::IgnoredKinds;
use rempart_core::drill::{Drill, DrillCounts, ESTIMATE, LevelDrill, StrandedPods, VerdictDisplay};

/// Whether everything would still fit, by level, if a place went away.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "rempart drill")]
pub struct DrillReport<'p> {
    /// What this document is, with its version.
    #[schemars(extend("const" = "rempart.dev/drill/v1"))]
    api_version: &'static str,
    /// The instant at which it was judged (UTC).
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// What goes away, all at once.
    without: Vec<PlaceRow<'p>>,
    /// What it comes to, for people. Its words may change.
    verdict: String,
    /// That it is an estimate, and of what, for people. Its words may change.
    estimate: &'static str,
    /// Whether every pod has a node, before and after.
    everything_fits: bool,
    /// What becomes of the control plane, as far as pools of role `ControlPlane` say where it runs.
    control_plane: ControlPlaneRow<'p>,
    /// The pools that go away.
    pools: Vec<&'p str>,
    /// The nodes that go away.
    nodes: Vec<&'p str>,
    /// How many pods there are of each sort.
    summary: SummaryRow,
    /// The levels of which there are pods, policy by policy, least to most sensitive; last, what no policy governs.
    levels: Vec<LevelRow<'p>>,
    /// The workloads of which a pod finds no node, an entry for each reason.
    stranded: Vec<StrandedRow<'p>>,
    /// The workloads of which a pod has no node even before anything goes away.
    waiting: Vec<StrandedRow<'p>>,
    /// The workloads whose number of pods depends on when one looks, as a `CronJob` of which no pod was read: no pod of
    /// them is counted.
    uncounted: Vec<WorkloadNameRow<'p>>,
    /// The objects that say a level or categories, or would have pods, and of which no pod is counted.
    not_judged: Vec<UnjudgedRow<'p>>,
    /// The files and directories that may hold manifests and were not read.
    not_read: Vec<UnreadRow<'p>>,
}

/// What becomes of the control plane.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DrilledControlPlane")]
struct ControlPlaneRow<'p> {
    /// The places of it that go away, by their pools.
    gone: Vec<&'p str>,
    /// How many places of it stay.
    left: usize,
    /// Whether all places of it go away: then nothing is placed anew, whatever room there is.
    lost: bool,
}

/// A place that goes away.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RemovedPlace")]
struct PlaceRow<'p> {
    /// Its kind: `provider`, `region`, `zone` or `pool`.
    kind: &'static str,
    /// Its name.
    name: &'p str,
}

/// How many pods there are of each sort.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DrillSummary")]
struct SummaryRow {
    /// Pods that have a node, or would be given one before anything goes away.
    running: usize,
    /// Those of them that lose their node and would be made anew: each fits or is stranded.
    displaced: usize,
    /// Those of the displaced that find another node.
    fitting: usize,
    /// Those of the displaced that find none.
    stranded: usize,
    /// Pods that have no node even before anything goes away.
    waiting: usize,
    /// Pods that a scheduling gate holds back: they are not counted otherwise.
    gated: usize,
    /// Pods that go with their node and do not come back elsewhere: those of `DaemonSet`s, and images of static pods.
    ended: usize,
    /// Those of the displaced that nothing makes anew: they are counted as if somebody did.
    unowned: usize,
    /// Those of the displaced that request neither processors nor memory: they are counted as needing a pod slot alone.
    without_requests: usize,
    /// Nodes that belong to no pool, or to several: they stay.
    nodes_of_no_pool: usize,
    /// Claims of pods that name one that was not read: they keep no pod off any node here.
    unknown_claims: usize,
}

/// How one level fares.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "LevelDrill")]
struct LevelRow<'p> {
    /// The policy; null of pods that no policy governs.
    policy: Option<&'p str>,
    /// The level; likewise.
    level: Option<&'p str>,
    /// Whether the policy places and refuses; otherwise pods of the level go anywhere.
    in_force: bool,
    /// Its pods that have a node.
    running: usize,
    /// Those of them that lose it and would be made anew.
    displaced: usize,
    /// Those of the displaced that find another node.
    fitting: usize,
    /// Those of the displaced that find none.
    stranded: usize,
    /// Its pods that have no node even before anything goes away.
    waiting: usize,
    /// The first resource to run out, where pods are stranded for want of room: `cpu`, `memory`, `pods` or another.
    first_out: Option<&'p str>,
    /// The nodes that would hold what lacks room, where any would.
    cure: Vec<CureRow<'p>>,
    /// How many of the stranded no number of nodes of the pools that remain would hold.
    incurable: usize,
}

/// Nodes that would hold pods that lack room.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CureNodes")]
struct CureRow<'p> {
    /// The pool.
    pool: &'p str,
    /// How many nodes.
    nodes: usize,
    /// How many of the pods they would hold.
    pods: usize,
    /// The thousandths of processors that each has for pods: as many as the smallest node of the pool has now.
    cpu_milli: u64,
    /// The bytes of memory that each has for pods, likewise.
    memory: u64,
}

/// Pods of one workload that find no node, for one reason.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StrandedPods")]
struct StrandedRow<'p> {
    /// The kind of the workload.
    kind: &'p str,
    /// Its namespace.
    namespace: &'p str,
    /// Its name.
    name: &'p str,
    /// How many of its pods.
    pods: usize,
    /// Their levels, policy by policy.
    levels: Vec<LevelNameRow<'p>>,
    /// Why: a stable code.
    code: &'static str,
    /// The resource that there is too little of, where it is that.
    resource: Option<&'p str>,
    /// Why, for people. Its words may change.
    message: String,
}

/// A level of a policy.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LevelName")]
struct LevelNameRow<'p> {
    /// The policy.
    policy: &'p str,
    /// The level.
    level: &'p str,
}

impl<'p> DrillReport<'p> {
    /// Of `drill`; `ignored` is what was not judged.
    #[must_use]
    pub fn new(drill: &'p Drill<'p>, ignored: &'p IgnoredKinds) -> Self {
        let Drill {
            at,
            without,
            pools,
            control_plane,
            control_plane_left,
            nodes,
            levels,
            stranded,
            waiting,
            counts,
            uncounted,
        } = drill;
        Self {
            api_version: "rempart.dev/drill/v1",
            at: at.to_string(),
            without: without.iter().map(|place| PlaceRow { kind: place.kind.as_str(), name: &place.name }).collect(),
            verdict: VerdictDisplay(drill).to_string(),
            estimate: ESTIMATE,
            everything_fits: drill.everything_fits(),
            control_plane: ControlPlaneRow {
                gone: control_plane.iter().map(|pool| pool.as_str()).collect(),
                left: *control_plane_left,
                lost: drill.control_plane_goes(),
            },
            pools: pools.iter().map(|pool| pool.as_str()).collect(),
            nodes: nodes.clone(),
            summary: SummaryRow::of(counts),
            levels: levels.iter().map(LevelRow::of).collect(),
            stranded: stranded.iter().map(StrandedRow::of).collect(),
            waiting: waiting.iter().map(StrandedRow::of).collect(),
            uncounted: uncounted.iter().map(Into::into).collect(),
            not_judged: ignored.unjudged.iter().map(UnjudgedRow::of).collect(),
            not_read: ignored.unread.iter().map(UnreadRow::of).collect(),
        }
    }
}

impl SummaryRow {
    fn of(counts: &DrillCounts) -> Self {
        let DrillCounts {
            running,
            displaced,
            fitting,
            stranded,
            waiting,
            gated,
            ended,
            unowned,
            without_requests,
            nodes_of_no_pool,
            unknown_claims,
        } = *counts;
        Self {
            running,
            displaced,
            fitting,
            stranded,
            waiting,
            gated,
            ended,
            unowned,
            without_requests,
            nodes_of_no_pool,
            unknown_claims,
        }
    }
}

impl<'p> LevelRow<'p> {
    fn of(counted: &'p LevelDrill<'_>) -> Self {
        let LevelDrill { level, in_force, running, displaced, fitting, stranded, waiting, first_out, cure, incurable } =
            counted;
        let cure = cure.iter().map(|nodes| CureRow {
            pool: nodes.pool.as_str(),
            nodes: nodes.nodes,
            pods: nodes.pods,
            cpu_milli: nodes.allocatable.cpu_milli,
            memory: nodes.allocatable.memory,
        });
        Self {
            policy: level.map(|level| level.policy.as_str()),
            level: level.map(|level| level.level.as_str()),
            in_force: *in_force,
            running: *running,
            displaced: *displaced,
            fitting: *fitting,
            stranded: *stranded,
            waiting: *waiting,
            first_out: first_out.as_deref(),
            cure: cure.collect(),
            incurable: *incurable,
        }
    }
}

impl<'p> StrandedRow<'p> {
    fn of(stranded: &'p StrandedPods) -> Self {
        let StrandedPods { workload, reason, pods, levels } = stranded;
        let WorkloadNameRow { kind, namespace, name } = workload.into();
        let levels = levels.iter().map(|(policy, level)| LevelNameRow { policy, level }).collect();
        let message = reason.to_string();
        Self { kind, namespace, name, pods: *pods, levels, code: reason.code(), resource: reason.resource(), message }
    }
}
