//! Plans: where each workload of an inventory may run at one instant, and why not elsewhere.
//!
//! Workloads of whom the same is said in one namespace share a judgement, and judgements that ask for the same places
//! share a demand, so that ten thousand workloads cost little more than their number.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

mod message;
mod planner;
mod volumes;
mod wishes;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};
use core::fmt;

pub use self::message::NodeWishesDisplay;
pub(super) use self::message::refused;
pub(super) use self::planner::owners;
pub use self::planner::{Planner, plan, refused_statements};
pub use self::volumes::{PinnedClaim, PinnedLevel};
pub use self::wishes::LevelScores;
use super::{
    admission::AdmissionRefusal,
    catalogue::Pool,
    clearance::{ClearanceInput, PoolClearance},
    compliance::PodCounts,
    instant::Timestamp,
    inventory::PlanInventory,
    name::{CategoryName, ExceptionName, LevelName, PolicyName},
    namespace::NamespaceFacts,
    policy::Policy,
    pool_membership::{NodeIdentity, claims},
    reason::{Reason, ReasonCode},
    selector::{LabelSource, Labels},
    sensitivity::SensitivitySource,
    text::list,
    volume::{Claim, Volume},
    workload::{Workload, WorkloadKind},
};

/// An inventory, judged.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The instant.
    pub at: Timestamp,
    /// What was judged.
    pub inventory: &'a PlanInventory,
    /// Every pool, in the order of their names, with how it fares under every policy.
    pub pools: Vec<PoolClearance<'a>>,
    /// The places of the control plane, in the order of their names. No pod goes there.
    pub control_plane: Vec<PoolClearance<'a>>,
    /// How each workload fares, in the order of the inventory.
    pub workloads: Vec<PlannedWorkload<'a>>,
    /// The namespaces whose labels some policy refuses, by name.
    pub namespaces: Vec<RefusedNamespace<'a>>,
    /// The namespaces that some policy in force governs and that say no level, by name.
    pub silent_namespaces: BTreeSet<&'a str>,
    /// What is asked of places, each once, in the order in which it was first asked.
    pub demands: Vec<PlacementDemand<'a>>,
    /// Which nodes are whose, by name.
    pub nodes: BTreeMap<&'a str, NodeOwnership>,
}

/// Whose a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeOwnership {
    /// Nobody's: no pool claims it with proof.
    Nobody,
    /// Nobody's, because several pools claim it.
    Disputed,
    /// Of the pool at this place of [`Plan::pools`].
    Pool(usize),
}

/// How a workload fares.
#[derive(Clone, Debug)]
pub struct PlannedWorkload<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// What the policies make of what is said.
    pub judgement: Rc<WorkloadJudgement<'a>>,
    /// What becomes of it.
    pub outcome: PlacementOutcome,
}

/// What the policies make of what is said about a workload.
#[derive(Clone, Debug)]
pub struct WorkloadJudgement<'a> {
    /// Whether its namespace is exempt from every policy.
    pub exempt: bool,
    /// Whether the labels of its namespace are known. They are taken to say nothing where they are not.
    pub namespace_known: bool,
    /// Its level under each policy that governs its namespace and understands what is said.
    pub policies: Vec<EffectiveLevel<'a>>,
    /// Its categories.
    pub categories: BTreeSet<&'a CategoryName>,
    /// What the policies refuse; those that are in force refuse the pods.
    pub refusals: Vec<PolicyRefusal<'a>>,
    /// What the policies that are in force ask of its places; the index of the demand.
    pub demand: Option<usize>,
}

/// A workload's level under one policy.
#[derive(Clone, Debug)]
pub struct EffectiveLevel<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Whether it places and refuses; otherwise it only warns or watches.
    pub in_force: bool,
    /// The level.
    pub level: &'a LevelName,
    /// Its place in the policy's order, from 0.
    pub rank: usize,
    /// Who said so.
    pub source: SensitivitySource,
    /// The exception that it is under.
    pub exception: Option<&'a ExceptionName>,
}

/// What one policy refuses.
#[derive(Clone, Debug)]
pub struct PolicyRefusal<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Whether it refuses; otherwise it only warns or watches.
    pub in_force: bool,
    /// What it refuses.
    pub refusal: AdmissionRefusal<'a>,
}

/// A namespace whose labels are refused: nothing that is of a policy's concern starts in it.
#[derive(Clone, Debug)]
pub struct RefusedNamespace<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the policies refuse; never empty.
    pub refusals: Vec<PolicyRefusal<'a>>,
}

/// What a workload asks of the places where it runs.
#[derive(Clone, Debug)]
pub struct PlacementDemand<'a> {
    /// What each policy asks; never empty.
    pub asks: Vec<PolicyDemand<'a>>,
    /// The pools that meet all of it and admit new pods: places of [`Plan::pools`].
    pub cleared: Vec<usize>,
    /// The pools that are cleared for all of it, and from which new pods are withheld ahead of their end.
    pub withdrawn: Vec<usize>,
    /// Those of the cleared that have a node; all of them where no node is known.
    pub with_nodes: Vec<usize>,
    /// The nodes that have everything that is asked for, by name.
    pub nodes: Vec<&'a str>,
    /// The pool that lacks least, where none meets it: a place of [`Plan::pools`].
    pub nearest: Option<usize>,
}

/// What one policy asks of a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyDemand<'a> {
    /// The place of the policy among those of the world, in the order of their names.
    index: usize,
    /// The policy.
    pub policy: &'a PolicyName,
    /// The level, with its place in the policy's order; `None` where it demands nothing.
    pub level: Option<(usize, &'a LevelName)>,
    /// The exception that it is under: then the pools of the exception will do as well.
    pub exception: Option<&'a ExceptionName>,
    /// The categories that demand something.
    pub categories: Vec<&'a CategoryName>,
}

/// What becomes of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacementOutcome {
    /// Its pods have somewhere to run: these places of [`Plan::pools`].
    Placeable(Rc<[usize]>),
    /// Its pods would stay pending.
    Unplaceable(UnplaceableReason),
    /// Admission refuses it, or its pods.
    Refused,
    /// No policy asks anything of its places.
    Unrestricted(UnrestrictedReason),
}

/// Why pods would stay pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnplaceableReason {
    /// No pool is cleared.
    NoPool,
    /// No cleared pool has a node.
    NoNode,
    /// The workload's own node selector or affinity accepts no node that is cleared.
    OwnWishes,
    /// A claim of its pods is bound to a volume that no such node can reach.
    VolumePinned(PinnedClaim),
}

/// Why nothing is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnrestrictedReason {
    /// Its namespace is exempt.
    Exempt,
    /// No policy governs its namespace.
    Ungoverned,
    /// Policies govern its namespace, none of which is in Enforce.
    NotEnforced,
    /// The policies require nothing of its level.
    NothingRequired,
}

/// Under which assumptions to plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanAssumptions {
    /// That every policy is in Enforce.
    pub enforced: bool,
}

impl<'a> PolicyDemand<'a> {
    fn met_by(&self, pool: &PoolClearance<'_>) -> bool {
        pool.policies.get(self.index).is_some_and(|clearance| {
            let level = |(rank, _)| match self.exception {
                Some(exception) => clearance.cleared_by_exception(exception),
                None => clearance.admits(rank),
            };
            self.level.is_none_or(level) && self.categories.iter().all(|category| clearance.cleared_category(category))
        })
    }

    /// Whether nothing but the coming end of a certificate keeps `pool` from meeting it.
    fn outstayed(&self, pool: &PoolClearance<'a>) -> bool {
        self.reasons(pool).all(|reason| reason.code() == ReasonCode::QualificationEnding)
    }

    /// Whether it is an exception that lets its pods onto `pool`, which is not cleared for their level.
    fn waives(&self, pool: &PoolClearance<'_>) -> bool {
        let clearance = pool.policies.get(self.index).zip(self.exception);
        clearance.is_some_and(|(clearance, exception)| clearance.let_in().any(|(name, _)| name == exception))
    }

    fn reasons<'p>(&'p self, pool: &'p PoolClearance<'a>) -> impl Iterator<Item = Reason<'a>> + 'p {
        let clearance = pool.policies.get(self.index);
        let of_exception = clearance.zip(self.exception).into_iter();
        let of_exception = of_exception.flat_map(|(found, exception)| found.exception_reasons(exception));
        let level = self.level.filter(|_| self.exception.is_none());
        let of_level = clearance.zip(level).into_iter().flat_map(|(found, (rank, _))| found.obstacles(rank));
        let of_category = move |category: &'a CategoryName| {
            clearance.into_iter().flat_map(move |found| found.category_reasons(category))
        };
        of_exception.chain(of_level).chain(self.categories.iter().copied().flat_map(of_category))
    }
}

impl fmt::Display for PolicyDemand<'_> {
    /// As people say it: `level restricted, category health of policy state`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level.map(|(_, level)| match self.exception {
            Some(exception) => format!("level {level} under exception {exception}"),
            None => format!("level {level}"),
        });
        let categories = self.categories.iter().map(|category| format!("category {category}"));
        list(f, level.into_iter().chain(categories))?;
        write!(f, " of policy {}", self.policy)
    }
}

impl<'a> PlacementDemand<'a> {
    /// That `pool` ends within the lead time of a level that is asked for, withdrawn or kept.
    pub fn endings<'p>(&'p self, pool: &'p PoolClearance<'a>) -> impl Iterator<Item = Reason<'a>> + 'p {
        self.asks.iter().filter_map(|ask| {
            let clearance = pool.policies.get(ask.index)?;
            let of_exception = |name| clearance.policy().exceptions.get(name).map(|exception| exception.rank);
            let rank = match ask.exception {
                Some(name) if clearance.excepted(name) => None,
                Some(name) => of_exception(name),
                None => ask.level.map(|(rank, _)| rank),
            };
            clearance.ending(rank?)
        })
    }

    /// All that keeps `pool` from meeting it: none if and only if it is cleared.
    #[must_use]
    pub fn reasons(&self, pool: &PoolClearance<'a>) -> Vec<Reason<'a>> {
        self.asks.iter().flat_map(|ask| ask.reasons(pool)).collect()
    }
}

/// How far a `DaemonSet` reaches, of the nodes that its own selector and affinity accept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonSetReach<'a> {
    /// The nodes on which it may run.
    pub cleared: Vec<&'a str>,
    /// The nodes on which it may not: Kubernetes ends its pods there at once, whatever budgets say.
    pub lost: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    /// What its workloads have to reckon with.
    #[must_use]
    pub fn plan_context(&self) -> PlanContext<'_, 'a> {
        PlanContext { pools: &self.pools, demands: &self.demands, nodes: &self.nodes, cluster: self.inventory }
    }

    /// The demand of `planned`.
    #[must_use]
    pub fn demand(&self, planned: &PlannedWorkload<'_>) -> Option<&PlacementDemand<'a>> {
        self.demands.get(planned.judgement.demand?)
    }

    /// Whether a pod of `planned` may run on the node `name` by what is asked of its places.
    #[must_use]
    pub fn allows(&self, planned: &PlannedWorkload<'_>, name: &str) -> bool {
        match planned.outcome {
            PlacementOutcome::Unrestricted(_) => true,
            PlacementOutcome::Refused => false,
            PlacementOutcome::Placeable(_) | PlacementOutcome::Unplaceable(_) => {
                self.demand(planned).is_some_and(|demand| demand.nodes.binary_search(&name).is_ok())
            }
        }
    }

    /// Whether `pool` claims the node `name`, alone or beside others.
    #[must_use]
    pub fn claims(&self, pool: &Pool, name: &str) -> bool {
        let Some(node) = self.inventory.nodes.get(name) else { return false };
        let place = NodeIdentity { labels: &node.labels, provider_id: node.provider_id.as_deref() };
        claims(&self.inventory.world.catalogue.pools, place).by.contains(&&pool.name)
    }

    /// Whether what is asked of the places of `planned` is met by every place that is known.
    #[must_use]
    pub fn everywhere(&self, planned: &PlannedWorkload<'_>) -> bool {
        let met = |demand: &PlacementDemand<'_>| {
            if self.nodes.is_empty() {
                demand.cleared.len() == self.pools.len()
            } else {
                demand.nodes.len() == self.nodes.len()
            }
        };
        matches!(planned.outcome, PlacementOutcome::Unrestricted(_) | PlacementOutcome::Placeable(_))
            && self.demand(planned).is_none_or(met)
    }

    /// The stamps that verdicts grant to the node `name`; `None` where it is no pool's or is not known.
    #[must_use]
    pub fn stamps_of(&self, name: &str) -> Option<Labels> {
        match self.nodes.get(name)? {
            NodeOwnership::Pool(index) => self.pools.get(*index).map(PoolClearance::stamps),
            NodeOwnership::Nobody | NodeOwnership::Disputed => None,
        }
    }

    /// The pool at `index` of the pools.
    #[must_use]
    pub fn pool(&self, index: usize) -> Option<&'a Pool> {
        self.plan_context().pool(index)
    }

    /// What becomes of `planned` and why, in a sentence or two.
    #[must_use]
    pub fn message(&self, planned: &PlannedWorkload<'a>) -> String {
        let placed = u32::try_from(planned.workload.runs_on.len()).unwrap_or(u32::MAX);
        let pods = (placed > 0).then(|| PodCounts { total: placed, placed, ..PodCounts::default() });
        self.plan_context().message(planned, pods.as_ref())
    }

    /// The pool that lacks least to meet `demand`, where none meets it.
    #[must_use]
    pub fn nearest(&self, demand: &PlacementDemand<'a>) -> Option<&PoolClearance<'a>> {
        self.pools.get(demand.nearest?)
    }

    /// See [`PlanContext::pinned_above`].
    #[must_use]
    pub fn pinned_above(&self, planned: &PlannedWorkload<'a>) -> Option<PinnedLevel<'a>> {
        self.plan_context().pinned_above(planned)
    }

    /// See [`PlanContext::reach`].
    #[must_use]
    pub fn reach(&self, planned: &PlannedWorkload<'a>) -> Option<DaemonSetReach<'a>> {
        self.plan_context().reach(planned)
    }
}

/// Where workloads are, and could be: an inventory, or the mirror of a cluster that is followed.
pub trait ClusterSource {
    /// What is known of offers and pools, and what officers demand.
    fn world(&self) -> &ClearanceInput;
    /// What is known of the namespace `name`.
    fn namespace(&self, name: &str) -> NamespaceFacts<'_>;
    /// The labels of a node, without stamps; nothing of one that is not known.
    fn labels_of(&self, node: &str) -> Option<&dyn LabelSource>;
    /// The claims of volumes, by namespace and name; `None` where others look at volumes.
    fn claims(&self) -> Option<&BTreeMap<String, Claim>> {
        None
    }
    /// The volumes, by name; `None` where others look at them.
    fn volumes(&self) -> Option<&BTreeMap<String, Volume>> {
        None
    }
}

impl ClusterSource for PlanInventory {
    fn world(&self) -> &ClearanceInput {
        &self.world
    }

    fn namespace(&self, name: &str) -> NamespaceFacts<'_> {
        Self::namespace(self, name)
    }

    fn labels_of(&self, node: &str) -> Option<&dyn LabelSource> {
        self.nodes.get(node).map(|node| &node.labels as &dyn LabelSource)
    }

    fn claims(&self) -> Option<&BTreeMap<String, Claim>> {
        Some(&self.claims)
    }

    fn volumes(&self) -> Option<&BTreeMap<String, Volume>> {
        Some(&self.volumes)
    }
}

/// What workloads have to reckon with: the pools, the demands on them, and whose the nodes are.
#[derive(Clone, Copy)]
pub struct PlanContext<'p, 'a> {
    pools: &'p [PoolClearance<'a>],
    demands: &'p [PlacementDemand<'a>],
    nodes: &'p BTreeMap<&'a str, NodeOwnership>,
    cluster: &'a dyn ClusterSource,
}

impl<'p, 'a> PlanContext<'p, 'a> {
    /// The demand of `planned`.
    #[must_use]
    pub fn demand(&self, planned: &PlannedWorkload<'_>) -> Option<&'p PlacementDemand<'a>> {
        self.demands.get(planned.judgement.demand?)
    }

    /// The pool at `index` of the pools.
    #[must_use]
    pub fn pool(&self, index: usize) -> Option<&'a Pool> {
        self.pools.get(index).map(|clearance| clearance.pool)
    }

    /// Every pool, in the order of their names.
    #[must_use]
    pub fn pools(&self) -> &'p [PoolClearance<'a>] {
        self.pools
    }

    /// Where the pods of the `DaemonSet` `planned` run, and where they end. Of other kinds, and where nothing is asked
    /// or no node is known, nothing.
    #[must_use]
    pub fn reach(&self, planned: &PlannedWorkload<'a>) -> Option<DaemonSetReach<'a>> {
        let demand = self.demand(planned).filter(|_| planned.workload.identity.kind == WorkloadKind::DaemonSet)?;
        if self.nodes.is_empty() {
            return None;
        }
        let node_requirements = planned.workload.node_requirements.without_stamps();
        let (cleared, lost) = self
            .nodes
            .keys()
            .copied()
            .filter(|name| self.cluster.labels_of(name).is_some_and(|labels| node_requirements.accept(name, labels)))
            .partition(|name| demand.nodes.binary_search(name).is_ok());
        Some(DaemonSetReach { cleared, lost })
    }
}
