//! Exit drills without a cluster: a case for each reason for which a pod may be stranded, and what holds of every drill.

use std::{collections::BTreeMap, fmt::Write as _};

use proptest::{prelude::*, sample::subsequence};
use rempart::{
    diagnostic::source::SourceMap,
    gather::{GatherSettings, GatheredObjects, LocatedInventory},
    manifest::read::read,
};
use rempart_core::{
    drill::{Drill, DrillInput, LevelDrill, RemovedPlace, drill},
    instant::CalendarDay,
    plan::PlanAssumptions,
};

use crate::property_runner::properties;

/// Two providers that are cleared for `high`, with a pool each, and one that is cleared for `low` alone.
const WORLD: &str = r#"
{apiVersion: rempart.dev/v1alpha1, kind: CloudProvider, metadata: {name: east}, spec: {operator: {name: East, jurisdiction: FR},
 offers: [{name: vm, zones: [{name: e1, region: e, country: FR}], qualifications: [{scheme: snc, validFrom: "2025-01-01"}]}]}}
---
{apiVersion: rempart.dev/v1alpha1, kind: CloudProvider, metadata: {name: west}, spec: {operator: {name: West, jurisdiction: FR},
 offers: [{name: vm, zones: [{name: w1, region: w, country: FR}], qualifications: [{scheme: snc, validFrom: "2025-01-01"}]}]}}
---
{apiVersion: rempart.dev/v1alpha1, kind: CloudProvider, metadata: {name: mill}, spec: {operator: {name: Mill, jurisdiction: FR},
 offers: [{name: vm, zones: [{name: m1, region: m, country: FR}]}]}}
---
{apiVersion: rempart.dev/v1alpha1, kind: PlacementPool, metadata: {name: east}, spec: {provider: east, offer: vm, zone: e1,
 nodeSelector: {matchLabels: {pool: east}}}}
---
{apiVersion: rempart.dev/v1alpha1, kind: PlacementPool, metadata: {name: west}, spec: {provider: west, offer: vm, zone: w1,
 nodeSelector: {matchLabels: {pool: west}}}}
---
{apiVersion: rempart.dev/v1alpha1, kind: PlacementPool, metadata: {name: mill}, spec: {provider: mill, offer: vm, zone: m1,
 nodeSelector: {matchLabels: {pool: mill}}}}
---
apiVersion: rempart.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: p}
spec:
  mode: Enforce
  defaultLevel: open
  levels: [{name: open}, {name: low, require: {jurisdictions: {operator: [EU]}}}, {name: high, require: {qualifications: [snc]}}]
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
"#;

fn with<R>(manifests: &[&str], look: impl FnOnce(&LocatedInventory<'_>) -> R) -> R {
    let mut sources = SourceMap::default();
    let file = sources.add("world.yaml", [&[WORLD], manifests].concat().concat());
    let mut gathered = GatheredObjects::new("shop").with_pods();
    read(file, sources.text(file), &mut |found| gathered.take(file, found));
    let located = gathered.into_inventory(&GatherSettings::default());
    assert!(!located.is_faulty(), "{:?}", located.diagnostics);
    look(&located)
}

/// Tries `manifests`, beside the world, without `places`.
fn try_without<R>(manifests: &[&str], places: &[&str], look: impl FnOnce(&Drill<'_>) -> R) -> R {
    let without: Vec<RemovedPlace> = places.iter().map(|place| place.parse().unwrap()).collect();
    with(manifests, |located| {
        let at = CalendarDay::parse("2026-11-28").unwrap().starts();
        let running = located.running.as_ref().unwrap();
        let (inventory, assume) = (&located.inventory, PlanAssumptions::default());
        look(&drill(&DrillInput { inventory, running, at, assume, without: &without }).unwrap())
    })
}

/// A node of `pool` with so many processors, as many GiB, and `more` of its fields.
fn node(name: &str, pool: &str, cpu: u64, spec: &str) -> String {
    let labels = format!("pool: {pool}, kubernetes.io/hostname: {name}, rack: {pool}");
    let has = format!("cpu: '{cpu}', memory: {cpu}Gi, pods: '20'");
    format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{{labels}}}}}, spec: {{{spec}}}, status: \
         {{allocatable: {{{has}}}}}}}\n---\n"
    )
}

/// A Deployment of `level` with so many pods, each of which requests so many processors.
fn deployment(name: &str, level: &str, replicas: u32, cpu: &str, spec: &str) -> String {
    let containers = format!("containers: [{{name: c, image: i, resources: {{requests: {{cpu: {cpu}}}}}}}]");
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}, annotations: {{rempart.dev/sensitivity: \
         {level}}}}}, spec: {{replicas: {replicas}, selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: \
         {{labels: {{app: {name}}}}}, spec: {{{containers}{spec}}}}}}}}}\n---\n"
    )
}

/// A pod that runs on `node`, of nothing.
fn pod(name: &str, node: &str, cpu: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: 00000000-0000-0000-0000-00000000000{}, annotations: \
         {{rempart.dev/sensitivity: high}}}}, spec: {{nodeName: {node}, containers: [{{name: c, image: i, resources: \
         {{requests: {{cpu: {cpu}}}}}}}]{spec}}}, status: {{phase: Running}}}}\n---\n",
        name.len()
    )
}

fn level<'d, 'a>(drill: &'d Drill<'a>, name: &str) -> &'d LevelDrill<'a> {
    let is_it = |found: &&LevelDrill<'_>| found.level.is_some_and(|level| level.level.as_str() == name);
    drill.levels.iter().find(is_it).unwrap()
}

/// What is stranded: pods by the code of the reason, and the resource.
fn stranded(drill: &Drill<'_>) -> Vec<(usize, &'static str, Option<String>)> {
    drill.stranded.iter().map(|it| (it.pods, it.reason.code(), it.reason.resource().map(str::to_owned))).collect()
}

#[test]
fn each_reason_for_which_a_pod_is_stranded_is_told() {
    let east = node("e-1", "east", 8, "");
    let west = |spec: &str| node("w-1", "west", 4, spec);
    let high = |replicas, cpu: &str, spec: &str| deployment("api", "high", replicas, cpu, spec);
    // What holds them where they are before.
    let on_east = ", nodeSelector: {rack: east}";
    let claim = ", volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]";
    let volume = |pools: &str| {
        format!(
            "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: v}}, spec: {{claimRef: {{namespace: shop, name: data}}, \
             nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: pool, operator: In, values: \
             [{pools}]}}]}}]}}}}}}}}\n---\n"
        )
    };
    let spread = ", topologySpreadConstraints: [{maxSkew: 1, minDomains: 2, topologyKey: rack, whenUnsatisfiable: \
                  DoNotSchedule, labelSelector: {matchLabels: {app: api}}}]";
    let apart = ", affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: \
                 kubernetes.io/hostname, labelSelector: {matchLabels: {app: api}}}]}}";
    let taint = "taints: [{key: gpu, effect: NoSchedule}]";
    let devices = ", resourceClaims: [{name: gpu, resourceClaimName: g}]";
    let cases = [
        ("no other pool", vec![east.clone(), pod("a", "e-1", "1", "")], vec![(1, "NoClearedPool", None)]),
        // It is cleared, and has no node.
        ("no node", vec![east.clone(), pod("a", "e-1", "1", "")], vec![(1, "NoClearedNode", None)]),
        ("selector", vec![east.clone(), west(""), high(2, "1", on_east)], vec![(2, "OwnRequirements", None)]),
        ("taints", vec![east.clone(), west(taint), pod("a", "e-1", "1", "")], vec![(1, "Taints", None)]),
        (
            "cordoned",
            vec![east.clone(), west("unschedulable: true"), pod("a", "e-1", "1", "")],
            vec![(1, "NodesClosed", None)],
        ),
        ("too small", vec![east.clone(), west(""), pod("a", "e-1", "5", "")], vec![(1, "NodesTooSmall", Some("cpu"))]),
        (
            "full",
            vec![east.clone(), west(""), pod("b", "w-1", "3", ""), pod("aa", "e-1", "2", "")],
            vec![(1, "NoCapacity", Some("cpu"))],
        ),
        (
            "volume there",
            vec![east.clone(), west(""), volume("east"), pod("a", "e-1", "1", claim)],
            vec![(1, "VolumeLost", None)],
        ),
        (
            "volume nowhere",
            vec![east.clone(), west(""), volume("north"), pod("a", "e-1", "1", claim)],
            vec![(1, "VolumePinned", None)],
        ),
        ("spread", vec![east.clone(), west(""), high(4, "500m", spread)], vec![(2, "Spread", None)]),
        ("apart", vec![east.clone(), west(""), high(2, "1", apart)], vec![(1, "NodesTaken", None)]),
        ("devices", vec![east.clone(), west(""), pod("a", "e-1", "1", devices)], vec![(1, "DevicesUnknown", None)]),
    ];
    for (name, manifests, expected) in cases {
        // With `west` gone as well nobody is left who is cleared.
        let places: &[&str] =
            if name == "no other pool" { &["provider=east", "provider=west"] } else { &["provider=east"] };
        let manifests: Vec<&str> = manifests.iter().map(String::as_str).collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(pods, code, out)| (pods, code, out.map(str::to_owned))).collect();
        try_without(&manifests, places, |drill| assert_eq!(stranded(drill), expected, "{name}"));
    }
}

#[test]
fn what_ends_with_its_node_is_not_displaced() {
    let owned = |name: &str, kind: &str, more: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: 00000000-0000-0000-0000-000000000001, ownerReferences: \
             [{{apiVersion: {}, kind: {kind}, name: o, uid: 00000000-0000-0000-0000-000000000002, controller: true}}]{more}}}, \
             spec: {{nodeName: e-1, containers: [{{name: c, image: i}}]}}, status: {{phase: Running}}}}\n---\n",
            if kind == "Node" { "v1" } else { "apps/v1" }
        )
    };
    let daemon = owned("d", "DaemonSet", "");
    let mirror = owned("m", "Node", ", annotations: {kubernetes.io/config.mirror: x}");
    let leaving = owned("l", "ReplicaSet", ", deletionTimestamp: '2026-11-28T00:00:00Z'");
    let east = node("e-1", "east", 8, "");
    try_without(&[&east, &daemon, &mirror, &leaving], &["pool=east"], |drill| {
        assert_eq!((drill.counts.displaced, drill.counts.ended), (0, 2), "{drill:?}");
        assert!(drill.everything_fits());
    });
}

#[test]
fn a_cure_counts_nodes_like_the_smallest_less_what_runs_on_every_node() {
    let nodes = [node("e-1", "east", 32, ""), node("w-1", "west", 8, ""), node("w-2", "west", 4, "")].concat();
    let agent = "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent}, spec: {selector: {matchLabels: {app: agent}}, \
                 template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: c, image: i, resources: {requests: {cpu: \
                 '1'}}}]}}}}\n---\n";
    let api = deployment("api", "high", 16, "1500m", "");
    try_without(&[&nodes, agent, &api], &["provider=east"], |drill| {
        // On 7 and 3 free processors 4 and 2 of them fit; and on each new one of 4, of which 3 are free, 2.
        let high = level(drill, "high");
        let stranded = high.stranded;
        assert_eq!(high.fitting + stranded, high.displaced);
        let cure: Vec<_> = high.cure.iter().map(|it| (it.pool.as_str(), it.nodes, it.pods)).collect();
        assert_eq!(cure, [("west", stranded.div_ceil(2), stranded)]);
        assert_eq!((high.incurable, high.first_out.as_deref()), (0, Some("cpu")));
        assert!(stranded > 2, "{high:?}");
    });
    let huge = deployment("huge", "high", 1, "'6'", "");
    try_without(&[&node("e-1", "east", 8, ""), &node("w-2", "west", 4, ""), &huge], &["provider=east"], |drill| {
        let high = level(drill, "high");
        assert_eq!((high.stranded, high.incurable, high.cure.len()), (1, 1, 0), "it fits no node of the pool");
    });
}

#[test]
fn what_requests_nothing_takes_a_slot_and_is_told() {
    let nodes = [node("e-1", "east", 8, ""), node("w-1", "west", 1, "")].concat();
    let silent = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: news}, spec: {replicas: 30, selector: {matchLabels: \
                  {app: news}}, template: {metadata: {labels: {app: news}}, spec: {containers: [{name: c, image: i}]}}}}\n---\n";
    try_without(&[&nodes, silent], &["provider=east"], |drill| {
        let counts = drill.counts;
        assert_eq!(counts.without_requests, counts.displaced);
        assert_eq!((counts.running, counts.fitting + counts.running - counts.displaced), (30, 20));
        assert_eq!(stranded(drill), [(10, "NoCapacity", Some("pods".to_owned()))]);
    });
}

#[test]
fn the_kubelets_state_of_a_node_and_terms_of_pods_are_read() {
    let closed = "{apiVersion: v1, kind: Node, metadata: {name: w-1, labels: {pool: west}}, status: {allocatable: {cpu: '8', \
                  memory: 8Gi, pods: '20'}, conditions: [{type: Ready, status: Unknown}]}}\n---\n";
    try_without(&[&node("e-1", "east", 8, ""), closed, &pod("a", "e-1", "1", "")], &["pool=east"], |drill| {
        assert_eq!(stranded(drill), [(1, "NodesClosed", None)]);
    });
    let tainted = node("w-1", "west", 8, "taints: [{key: gpu, value: big, effect: NoSchedule}]");
    let bears = ", tolerations: [{key: gpu, value: big, operator: Equal}]";
    try_without(&[&node("e-1", "east", 8, ""), &tainted, &pod("a", "e-1", "1", bears)], &["pool=east"], |drill| {
        assert!(drill.everything_fits(), "{drill:?}");
    });
    let sidecar = ", initContainers: [{name: s, image: i, restartPolicy: Always, resources: {requests: {cpu: '4'}}}]";
    let west = node("w-1", "west", 4, "");
    try_without(&[&node("e-1", "east", 8, ""), &west, &pod("a", "e-1", "1", sidecar)], &["pool=east"], |drill| {
        assert_eq!(stranded(drill), [(1, "NodesTooSmall", Some("cpu".to_owned()))], "sidecars request as well");
    });
}

#[test]
fn a_place_that_nobody_recorded_is_an_error() {
    let east = node("e-1", "east", 8, "");
    with(&[&east], |located| {
        for (place, said) in [
            ("provider=nobody", "there is no provider \"nobody\": the providers are east, mill, west"),
            ("region=x", "there is no region \"x\": the regions are e, m, w"),
            ("zone=x", "there is no zone \"x\": the zones are e1, m1, w1"),
            ("pool=x", "there is no pool \"x\": the pools are east, mill, west"),
        ] {
            let without = [place.parse().unwrap()];
            let at = CalendarDay::parse("2026-11-28").unwrap().starts();
            let running = located.running.as_ref().unwrap();
            let input = DrillInput {
                inventory: &located.inventory,
                running,
                at,
                assume: PlanAssumptions::default(),
                without: &without,
            };
            assert_eq!(drill(&input).unwrap_err().to_string(), said);
        }
    });
    for text in ["", "east", "cloud=east", "pool=", "=east"] {
        assert!(text.parse::<RemovedPlace>().is_err(), "{text}");
    }
}

/// A cluster of which everything is random but the world.
#[derive(Clone, Debug)]
struct RandomCluster {
    /// The pool and the processors of each node.
    nodes: Vec<(usize, u64)>,
    /// The level, the number of pods and the thousandths of processors of each workload.
    workloads: Vec<(usize, u32, u64)>,
}

const POOLS: [&str; 3] = ["east", "mill", "west"];
const LEVELS: [&str; 3] = ["open", "low", "high"];

impl RandomCluster {
    fn manifests(&self) -> String {
        let mut text = String::new();
        for (at, (pool, cpu)) in self.nodes.iter().enumerate() {
            text.push_str(&node(&format!("n-{at}"), POOLS[*pool], *cpu, ""));
        }
        for (at, (level, replicas, milli)) in self.workloads.iter().enumerate() {
            text.push_str(&deployment(&format!("w-{at}"), LEVELS[*level], *replicas, &format!("{milli}m"), ""));
        }
        text
    }
}

fn clusters() -> impl Strategy<Value = RandomCluster> {
    let nodes = prop::collection::vec((0..POOLS.len(), 1_u64..8), 1..8);
    let workloads = prop::collection::vec((0..LEVELS.len(), 0_u32..9, 100_u64..3000), 1..8);
    (nodes, workloads).prop_map(|(nodes, workloads)| RandomCluster { nodes, workloads })
}

fn places() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(vec!["pool=east", "provider=mill", "region=w"], 1..=3)
}

properties! {
    cases: 60;

    #[test]
    fn every_pod_is_counted_once(cluster in clusters(), places in places()) {
        let manifests = cluster.manifests();
        try_without(&[&manifests], &places, |drill| {
            let counts = drill.counts;
            let all: u32 = cluster.workloads.iter().map(|(_, replicas, _)| replicas).sum();
            prop_assert_eq!(counts.running + counts.waiting, all as usize);
            prop_assert_eq!(counts.fitting + counts.stranded, counts.displaced);
            for (total, part) in [
                (counts.displaced, drill.levels.iter().map(|level| level.displaced).sum::<usize>()),
                (counts.stranded, drill.levels.iter().map(|level| level.stranded).sum()),
                (counts.stranded, drill.stranded.iter().map(|it| it.pods).sum()),
                (counts.waiting, drill.waiting.iter().map(|it| it.pods).sum()),
            ] {
                prop_assert_eq!(total, part);
            }
            for level in &drill.levels {
                let cured: usize = level.cure.iter().map(|cure| cure.pods).sum();
                prop_assert_eq!(cured + level.incurable, level.stranded);
            }
            Ok(())
        })?;
    }

    #[test]
    fn where_nothing_goes_away_nothing_is_stranded(cluster in clusters()) {
        let manifests = cluster.manifests();
        let empty: Vec<_> = POOLS.iter().enumerate().filter(|(at, _)| cluster.nodes.iter().all(|(pool, _)| pool != at)).collect();
        let empty: Vec<String> = empty.into_iter().map(|(_, pool)| format!("pool={pool}")).collect();
        let empty: Vec<&str> = empty.iter().map(String::as_str).collect();
        try_without(&[&manifests], &empty, |drill| {
            prop_assert_eq!((drill.nodes.len(), drill.counts.displaced, drill.stranded.len()), (0, 0, 0));
            Ok(())
        })?;
    }

    // Which pods find a node may differ from one order to another, and more of them may by luck when less is there. What is
    // displaced, and what nobody is cleared for any more, only becomes more.
    #[test]
    fn to_take_more_away_displaces_no_fewer_and_clears_nothing(cluster in clusters(), places in places()) {
        let manifests = cluster.manifests();
        let told = |places: &[&str]| try_without(&[&manifests], places, |drill| {
            let uncleared: usize =
                drill.stranded.iter().filter(|it| it.reason.code() == "NoClearedPool").map(|it| it.pods).sum();
            (drill.counts.displaced, uncleared)
        });
        let (some, all) = (told(&places), told(&["pool=east", "provider=mill", "region=w"]));
        prop_assert!(some.0 <= all.0 && some.1 <= all.1, "{some:?} {all:?}");
        // Nothing is left then but nodes of no pool, of which there are none.
        prop_assert_eq!(try_without(&[&manifests], &["pool=east", "provider=mill", "region=w"], |drill| drill.counts.fitting), 0);
    }

    #[test]
    fn no_more_fits_than_there_is_room_for(cluster in clusters(), places in places()) {
        let manifests = cluster.manifests();
        let gone = |pool: &usize| places.iter().any(|place| place.ends_with(&POOLS[*pool][..1]) || place.ends_with(POOLS[*pool]));
        try_without(&[&manifests], &places, |drill| {
            let lacking: BTreeMap<String, usize> = drill.stranded.iter().chain(&drill.waiting)
                .map(|it| (it.workload.name.to_string(), it.pods)).fold(BTreeMap::new(), |mut all, (name, pods)| {
                    *all.entry(name).or_default() += pods;
                    all
                });
            // What has a node in the end, by the level from which its pods may stand on it.
            for least in 0..LEVELS.len() {
                let mut asked = 0;
                for (at, (level, replicas, milli)) in cluster.workloads.iter().enumerate() {
                    let placed = *replicas as usize - lacking.get(&format!("w-{at}")).copied().unwrap_or_default();
                    asked += if *level >= least { milli * placed as u64 } else { 0 };
                }
                let cleared = |pool: &usize| least < 2 || POOLS[*pool] != "mill";
                let nodes = cluster.nodes.iter().filter(|(pool, _)| cleared(pool) && !gone(pool));
                let room: u64 = nodes.map(|(_, cpu)| cpu * 1000).sum();
                prop_assert!(asked <= room, "{asked} of level {least} or above on {room}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_order_of_manifests_changes_nothing(cluster in clusters(), places in places()) {
        let told = |manifests: &str| try_without(&[manifests], &places, |drill| {
            let mut text = String::new();
            for level in &drill.levels {
                write!(text, "{:?} {} {};", level.level, level.displaced, level.stranded).unwrap();
            }
            text
        });
        let manifests = cluster.manifests();
        let mut reversed: Vec<&str> = manifests.split_inclusive("---\n").collect();
        reversed.reverse();
        let reversed = reversed.concat();
        prop_assert_eq!(told(&manifests), told(&reversed));
    }
}
