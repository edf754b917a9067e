//! Drill simulation: pods without a node are given one, a place goes away, and those that lose their node look for another.
//!
//! Takes what runs and the nodes that go away, and gives the fate of each pod. Pools are judged twice, with the nodes that
//! there are before and after: what is withdrawn ahead of an end because another pool outlasts it is not when that one has gone.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    rc::Rc,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};
use core::cmp::Reverse;

use super::{
    DrillPod, GoneNodes, RunningCluster, StrandReason,
    spread::{self, SpreadCounts, SpreadPod},
};
use crate::{
    clearance::{Judge, PoolClearance},
    cluster_objects::{
        ClusterObjects, ComputeResources, ControllersByKind, NodeTaint, NodeView, NodeViewLabels, Pod, PodPhase, split,
        tolerates,
    },
    compliance::PlacementFacts,
    instant::Timestamp,
    inventory::PlanInventory,
    keys,
    migration::PodPlacer,
    name::PoolName,
    namespace::Namespace,
    plan::{NodeOwnership, PlanAssumptions, owners},
    pod_requirements::{PodRequirements, RequirementsResolver},
    selector::Labels,
    workload::WorkloadKind,
};

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PodFate {
    /// Its node stays.
    Stays,
    /// It loses its node and finds another.
    Fits,
    /// It loses its node and finds none.
    Stranded(StrandReason),
    /// It has no node even before.
    Waiting(StrandReason),
    /// It goes with its node, and nothing like it comes back elsewhere.
    Ends,
    /// It is being deleted where it loses its node.
    Leaves,
    /// A gate holds it back.
    Gated,
}

/// What a simulation follows from.
pub(super) struct Simulation<'d, 'a> {
    pub(super) inventory: &'a PlanInventory,
    pub(super) running: &'a RunningCluster,
    pub(super) at: Timestamp,
    pub(super) assume: PlanAssumptions,
    /// What the policies ask of each pod.
    pub(super) needs: &'d [Rc<PodRequirements<'a>>],
    /// The pools that go away.
    pub(super) removed: &'d BTreeSet<&'a PoolName>,
    /// The nodes that go away.
    pub(super) gone: &'d GoneNodes<'a>,
}

/// What came of it.
pub(super) struct SimulationOutcome<'a> {
    /// The fate of each pod, in their order.
    pub(super) fates: Vec<PodFate>,
    /// What remains.
    pub(super) places: JudgedPlaces<'a>,
    /// What runs on each node because of a `DaemonSet`.
    pub(super) daemons: BTreeMap<String, ComputeResources>,
    /// The pods that `DaemonSet`s would have had on the nodes that go away.
    pub(super) ended_daemons: usize,
    pub(super) nodes_of_no_pool: usize,
}

/// Nodes, judged.
pub(super) struct JudgedPlaces<'a> {
    /// The stamps of the nodes of each pool.
    stamps: BTreeMap<PoolName, Arc<Labels>>,
    /// The nodes by name, with the pools that have them.
    nodes: Vec<(&'a str, Option<&'a PoolName>)>,
}

/// The labels of what nobody has.
static NONE: Labels = Labels::new();

impl<'a> JudgedPlaces<'a> {
    /// The nodes that are not among `gone`, and the pools that are not among `removed`.
    fn judge(
        inventory: &'a PlanInventory,
        running: &RunningCluster,
        at: Timestamp,
        removed: &BTreeSet<&PoolName>,
        gone: &GoneNodes<'_>,
    ) -> Self {
        let names: Vec<&'a PoolName> = inventory.world.catalogue.pools.keys().collect();
        let nodes = owners(inventory).into_iter().filter(|(name, _)| !gone.contains(name));
        let nodes: Vec<_> = nodes
            .filter(|(name, _)| running.nodes.contains_key(*name))
            .map(|(name, of)| match of {
                NodeOwnership::Pool(pool) => (name, names.get(pool).copied()),
                NodeOwnership::Nobody | NodeOwnership::Disputed => (name, None),
            })
            .collect();
        let has_nodes: BTreeSet<&PoolName> = nodes.iter().filter_map(|(_, pool)| *pool).collect();
        let pools = Judge::new(&inventory.world).pools_where(at, |name| has_nodes.contains(name));
        let kept = |pool: &&PoolClearance<'_>| !removed.contains(&pool.pool.name);
        let stamps = pools.iter().filter(kept).map(|pool| (pool.pool.name.clone(), Arc::new(pool.stamps()))).collect();
        Self { stamps, nodes }
    }

    /// The nodes, as kube-scheduler sees them.
    pub(super) fn views<'v>(&'v self, inventory: &'v PlanInventory, running: &'v RunningCluster) -> Vec<NodeView<'v>> {
        let view = |(name, pool): &(&'a str, Option<&'a PoolName>)| {
            let (known, capacity) = (inventory.nodes.get(*name)?, running.nodes.get(*name)?);
            let stamps: &Labels = pool.and_then(|pool| self.stamps.get(pool)).map_or(&NONE, |stamps| stamps);
            Some(NodeView {
                name,
                pool: *pool,
                labels: NodeViewLabels { own: &known.labels, stamps },
                granted: stamps,
                retained: stamps,
                taints: &capacity.taints,
                schedulable: capacity.schedulable,
                allocatable: capacity.allocatable,
                extended_resources: &capacity.extended_resources,
            })
        };
        self.nodes.iter().filter_map(view).collect()
    }
}

impl<'a> Simulation<'_, 'a> {
    /// Follows every pod.
    pub(super) fn run(&self) -> SimulationOutcome<'a> {
        let Self { inventory, running, at, removed, gone, .. } = *self;
        let before = JudgedPlaces::judge(inventory, running, at, &BTreeSet::new(), &GoneNodes::new());
        let after = JudgedPlaces::judge(inventory, running, at, removed, gone);
        let daemons = self.daemons(&before);
        let mut on_nodes: BTreeMap<String, ComputeResources> = BTreeMap::new();
        let made = daemons.iter().map(|(_, pod)| pod);
        let read = running.pods.iter().filter(|pod| self.is_daemon(pod)).map(|pod| &pod.pod);
        for pod in made.chain(read) {
            if let Some(node) = pod.node.as_deref() {
                let taken = on_nodes.entry(node.into()).or_default();
                *taken = with(taken, pod);
            }
        }
        let ended = daemons.iter().filter(|(_, pod)| pod.node.as_deref().is_some_and(|node| gone.contains(node)));
        let ended_daemons = ended.count();

        let mut standing: BTreeMap<String, Pod> = daemons.into_iter().collect();
        let placed = running.pods.iter().filter(|pod| pod.pod.node.is_some());
        standing.extend(placed.map(|pod| (pod.key.clone(), pod.pod.clone())));

        let mut fates: Vec<Option<PodFate>> = running.pods.iter().map(|pod| self.known_fate(pod)).collect();
        // Those that have no node are given one before anything goes away.
        let homeless = |pod: &DrillPod| pod.pod.node.is_none() && pod.pod.is_active();
        let (views, others) = (before.views(inventory, running), OtherObjects::default());
        let lies_nowhere = |_: &str| false;
        let found =
            self.place(&before, &views, &others.with(&standing, inventory), &undecided(running, &fates, homeless));
        for (index, found) in found {
            let (Some(pod), Some(fate)) = (running.pods.get(index), fates.get_mut(index)) else { continue };
            match found {
                Ok(node) => {
                    let node = views.get(node).map(|node| Arc::from(node.name));
                    standing.insert(pod.key.clone(), Pod { node, ..pod.pod.clone() });
                }
                Err(unplaced) => *fate = Some(PodFate::Waiting(reason(unplaced, lies_nowhere))),
            }
        }
        let loses = |pod: &DrillPod| {
            let node = standing.get(&pod.key).and_then(|pod| pod.node.as_deref());
            node.is_some_and(|node| gone.contains(node))
        };
        let displaced = undecided(running, &fates, loses);
        let remaining = after.views(inventory, running);
        let reached = |volume: &str| {
            let lost = views.iter().filter(|node| gone.contains(node.name));
            let volume = inventory.volumes.get(volume);
            lost.into_iter().any(|node| volume.is_some_and(|it| it.is_reached_from(node.name, &node.labels)))
        };
        let found = self.place(&after, &remaining, &others.with(&standing, inventory), &displaced);
        for (index, found) in found {
            if let Some(fate) = fates.get_mut(index) {
                *fate = Some(found.map_or_else(|why| PodFate::Stranded(reason(why, reached)), |_| PodFate::Fits));
            }
        }
        let nodes_of_no_pool = after.nodes.iter().filter(|(_, pool)| pool.is_none()).count();
        SimulationOutcome {
            fates: fates.into_iter().map(|fate| fate.unwrap_or(PodFate::Stays)).collect(),
            places: after,
            daemons: on_nodes,
            ended_daemons,
            nodes_of_no_pool,
        }
    }

    /// The fate of `pod` where nothing is to be tried.
    fn known_fate(&self, pod: &DrillPod) -> Option<PodFate> {
        let goes = pod.pod.node.as_deref().is_some_and(|node| self.gone.contains(node));
        match pod.pod.phase {
            PodPhase::Done => Some(PodFate::Leaves),
            PodPhase::Gated => Some(PodFate::Gated),
            _ if pod.pod.terminating && (goes || pod.pod.node.is_none()) => Some(PodFate::Leaves),
            _ if goes && (pod.pod.mirror || self.is_daemon(pod)) => Some(PodFate::Ends),
            _ => None,
        }
    }

    fn is_daemon(&self, pod: &DrillPod) -> bool {
        // Where its DaemonSet was not read, its owner says so; those of other groups do not come back elsewhere either.
        let of = pod.workload.and_then(|at| self.inventory.workloads.get(at)).map(|it| it.identity.kind);
        let owner = pod.pod.owner.as_ref().map(|owner| &*owner.kind_said);
        of == Some(WorkloadKind::DaemonSet) || owner == Some(WorkloadKind::DaemonSet.as_str())
    }

    /// Gives the pods at `indices` nodes among `views`, in turns.
    fn place(
        &self,
        judged: &JudgedPlaces<'a>,
        views: &[NodeView<'_>],
        objects: &ClusterObjects<'_>,
        indices: &[usize],
    ) -> Vec<(usize, Result<usize, Unfit>)> {
        let (policies, names, owners) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let facts = PlacementFacts {
            world: &self.inventory.world,
            propagated: &policies,
            lingering: &policies,
            exempt: &names,
            nodes: views,
            pools: &judged.stamps,
            moving: &owners,
        };
        let labels: BTreeMap<&str, &Labels> =
            self.running.pods.iter().map(|pod| (pod.key.as_str(), &*pod.labels)).collect();
        let mut counts = SpreadCounts::default();
        for (key, pod) in objects.pods.iter().filter(|(_, pod)| pod.is_active()) {
            let at = pod.node.as_deref().and_then(|node| facts.node_index(node));
            if let (Some(node), Some(labels)) = (at, labels.get(key.as_str())) {
                counts.add(&SpreadPod { namespace: split(key).0, labels, node });
            }
        }
        let mut placer = PodPlacer::new(objects, &facts);
        let mut found = Vec::new();
        for index in self.turns(indices) {
            let (Some(pod), Some(needs)) = (self.running.pods.get(index), self.needs.get(index)) else { continue };
            if let Some(refusal) = needs.refusal() {
                found.push((index, Err(Unfit::Refused(refusal.to_string()))));
                continue;
            }
            let (namespace, _) = split(&pod.key);
            let constraints = spread::constraints(&pod.spread, &pod.labels, needs, &self.inventory.world);
            let open = counts.open(&constraints, (namespace, &pod.labels), (&pod.pod, needs), views);
            let allows = |at: usize| views.get(at).is_some_and(|node| open.iter().all(|open| open.include(node)));
            let given = placer.place(&pod.key, &pod.pod, needs, allows);
            if let Ok(node) = given {
                counts.add(&SpreadPod { namespace, labels: &pod.labels, node });
            }
            found.push((index, given.map_err(|unplaced| Unfit::Unplaced(Box::new(unplaced)))));
        }
        found
    }

    /// The pods at `indices` in the order in which they look for a node: workloads take turns in proportion to how many
    /// they have, since their controllers make them anew side by side. Of those whose turn it is, the largest is first.
    fn turns(&self, indices: &[usize]) -> Vec<usize> {
        let mut by_workload: BTreeMap<(Option<usize>, &str), Vec<usize>> = BTreeMap::new();
        for index in indices {
            let Some(pod) = self.running.pods.get(*index) else { continue };
            let alone = if pod.workload.is_some() { "" } else { pod.key.as_str() };
            by_workload.entry((pod.workload, alone)).or_default().push(*index);
        }
        let mut turns: Vec<_> = by_workload
            .values()
            .flat_map(|of_one| {
                let count = u64::try_from(of_one.len()).unwrap_or(u64::MAX).max(1);
                of_one.iter().zip(0_u64..).map(move |(index, place)| {
                    let middle = place.saturating_mul(2).saturating_add(1);
                    (middle.saturating_mul(1 << 20).checked_div(count).unwrap_or_default(), *index)
                })
            })
            .collect();
        let size = |index: usize| self.running.pods.get(index).map(|pod| pod.pod.requests);
        turns.sort_by_key(|(turn, index)| (*turn, Reverse(size(*index)), *index));
        turns.into_iter().map(|(_, index)| index).collect()
    }

    /// The pods of `DaemonSet`s of which none was read, one for each node that suits it.
    fn daemons(&self, places: &JudgedPlaces<'a>) -> Vec<(String, Pod)> {
        let mut resolver = RequirementsResolver::new(&self.inventory.world, self.assume.enforced);
        let views = places.views(self.inventory, self.running);
        let mut made = Vec::new();
        for daemon in &self.running.daemons {
            let needs = super::resolve(&mut resolver, self.inventory, daemon);
            let own = daemon.pod.node_requirements.selecting(|key| keys::policy_asked(key).is_none());
            for node in &views {
                // Its controller lets it bear what a node says of its own state.
                let foreign = |taint: &&NodeTaint| !taint.key.starts_with("node.kubernetes.io/");
                let taints: Vec<_> = node.taints.iter().filter(foreign).cloned().collect();
                if needs.refusal().is_none()
                    && needs.met_by(node.labels.stamps)
                    && own.accept(node.name, &node.labels)
                    && tolerates(&daemon.pod.scheduling.tolerations, &taints)
                {
                    let node_name = Some(Arc::from(node.name));
                    made.push((format!("{}-{}", daemon.key, node.name), Pod { node: node_name, ..daemon.pod.clone() }));
                }
            }
        }
        made
    }
}

/// Why a pod was given no node.
pub(super) enum Unfit {
    /// Admission refuses it.
    Refused(String),
    /// No node takes it.
    Unplaced(Box<crate::migration::Unplaced>),
}

fn reason(unfit: Unfit, lies_in: impl FnOnce(&str) -> bool) -> StrandReason {
    match unfit {
        Unfit::Refused(why) => StrandReason::Refused(why),
        Unfit::Unplaced(unplaced) => StrandReason::of(*unplaced, lies_in),
    }
}

/// The places of the pods whose fate is open and that are `wanted`.
fn undecided(running: &RunningCluster, fates: &[Option<PodFate>], wanted: impl Fn(&DrillPod) -> bool) -> Vec<usize> {
    let pods = running.pods.iter().zip(fates).enumerate();
    pods.filter(|(_, (pod, fate))| fate.is_none() && wanted(pod)).map(|(index, _)| index).collect()
}

/// `taken`, and what `pod` takes of a node.
fn with(taken: &ComputeResources, pod: &Pod) -> ComputeResources {
    ComputeResources {
        cpu_milli: taken.cpu_milli.saturating_add(pod.requests.cpu_milli),
        memory: taken.memory.saturating_add(pod.requests.memory),
        pods: taken.pods.saturating_add(1),
    }
}

/// What a drill does not ask of what runs: controllers and namespaces, which the inventory has.
#[derive(Default)]
struct OtherObjects {
    controllers: BTreeMap<String, crate::cluster_objects::Controller>,
    namespaces: BTreeMap<String, Namespace>,
}

impl OtherObjects {
    fn with<'o>(&'o self, pods: &'o BTreeMap<String, Pod>, inventory: &'o PlanInventory) -> ClusterObjects<'o> {
        let controllers = &self.controllers;
        ClusterObjects {
            pods,
            controllers: ControllersByKind {
                deployments: controllers,
                replica_sets: controllers,
                stateful_sets: controllers,
                daemon_sets: controllers,
                jobs: controllers,
                cron_jobs: controllers,
            },
            namespaces: &self.namespaces,
            claims: &inventory.claims,
            volumes: &inventory.volumes,
        }
    }
}
