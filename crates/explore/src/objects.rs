//! Objects of a world: what the core is told of it, as the operator's caches would.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rempart_core::{
    clearance::ClearanceInput,
    cluster_objects::{
        ClusterObjects, ComputeResources, Controller, ControllerSpec, ControllersByKind, ExtendedResources, NodeView,
        NodeViewLabels, ObjectUid, OwnerRef, Pod, RolloutStrategy, SchedulingConstraints,
    },
    compliance::PlacementFacts,
    name::{LevelName, PolicyName, PoolName, Scheme},
    namespace::Namespace,
    policy::{EnforcementMode, Level, LevelRequirements, OnClearanceLoss, Policy, PolicyLevels},
    scheduling::LevelScheduling,
    selector::{Labels, Selector},
    sensitivity::{SensitivityStatement, TemplateStatements},
    workload::{NodeRequirements, WorkloadKind},
};

use super::{
    scenario::{ModelKind, Scenario, WorkloadSpec},
    world::{PodState, WorkloadState, World, pod_uid, replica_set_uid, workload_uid},
};

/// The stamp.
pub(super) const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.restricted";
/// The namespace of everything.
pub(super) const NAMESPACE: &str = "shop";

/// What all worlds of a scenario share.
pub(super) struct SharedObjects {
    /// What is demanded under each of the facts.
    demands: [ClearanceInput; 2],
    propagated: BTreeSet<PolicyName>,
    lingering: BTreeSet<PolicyName>,
    exempt: BTreeSet<String>,
    namespaces: BTreeMap<String, Namespace>,
    nodes: Vec<String>,
    pools: Vec<PoolName>,
    own: Vec<Labels>,
    stamp: Arc<Labels>,
    none: Arc<Labels>,
    nothing: ExtendedResources,
    statements: [Arc<TemplateStatements>; 2],
    requirements: [Arc<NodeRequirements>; 2],
    scheduling: Arc<SchedulingConstraints>,
}

/// The objects of one world.
pub(super) struct WorldObjects<'s> {
    shared: &'s SharedObjects,
    demand: &'s ClearanceInput,
    pods: BTreeMap<String, Pod>,
    controllers: BTreeMap<WorkloadKind, BTreeMap<String, Controller>>,
    nodes: Vec<NodeView<'s>>,
    pools: BTreeMap<PoolName, Arc<Labels>>,
    moving: BTreeSet<ObjectUid>,
    nobody: BTreeMap<String, Controller>,
    claims: BTreeMap<String, rempart_core::volume::Claim>,
    volumes: BTreeMap<String, rempart_core::volume::Volume>,
}

impl SharedObjects {
    pub(super) fn new(scenario: &Scenario) -> anyhow::Result<Self> {
        let name = PolicyName::parse("state")?;
        let demands = [demand(&name, scenario.facts[0].demanded)?, demand(&name, scenario.facts[1].demanded)?];
        let names: Vec<String> = (0..scenario.nodes.len()).map(node_name).collect();
        let pools = (0..scenario.nodes.len()).map(|node| PoolName::parse(&pool_name(node)));
        let own = names.iter().map(|name| Labels::from([("kubernetes.io/hostname".to_owned(), name.clone())]));
        let said = SensitivityStatement { sensitivity: Some("restricted".into()), categories: None };
        let stamp = Labels::from([(KEY.to_owned(), "true".to_owned())]);
        let selecting = NodeRequirements { selector: stamp.clone(), ..NodeRequirements::default() };
        Ok(Self {
            demands,
            propagated: [name].into(),
            lingering: BTreeSet::new(),
            exempt: BTreeSet::new(),
            namespaces: [(NAMESPACE.to_owned(), Namespace::new(1, Labels::new()))].into(),
            own: own.collect(),
            pools: pools.collect::<Result<_, _>>()?,
            nodes: names,
            stamp: Arc::new(stamp),
            none: Arc::default(),
            nothing: ExtendedResources::new(),
            statements: [
                Arc::default(),
                Arc::new(TemplateStatements { workload: said, ..TemplateStatements::default() }),
            ],
            requirements: [Arc::default(), Arc::new(selecting)],
            scheduling: Arc::default(),
        })
    }
}

pub(super) fn node_name(node: usize) -> String {
    format!("n{node}")
}

pub(super) fn pool_name(node: usize) -> String {
    format!("p{node}")
}

pub(super) fn workload_name(index: usize) -> String {
    format!("w{index}")
}

/// What the `ReplicaSet` of a Deployment is called.
pub(super) fn replica_set_name(index: usize) -> String {
    format!("w{index}-1")
}

/// What a pod is called; those of a Deployment by their identifier too.
pub(super) fn pod_name(index: usize, spec: &WorkloadSpec, pod: &PodState) -> String {
    match spec.kind {
        ModelKind::StatefulSet => format!("w{index}-{}", pod.ordinal),
        _ => format!("w{index}-{}-{}", pod.ordinal, pod.uid),
    }
}

/// A policy whose upper level requires a certificate, or nothing.
fn demand(name: &PolicyName, demanded: bool) -> anyhow::Result<ClearanceInput> {
    let level = |name: &str, require| -> anyhow::Result<Level> {
        Ok(Level {
            name: LevelName::parse(name)?,
            require,
            on_loss: OnClearanceLoss::default(),
            scheduling: LevelScheduling::default(),
        })
    };
    let qualifications = [Scheme::parse("hds")?].into();
    let require = demanded.then(|| LevelRequirements { qualifications, ..LevelRequirements::default() });
    let levels = PolicyLevels::new(vec![level("low", None)?, level("restricted", require)?], "low");
    let policy = Policy {
        name: name.clone(),
        mode: EnforcementMode::Enforce,
        namespaces: Selector::default(),
        requires_namespace_level: false,
        levels: levels.map_err(|error| anyhow::anyhow!("{error:?}"))?,
        categories: [].into(),
        terminating: false,
        exceptions: [].into(),
    };
    Ok(ClearanceInput { policies: [(name.clone(), policy)].into(), ..ClearanceInput::default() })
}

impl<'s> WorldObjects<'s> {
    /// What there is in `world`.
    pub(super) fn of(world: &World, scenario: &Scenario, shared: &'s SharedObjects) -> Self {
        let labels = |is_stamped: bool| if is_stamped { &shared.stamp } else { &shared.none };
        let node = |node: usize| {
            let stamps = labels(world.should_be_stamped(scenario, node));
            NodeView {
                name: &shared.nodes[node],
                pool: shared.pools.get(node),
                labels: NodeViewLabels { own: &shared.own[node], stamps },
                granted: stamps,
                retained: stamps,
                taints: &[],
                schedulable: true,
                allocatable: ComputeResources {
                    cpu_milli: 1_000_000,
                    memory: 1 << 40,
                    pods: scenario.nodes[node].into(),
                },
                extended_resources: &shared.nothing,
            }
        };
        let facts = world.facts(scenario);
        let pools = (0..scenario.nodes.len())
            .map(|node| (shared.pools[node].clone(), Arc::clone(labels(facts.demanded && facts.cleared[node]))));
        let mut objects = Self {
            shared,
            demand: &shared.demands[world.facts % 2],
            pods: BTreeMap::new(),
            controllers: WorkloadKind::ALL.map(|kind| (kind, BTreeMap::new())).into(),
            nodes: (0..scenario.nodes.len()).map(node).collect(),
            pools: pools.collect(),
            moving: world.memory.moving().map(|(owner, _)| owner).collect(),
            nobody: BTreeMap::new(),
            claims: BTreeMap::new(),
            volumes: BTreeMap::new(),
        };
        for (index, (state, spec)) in world.workloads.iter().zip(scenario.workloads).enumerate() {
            objects.add(index, state, spec, world.wanted(scenario, index));
        }
        objects
    }

    fn add(&mut self, index: usize, state: &WorkloadState, spec: &WorkloadSpec, replicas: usize) {
        let uid = workload_uid(index);
        let name = workload_name(index);
        let key = format!("{NAMESPACE}/{name}");
        let said = self.shared.statements[1].workload.clone();
        let (statement, spec_of_kind) = (said, controller_spec(state, spec));
        let own = |kind: Option<WorkloadKind>, kind_said: &str, name: &str, uid| {
            Arc::new(OwnerRef { kind, kind_said: kind_said.into(), name: name.into(), uid })
        };
        let owner = match spec_of_kind {
            None => own(None, "Cluster", &name, uid),
            Some(spec_of_kind) => {
                let kind = spec_of_kind.kind();
                let controller = Controller {
                    version: 1,
                    uid,
                    owner: None,
                    statement,
                    template_statements: Arc::clone(&self.shared.statements[usize::from(state.template.said)]),
                    node_requirements: Arc::clone(&self.shared.requirements[usize::from(state.template.selects)]),
                    migration: state.template.note.map(|note| note_text(note).into()),
                    terminating: false,
                    replicas: u32::try_from(replicas).unwrap_or(u32::MAX),
                    observed: state.observed,
                    spec: spec_of_kind,
                };
                let owner = if kind == WorkloadKind::Deployment {
                    let set = replica_set_uid(index);
                    let set_name = replica_set_name(index);
                    let above = own(Some(kind), kind.as_str(), &name, uid);
                    let replica_set = Controller {
                        uid: set,
                        owner: Some(above),
                        statement: SensitivityStatement::default(),
                        spec: ControllerSpec::ReplicaSet,
                        ..controller.clone()
                    };
                    self.insert(WorkloadKind::ReplicaSet, format!("{NAMESPACE}/{set_name}"), replica_set);
                    own(Some(WorkloadKind::ReplicaSet), "ReplicaSet", &set_name, set)
                } else {
                    own(Some(kind), kind.as_str(), &name, uid)
                };
                self.insert(kind, key, controller);
                owner
            }
        };
        for pod in &state.pods {
            let found = Pod {
                version: 1,
                uid: pod_uid(index, pod.ordinal, pod.uid),
                owner: Some(Arc::clone(&owner)),
                statements: Arc::clone(&self.shared.statements[usize::from(pod.said)]),
                node_requirements: Arc::clone(&self.shared.requirements[usize::from(pod.selects)]),
                scheduling: Arc::clone(&self.shared.scheduling),
                claims: [].into(),
                requests: ComputeResources { cpu_milli: 100, memory: 1 << 20, pods: 1 },
                node: pod.node.map(|node| self.shared.nodes[usize::from(node)].as_str().into()),
                phase: pod.phase,
                terminating: pod.terminating,
                mirror: false,
            };
            self.pods.insert(format!("{NAMESPACE}/{}", pod_name(index, spec, pod)), found);
        }
    }

    fn insert(&mut self, kind: WorkloadKind, key: String, controller: Controller) {
        self.controllers.entry(kind).or_default().insert(key, controller);
    }

    fn of_kind(&self, kind: WorkloadKind) -> &BTreeMap<String, Controller> {
        self.controllers.get(&kind).unwrap_or(&self.nobody)
    }

    pub(super) fn objects(&self) -> ClusterObjects<'_> {
        ClusterObjects {
            pods: &self.pods,
            controllers: ControllersByKind {
                deployments: self.of_kind(WorkloadKind::Deployment),
                replica_sets: self.of_kind(WorkloadKind::ReplicaSet),
                stateful_sets: self.of_kind(WorkloadKind::StatefulSet),
                daemon_sets: self.of_kind(WorkloadKind::DaemonSet),
                jobs: self.of_kind(WorkloadKind::Job),
                cron_jobs: self.of_kind(WorkloadKind::CronJob),
            },
            namespaces: &self.shared.namespaces,
            claims: &self.claims,
            volumes: &self.volumes,
        }
    }

    pub(super) fn facts(&self) -> PlacementFacts<'_> {
        PlacementFacts {
            world: self.demand,
            propagated: &self.shared.propagated,
            lingering: &self.shared.lingering,
            exempt: &self.shared.exempt,
            nodes: &self.nodes,
            pools: &self.pools,
            moving: &self.moving,
        }
    }
}

/// What a move writes into a template.
pub(super) fn note_text(note: u8) -> String {
    rempart_core::instant::Timestamp::from_seconds(note.into()).to_string()
}

/// What a controller's status says; nothing of one that Rempart does not know.
fn controller_spec(state: &WorkloadState, spec: &WorkloadSpec) -> Option<ControllerSpec> {
    let count = |counted: &dyn Fn(&PodState) -> bool| u32::try_from(state.count(counted)).unwrap_or(u32::MAX);
    let deployment = |paused, strategy| ControllerSpec::Deployment {
        paused,
        strategy,
        total: count(&|_| true),
        updated: count(&|pod| pod.current),
        available: count(&PodState::is_ready),
        stuck: false,
    };
    let rolling =
        |surge: u8, unavailable: u8| RolloutStrategy::Rolling { surge: surge.into(), unavailable: unavailable.into() };
    Some(match spec.kind {
        ModelKind::Deployment { surge, unavailable } => deployment(false, rolling(surge, unavailable)),
        ModelKind::Paused => deployment(true, rolling(1, 0)),
        ModelKind::Recreate => deployment(false, RolloutStrategy::Recreate),
        ModelKind::StatefulSet => ControllerSpec::StatefulSet {
            on_delete: false,
            first_updated: 0,
            last_ordinal: spec.at.len().saturating_sub(1) as u64,
            rolling: state.pods.iter().any(|pod| !pod.current),
        },
        ModelKind::DaemonSet => ControllerSpec::DaemonSet { on_delete: false, updated: count(&|pod| pod.current) },
        ModelKind::Job { .. } => ControllerSpec::Job {
            finished: false,
            started: true,
            failures_left: Some(state.failures_left.into()),
            index_limit: None,
        },
        ModelKind::Foreign { .. } => return None,
    })
}
