//! Judges the workloads of an inventory one by one, and remembers what they share.

use alloc::vec::Vec;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};
use core::cell::OnceCell;

use super::{
    ClusterSource, EffectiveLevel, NodeOwnership, PlacementDemand, PlacementOutcome, Plan, PlanAssumptions,
    PlanContext, PlannedWorkload, PolicyDemand, PolicyRefusal, RefusedNamespace, UnplaceableReason, UnrestrictedReason,
    WorkloadJudgement,
    volumes::{self, NodeChoice},
};
use crate::{
    admission::{AdmissionRefusal, PolicyNeed},
    clearance::{Judge, PoolClearance},
    cluster_objects::NodeViewLabels,
    instant::Timestamp,
    inventory::{Node, PlanInventory},
    keys,
    name::{CategoryName, PoolName, quoted},
    pod_requirements::{PodRequirements, PolicyRequirement, RequirementsResolver},
    policy::Policy,
    pool_membership::{NodeIdentity, claims},
    selector::Labels,
    sensitivity::{ControllerStatements, PodSensitivity, SensitivitySource, SensitivityStatement, TemplateStatements},
    workload::{NodeRequirements, Workload, WorkloadKind},
};

/// Judges `inventory` at `at`.
#[must_use]
pub fn plan(inventory: &PlanInventory, at: Timestamp, assume: PlanAssumptions) -> Plan<'_> {
    let nodes = owners(inventory);
    let has_nodes: BTreeSet<usize> = nodes
        .values()
        .filter_map(|of| match of {
            NodeOwnership::Pool(pool) => Some(*pool),
            NodeOwnership::Nobody | NodeOwnership::Disputed => None,
        })
        .collect();
    let names: BTreeMap<&PoolName, usize> = inventory.world.catalogue.pools.keys().zip(0..).collect();
    let has_node = |name: &PoolName| nodes.is_empty() || names.get(name).is_some_and(|pool| has_nodes.contains(pool));
    let judge = Judge::new(&inventory.world);
    let (pools, control_plane) = (judge.pools_where(at, has_node), judge.control_plane(at));
    let mut planner = Planner::new(inventory, assume, &pools, &nodes);
    let workloads = inventory.workloads.iter().map(|workload| planner.workload(workload)).collect();
    let namespaces = inventory.namespaces.keys().filter_map(|name| planner.namespace(name)).collect();
    let silent_namespaces =
        inventory.namespaces.keys().map(|name| &**name).filter(|name| planner.is_silent(name)).collect();
    let demands = planner.demands;
    Plan { at, inventory, pools, control_plane, workloads, namespaces, silent_namespaces, demands, nodes }
}

/// What the policies that govern `namespace` refuse of a pod of which `template` says this, beside what the namespace says;
/// as if each were in force where its mode is not.
#[must_use]
pub fn refused_statements<'a>(
    inventory: &'a PlanInventory,
    namespace: &'a str,
    template: &'a TemplateStatements,
) -> Vec<PolicyRefusal<'a>> {
    let mut resolver = RequirementsResolver::new(&inventory.world, true);
    let said = |statement| PodSensitivity::new(statement, [ControllerStatements { own: None, template }], None);
    let required = resolver.requirements(namespace, || inventory.namespace(namespace), said);
    let refused = required.policies.iter().flat_map(|required| {
        let refusals = required.need.as_ref().err().cloned().unwrap_or_default();
        let PolicyRequirement { policy, in_force, .. } = *required;
        refusals.into_iter().map(move |refusal| PolicyRefusal { policy, in_force, refusal })
    });
    refused.filter(|refused| refused.refusal.source() != Some(SensitivitySource::Namespace)).collect()
}

/// Whose each node of `inventory` is, by name.
pub(crate) fn owners(inventory: &PlanInventory) -> BTreeMap<&str, NodeOwnership> {
    let index: BTreeMap<&PoolName, usize> = inventory.world.catalogue.pools.keys().zip(0..).collect();
    let of = |node: &Node| {
        let place = NodeIdentity { labels: &node.labels, provider_id: node.provider_id.as_deref() };
        let claims = claims(&inventory.world.catalogue.pools, place);
        match claims.owner().and_then(|name| index.get(name)) {
            Some(pool) => NodeOwnership::Pool(*pool),
            None if claims.by.len() > 1 => NodeOwnership::Disputed,
            None => NodeOwnership::Nobody,
        }
    };
    inventory.nodes.iter().map(|(name, node)| (&**name, of(node))).collect()
}

/// What a judgement follows from: workloads of which the same is said share one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct JudgementKey<'a> {
    namespace: &'a str,
    kind: WorkloadKind,
    own: Option<&'a SensitivityStatement>,
    template: &'a TemplateStatements,
    misplaced: &'a [&'static str],
    node_name: Option<&'a str>,
}

/// Judges workloads one by one, and remembers what they share.
pub struct Planner<'a, 'p> {
    cluster: &'a dyn ClusterSource,
    resolver: RequirementsResolver<'a>,
    pools: &'p [PoolClearance<'a>],
    nodes: &'p BTreeMap<&'a str, NodeOwnership>,
    judged: BTreeMap<JudgementKey<'a>, Rc<WorkloadJudgement<'a>>>,
    demands: Vec<PlacementDemand<'a>>,
    known: BTreeMap<Vec<PolicyDemand<'a>>, usize>,
    /// Outcomes of workloads with wishes of their own, by demand and wishes.
    wished: BTreeMap<(usize, NodeRequirements), PlacementOutcome>,
    /// The stamps of every pool, once some workload has wished something.
    stamps: OnceCell<Vec<Labels>>,
}

impl<'a, 'p> Planner<'a, 'p> {
    /// A planner for workloads of `estate`, whose pools fare like this, in the order of their names, and whose nodes are
    /// theirs.
    #[must_use]
    pub fn new(
        cluster: &'a dyn ClusterSource,
        assume: PlanAssumptions,
        pools: &'p [PoolClearance<'a>],
        nodes: &'p BTreeMap<&'a str, NodeOwnership>,
    ) -> Self {
        Self {
            cluster,
            resolver: RequirementsResolver::new(cluster.world(), assume.enforced),
            pools,
            nodes,
            judged: BTreeMap::new(),
            demands: Vec::new(),
            known: BTreeMap::new(),
            wished: BTreeMap::new(),
            stamps: OnceCell::new(),
        }
    }

    /// What the workloads that were judged so far have to reckon with.
    #[must_use]
    pub fn plan_context(&self) -> PlanContext<'_, 'a> {
        PlanContext { pools: self.pools, demands: &self.demands, nodes: self.nodes, cluster: self.cluster }
    }

    /// Judges `workload`.
    pub fn workload(&mut self, workload: &'a Workload) -> PlannedWorkload<'a> {
        let said = JudgementKey {
            namespace: &workload.identity.namespace,
            kind: workload.identity.kind,
            own: workload.own.as_ref(),
            template: &workload.template,
            misplaced: &workload.misplaced,
            node_name: workload.node_name.as_deref(),
        };
        let judgement = if let Some(known) = self.judged.get(&said) {
            Rc::clone(known)
        } else {
            let new = Rc::new(self.judge(workload));
            self.judged.insert(said, Rc::clone(&new));
            new
        };
        let outcome = self.outcome(workload, &judgement);
        PlannedWorkload { workload, judgement, outcome }
    }

    /// What is refused of the labels of the namespace `name`, if anything is.
    fn namespace(&mut self, name: &'a str) -> Option<RefusedNamespace<'a>> {
        let required = self.requirements(name, |namespace| PodSensitivity::new(namespace, [], None));
        let facts = self.cluster.namespace(name);
        // One that is there already may go on saying nothing.
        let is_new = facts.is_new();
        let refused = |required: &PolicyRequirement<'a>| {
            let PolicyRequirement { policy, in_force, .. } = *required;
            let refusals = required.need.as_ref().err().cloned().unwrap_or_default();
            let silent = policy.refused_of_silent_namespace(facts.statement()).filter(|_| is_new);
            refusals.into_iter().chain(silent).map(move |refusal| PolicyRefusal { policy, in_force, refusal })
        };
        let refusals: Vec<_> = required.policies.iter().flat_map(refused).collect();
        (!refusals.is_empty()).then_some(RefusedNamespace { name, refusals })
    }

    /// Whether a policy in force governs the namespace `name`, which says no level.
    fn is_silent(&mut self, name: &'a str) -> bool {
        let is_governed = self
            .requirements(name, |namespace| PodSensitivity::new(namespace, [], None))
            .policies
            .iter()
            .any(|required| required.in_force);
        is_governed && self.cluster.namespace(name).statement().sensitivity.is_none()
    }

    fn requirements(
        &mut self,
        namespace: &'a str,
        said: impl FnOnce(&'a SensitivityStatement) -> PodSensitivity<'a>,
    ) -> Rc<PodRequirements<'a>> {
        let cluster = self.cluster;
        self.resolver.requirements(namespace, || cluster.namespace(namespace), said)
    }

    fn judge(&mut self, workload: &'a Workload) -> WorkloadJudgement<'a> {
        let namespace: &'a str = &workload.identity.namespace;
        let facts = self.cluster.namespace(namespace);
        let required = self.requirements(namespace, |statement| workload.sensitivity(statement));
        let mut judgement = WorkloadJudgement {
            exempt: facts.is_exempt(),
            namespace_known: facts.is_known(),
            policies: Vec::new(),
            categories: BTreeSet::new(),
            refusals: Vec::new(),
            demand: None,
        };
        let mut asks = Vec::new();
        for required in &required.policies {
            let PolicyRequirement { policy, index, in_force, .. } = *required;
            let mut refuse = |refusal| judgement.refusals.push(PolicyRefusal { policy, in_force, refusal });
            if !workload.misplaced.is_empty() {
                refuse(AdmissionRefusal::Misplaced { keys: workload.misplaced.clone() });
            }
            let need = match &required.need {
                Ok(need) => need,
                Err(refusals) => {
                    refusals.iter().cloned().for_each(refuse);
                    continue;
                }
            };
            if let Some(node) = workload.node_name.as_deref().filter(|_| !need.keys.is_empty()) {
                let node = quoted(node);
                refuse(AdmissionRefusal::NodeName { policy, node, demand: need.demand(policy) });
            }
            if in_force && !need.keys.is_empty() {
                asks.push(ask(index, policy, need));
            }
            let PolicyNeed { level, rank, source, exception, ref categories, keys: _ } = *need;
            judgement.categories.extend(categories);
            judgement.policies.push(EffectiveLevel { policy, in_force, level, rank, source, exception });
        }
        let refused = judgement.refusals.iter().any(|refused| refused.in_force);
        judgement.demand = (!refused && !asks.is_empty()).then(|| self.demand(asks));
        judgement
    }

    fn demand(&mut self, asks: Vec<PolicyDemand<'a>>) -> usize {
        if let Some(known) = self.known.get(&asks) {
            return *known;
        }
        let meets = |pool: &PoolClearance<'_>| asks.iter().all(|ask| ask.met_by(pool));
        let cleared: Vec<usize> = (0..).zip(self.pools).filter(|(_, pool)| meets(pool)).map(|(i, _)| i).collect();
        let leaves = |pool: &PoolClearance<'a>| asks.iter().all(|ask| ask.outstayed(pool));
        let withdrawn = (0..).zip(self.pools).filter(|(i, pool)| cleared.binary_search(i).is_err() && leaves(pool));
        let withdrawn: Vec<usize> = withdrawn.map(|(i, _)| i).collect();
        let nodes: Vec<&'a str> = self
            .nodes
            .iter()
            .filter(|(_, of)| matches!(of, NodeOwnership::Pool(pool) if cleared.binary_search(pool).is_ok()))
            .map(|(name, _)| *name)
            .collect();
        let has_nodes: BTreeSet<usize> = nodes.iter().filter_map(|name| self.pool_of(name)).collect();
        let with_nodes = if self.nodes.is_empty() { cleared.clone() } else { has_nodes.into_iter().collect() };
        let id = self.demands.len();
        // Worked out once, and not for each of the workloads that will be told of it.
        let lacks = |pool: &PoolClearance<'a>| asks.iter().flat_map(|ask| ask.reasons(pool)).count();
        let pools = (0..).zip(self.pools).filter(|_| cleared.is_empty());
        // What stands on nothing lacks one thing, and nobody knows how many more.
        let nearest = pools.min_by_key(|(_, pool)| (pool.site.is_err(), lacks(pool))).map(|(i, _)| i);
        self.demands.push(PlacementDemand { asks: asks.clone(), cleared, withdrawn, with_nodes, nodes, nearest });
        self.known.insert(asks, id);
        id
    }

    fn pool_of(&self, node: &str) -> Option<usize> {
        match self.nodes.get(node) {
            Some(NodeOwnership::Pool(pool)) => Some(*pool),
            _ => None,
        }
    }

    fn outcome(&mut self, workload: &'a Workload, judgement: &WorkloadJudgement<'a>) -> PlacementOutcome {
        let Some(id) = judgement.demand else {
            return match judgement {
                WorkloadJudgement { refusals, .. } if refusals.iter().any(|refused| refused.in_force) => {
                    PlacementOutcome::Refused
                }
                WorkloadJudgement { exempt: true, .. } => PlacementOutcome::Unrestricted(UnrestrictedReason::Exempt),
                WorkloadJudgement { policies, refusals, .. } if policies.is_empty() && refusals.is_empty() => {
                    PlacementOutcome::Unrestricted(UnrestrictedReason::Ungoverned)
                }
                WorkloadJudgement { policies, .. } if !policies.iter().any(|levelled| levelled.in_force) => {
                    PlacementOutcome::Unrestricted(UnrestrictedReason::NotEnforced)
                }
                _ => PlacementOutcome::Unrestricted(UnrestrictedReason::NothingRequired),
            };
        };
        let Some(demand) = self.demands.get(id) else { return PlacementOutcome::Refused };
        if demand.cleared.is_empty() {
            return PlacementOutcome::Unplaceable(UnplaceableReason::NoPool);
        }
        if demand.with_nodes.is_empty() {
            return PlacementOutcome::Unplaceable(UnplaceableReason::NoNode);
        }
        let node_requirements = self.node_requirements(workload, judgement);
        if let Some(pinned) = self.pinned(id, workload, &node_requirements) {
            return pinned;
        }
        let Some(demand) = self.demands.get(id) else { return PlacementOutcome::Refused };
        if node_requirements.is_empty() {
            return PlacementOutcome::Placeable(demand.with_nodes.as_slice().into());
        }
        if let Some(known) = self.wished.get(&(id, node_requirements.clone())) {
            return known.clone();
        }
        let suited = self.suited(id, &node_requirements);
        let outcome = if suited.is_empty() {
            PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes)
        } else {
            PlacementOutcome::Placeable(suited.into())
        };
        self.wished.insert((id, node_requirements), outcome.clone());
        outcome
    }

    /// That a claim of its pods is bound to a volume which no node of the demand `id` reaches that its wishes accept, where
    /// these accept any.
    fn pinned(
        &mut self,
        id: usize,
        workload: &Workload,
        node_requirements: &NodeRequirements,
    ) -> Option<PlacementOutcome> {
        let reaches = volumes::reaches(self.cluster, workload);
        if reaches.is_empty() || self.nodes.is_empty() || self.suited(id, node_requirements).is_empty() {
            return None;
        }
        let stamps = self.stamps.get()?;
        let choice = NodeChoice { cluster: self.cluster, stamps, node_requirements };
        let nodes = self.demands.get(id)?.nodes.iter().filter_map(|name| Some((*name, self.pool_of(name)?)));
        let claim = choice.pinned(&reaches, &nodes).into_iter().next()?;
        Some(PlacementOutcome::Unplaceable(UnplaceableReason::VolumePinned(claim)))
    }

    /// What the workload wants of nodes once admission has put its own keys right.
    fn node_requirements(&self, workload: &Workload, judgement: &WorkloadJudgement<'_>) -> NodeRequirements {
        let ours = |key: &str| {
            keys::policy_asked(key).is_some_and(|policy| {
                self.cluster.world().is_retired(key)
                    || judgement.policies.iter().any(|of| of.in_force && of.policy.name.as_str() == policy)
            })
        };
        workload.node_requirements.selecting(|key| !ours(key))
    }

    /// The pools of the demand `id` in which some node suits `wants`.
    fn suited(&mut self, id: usize, node_requirements: &NodeRequirements) -> Vec<usize> {
        let Some(demand) = self.demands.get(id) else { return Vec::new() };
        let stamps = self.stamps.get_or_init(|| self.pools.iter().map(PoolClearance::stamps).collect());
        if self.nodes.is_empty() {
            // Of nodes that nobody has listed only the stamps are known, and the labels by which they are of their pool.
            let known = node_requirements.of_stamps_alone();
            // A label that the pool's own nodes must have otherwise is none that one of them has.
            let apart = |pool: &usize| {
                self.pools.get(*pool).is_some_and(|found| !found.pool.selector.allows(&node_requirements.selector))
            };
            let accepted =
                |pool: &usize| stamps.get(*pool).is_some_and(|stamps| known.accept("", stamps)) && !apart(pool);
            return demand.with_nodes.iter().copied().filter(accepted).collect();
        }
        let mut suited = BTreeSet::new();
        for name in &demand.nodes {
            let Some(NodeOwnership::Pool(pool)) = self.nodes.get(name).copied() else { continue };
            if suited.contains(&pool) {
                continue;
            }
            let (Some(own), Some(stamps)) = (self.cluster.labels_of(name), stamps.get(pool)) else { continue };
            if node_requirements.accept(name, &NodeViewLabels { own, stamps }) {
                suited.insert(pool);
            }
        }
        suited.into_iter().collect()
    }
}

fn ask<'a>(index: usize, policy: &'a Policy, need: &PolicyNeed<'a>) -> PolicyDemand<'a> {
    let demanding = |name: &&CategoryName| policy.categories.get(name.as_str()).is_some_and(Option::is_some);
    let categories = need.categories.iter().copied().filter(demanding).collect();
    // A level that demands nothing, beside a category that does, asks for nothing itself.
    let level = policy.levels.demands_at(need.rank).then_some((need.rank, need.level));
    PolicyDemand { index, policy: &policy.name, level, exception: need.exception, categories }
}
