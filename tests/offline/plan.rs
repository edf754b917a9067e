//! Plans and impacts: what they say of workloads and of edits, on a world of two hospitals' clouds.

use rempart::{
    diagnostic::source::SourceMap,
    gather::{GatherSettings, GatheredObjects, LocatedInventory},
    manifest::read::read,
};
use rempart_core::{
    impact::{PlanImpact, impact},
    instant::Timestamp,
    plan::{PlacementOutcome, Plan, PlanAssumptions, UnplaceableReason, plan},
};

const CATALOGUE: &str = r#"
apiVersion: rempart.dev/v1alpha1
kind: CloudProvider
metadata: {name: asklepios}
spec:
  operator: {name: Asklepios Cloud SA, jurisdiction: FR}
  offers:
  - name: vault
    technology: [{name: Stack, supplier: Asklepios Cloud SA, jurisdiction: FR}]
    zones: [{name: lyon-1, region: lyon, country: FR}]
    qualifications: [{scheme: hds, validFrom: "2024-01-01", validUntil: "2027-06-30"}]
---
apiVersion: rempart.dev/v1alpha1
kind: CloudProvider
metadata: {name: galenus}
spec:
  operator: {name: Galenus GmbH, jurisdiction: DE}
  offers:
  - name: open
    technology: [{name: Stack, supplier: Galenus GmbH, jurisdiction: DE}]
    zones: [{name: ulm-1, region: ulm, country: DE}]
    qualifications: [{scheme: hds, validFrom: "2024-01-01", validUntil: "2026-12-31"}]
---
apiVersion: rempart.dev/v1alpha1
kind: PlacementPool
metadata: {name: lyon}
spec: {provider: asklepios, offer: vault, zone: lyon-1, nodeSelector: {matchLabels: {pool: lyon}}}
---
apiVersion: rempart.dev/v1alpha1
kind: PlacementPool
metadata: {name: ulm}
spec: {provider: galenus, offer: open, zone: ulm-1, nodeSelector: {matchLabels: {pool: ulm}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: ward}
---
"#;

const POLICY: &str = r"
apiVersion: rempart.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: care}
spec:
  mode: Enforce
  defaultLevel: open
  levels:
  - name: open
  - name: patient
    require: {qualifications: [hds]}
  - name: genome
    require: {jurisdictions: {data: [FR]}}
---
";

const NODES: &str = r"
{apiVersion: v1, kind: Node, metadata: {name: l1, labels: {pool: lyon, disk: ssd}}}
---
{apiVersion: v1, kind: Node, metadata: {name: u1, labels: {pool: ulm, disk: hdd}}}
---
{apiVersion: v1, kind: Node, metadata: {name: stray, labels: {disk: ssd}}}
---
";

/// A workload of `kind` that says `level`, with this in its pod spec.
fn workload(kind: &str, name: &str, level: &str, pod: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: {name}, namespace: ward, annotations: \
         {{rempart.dev/sensitivity: {level}}}}}, spec: {{template: {{spec: {{containers: [], {pod}}}}}}}}}\n---\n"
    )
}

/// What `manifests` come to, handed to `judge`.
fn with<R>(manifests: &[&str], judge: impl FnOnce(&LocatedInventory<'_>) -> R) -> R {
    let mut sources = SourceMap::default();
    let file = sources.add("world.yaml", manifests.concat());
    let mut gathered = GatheredObjects::new("default");
    read(file, sources.text(file), &mut |found| gathered.take(file, found));
    let located = gathered.into_inventory(&GatherSettings { exempt: vec!["kube-system".to_owned()] });
    assert!(!located.is_faulty(), "{:?}", located.diagnostics);
    judge(&located)
}

fn on(day: &str) -> Timestamp {
    rempart_core::instant::CalendarDay::parse(day).unwrap().starts()
}

/// The outcome and message of the only workload of `manifests`.
fn told(manifests: &[&str]) -> (PlacementOutcome, String) {
    with(manifests, |located| {
        let plan = plan(&located.inventory, on("2026-11-22"), PlanAssumptions::default());
        let planned = &plan.workloads[0];
        (planned.outcome.clone(), plan.message(planned))
    })
}

#[test]
fn a_workload_may_run_on_what_is_cleared_for_its_level() {
    let (outcome, message) = told(&[CATALOGUE, POLICY, &workload("Deployment", "files", "patient", "")]);
    assert_eq!(outcome, PlacementOutcome::Placeable([0, 1].into()));
    assert_eq!(message, "2 of 2 pools are cleared: lyon, ulm");
    let (outcome, message) = told(&[CATALOGUE, POLICY, &workload("Deployment", "reads", "genome", "")]);
    assert_eq!(outcome, PlacementOutcome::Placeable([0].into()));
    assert_eq!(message, "1 of 2 pools is cleared: lyon");
}

#[test]
fn a_cleared_pool_without_a_node_takes_nobody() {
    let only_ulm = "{apiVersion: v1, kind: Node, metadata: {name: u1, labels: {pool: ulm}}}\n---\n";
    let (outcome, message) = told(&[CATALOGUE, POLICY, only_ulm, &workload("Deployment", "reads", "genome", "")]);
    assert_eq!(outcome, PlacementOutcome::Unplaceable(UnplaceableReason::NoNode));
    assert!(message.contains("no node belongs to what is cleared for level genome of policy care (lyon)"), "{message}");
}

#[test]
fn the_own_wishes_of_a_workload_are_held_against_nodes() {
    let wishes = |pod: &str| told(&[CATALOGUE, POLICY, NODES, &workload("Deployment", "files", "patient", pod)]);
    assert_eq!(wishes("nodeSelector: {disk: ssd}").0, PlacementOutcome::Placeable([0].into()));
    let (outcome, message) = wishes("nodeSelector: {disk: nvme}");
    assert_eq!(outcome, PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes));
    assert!(message.contains("its own nodeSelector (disk=nvme) accepts no node"), "{message}");
    let affinity = |terms: &str| {
        wishes(&format!(
            "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: {terms}}}}}}}"
        ))
        .0
    };
    assert_eq!(
        affinity("[{matchExpressions: [{key: disk, operator: In, values: [hdd]}]}]"),
        PlacementOutcome::Placeable([1].into())
    );
    assert_eq!(
        affinity("[{matchFields: [{key: metadata.name, operator: In, values: [l1]}]}]"),
        PlacementOutcome::Placeable([0].into())
    );
    assert_eq!(
        affinity("[{matchExpressions: [{key: disk, operator: Exists}]}, {}]"),
        PlacementOutcome::Placeable([0, 1].into())
    );
    assert_eq!(affinity("[{}]"), PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes));
}

#[test]
fn stamps_that_a_workload_selects_by_are_known_without_nodes() {
    let wishes = |pod: &str| told(&[CATALOGUE, POLICY, &workload("Deployment", "files", "patient", pod)]).0;
    let provider = "nodeSelector: {rempart.node-restriction.kubernetes.io/provider: galenus, disk: ssd}";
    assert_eq!(wishes(provider), PlacementOutcome::Placeable([1].into()));
    // What a pod asks of a policy is put right by admission, and that of a policy that is gone is taken away.
    let forged = "nodeSelector: {clearance.rempart.node-restriction.kubernetes.io/care.genome: \"true\", \
                  clearance.rempart.node-restriction.kubernetes.io/gone.x: \"true\"}";
    assert_eq!(wishes(forged), PlacementOutcome::Placeable([0, 1].into()));
}

#[test]
fn a_daemon_set_names_the_nodes_on_which_its_pods_end() {
    let daemon = workload("DaemonSet", "agent", "patient", "nodeSelector: {disk: ssd}");
    let (outcome, message) = told(&[CATALOGUE, POLICY, NODES, &daemon]);
    assert_eq!(outcome, PlacementOutcome::Placeable([0].into()));
    assert_eq!(
        message,
        "1 of 2 cleared pools will do: lyon; it runs on 1 of 2 nodes, and any pod of it on stray ends at once"
    );
}

/// What the edit from `old` to `new` changes, as lines.
fn edited(old: &[&str], new: &[&str], days: [&str; 2]) -> Vec<String> {
    with(old, |old| {
        with(new, |new| {
            let before = plan(&old.inventory, on(days[0]), PlanAssumptions::default());
            let after = plan(&new.inventory, on(days[1]), PlanAssumptions::default());
            lines(&impact(&before, &after), &after)
        })
    })
}

fn lines(impact: &PlanImpact<'_>, after: &Plan<'_>) -> Vec<String> {
    let standings = impact.standings.iter().map(|found| {
        format!("{} {}: +{:?} -{:?} {:?}", found.policy, found.demander, found.gained, found.lost, found.presence)
    });
    let ended = impact.ended.iter().map(|found| format!("ends: {} on {:?}", found.workload.identity, found.nodes));
    let ended = ended.chain(impact.restarted.iter().map(|workload| format!("restarts: {}", workload.identity)));
    let refused = impact.refused.iter().map(|found| {
        let refusals: Vec<_> = found.refusals.iter().map(|refused| refused.refusal.code()).collect();
        format!("refused: {} {refusals:?}", found.workload.identity)
    });
    let stranded = impact.stranded.iter().map(|found| format!("stranded: {}", found.workload.identity));
    let moved = impact
        .moved
        .iter()
        .map(|found| format!("moved: {} from {:?} to {:?}", found.workload.identity, found.lost, found.left));
    assert!(after.pools.len() <= 2);
    standings.chain(ended).chain(refused).chain(stranded).chain(moved).collect()
}

#[test]
fn a_certificate_that_ends_moves_what_it_cleared() {
    let world = [
        CATALOGUE,
        POLICY,
        &workload("Deployment", "files", "patient", ""),
        &workload("Deployment", "site", "open", ""),
    ];
    assert_eq!(
        edited(&world, &world, ["2026-11-22", "2027-01-01"]),
        [r#"care level patient: +[] -["ulm"] Kept"#, r#"moved: deployment ward/files from ["ulm"] to ["lyon"]"#]
    );
    assert_eq!(
        edited(&world, &world, ["2026-11-22", "2027-07-01"]),
        [
            r#"care level patient: +[] -["lyon", "ulm"] Kept"#,
            r#"care level genome: +[] -["lyon"] Kept"#,
            "stranded: deployment ward/files",
        ]
    );
    assert_eq!(edited(&world, &world, ["2026-11-22", "2026-12-31"]), [""; 0]);
}

#[test]
fn a_level_that_an_edit_renames_refuses_those_that_ask_for_it() {
    let workloads =
        [workload("Deployment", "files", "patient", ""), workload("DaemonSet", "agent", "genome", "")].concat();
    let renamed = POLICY.replace("name: patient", "name: patients");
    assert_eq!(
        edited(&[CATALOGUE, POLICY, NODES, &workloads], &[CATALOGUE, &renamed, NODES, &workloads], ["2026-11-22"; 2]),
        [
            r#"care level patient: +[] -["lyon", "ulm"] Removed"#,
            r#"care level patients: +["lyon", "ulm"] -[] Added"#,
            r#"refused: deployment ward/files ["LevelUnknown"]"#,
            "stranded: deployment ward/files",
        ]
    );
}

#[test]
fn a_daemon_set_whose_key_nobody_demands_any_more_restarts_and_does_not_end() {
    let daemon = workload("DaemonSet", "agent", "patient", "");
    let from = [CATALOGUE, POLICY, NODES, &daemon];
    let lax = POLICY.replace("require: {qualifications: [hds]}", "");
    let lines = edited(&from, &[CATALOGUE, &lax, NODES, &daemon], ["2026-11-22"; 2]);
    assert!(lines.contains(&"restarts: daemonset ward/agent".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("ends:")), "{lines:?}");
    // A level that is asked for and gone: nothing ends, and no restart succeeds.
    let renamed = POLICY.replace("name: patient", "name: patients");
    let lines = edited(&from, &[CATALOGUE, &renamed, NODES, &daemon], ["2026-11-22"; 2]);
    assert!(lines.contains(&r#"refused: daemonset ward/agent ["LevelUnknown"]"#.to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("ends:") || line.starts_with("restarts:")), "{lines:?}");
}

#[test]
fn a_daemon_set_that_a_stricter_policy_reaches_ends_where_it_may_not_be() {
    let daemon = workload("DaemonSet", "agent", "patient", "");
    let strict = POLICY.replace("qualifications: [hds]", "qualifications: [hds], jurisdictions: {operator: [FR]}");
    assert_eq!(
        edited(&[CATALOGUE, POLICY, NODES, &daemon], &[CATALOGUE, &strict, NODES, &daemon], ["2026-11-22"; 2]),
        [
            r#"care level patient: +[] -["ulm"] Kept"#,
            r#"ends: daemonset ward/agent on ["u1"]"#,
            r#"moved: daemonset ward/agent from ["ulm"] to ["lyon"]"#,
        ]
    );
}

#[test]
fn a_policy_over_what_ran_anywhere_moves_it_unless_every_place_will_do() {
    let files = workload("Deployment", "files", "patient", "");
    let none = [CATALOGUE, NODES, &files];
    let all = [CATALOGUE, POLICY, NODES, &files];
    let found = edited(&none, &all, ["2026-11-22"; 2]);
    assert_eq!(
        found.last().unwrap(),
        r#"moved: deployment ward/files from [] to ["lyon", "ulm"]"#,
        "there is a stray node"
    );
    let found = edited(&[CATALOGUE, &files], &[CATALOGUE, POLICY, &files], ["2026-11-22"; 2]);
    assert!(!found.iter().any(|line| line.starts_with("moved")), "{found:?}");
}

#[test]
fn a_workload_moves_only_when_one_of_its_pods_stands_where_it_may_not() {
    let running = |node: &str| {
        let deployment = workload("Deployment", "files", "patient", "");
        let set = "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: files-1, namespace: ward, uid: a, \
                   ownerReferences: [{kind: Deployment, name: files, controller: true}]}}\n---\n";
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: files-1-x, namespace: ward, uid: b, \
             ownerReferences: [{{kind: ReplicaSet, name: files-1, controller: true}}]}}, spec: {{nodeName: {node}}}}}\n---\n"
        );
        [deployment.as_str(), set, &pod].concat()
    };
    for (node, moves) in [("u1", true), ("l1", false)] {
        let world = [CATALOGUE, POLICY, NODES, &running(node)];
        let found = edited(&world, &world, ["2026-11-22", "2027-01-01"]);
        assert_eq!(found.iter().any(|line| line.starts_with("moved")), moves, "{node}: {found:?}");
    }
}
