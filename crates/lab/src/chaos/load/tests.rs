//! Loads of many seeds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

#[test]
fn the_seed_decides_the_load() {
    let length = Duration::from_mins(2);
    assert_eq!(acts(1, length), acts(1, length));
    assert_ne!(acts(1, length), acts(2, length));
}

#[test]
fn the_load_is_bounded_and_touches_only_what_is_there() {
    for seed in 0..100 {
        let mut there = BTreeMap::new();
        for (_, act) in acts(seed, Duration::from_mins(10)) {
            match act {
                LoadAction::Create(workload) => {
                    assert!(there.insert(workload.name.clone(), workload).is_none());
                }
                LoadAction::Scale(workload) | LoadAction::Roll(workload) | LoadAction::Pause(workload) => {
                    assert_eq!(there.insert(workload.name.clone(), workload.clone()).unwrap().kind, workload.kind);
                }
                LoadAction::Remove(workload) => assert!(there.remove(&workload.name).is_some()),
            }
            assert!(there.len() <= MOST + 1 && there.values().all(|workload| workload.replicas <= REPLICAS));
            assert!(there.is_empty() || there.contains_key("kept"));
            let daemon_sets = there.values().filter(|workload| workload.kind == LoadKind::DaemonSet).count();
            assert!(daemon_sets <= MOST_DAEMON_SETS);
        }
    }
}

#[test]
fn every_run_begins_with_every_kind_and_a_long_one_has_every_shape() {
    for seed in 0..100 {
        let kinds = |acts: &[(Duration, LoadAction)]| -> BTreeSet<LoadKind> {
            let created = acts.iter().filter_map(|(_, act)| match act {
                LoadAction::Create(workload) => Some(workload.kind),
                _ => None,
            });
            created.collect()
        };
        let plan = acts(seed, Duration::from_mins(10));
        let beginning: Vec<_> = plan.iter().filter(|(at, _)| at.is_zero()).cloned().collect();
        assert_eq!((beginning.len(), kinds(&beginning).len()), (FIRST, 6), "seed {seed}");
        let all = |shape: fn(&LoadWorkload) -> bool| {
            plan.iter().any(|(_, act)| match act {
                LoadAction::Create(workload) | LoadAction::Pause(workload) => shape(workload),
                _ => false,
            })
        };
        assert!(all(|workload| workload.reverted) && all(|workload| workload.paused), "seed {seed}");
        assert!(all(|workload| workload.budget) && all(|workload| workload.claim), "seed {seed}");
    }
}

#[test]
fn what_may_be_missing_is_what_the_strategy_says() {
    let mut rng = SeededRng::new(5);
    for number in 0..400 {
        let workload = LoadWorkload::any(&mut rng, number).of(5);
        let object = workload.object();
        let strategy = &object["spec"]["strategy"];
        let missing = match (workload.kind, strategy["type"].as_str()) {
            (LoadKind::StatefulSet, _) | (LoadKind::Deployment, None) => Some(1),
            (LoadKind::Deployment, Some("Recreate")) => Some(5),
            (LoadKind::Deployment, Some(_)) => strategy["rollingUpdate"]["maxUnavailable"].as_u64(),
            _ => None,
        };
        let missing = missing.map(|missing| if workload.reverted { missing.max(1) } else { missing });
        assert_eq!(workload.floor().map(|floor| 5 - u64::try_from(floor).unwrap()), missing, "{object}");
    }
}

#[test]
fn every_claim_has_a_volume() {
    let mut rng = SeededRng::new(7);
    for number in 0..400 {
        let workload = LoadWorkload::any(&mut rng, number);
        let volumes = workload.volumes();
        assert_eq!(!volumes.is_empty(), workload.claim);
        let claimed = |name: &str| volumes.iter().any(|volume| volume["spec"]["claimRef"]["name"] == name);
        match workload.kind {
            LoadKind::Deployment if workload.claim => {
                let claim = workload.volume_claim().unwrap();
                assert!(claimed(claim["metadata"]["name"].as_str().unwrap()) && workload.replicas == 1);
            }
            LoadKind::StatefulSet if workload.claim => {
                assert!((0..workload.replicas).all(|n| claimed(&format!("data-{}-{n}", workload.name))));
            }
            _ => assert_eq!(workload.volume_claim().unwrap_or(Value::Null), Value::Null),
        }
    }
}
