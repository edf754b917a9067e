//! Releases: the templates that are freed, and the reasons that stand in the way.

use std::sync::Arc;

use super::*;
use rempart_core::{
    cluster_objects::{ComputeResources, PodPhase, RolloutStrategy},
    sensitivity::SensitivityStatement,
    workload::NodeRequirements,
};

const GONE: &str = "clearance.rempart.node-restriction.kubernetes.io/former.secret";

fn requirements() -> Arc<NodeRequirements> {
    let selector = [(GONE.to_owned(), "true".to_owned()), ("disk".to_owned(), "ssd".to_owned())].into();
    Arc::new(NodeRequirements { selector, affinity: None, ..NodeRequirements::default() })
}

fn owned_by((kind, name): (WorkloadKind, &str)) -> Arc<OwnerRef> {
    Arc::new(OwnerRef { kind: Some(kind), kind_said: kind.as_str().into(), name: name.into(), uid: ObjectUid(9) })
}

fn controller(uid: u128, owner: Option<(WorkloadKind, &str)>, spec: ControllerSpec) -> Controller {
    Controller {
        version: 1,
        uid: ObjectUid(uid),
        owner: owner.map(owned_by),
        statement: SensitivityStatement::default(),
        template_statements: Arc::default(),
        node_requirements: requirements(),
        migration: None,
        terminating: false,
        replicas: 1,
        observed: true,
        spec,
    }
}

fn pod(owner: Option<(WorkloadKind, &str)>, phase: PodPhase) -> Pod {
    Pod {
        version: 1,
        uid: ObjectUid(100),
        owner: owner.map(owned_by),
        statements: Arc::default(),
        node_requirements: requirements(),
        scheduling: Arc::default(),
        claims: [].into(),
        requests: ComputeResources::default(),
        node: None,
        phase,
        terminating: false,
        mirror: false,
    }
}

fn deployment() -> ControllerSpec {
    let strategy = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    ControllerSpec::Deployment { paused: false, strategy, total: 1, updated: 1, available: 1, stuck: false }
}

#[test]
fn templates_are_freed_and_what_cannot_change_is_named() {
    let job = |finished| ControllerSpec::Job { finished, started: true, failures_left: None, index_limit: None };
    let mut listed = ListedCluster { nodes: 3, ..ListedCluster::default() };
    for (key, found) in [
        ("shop/api", controller(1, None, deployment())),
        ("shop/api-1", controller(2, Some((WorkloadKind::Deployment, "api")), ControllerSpec::ReplicaSet)),
        ("shop/agent", controller(3, None, ControllerSpec::DaemonSet { on_delete: false, updated: 1 })),
        ("shop/import", controller(4, None, job(false))),
        ("shop/done", controller(5, None, job(true))),
    ] {
        listed.controllers.entry(found.spec.kind()).or_default().insert(key.to_owned(), found);
    }
    for (key, found) in [
        ("shop/api-1-a", pod(Some((WorkloadKind::ReplicaSet, "api-1")), PodPhase::Ready)),
        ("shop/alone", pod(None, PodPhase::Unschedulable)),
        ("shop/over", pod(None, PodPhase::Done)),
        ("shop/orphan", pod(Some((WorkloadKind::ReplicaSet, "nobody")), PodPhase::Unschedulable)),
        // It has a node, and waits for nothing.
        ("shop/placed", Pod { node: Some("n1".into()), ..pod(None, PodPhase::Ready) }),
    ] {
        listed.pods.insert(key.to_owned(), found);
    }
    let found = survey(&listed);
    let templates: Vec<_> =
        found.templates.iter().map(|held| format!("{}: {}", held.name(), held.short_keys())).collect();
    assert_eq!(templates, ["deployment shop/api: former.secret", "daemonset shop/agent: former.secret"]);
    let names = |of: &[(String, BTreeSet<String>)]| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found.fixed), ["job shop/import"]);
    assert_eq!(names(&found.pods), ["pod shop/alone", "pod shop/orphan"]);
    assert!(!found.is_clear());
    assert_eq!(
        found.obstacles(),
        [
            "2 pod templates select by keys that no policy demands, and pods made by them would wait for ever on nodes that join later: deployment shop/api, daemonset shop/agent. `rempart release` frees them, a few rollouts at a time",
            "3 objects select by such keys and cannot be changed: job shop/import, pod shop/alone, pod shop/orphan. Wait for their end, or delete them and make them again",
        ]
    );
    // It is there, and nobody can read it: whatever key is of it is in demand.
    listed.world.unread_policies = ["former".to_owned()].into();
    let found = survey(&listed);
    assert!(found.templates.is_empty() && found.pods.is_empty() && !found.is_clear());
    assert_eq!(
        found.obstacles(),
        [
            "1 PlacementPolicy still exists: former. While the operator runs, delete what shall no longer hold, as with `kubectl delete placementpolicies --all`"
        ]
    );
    assert!(survey(&ListedCluster::default()).is_clear());
}

#[test]
fn pods_of_a_former_template_may_be_made_anew_by_it() {
    let free = |uid, owner, spec| Controller { node_requirements: Arc::default(), ..controller(uid, owner, spec) };
    let stateful = ControllerSpec::StatefulSet { on_delete: false, first_updated: 2, last_ordinal: 2, rolling: false };
    let mut listed = ListedCluster::default();
    for (key, found) in [
        ("shop/db", free(1, None, stateful)),
        ("shop/api", free(2, None, deployment())),
        ("shop/api-1", controller(3, Some((WorkloadKind::Deployment, "api")), ControllerSpec::ReplicaSet)),
    ] {
        listed.controllers.entry(found.spec.kind()).or_default().insert(key.to_owned(), found);
    }
    for (key, owner) in
        [("shop/db-0", (WorkloadKind::StatefulSet, "db")), ("shop/api-1-a", (WorkloadKind::ReplicaSet, "api-1"))]
    {
        let placed = Pod { node: Some("n1".into()), ..pod(Some(owner), PodPhase::Ready) };
        listed.pods.insert(key.to_owned(), placed);
    }
    let found = survey(&listed);
    assert!(found.templates.is_empty() && !found.is_clear());
    let obstacles = found.obstacles();
    assert!(obstacles[0].starts_with("2 workloads have pods of a former template, which selects by such keys: deployment shop/api, statefulset shop/db."), "{obstacles:?}");
}

#[test]
fn a_policy_that_is_being_deleted_is_told_apart_and_still_demands() {
    let mut listed = ListedCluster { ending: vec!["former".to_owned()], ..ListedCluster::default() };
    listed.world.unread_policies = ["former".to_owned()].into();
    let agent = controller(3, None, ControllerSpec::DaemonSet { on_delete: false, updated: 1 });
    listed.controllers.insert(WorkloadKind::DaemonSet, [("shop/agent".to_owned(), agent)].into());
    let found = survey(&listed);
    assert!(found.templates.is_empty() && found.policies.is_empty() && !found.is_clear());
    assert_eq!(
        found.obstacles(),
        [
            r#"A PlacementPolicy is being deleted: former. The operator lets go of it within seconds; where it is gone for good, `kubectl patch placementpolicy former --type merge -p '{"metadata":{"finalizers":null}}'` does"#
        ]
    );
}
