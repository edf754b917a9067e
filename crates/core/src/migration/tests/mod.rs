//! Migration plans: by what method and how much at a time pods are moved, and why the others stay.

mod adoption;
mod deadlines;
mod endings;
mod races;
mod retired;
mod windows;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use std::prelude::v1::*;

use alloc::sync::Arc;

use super::*;
use crate::{
    clearance::ClearanceInput,
    cluster_objects::{
        ComputeResources, Controller, ControllerSpec, ControllersByKind, ExtendedResources, NodeView, NodeViewLabels,
        OwnerRef, Pod, PodPhase, RolloutStrategy, SchedulingConstraints,
    },
    compliance::{PodCounts, PodRevision, assess},
    name::{LevelName, PolicyName, PoolName},
    namespace::Namespace,
    policy::LossAction,
    policy::{EnforcementMode, Level, LevelRequirements, OnClearanceLoss, Policy, PolicyLevels},
    scheduling::LevelScheduling,
    selector::{Labels, Selector, SelectorOperator},
    sensitivity::{SensitivityStatement, TemplateStatements},
    volume::{Claim, Volume},
    workload::{NodeRequirements, NodeTerm},
};

const RESTRICTED: &str = "clearance.rempart.node-restriction.kubernetes.io/state.restricted";

const ZONE: &str = "topology.kubernetes.io/zone";

/// A small cluster: `good` is cleared for level `restricted`, `bad` is not, and `ending` is withdrawn.
struct Scene {
    world: ClearanceInput,
    pods: BTreeMap<String, Pod>,
    controllers: BTreeMap<WorkloadKind, BTreeMap<String, Controller>>,
    namespaces: BTreeMap<String, Namespace>,
    claims: BTreeMap<String, Claim>,
    volumes: BTreeMap<String, Volume>,
    open: bool,
    good: bool,
    /// Whether every API server acts on the policy.
    propagated: bool,
    lingering: BTreeSet<PolicyName>,
    room: u32,
    /// What `good` has beside processors and memory.
    others: ExtendedResources,
    moving: BTreeMap<ObjectUid, u32>,
    forbidden: BTreeMap<ObjectUid, String>,
    replaced: BTreeMap<ObjectUid, ReplacedPods>,
    stopped: BTreeMap<(String, String), String>,
    exempt: BTreeSet<String>,
    failures: BTreeMap<ObjectUid, u32>,
    reverting: BTreeSet<ObjectUid>,
    missing: BTreeMap<ObjectUid, u32>,
    awaited: BTreeMap<ObjectUid, AwaitedPods>,
    now: Timestamp,
    removals: BTreeMap<ObjectUid, RefusedRemoval>,
    deadlines: BTreeMap<ObjectUid, PodDeadline>,
    /// Pools without a node, and what their nodes would be given.
    pools: BTreeMap<PoolName, Arc<Labels>>,
    uids: u128,
}

fn policy(action: LossAction) -> Policy {
    policy_with(&OnClearanceLoss { action, ..OnClearanceLoss::default() })
}

fn policy_with(on_loss: &OnClearanceLoss) -> Policy {
    let level = |name: &str, require| Level {
        name: LevelName::parse(name).unwrap(),
        require,
        on_loss: on_loss.clone(),
        scheduling: LevelScheduling::default(),
    };
    let demand = LevelRequirements { max_pue: Some(1.5), ..LevelRequirements::default() };
    Policy {
        name: PolicyName::parse("state").unwrap(),
        mode: EnforcementMode::Enforce,
        namespaces: Selector::default(),
        requires_namespace_level: false,
        levels: PolicyLevels::new(vec![level("public", None), level("restricted", Some(demand))], "public").unwrap(),
        categories: [].into(),
        terminating: false,
        exceptions: [].into(),
    }
}

impl Scene {
    fn new() -> Self {
        let policy = policy(LossAction::Migrate);
        let namespace = Namespace::new(1, Labels::new());
        Self {
            world: ClearanceInput { policies: [(policy.name.clone(), policy)].into(), ..ClearanceInput::default() },
            pods: BTreeMap::new(),
            controllers: WorkloadKind::ALL.map(|kind| (kind, BTreeMap::new())).into(),
            namespaces: [("shop".to_owned(), namespace)].into(),
            claims: BTreeMap::new(),
            volumes: BTreeMap::new(),
            open: true,
            good: true,
            propagated: true,
            lingering: BTreeSet::new(),
            room: 100,
            others: ExtendedResources::new(),
            moving: BTreeMap::new(),
            forbidden: BTreeMap::new(),
            replaced: BTreeMap::new(),
            stopped: BTreeMap::new(),
            exempt: BTreeSet::new(),
            failures: BTreeMap::new(),
            reverting: BTreeSet::new(),
            missing: BTreeMap::new(),
            awaited: BTreeMap::new(),
            now: Timestamp::from_seconds(0),
            removals: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            pools: BTreeMap::new(),
            uids: 0,
        }
    }

    fn uid(&mut self) -> ObjectUid {
        self.uids += 1;
        ObjectUid(self.uids)
    }

    fn action(mut self, action: LossAction) -> Self {
        let policy = policy(action);
        self.world.policies.insert(policy.name.clone(), policy);
        self
    }

    /// A controller with `pods` ready pods of level `restricted` on `node`, its template complete.
    fn with(mut self, name: &str, form: ControllerSpec, pods: u32, node: &str) -> Self {
        let uid = self.uid();
        let kind = form.kind();
        let node_requirements = Arc::new(NodeRequirements {
            selector: selecting(&[RESTRICTED]),
            affinity: None,
            ..NodeRequirements::default()
        });
        let controller = Controller {
            version: 1,
            uid,
            owner: None,
            statement: SensitivityStatement::default(),
            template_statements: restricted(),
            node_requirements: Arc::clone(&node_requirements),
            migration: None,
            terminating: false,
            replicas: pods,
            observed: true,
            spec: form,
        };
        self.controllers.get_mut(&kind).unwrap().insert(format!("shop/{name}"), controller);
        let (owner, owner_name, owner_kind) = if kind == WorkloadKind::Deployment {
            let set = self.uid();
            let above = Arc::new(OwnerRef { kind: Some(kind), kind_said: "Deployment".into(), name: name.into(), uid });
            let template = self.controllers[&kind][&format!("shop/{name}")].clone();
            let replica_set = Controller { uid: set, owner: Some(above), spec: ControllerSpec::ReplicaSet, ..template };
            self.controllers.get_mut(&WorkloadKind::ReplicaSet).unwrap().insert(format!("shop/{name}-1"), replica_set);
            (set, format!("{name}-1"), WorkloadKind::ReplicaSet)
        } else {
            (uid, name.to_owned(), kind)
        };
        let owner = Arc::new(OwnerRef {
            kind: Some(owner_kind),
            kind_said: owner_kind.as_str().into(),
            name: owner_name.as_str().into(),
            uid: owner,
        });
        for i in 0..pods {
            self = self.pod(&format!("{name}-{i}"), Some(Arc::clone(&owner)), node);
        }
        self
    }

    fn pod(mut self, name: &str, owner: Option<Arc<OwnerRef>>, node: &str) -> Self {
        let pod = Pod {
            version: 1,
            uid: self.uid(),
            owner,
            statements: restricted(),
            node_requirements: Arc::new(NodeRequirements {
                selector: selecting(&[RESTRICTED]),
                affinity: None,
                ..NodeRequirements::default()
            }),
            scheduling: Arc::default(),
            claims: [].into(),
            requests: ComputeResources { cpu_milli: 100, memory: 1 << 20, pods: 1 },
            node: (!node.is_empty()).then(|| node.into()),
            phase: if node.is_empty() { PodPhase::Unschedulable } else { PodPhase::Ready },
            terminating: false,
            mirror: false,
        };
        self.pods.insert(format!("shop/{name}"), pod);
        self
    }

    fn alter(mut self, pod: &str, with: impl FnOnce(&mut Pod)) -> Self {
        with(self.pods.get_mut(&format!("shop/{pod}")).unwrap());
        self
    }

    /// What is moved, one line a move, and what stays, one line a pod.
    fn plan(&self) -> Vec<String> {
        self.assessed(|objects, facts, report| self.lines(objects, facts, report))
    }

    /// How many pods the workload `name` has.
    fn counts(&self, name: &str) -> PodCounts {
        self.assessed(|_, _, report| report.workloads.values().find(|owned| owned.name() == name).unwrap().pods)
    }

    fn assessed<T>(
        &self,
        tell: impl for<'a> FnOnce(&ClusterObjects<'a>, &PlacementFacts<'a>, &ComplianceReport<'a>) -> T,
    ) -> T {
        let cleared: Labels = selecting(&[RESTRICTED]);
        let none = Labels::new();
        let nothing = ExtendedResources::new();
        let names = ["bad-1", "ending-1", "good-1"];
        let own = names.map(|name| {
            Labels::from([("kubernetes.io/hostname".to_owned(), name.to_owned()), (ZONE.to_owned(), "z".to_owned())])
        });
        let pools = ["bad", "ending", "good"].map(|name| PoolName::parse(name).unwrap());
        let spot = |at: usize, stamps, held| NodeView {
            name: names[at],
            pool: pools.get(at),
            labels: NodeViewLabels { own: &own[at], stamps },
            granted: stamps,
            retained: held,
            taints: &[],
            schedulable: self.open,
            allocatable: ComputeResources { cpu_milli: 1_000_000, memory: 1 << 40, pods: self.room },
            extended_resources: if at == 2 { &self.others } else { &nothing },
        };
        let good = if self.good { &cleared } else { &none };
        let spots = [spot(0, &none, &none), spot(1, &none, &cleared), spot(2, good, good)];
        let propagated = if self.propagated { self.world.policies.keys().cloned().collect() } else { BTreeSet::new() };
        let of = |kind| &self.controllers[&kind];
        let objects = ClusterObjects {
            pods: &self.pods,
            controllers: ControllersByKind {
                deployments: of(WorkloadKind::Deployment),
                replica_sets: of(WorkloadKind::ReplicaSet),
                stateful_sets: of(WorkloadKind::StatefulSet),
                daemon_sets: of(WorkloadKind::DaemonSet),
                jobs: of(WorkloadKind::Job),
                cron_jobs: of(WorkloadKind::CronJob),
            },
            namespaces: &self.namespaces,
            claims: &self.claims,
            volumes: &self.volumes,
        };
        let facts = PlacementFacts {
            world: &self.world,
            propagated: &propagated,
            lingering: &self.lingering,
            exempt: &self.exempt,
            nodes: &spots,
            pools: &self.pools,
            moving: &self.moving.keys().copied().collect(),
        };
        let report = assess(&objects, &facts);
        tell(&objects, &facts, &report)
    }

    fn planned<'a>(
        &self,
        objects: &ClusterObjects<'a>,
        facts: &PlacementFacts<'a>,
        report: &ComplianceReport<'a>,
    ) -> MigrationPlan<'a> {
        let context = MigrationContext {
            limits: MigrationLimits::default(),
            moving: &self.moving,
            resting: &BTreeMap::new(),
            failures: &self.failures,
            reverting: &self.reverting,
            missing: &self.missing,
            awaited: &self.awaited,
            now: self.now,
            refused_removals: &self.removals,
            deadlines: &self.deadlines,
            refused_evictions: &self.forbidden,
            replaced: &self.replaced,
            stopped: &self.stopped,
        };
        plan_migrations(objects, facts, report, &context)
    }

    fn lines<'a>(
        &self,
        objects: &ClusterObjects<'a>,
        facts: &PlacementFacts<'a>,
        report: &ComplianceReport<'a>,
    ) -> Vec<String> {
        let plan = self.planned(objects, facts, report);
        let moves = plan.migrations.iter().map(|due| {
            let steps = due.steps.iter().map(|step| match step {
                MigrationStep::AnnotateTemplate { kind, name, surplus } => {
                    let gone = surplus.iter().map(|key| format!(" without {}", key.split('/').nth(1).unwrap()));
                    format!("touch {kind} {name}{}", gone.collect::<String>())
                }
                MigrationStep::Evict { name, .. } => format!("evict {name}"),
                MigrationStep::Delete { name, .. } => format!("delete {name}"),
            });
            format!("{}: {}", due.cause, steps.collect::<Vec<_>>().join(", "))
        });
        let kept = plan.blocked.values().flatten().map(|(pod, why)| format!("{pod}: {}", why.code()));
        moves.chain(kept).collect()
    }
}

fn selecting(keys: &[&str]) -> Labels {
    keys.iter().map(|key| ((*key).to_owned(), "true".to_owned())).collect()
}

fn restricted() -> Arc<TemplateStatements> {
    let pod = SensitivityStatement { sensitivity: Some("restricted".into()), categories: None };
    Arc::new(TemplateStatements { pod, ..TemplateStatements::default() })
}

fn stateful(on_delete: bool) -> ControllerSpec {
    ControllerSpec::StatefulSet { on_delete, first_updated: 0, last_ordinal: 9, rolling: false }
}

fn rolling(pods: u32, surge: u32, unavailable: u32) -> ControllerSpec {
    complete(pods, RolloutStrategy::Rolling { surge, unavailable }, false)
}

/// Two pods, both of the current template.
fn deployment(strategy: RolloutStrategy, paused: bool) -> ControllerSpec {
    complete(2, strategy, paused)
}

/// A Deployment whose `pods` are all of the current template.
fn complete(pods: u32, strategy: RolloutStrategy, paused: bool) -> ControllerSpec {
    ControllerSpec::Deployment { paused, strategy, total: pods, updated: pods, available: pods, stuck: false }
}

#[test]
fn each_kind_has_its_road_or_its_reason_to_stay() {
    let surging = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    let job = |failures_left| ControllerSpec::Job { finished: false, started: true, failures_left, index_limit: None };
    for (form, expected) in [
        (rolling(2, 1, 0), vec!["violating: touch Deployment app"]),
        (rolling(2, 0, 1), vec!["violating: evict app-1"]),
        (deployment(surging, true), vec!["shop/app-0: RolloutPaused", "shop/app-1: RolloutPaused"]),
        (
            deployment(RolloutStrategy::Recreate, false),
            vec!["shop/app-0: StrategyRecreate", "shop/app-1: StrategyRecreate"],
        ),
        (stateful(false), vec!["violating: evict app-1"]),
        (stateful(true), vec!["shop/app-0: StrategyOnDelete", "shop/app-1: StrategyOnDelete"]),
        (ControllerSpec::ReplicaSet, vec!["violating: evict app-1"]),
        (
            ControllerSpec::DaemonSet { on_delete: false, updated: 0 },
            vec!["shop/app-0: DaemonSet", "shop/app-1: DaemonSet"],
        ),
        (job(Some(3)), vec!["violating: evict app-1"]),
        (job(None), vec!["violating: evict app-1"]),
        (job(Some(0)), vec!["shop/app-0: JobWouldFail", "shop/app-1: JobWouldFail"]),
    ] {
        let said = format!("{form:?}");
        assert_eq!(Scene::new().with("app", form, 2, "bad-1").plan(), expected, "{said}");
    }
    assert_eq!(Scene::new().pod("alone", None, "bad-1").plan(), ["shop/alone: Unmanaged"]);
    let mirror = Scene::new().pod("static", None, "bad-1").alter("static", |pod| pod.mirror = true);
    assert_eq!(mirror.plan(), ["shop/static: StaticPod"]);
}

#[test]
fn what_stands_right_is_left_alone() {
    assert!(Scene::new().with("app", rolling(3, 1, 0), 3, "good-1").plan().is_empty());
}

#[test]
fn a_pool_that_is_withdrawn_is_left() {
    assert_eq!(Scene::new().with("app", rolling(1, 1, 0), 1, "ending-1").plan(), ["leaving: touch Deployment app"]);
}

#[test]
fn nothing_is_stranded() {
    let scene = || Scene::new().with("app", rolling(1, 1, 0), 1, "bad-1").with("db", stateful(false), 1, "bad-1");
    let nowhere = Scene { good: false, ..scene() };
    assert_eq!(nowhere.plan(), ["shop/app-0: NoClearedPool", "shop/db-0: NoClearedPool"]);
    let closed = Scene { open: false, ..scene() };
    assert_eq!(closed.plan(), ["shop/app-0: NoClearedNode", "shop/db-0: NoClearedNode"]);
    // A Deployment's replacements stand before anything is removed, and may make an autoscaler add a node.
    let full = Scene { room: 1, ..scene() }.pod("other", None, "good-1");
    assert_eq!(full.plan(), ["violating: touch Deployment app", "shop/db-0: NoCapacity"]);
    let picky = scene().alter("app-0", |pod| {
        let selector = selecting(&[RESTRICTED, "disk"]);
        pod.node_requirements = Arc::new(NodeRequirements { selector, affinity: None, ..NodeRequirements::default() });
    });
    assert!(picky.plan().contains(&"shop/app-0: NoClearedNode".to_owned()), "its own selector accepts no cleared node");
}

#[test]
fn what_goes_takes_the_room_of_its_successor_from_others() {
    let stateful = || super::tests::stateful(false);
    for action in [LossAction::Migrate, LossAction::Evict] {
        let mut scene = Scene::new().action(action);
        for name in ["a", "b", "c"] {
            scene = scene.with(name, stateful(), 1, "bad-1");
        }
        scene.room = 1;
        let moves: Vec<_> = scene.plan().into_iter().filter(|line| line.starts_with("violating")).collect();
        assert_eq!(moves.len(), 1, "{action:?}: {moves:?}");
        // Its successor has no node yet.
        scene = scene.pod("successor", None, "");
        let moves: Vec<_> = scene.plan().into_iter().filter(|line| line.starts_with("violating")).collect();
        assert!(moves.is_empty(), "{action:?}: {moves:?}");
    }
}

#[test]
fn a_volume_that_no_cleared_node_reaches_keeps_its_pod_and_is_named() {
    let mut scene = Scene::new()
        .with("db", stateful(false), 1, "bad-1")
        .alter("db-0", |pod| pod.claims = ["data-db-0".into()].into());
    let claim = Claim { version: 1, volume: Some("pv-7".into()), single_writer: false, terminating: false };
    scene.claims.insert("shop/data-db-0".into(), claim);
    let only = |name: &str| NodeTerm { names: Some([name.to_owned()].into()), ..NodeTerm::default() };
    scene.volumes.insert(
        "pv-7".into(),
        Volume { version: 1, reach: Some(vec![only("bad-1")]), domains: [].into(), terminating: false },
    );
    assert_eq!(scene.plan(), ["shop/db-0: VolumePinned"]);
    let kept = BlockedReason::NoFit(NoFit::Volume { claim: "data-db-0".into(), volume: "pv-7".into() });
    assert_eq!(
        kept.to_string(),
        "kept, since its claim data-db-0 is bound to volume pv-7, which no cleared node can reach; it moves when there \
         is a place"
    );
    scene.volumes.insert(
        "pv-7".into(),
        Volume { version: 1, reach: Some(vec![only("bad-1"), only("good-1")]), domains: [].into(), terminating: false },
    );
    assert_eq!(scene.plan(), ["violating: evict db-0"]);
}

#[test]
fn pods_go_one_by_one_while_the_others_are_ready() {
    let scene = Scene::new().with("db", stateful(false), 3, "bad-1");
    assert_eq!(scene.plan(), ["violating: evict db-2"]);
    let moved = |pod: &mut Pod| (pod.node, pod.phase) = (Some("good-1".into()), PodPhase::Running);
    let waits = scene.alter("db-1", moved);
    assert_eq!(waits.plan().first().unwrap(), "shop/db-0: OthersNotReady");
    let first =
        waits.alter("db-1", |pod| pod.phase = PodPhase::Ready).alter("db-2", |pod| pod.phase = PodPhase::Running);
    assert_eq!(first.plan(), ["violating: evict db-2"], "who is not ready anyway may go");
}

#[test]
fn a_rollout_that_may_not_surge_keeps_to_its_own_floor() {
    let form = |available| ControllerSpec::Deployment {
        paused: false,
        strategy: RolloutStrategy::Rolling { surge: 0, unavailable: 1 },
        total: 3,
        updated: 3,
        available,
        stuck: false,
    };
    assert_eq!(Scene::new().with("app", form(3), 3, "bad-1").plan(), ["violating: evict app-2"]);
    let short = Scene::new().with("app", form(2), 3, "bad-1").plan();
    assert_eq!(short.first().unwrap(), "shop/app-0: OthersNotReady");
}

#[test]
fn the_action_of_the_level_is_obeyed() {
    let scene =
        |action| Scene::new().action(action).with("app", rolling(2, 1, 0), 2, "bad-1").pod("alone", None, "bad-1");
    assert_eq!(
        scene(LossAction::Report).plan(),
        ["shop/app-0: ReportOnly", "shop/app-1: ReportOnly", "shop/alone: ReportOnly"]
    );
    assert_eq!(scene(LossAction::Evict).plan(), ["violating: evict app-0, evict app-1", "violating: evict alone"]);
}

#[test]
fn a_tenth_of_a_level_moves_at_a_time_and_at_least_one_workload() {
    let scene = |number: u32| {
        (0..number).fold(Scene::new(), |scene, i| scene.with(&format!("app{i:02}"), rolling(1, 1, 0), 1, "bad-1"))
    };
    assert_eq!(scene(5).plan().len(), 1);
    assert_eq!(scene(30).plan().len(), 3);
    let mut busy = scene(30);
    busy.moving = [(busy.controllers[&WorkloadKind::Deployment]["shop/app00"].uid, 1)].into();
    assert_eq!(busy.plan().len(), 2, "what is on the move counts");
    let large = scene(1).with("large", rolling(40, 1, 0), 40, "bad-1");
    assert_eq!(large.plan(), ["violating: touch Deployment app00"], "a large one waits until nothing else moves");
}

#[test]
fn an_officers_word_is_awaited() {
    let mut scene = Scene::new().with("app", rolling(1, 1, 0), 1, "bad-1");
    scene.stopped = [(("state".to_owned(), "restricted".to_owned()), "stopped".to_owned())].into();
    assert_eq!(scene.plan(), ["shop/app-0: MoveStopped"]);
}

#[test]
fn a_budget_that_forbids_is_the_reason_until_it_is_asked_again() {
    let mut scene = Scene::new().with("db", stateful(false), 1, "bad-1");
    scene.forbidden = [(scene.pods["shop/db-0"].uid, "needs 1 healthy pod".to_owned())].into();
    assert_eq!(scene.plan(), ["shop/db-0: DisruptionBudget"]);
}

#[test]
fn a_template_that_lacks_its_selector_is_touched_for_daemon_sets_alone() {
    let bare = |mut scene: Scene, kind: WorkloadKind| {
        let controller = scene.controllers.get_mut(&kind).unwrap().get_mut("shop/app").unwrap();
        controller.node_requirements = Arc::default();
        scene
    };
    let daemons = Scene::new().with("app", ControllerSpec::DaemonSet { on_delete: false, updated: 0 }, 2, "bad-1");
    let daemons = bare(daemons, WorkloadKind::DaemonSet);
    assert_eq!(daemons.plan(), ["violating: touch DaemonSet app"]);
    // Kubernetes would end all its pods.
    assert_eq!(Scene { good: false, ..daemons }.plan(), ["shop/app-0: NoClearedPool", "shop/app-1: NoClearedPool"]);
    let by_hand = Scene::new().with("app", ControllerSpec::DaemonSet { on_delete: true, updated: 0 }, 1, "bad-1");
    assert_eq!(bare(by_hand, WorkloadKind::DaemonSet).plan(), ["shop/app-0: StrategyOnDelete"]);
    let sound = Scene::new().with("app", rolling(1, 1, 0), 1, "good-1");
    assert!(bare(sound, WorkloadKind::Deployment).plan().is_empty(), "who stands right is not restarted");
}

#[test]
fn who_waits_for_what_is_gone_is_replaced_once() {
    let gone = "clearance.rempart.node-restriction.kubernetes.io/former.secret";
    let waits = |pod: &mut Pod| {
        pod.node_requirements = Arc::new(NodeRequirements {
            selector: selecting(&[RESTRICTED, gone]),
            affinity: None,
            ..NodeRequirements::default()
        });
    };
    let scene = Scene::new().with("db", stateful(false), 1, "").alter("db-0", waits);
    assert_eq!(scene.plan(), ["stale: evict db-0"]);
    let mut again = scene;
    let uid = again.controllers[&WorkloadKind::StatefulSet]["shop/db"].uid;
    let before = |pods: &[ObjectUid], by_template| {
        let pods = pods.iter().copied().collect();
        [(uid, ReplacedPods { keys: gone.to_owned(), template_keys: String::new(), pods, by_template })].into()
    };
    again.replaced = before(&[], false);
    assert_eq!(again.plan(), ["shop/db-0: ReplacedInVain"]);
    let itself = again.pods["shop/db-0"].uid;
    again.replaced = before(&[itself], true);
    assert_eq!(again.plan(), ["stale: evict db-0"], "an ordered controller does not replace who is not ready");
    again.replaced = before(&[itself], false);
    assert_eq!(again.plan(), ["stale: evict db-0"], "its eviction was refused");
    // Nobody stands yet: the rollout that mends the template costs nothing.
    let app = Scene::new().with("app", rolling(1, 1, 0), 1, "").alter("app-0", waits);
    assert_eq!(app.plan(), ["stale: touch Deployment app"]);
    // One of its pods stands: only the other is replaced.
    let half = Scene::new()
        .with("app", rolling(2, 1, 0), 2, "good-1")
        .alter("app-1", waits)
        .alter("app-1", |pod| (pod.node, pod.phase) = (None, PodPhase::Unschedulable));
    assert_eq!(half.plan(), ["stale: evict app-1"]);
    let patient = Scene::new().with("app", rolling(1, 1, 0), 1, "");
    assert!(patient.plan().is_empty(), "who waits for room by the right selector waits");
    let alone = Scene::new().pod("alone", None, "").alter("alone", waits);
    assert_eq!(alone.plan(), ["shop/alone: Unmanaged"]);
}

#[test]
fn a_level_that_is_gone_stops_every_move_and_says_so() {
    let scene = Scene::new().with("app", rolling(1, 1, 0), 1, "good-1").alter("app-0", |pod| {
        let pod_says = SensitivityStatement { sensitivity: Some("former".into()), categories: None };
        pod.statements = Arc::new(TemplateStatements { pod: pod_says, ..TemplateStatements::default() });
    });
    assert_eq!(scene.plan(), ["shop/app-0: Refused"]);
}

#[test]
fn a_rollout_that_may_go_below_its_number_needs_room_first() {
    let full = |surge, unavailable| {
        let scene = Scene::new().with("app", rolling(4, surge, unavailable), 4, "bad-1").pod("other", None, "good-1");
        Scene { room: 1, ..scene }.plan()
    };
    assert_eq!(full(1, 0), ["violating: touch Deployment app"]);
    assert_eq!(full(1, 1)[0], "shop/app-0: NoCapacity");
    // Two of thirty find room, and a third would be left without a pod.
    let crowd = |room| {
        let all =
            (0..30).fold(Scene::new(), |scene, i| scene.with(&format!("app{i:02}"), rolling(1, 1, 1), 1, "bad-1"));
        Scene { room, ..all }.plan().len()
    };
    assert_eq!((crowd(100), crowd(2)), (3, 2));
    // The first in order needs room for two, and leaves its turn to the next.
    let pair = Scene::new().with("a", rolling(4, 1, 2), 4, "bad-1").with("b", rolling(1, 1, 0), 1, "bad-1");
    assert_eq!(Scene { room: 1, ..pair }.plan(), ["violating: touch Deployment b"]);
}

#[test]
fn of_pods_that_go_at_once_those_without_room_stay_behind() {
    let scene = Scene::new().action(LossAction::Evict).with("db", stateful(false), 3, "bad-1");
    assert_eq!(Scene { room: 2, ..scene }.plan(), ["violating: evict db-0, evict db-1"]);
}

#[test]
fn a_device_that_no_cleared_node_has_left_keeps_its_pod() {
    let gpu = |amount: u64| ExtendedResources::from([("vendor.example/gpu".into(), amount)]);
    let asks = |pod: &mut Pod| {
        pod.scheduling =
            Arc::new(SchedulingConstraints { extended_resources: gpu(1), ..SchedulingConstraints::default() });
    };
    let scene = |number| {
        let scene = Scene::new()
            .with("app", rolling(1, 1, 0), 1, "bad-1")
            .with("db", stateful(false), 1, "bad-1")
            .alter("app-0", asks)
            .alter("db-0", asks);
        Scene { others: if number == 0 { ExtendedResources::new() } else { gpu(number) }, ..scene }
    };
    // Not even a replacement that stands first would ever stand.
    assert_eq!(scene(0).plan(), ["shop/app-0: NodesTooSmall", "shop/db-0: NodesTooSmall"]);
    let taken = scene(1).pod("other", None, "good-1").alter("other", asks);
    assert_eq!(taken.plan(), ["violating: touch Deployment app", "shop/db-0: NoCapacity"]);
    let mut free = scene(2);
    free.moving = [(free.controllers[&WorkloadKind::Deployment]["shop/app"].uid, 0)].into();
    assert!(!free.plan().contains(&"shop/db-0: NoCapacity".to_owned()), "{:?}", free.plan());
}

#[test]
fn pods_that_must_be_apart_from_their_like_need_a_node_without_one() {
    let apart = |pod: &mut Pod| {
        pod.scheduling = Arc::new(SchedulingConstraints {
            anti_affinity_keys: ["kubernetes.io/hostname".into()].into(),
            ..SchedulingConstraints::default()
        });
    };
    let scene = |on| {
        Scene::new()
            .with("db", stateful(false), 2, "bad-1")
            .alter("db-0", apart)
            .alter("db-1", apart)
            .alter("db-0", |pod| pod.node = Some(on))
    };
    assert_eq!(scene("good-1".into()).plan(), ["shop/db-1: NodesTaken"]);
    assert_eq!(scene("bad-1".into()).plan(), ["violating: evict db-1"]);
    let strangers = scene("bad-1".into()).pod("other", None, "good-1").alter("other", apart);
    assert_eq!(strangers.plan(), ["violating: evict db-1"], "others are not its like");
    // All nodes are in one zone: one that goes makes room for its own successor, and two need two zones.
    let zoned = |pod: &mut Pod| {
        pod.scheduling = Arc::new(SchedulingConstraints {
            anti_affinity_keys: [ZONE.into()].into(),
            ..SchedulingConstraints::default()
        });
    };
    let one = Scene::new().with("db", stateful(false), 1, "bad-1").alter("db-0", zoned);
    assert_eq!(one.plan(), ["violating: evict db-0"]);
    let two = scene("bad-1".into()).alter("db-0", zoned).alter("db-1", zoned);
    assert_eq!(two.plan(), ["shop/db-0: NodesTaken", "shop/db-1: NodesTaken"]);
    // What goes at once is given different nodes.
    let hurry = scene("bad-1".into()).action(LossAction::Evict);
    assert_eq!(hurry.plan(), ["violating: evict db-0"]);
}
