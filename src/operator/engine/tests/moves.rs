//! Migration as the engine drives it: what is moved, and what keeps everything where it is.

use k8s_openapi::api::apps::v1 as apps;

use super::{
    workloads::{deployment, owned_by, pod},
    *,
};
use rempart_core::keys::MIGRATION;

impl Cluster {
    /// A cluster where a pod of a `StatefulSet` stands on a node that nobody vouches for, beside one that is cleared.
    pub(super) fn with_db(policy: &Value) -> Self {
        let nodes = ["bad", "good"].map(|name| {
            let mut node = node(name, &json!({"pool": if name == "good" { "p" } else { "x" }}));
            node["status"] = json!({
                "conditions": [{"type": "Ready", "status": "True"}],
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"},
            });
            node
        });
        let mut cluster = Self::listed(std::slice::from_ref(policy), &[pool("p")], &nodes);
        cluster.engine.lead(false);
        cluster.space(&json!({}));
        let mut db = deployment("db", 1);
        db["spec"]["replicas"] = json!(1);
        cluster.run::<apps::StatefulSet>(WorkloadKind::StatefulSet, &db);
        cluster.put(&pod("db-0", &owned_by("StatefulSet", "db", 1), Some("bad")));
        cluster
    }

    /// Some seconds go by. Who waits for a pod to be gone does not rest.
    pub(super) fn go_on(&mut self) {
        for _ in 0..40 {
            self.wait(500);
            let _ = self.step();
        }
    }

    fn evictions(&self) -> usize {
        self.log.iter().filter(|line| line.starts_with("eviction")).count()
    }
}

/// A policy whose move of level `high` waits for an officer's word.
pub(super) fn stopped() -> Value {
    let mut policy = policy("Enforce");
    let stop =
        json!({"id": "0123456789", "level": "high", "pods": 1, "of": 1, "changes": ["CloudProvider acme is gone"]});
    policy["status"] = json!({"stops": [stop]});
    policy
}

#[test]
fn what_may_not_stay_is_evicted_by_whoever_leads() {
    let mut cluster = Cluster::with_db(&policy("Enforce"));
    cluster.engine.lead(true);
    cluster.go_on();
    assert_eq!(cluster.evictions(), 1, "{:#?}", cluster.log);
}

#[test]
fn a_stop_outlives_whoever_made_it_and_a_level_that_is_put_before_its_own() {
    let mut cluster = Cluster::with_db(&stopped());
    cluster.engine.lead(true);
    cluster.go_on();
    assert_eq!(cluster.evictions(), 0, "{:#?}", cluster.log);
    cluster.edit_policy(|policy| {
        policy["metadata"]["generation"] = json!(2);
        policy["spec"]["levels"].as_array_mut().unwrap().insert(1, json!({"name": "middle"}));
    });
    cluster.go_on();
    assert_eq!(cluster.policies["state"]["status"]["stops"][0]["level"], "high");
    assert_eq!(cluster.evictions(), 0, "{:#?}", cluster.log);
    cluster.edit_policy(|policy| policy["metadata"]["annotations"] = json!({"rempart.dev/approve-move": "0123456789"}));
    cluster.go_on();
    assert_eq!(cluster.evictions(), 1, "{:#?}", cluster.log);
}

#[test]
fn a_rollout_that_others_began_is_waited_for() {
    for noted in [true, false] {
        let mut cluster = Cluster::with_db(&policy("Enforce"));
        let mut api = deployment("api", 2);
        if noted {
            api["spec"]["template"]["metadata"]["annotations"][MIGRATION] = json!("2026-03-01T11:59:00Z");
        }
        api["status"] = json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2});
        cluster.run::<apps::Deployment>(WorkloadKind::Deployment, &api);
        let mut set = deployment("api-1", 3);
        set["metadata"]["ownerReferences"] = owned_by("Deployment", "api", 2);
        cluster.run::<apps::ReplicaSet>(WorkloadKind::ReplicaSet, &set);
        cluster.put(&pod("api-1-a", &owned_by("ReplicaSet", "api-1", 3), Some("bad")));
        cluster.engine.lead(true);
        cluster.go_on();
        let touched = cluster.log.iter().filter(|line| *line == "migration Deployment shop/api").count();
        assert_eq!(touched, 0, "{noted}: {:#?}", cluster.log);
    }
}

#[test]
fn a_move_waits_for_facts_that_concern_it_and_for_no_others() {
    let churn = |of: &str| {
        let mut cluster = Cluster::with_db(&policy("Enforce"));
        cluster.engine.lead(true);
        for round in 0..40 {
            let labels = match of {
                "its namespace's labels" => json!({"round": round.to_string()}),
                _ => json!({}),
            };
            match of {
                "another namespace's labels" => cluster.space_named("noise", &json!({"round": round.to_string()})),
                "another node's pool" => {
                    let pool = if round % 2 == 0 { "p" } else { "x" };
                    let other = node("other", &json!({"pool": pool}));
                    let slim = cluster.slim(&other);
                    cluster.nodes.insert("other".into(), other);
                    cluster.engine.observe(Observation::Node(WatchChange::Applied("other".into(), slim)));
                }
                "the catalogue, to no effect" => {
                    let mut told = provider();
                    told["metadata"]["generation"] = (round + 2).into();
                    let record = cluster.record::<CloudProvider>(&told);
                    cluster.engine.observe(Observation::Provider(WatchChange::Applied("acme".into(), record)));
                }
                "its policy" => cluster.edit_policy(|policy| {
                    policy["metadata"]["generation"] = (round + 2).into();
                }),
                // What is noted on it, at most.
                _ => cluster.space(&labels),
            }
            cluster.wait(500);
            let _ = cluster.step();
        }
        cluster.evictions()
    };
    for of in ["another namespace's labels", "another node's pool", "the catalogue, to no effect", "notes"] {
        assert_eq!(churn(of), 1, "{of}");
    }
    for of in ["its namespace's labels", "its policy"] {
        assert_eq!(churn(of), 0, "{of}");
    }
}

/// Answers of the API server to what it does not let happen.
pub(super) fn declined(code: u16, message: &str) -> WriteError {
    let status = kube::core::Status::failure(message, "Refused").with_code(code);
    WriteError::Api(kube::Error::Api(status.boxed()))
}

#[test]
fn an_eviction_that_is_refused_again_and_again_is_told_once() {
    let mut cluster = Cluster::with_db(&policy("Enforce"));
    cluster.engine.lead(true);
    let (mut evictions, mut told) = (0, 0);
    for _ in 0..120 {
        cluster.wait(500);
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let key = request.target();
            told += usize::from(matches!(&request, WriteRequest::RecordEvent(event) if event.reason == "Migrating"));
            if matches!(key, WriteTarget::Eviction(_)) {
                evictions += 1;
                cluster.engine.on_write_result(&key, Err(declined(403, "not now")), cluster.now);
            } else {
                let seen = cluster.perform(request);
                cluster.engine.on_write_result(&key, Ok(seen), cluster.now);
            }
        }
    }
    assert!(evictions > 2, "it is tried again: {evictions}");
    assert_eq!(told, 1);
    let migrating = &cluster.records["shop/statefulset-db"]["status"]["conditions"][2]["message"];
    assert!(migrating.as_str().unwrap().contains("not now"), "{migrating}");
}

#[test]
fn a_node_that_cannot_be_written_to_does_not_hold_up_what_stands_elsewhere() {
    let mut cluster = Cluster::with_db(&policy("Enforce"));
    let stale = node("stuck", &json!({"pool": "x", CLEARED: "true"}));
    let slim = cluster.slim(&stale);
    cluster.engine.observe(Observation::Node(WatchChange::Applied("stuck".into(), slim)));
    cluster.engine.lead(true);
    let mut evictions = 0;
    for _ in 0..40 {
        cluster.wait(500);
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let key = request.target();
            evictions += usize::from(matches!(key, WriteTarget::Eviction(_)));
            let refused = matches!(&key, WriteTarget::NodeLabels(name) if name == "stuck");
            let outcome = if refused { Err(declined(422, "no")) } else { Ok(cluster.perform(request)) };
            cluster.engine.on_write_result(&key, outcome, cluster.now);
        }
    }
    assert_eq!(evictions, 1);
}

#[test]
fn an_eviction_that_was_not_sent_yet_is_dropped_when_its_reason_has_gone() {
    let mut policy = policy("Enforce");
    policy["spec"]["levels"][1]["onClearanceLoss"] = json!({"action": "Evict"});
    let mut cluster = Cluster::with_db(&policy);
    let place = |cluster: &mut Cluster, pool: &str| {
        let mut node = node("other", &json!({"pool": pool}));
        node["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        let slim = cluster.slim(&node);
        cluster.nodes.insert("other".into(), node);
        cluster.engine.observe(Observation::Node(WatchChange::Applied("other".into(), slim)));
    };
    place(&mut cluster, "x");
    cluster.put(&pod("db-1", &owned_by("StatefulSet", "db", 1), Some("other")));
    cluster.engine.lead(true);
    let mut evictions = Vec::new();
    for round in 0..60 {
        cluster.wait(500);
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let target = request.target();
            if matches!(target, WriteTarget::Eviction(_)) {
                evictions.push(target);
            } else {
                let seen = cluster.perform(request);
                cluster.engine.on_write_result(&target, Ok(seen), cluster.now);
            }
        }
        match round {
            // One eviction may be on its way at a time, and the other waits: now its node is vouched for.
            20 => place(&mut cluster, "p"),
            30 => cluster.engine.on_write_result(&evictions[0], Ok(None), cluster.now),
            _ => {}
        }
    }
    assert_eq!(evictions, [WriteTarget::Eviction("shop/db-0".into())]);
}

#[test]
fn a_move_that_waits_for_a_stamp_says_so_and_begins_when_it_is_written_though_nothing_else_happens() {
    let mut cluster = Cluster::with_db(&policy("Enforce"));
    let stale = node("slow", &json!({"pool": "x", CLEARED: "true"}));
    let slim = cluster.slim(&stale);
    cluster.nodes.insert("slow".into(), stale);
    cluster.engine.observe(Observation::Node(WatchChange::Applied("slow".into(), slim)));
    cluster.engine.lead(true);
    let (mut held, mut evicted) = (None, None);
    for round in 0..60 {
        cluster.wait(500);
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let target = request.target();
            match target {
                WriteTarget::NodeLabels(ref name) if name == "slow" => held = Some(request),
                _ => {
                    evicted = evicted.or(matches!(target, WriteTarget::Eviction(_)).then_some(round));
                    let seen = cluster.perform(request);
                    cluster.engine.on_write_result(&target, Ok(seen), cluster.now);
                }
            }
        }
        if round == 30 {
            let migrating = &cluster.records["shop/statefulset-db"]["status"]["conditions"][2];
            let expected = "its pods are moved when nodes that have lost a clearance carry it no more";
            assert_eq!((&migrating["reason"], &migrating["message"]), (&json!("Waiting"), &json!(expected)));
            let request = held.take().unwrap();
            let (target, seen) = (request.target(), cluster.perform(request));
            cluster.engine.on_write_result(&target, Ok(seen), cluster.now);
        }
    }
    assert!(evicted.is_some_and(|round| (31..=33).contains(&round)), "{evicted:?}");
}
