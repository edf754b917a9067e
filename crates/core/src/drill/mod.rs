//! Exit drills: would everything still fit, by level, if a provider, region, zone or pool went away?
//!
//! Takes an inventory, what runs with what it requests, the nodes with what they have, and what goes away. Gives, by level,
//! how many pods lose their node, how many find another, which workloads are stranded and why, and how many nodes of which
//! pool would cure it. Pure and deterministic.
//!
//! It is an estimate. Pods look for a node one after the other, workloads taking turns, and each is given the node with the
//! largest share left, as kube-scheduler prefers it by default. In which order kube-scheduler meets them, priorities and
//! preemption, affinity to other pods and what autoscalers would add are not known here. Whether a node fits is asked of the
//! same code as for migrations.

mod cure;
mod reason;
mod removal;
mod simulation;
mod spread;
mod verdict;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    string::String,
    sync::Arc,
    vec::Vec,
};

use self::simulation::{PodFate, Simulation};
pub use self::{
    cure::CureNodes,
    reason::StrandReason,
    removal::{InvalidPlace, PlaceKind, RemovedPlace, UnknownPlace},
    spread::SpreadConstraint,
    verdict::{ESTIMATE, VerdictDisplay},
};
use super::{
    cluster_objects::{ComputeResources, ExtendedResources, NodeTaint, Pod, split},
    instant::Timestamp,
    inventory::PlanInventory,
    name::PoolName,
    plan::PlanAssumptions,
    pod_requirements::{LevelRef, PodRequirements, PolicyRequirement, RequirementsResolver},
    selector::Labels,
    sensitivity::{ControllerStatements, PodSensitivity},
    workload::{WorkloadIdentity, WorkloadKind},
};

/// What runs, and on what, as much of it as decides whether there is room.
#[derive(Clone, Debug, Default)]
pub struct RunningCluster {
    /// What each node of the inventory has.
    pub nodes: BTreeMap<Arc<str>, NodeCapacity>,
    /// The pods, whoever made them.
    pub pods: Vec<DrillPod>,
    /// The pods that `DaemonSet`s would make, of which no pod was read: one for each node that suits it.
    pub daemons: Vec<DrillPod>,
    /// How many claims of pods name one that was not read: they keep no pod off any node here.
    pub unknown_claims: usize,
    /// The workloads whose number of pods nobody says, as a `CronJob` between two runs: no pod of them is counted.
    pub uncounted: Vec<WorkloadIdentity>,
}

/// What a node has for pods, and whom it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeCapacity {
    /// What it has for pods.
    pub allocatable: ComputeResources,
    /// What else it has for them.
    pub extended_resources: ExtendedResources,
    /// What keeps pods off.
    pub taints: Vec<NodeTaint>,
    /// Whether it takes new pods: nobody has cordoned it, and its kubelet does not say that it is not ready.
    pub schedulable: bool,
}

/// A pod that runs, waits or would be made.
#[derive(Clone, Debug)]
pub struct DrillPod {
    /// Its namespace and name.
    pub key: String,
    /// The pod; without a node it is given one before anything goes away.
    pub pod: Pod,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Its topology spread constraints that keep it off nodes.
    pub spread: Arc<[SpreadConstraint]>,
    /// The workload that it is of, by its place in the inventory; `None` where that was not read.
    pub workload: Option<usize>,
}

/// What a drill is asked.
#[derive(Clone, Copy, Debug)]
pub struct DrillInput<'a> {
    /// The catalogue, the policies, the workloads, the nodes by their labels, the volumes.
    pub inventory: &'a PlanInventory,
    /// What runs.
    pub running: &'a RunningCluster,
    /// The instant.
    pub at: Timestamp,
    /// Under which assumptions.
    pub assume: PlanAssumptions,
    /// What goes away, all at once.
    pub without: &'a [RemovedPlace],
}

/// The outcome of a drill.
#[derive(Clone, Debug)]
pub struct Drill<'a> {
    /// The instant.
    pub at: Timestamp,
    /// What goes away.
    pub without: &'a [RemovedPlace],
    /// The pools that go away, by name.
    pub pools: Vec<&'a PoolName>,
    /// The places of the control plane among these, by name.
    pub control_plane: Vec<&'a PoolName>,
    /// How many places of the control plane stay.
    pub control_plane_left: usize,
    /// The nodes that go away, by name.
    pub nodes: Vec<&'a str>,
    /// The levels of which there are pods, policy by policy, least to most sensitive; last, what no policy governs.
    pub levels: Vec<LevelDrill<'a>>,
    /// The workloads of which a pod finds no node, as people look for them.
    pub stranded: Vec<StrandedPods>,
    /// The workloads of which a pod has no node even before anything goes away.
    pub waiting: Vec<StrandedPods>,
    /// How many pods there are of each sort.
    pub counts: DrillCounts,
    /// The workloads whose number of pods nobody says.
    pub uncounted: &'a [WorkloadIdentity],
}

/// How many pods there are of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrillCounts {
    /// Pods that have a node, or would be given one before anything goes away.
    pub running: usize,
    /// Those of them that lose their node and would be made anew: each fits or is stranded.
    pub displaced: usize,
    /// Those of the displaced that find another node.
    pub fitting: usize,
    /// Those of the displaced that find none.
    pub stranded: usize,
    /// Pods that have no node even before anything goes away.
    pub waiting: usize,
    /// Pods that a scheduling gate holds back: they are not counted otherwise.
    pub gated: usize,
    /// Pods that go with their node and do not come back elsewhere: those of `DaemonSet`s, and images of static pods.
    pub ended: usize,
    /// Those of the displaced that nothing makes anew: they are counted as if somebody did.
    pub unowned: usize,
    /// Those of the displaced that request neither processors nor memory: they are counted as needing a pod slot alone.
    pub without_requests: usize,
    /// Nodes that belong to no pool, or to several: nobody can tell whose they are, and they stay.
    pub nodes_of_no_pool: usize,
    /// Claims of pods that name one that was not read.
    pub unknown_claims: usize,
}

/// How one level fares.
#[derive(Clone, Debug)]
pub struct LevelDrill<'a> {
    /// The level; `None` of pods that no policy governs.
    pub level: Option<LevelRef<'a>>,
    /// Whether its policy places and refuses; otherwise its pods go anywhere.
    pub in_force: bool,
    /// Its pods that have a node.
    pub running: usize,
    /// Those of them that lose it and would be made anew.
    pub displaced: usize,
    /// Those of the displaced that find another node.
    pub fitting: usize,
    /// Those of the displaced that find none.
    pub stranded: usize,
    /// Its pods that have no node even before anything goes away.
    pub waiting: usize,
    /// The first resource to run out: of which most of the stranded that lack room find too little.
    pub first_out: Option<String>,
    /// The nodes that would hold all that lacks room, where any would.
    pub cure: Vec<CureNodes<'a>>,
    /// How many of the stranded no number of nodes of the pools that remain would hold.
    pub incurable: usize,
}

/// Pods of one workload that find no node, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StrandedPods {
    /// The workload.
    pub workload: WorkloadIdentity,
    /// Why they find none.
    pub reason: StrandReason,
    /// How many they are.
    pub pods: usize,
    /// Their levels, policy by policy.
    pub levels: Vec<(String, String)>,
}

impl Drill<'_> {
    /// Whether every pod has a node, before and after.
    #[must_use]
    pub fn everything_fits(&self) -> bool {
        self.counts.stranded == 0 && self.counts.waiting == 0
    }

    /// Whether the control plane goes away with all places of it that are recorded: then nothing is placed anew, whatever
    /// room there is.
    #[must_use]
    pub fn control_plane_goes(&self) -> bool {
        !self.control_plane.is_empty() && self.control_plane_left == 0
    }
}

/// Tries what becomes of what runs when a place goes away.
///
/// # Errors
/// A place that nobody has recorded.
pub fn drill<'a>(input: &DrillInput<'a>) -> Result<Drill<'a>, UnknownPlace> {
    let DrillInput { inventory, running, at, assume, without } = *input;
    let removed = removal::removed_pools(&inventory.world.catalogue, without)?;
    let gone = removal::removed_nodes(inventory, &removed);
    let places = inventory.world.catalogue.control_plane.keys();
    let (control_plane, left): (Vec<_>, Vec<_>) = places.partition(|name| removed.contains(name));
    let needs = requirements(inventory, running, assume);
    let simulation = Simulation { inventory, running, at, assume, needs: &needs, removed: &removed, gone: &gone };
    let outcome = simulation.run();
    let mut drill = Drill {
        at,
        without,
        pools: removed.iter().copied().collect(),
        control_plane,
        control_plane_left: left.len(),
        nodes: gone.iter().copied().collect(),
        levels: Vec::new(),
        stranded: Vec::new(),
        waiting: Vec::new(),
        counts: DrillCounts {
            nodes_of_no_pool: outcome.nodes_of_no_pool,
            unknown_claims: running.unknown_claims,
            ended: outcome.ended_daemons,
            ..DrillCounts::default()
        },
        uncounted: &running.uncounted,
    };
    let mut levels: BTreeMap<LevelKey<'a>, LevelTally<'a>> = BTreeMap::new();
    let (mut stranded, mut waiting) = (BTreeMap::new(), BTreeMap::new());
    for ((index, pod), needs) in running.pods.iter().enumerate().zip(&needs) {
        let Some(fate) = outcome.fates.get(index) else { continue };
        drill.counts.add(pod, fate);
        for (key, level, in_force) in levels_of(needs) {
            levels.entry(key).or_insert_with(|| LevelTally::new(level, in_force)).add(index, fate);
        }
        let (list, reason) = match fate {
            PodFate::Stranded(reason) => (&mut stranded, reason),
            PodFate::Waiting(reason) => (&mut waiting, reason),
            _ => continue,
        };
        let named = needs.policies.iter().filter_map(PolicyRequirement::level).map(|level| level.named()).collect();
        let key = (identity(inventory, pod), reason.clone());
        let (count, _): &mut (usize, Vec<_>) = list.entry(key).or_insert((0, named));
        *count = count.saturating_add(1);
    }
    let told = |list: UnplacedByWorkload| {
        let told = list.into_iter();
        let told = told.map(|((workload, reason), (pods, levels))| StrandedPods { workload, reason, pods, levels });
        told.collect()
    };
    drill.stranded = told(stranded);
    drill.waiting = told(waiting);
    drill.levels = levels.into_values().map(|tally| tally.close(&simulation, &outcome)).collect();
    Ok(drill)
}

/// What the policies ask of each pod as it would be made anew, in their order.
fn requirements<'a>(
    inventory: &'a PlanInventory,
    running: &'a RunningCluster,
    assume: PlanAssumptions,
) -> Vec<Rc<PodRequirements<'a>>> {
    let mut resolver = RequirementsResolver::new(&inventory.world, assume.enforced);
    running.pods.iter().map(|pod| resolve(&mut resolver, inventory, pod)).collect()
}

fn resolve<'a>(
    resolver: &mut RequirementsResolver<'a>,
    inventory: &'a PlanInventory,
    pod: &'a DrillPod,
) -> Rc<PodRequirements<'a>> {
    let (namespace, _) = split(&pod.key);
    resolver.requirements(
        namespace,
        || inventory.namespace(namespace),
        |statement| {
            if let Some(workload) = pod.workload.and_then(|at| inventory.workloads.get(at)) {
                workload.sensitivity(statement)
            } else {
                let own = ControllerStatements { own: None, template: &pod.pod.statements };
                PodSensitivity::new(statement, [own], None)
            }
        },
    )
}

/// The workload of `pod`; the pod itself where that was not read.
fn identity(inventory: &PlanInventory, pod: &DrillPod) -> WorkloadIdentity {
    let known = pod.workload.and_then(|at| inventory.workloads.get(at));
    let alone = || {
        let (namespace, name) = split(&pod.key);
        WorkloadIdentity { namespace: namespace.into(), kind: WorkloadKind::Pod, name: name.into() }
    };
    known.map_or_else(alone, |workload| workload.identity.clone())
}

/// How many pods of a workload find no node for a reason, with their levels.
type UnplacedByWorkload = BTreeMap<(WorkloadIdentity, StrandReason), (usize, Vec<(String, String)>)>;

/// By policy and rank; what no policy governs comes last.
type LevelKey<'a> = (bool, Option<(&'a str, usize)>);

fn levels_of<'a>(needs: &PodRequirements<'a>) -> Vec<(LevelKey<'a>, Option<LevelRef<'a>>, bool)> {
    let levels: Vec<_> = needs
        .policies
        .iter()
        .filter_map(|required| Some((required.level()?, required.in_force)))
        .map(|(level, in_force)| ((false, Some((level.policy.as_str(), level.rank))), Some(level), in_force))
        .collect();
    if levels.is_empty() { Vec::from([((true, None), None, false)]) } else { levels }
}

/// A level that is being counted.
struct LevelTally<'a> {
    counted: LevelDrill<'a>,
    /// Its pods that lack room.
    without_room: Vec<usize>,
    resources: BTreeMap<String, usize>,
}

impl<'a> LevelTally<'a> {
    fn new(level: Option<LevelRef<'a>>, in_force: bool) -> Self {
        let counted = LevelDrill {
            level,
            in_force,
            running: 0,
            displaced: 0,
            fitting: 0,
            stranded: 0,
            waiting: 0,
            first_out: None,
            cure: Vec::new(),
            incurable: 0,
        };
        Self { counted, without_room: Vec::new(), resources: BTreeMap::new() }
    }

    fn add(&mut self, index: usize, fate: &PodFate) {
        let mut counts = DrillCounts::default();
        counts.tally(fate);
        let LevelDrill { running, displaced, fitting, stranded, waiting, .. } = &mut self.counted;
        for (total, one) in [
            (running, counts.running),
            (displaced, counts.displaced),
            (fitting, counts.fitting),
            (stranded, counts.stranded),
            (waiting, counts.waiting),
        ] {
            *total = total.saturating_add(one);
        }
        if let PodFate::Stranded(reason) = fate
            && let Some(resource) = reason.resource()
        {
            self.without_room.push(index);
            let count = self.resources.entry(resource.into()).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn close(self, simulation: &Simulation<'_, 'a>, outcome: &simulation::SimulationOutcome<'a>) -> LevelDrill<'a> {
        let Self { mut counted, without_room, resources } = self;
        let most = resources.into_iter().max_by(|(one, a), (other, b)| a.cmp(b).then_with(|| other.cmp(one)));
        counted.first_out = most.map(|(resource, _)| resource);
        let cure = cure::cure(simulation, outcome, &without_room);
        let cured: usize = cure.iter().map(|nodes| nodes.pods).sum();
        counted.incurable = counted.stranded.saturating_sub(cured);
        counted.cure = cure;
        counted
    }
}

impl DrillCounts {
    fn add(&mut self, pod: &DrillPod, fate: &PodFate) {
        self.tally(fate);
        if matches!(fate, PodFate::Fits | PodFate::Stranded(_)) {
            let ComputeResources { cpu_milli, memory, pods: _ } = pod.pod.requests;
            let is_silent = cpu_milli == 0 && memory == 0 && pod.pod.scheduling.extended_resources.is_empty();
            self.without_requests = self.without_requests.saturating_add(usize::from(is_silent));
            self.unowned = self.unowned.saturating_add(usize::from(pod.pod.owner.is_none()));
        }
    }

    fn tally(&mut self, fate: &PodFate) {
        let add = |counts: &mut [&mut usize]| {
            for count in counts {
                **count = count.saturating_add(1);
            }
        };
        let Self { running, displaced, fitting, stranded, waiting, gated, ended, .. } = self;
        match fate {
            PodFate::Stays => add(&mut [running]),
            PodFate::Fits => add(&mut [running, displaced, fitting]),
            PodFate::Stranded(_) => add(&mut [running, displaced, stranded]),
            PodFate::Ends => add(&mut [running, ended]),
            PodFate::Waiting(_) => add(&mut [waiting]),
            PodFate::Gated => add(&mut [gated]),
            PodFate::Leaves => {}
        }
    }
}

/// Names that go away.
type GoneNodes<'a> = BTreeSet<&'a str>;
