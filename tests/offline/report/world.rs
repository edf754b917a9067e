//! A world in which everything happens once, and an edit of its policy.

use std::{collections::BTreeMap, sync::Arc};

use rempart::{
    api,
    convert::{self, Converted},
    report::{FileLocation, IgnoredKinds, LocationLookup, LocationTarget, UnjudgedName, UnreadPath},
};
use rempart_core::{
    instant::Timestamp,
    inventory::{Node, PlanInventory},
    keys,
    namespace::Namespace,
    plan::{Plan, PlanAssumptions, plan},
    selector::Labels,
    sensitivity::{SensitivityStatement, TemplateStatements},
    workload::{NodeRequirements, Workload, WorkloadIdentity, WorkloadKind},
};

const CATALOGUE: &str = r#"
- name: acme
  operator: {name: Acme SAS, jurisdiction: FR}
  offers:
  - name: gov
    technology: [{name: KVM, supplier: Acme SAS, jurisdiction: FR}]
    zones: [{name: par-1, region: par, country: FR, pue: 1.2}]
    qualifications: [{scheme: secnumcloud, validFrom: "2024-01-01", validUntil: "2026-12-31"}]
  - name: std
    zones: [{name: par-1, region: par, country: FR, pue: 1.6}]
- name: bigco
  operator: {name: BigCo Inc., jurisdiction: US}
  offers:
  - name: cloud
    zones: [{name: dub-1, region: dub, country: IE, pue: 1.1}]
"#;

const POOLS: &str = r"
- {name: gov-1, provider: acme, offer: gov, zone: par-1}
- {name: lost-1, provider: acme, offer: gov, zone: par-9}
- {name: std-1, provider: acme, offer: std, zone: par-1}
- {name: us-1, provider: bigco, offer: cloud, zone: dub-1}
";

const POLICIES: &str = r"
- name: state
  mode: Enforce
  defaultLevel: internal
  levels:
  - {name: public}
  - {name: internal, require: {jurisdictions: {operator: [EU]}}}
  - {name: restricted, require: {qualifications: [secnumcloud], notExposedTo: [us-cloud-act]}}
  categories: [{name: health, require: {qualifications: [hds]}}]
- name: thrift
  mode: Warn
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: claims}}
  defaultLevel: public
  levels: [{name: public}, {name: internal}, {name: restricted, require: {maxPUE: 1.3}}]
  categories: [{name: health}]
";

/// As [`POLICIES`], with a level renamed, one that demands more, and one that is new.
const EDITED: &str = r"
- name: state
  mode: Enforce
  defaultLevel: internal
  levels:
  - {name: public}
  - {name: internal, require: {jurisdictions: {operator: [EU]}, maxPUE: 1.5}}
  - {name: secret, require: {qualifications: [secnumcloud]}}
  categories: [{name: health, require: {maxPUE: 1.3}}]
";

/// An entry of the lists above.
#[derive(serde::Deserialize)]
struct Named<T> {
    name: String,
    #[serde(flatten)]
    spec: T,
}

fn entries<T: serde::de::DeserializeOwned>(yaml: &str) -> Vec<Named<T>> {
    serde_saphyr::from_str(yaml).unwrap()
}

fn good<T>(read: Converted<T>) -> T {
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    read.value.unwrap()
}

fn labels<const N: usize>(entries: [(&str, &str); N]) -> Labels {
    entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn workload(kind: WorkloadKind, namespace: &str, name: &str) -> Workload {
    Workload {
        identity: WorkloadIdentity { namespace: namespace.into(), kind, name: name.into() },
        own: (kind != WorkloadKind::Pod).then(SensitivityStatement::default),
        template: TemplateStatements::default(),
        misplaced: Vec::new(),
        node_name: None,
        node_requirements: NodeRequirements::default(),
        runs_on: Vec::new(),
        claims: Vec::new(),
    }
}

fn saying(sensitivity: Option<&str>, categories: Option<&str>) -> SensitivityStatement {
    SensitivityStatement { sensitivity: sensitivity.map(Into::into), categories: categories.map(Into::into) }
}

fn workloads() -> Vec<Workload> {
    let says = |mut of: Workload, sensitivity| {
        of.own = Some(saying(Some(sensitivity), None));
        of
    };
    let mut api = says(workload(WorkloadKind::Deployment, "claims", "api"), "restricted");
    api.runs_on = vec!["n-gov".into(), "n-gov".into()];
    let mut pinned = workload(WorkloadKind::Pod, "claims", "pinned");
    pinned.node_name = Some("n-us".into());
    pinned.template.pod = saying(Some("restricted"), None);
    let mut report = workload(WorkloadKind::CronJob, "claims", "report");
    report.template.pod = saying(None, Some("health"));
    let mut misplaced = workload(WorkloadKind::CronJob, "claims", "rotate");
    misplaced.misplaced = vec![keys::SENSITIVITY];
    let mut batch = workload(WorkloadKind::Job, "claims", "batch");
    batch.runs_on = vec!["n-std".into()];
    let mut db = workload(WorkloadKind::StatefulSet, "shop", "db");
    db.node_requirements.selector = labels([("disk", "ssd")]);
    vec![
        says(workload(WorkloadKind::Deployment, "claims", "typo"), "restrictd"),
        api,
        pinned,
        report,
        misplaced,
        batch,
        workload(WorkloadKind::DaemonSet, "shop", "agent"),
        db,
        workload(WorkloadKind::Deployment, "broken", "cart"),
        workload(WorkloadKind::Deployment, "kube-system", "dns"),
        says(workload(WorkloadKind::Deployment, "site", "front"), "public"),
        workload(WorkloadKind::DaemonSet, "site", "logs"),
    ]
}

fn of(policies: &str) -> PlanInventory {
    let mut inventory = PlanInventory { exempt: ["kube-system".to_owned()].into(), ..PlanInventory::default() };
    for Named { name, spec } in entries::<api::CloudProviderSpec>(CATALOGUE) {
        let provider = good(convert::provider(&name, &spec));
        inventory.world.catalogue.providers.insert(provider.name.clone(), provider);
    }
    for Named { name, spec } in entries::<Pool>(POOLS) {
        let selector = serde_json::from_value(serde_json::json!({"matchLabels": {"pool": name}})).unwrap();
        let Pool { provider, offer, zone } = spec;
        let node_selector = Some(selector);
        let (role, provider_id_prefix, price) = (None, None, None);
        let spec = api::PlacementPoolSpec { role, provider, offer, zone, node_selector, provider_id_prefix, price };
        let pool = good(convert::pool(&name, &spec));
        inventory.world.catalogue.pools.insert(pool.name.clone(), pool);
    }
    for Named { name, spec } in entries::<api::PlacementPolicySpec>(policies) {
        let policy = good(convert::policy(&name, &spec));
        inventory.world.policies.insert(policy.name.clone(), policy);
    }
    let said = |level| labels([(keys::SENSITIVITY, level)]);
    inventory.namespaces = [("claims", Labels::new()), ("shop", said("restricted")), ("broken", said("secrte"))]
        .map(|(name, labels)| (Arc::from(name), Namespace::new(0, labels)))
        .into();
    inventory.nodes = [("n-gov", "gov-1"), ("n-std", "std-1"), ("n-us", "us-1")]
        .map(|(name, pool)| (Arc::from(name), Node { labels: labels([("pool", pool)]), provider_id: None }))
        .into();
    inventory.workloads = workloads();
    inventory
}

#[derive(serde::Deserialize)]
struct Pool {
    provider: String,
    offer: String,
    zone: String,
}

/// The world as it is.
pub(super) fn before() -> PlanInventory {
    of(POLICIES)
}

/// The world after the edit.
pub(super) fn after() -> PlanInventory {
    of(EDITED)
}

/// As the world is, with this many workloads in each of this many namespaces.
pub(super) fn many(namespaces: usize, each: usize) -> PlanInventory {
    let mut inventory = before();
    let level = |i: usize| ["public", "internal", "restricted", "unheard-of"][i % 4];
    inventory.workloads = (0..namespaces * each)
        .map(|i| {
            let mut one =
                workload(WorkloadKind::Deployment, &format!("ns-{:03}", i % namespaces), &format!("w-{i:05}"));
            one.own = Some(saying(Some(level(i / namespaces)), None));
            one
        })
        .collect();
    inventory
}

/// The instant at which everything is judged.
pub(super) fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse::<jiff::Timestamp>().unwrap().into()
}

/// The plan of `inventory` at [`noon`].
pub(super) fn planned(inventory: &PlanInventory) -> Plan<'_> {
    plan(inventory, noon(), PlanAssumptions::default())
}

/// What was passed over on the way.
pub(super) fn ignored() -> IgnoredKinds {
    BTreeMap::from([("Service".to_owned(), 3), ("ConfigMap".to_owned(), 1)]).into()
}

/// What was read and not judged.
pub(super) fn not_judged() -> IgnoredKinds {
    let object = |kind: &str, name: &str, says: &[&str]| UnjudgedName {
        kind: kind.to_owned(),
        namespace: "claims".to_owned(),
        name: name.to_owned(),
        place: Some(FileLocation { file: format!("{name}.yaml"), line: 6, column: 5 }),
        says: says.iter().map(ToString::to_string).collect(),
    };
    let chart = UnreadPath { path: "charts/api".to_owned(), reason: "a Helm chart that was not rendered".to_owned() };
    let unjudged = vec![object("Application", "api", &["restricted", "health"]), object("Deployment", "old", &[])];
    IgnoredKinds { unjudged, unread: vec![chart], ..ignored() }
}

/// Every workload stands in a file of its own: what is pointed at decides the line.
pub(super) struct Files<'a>(pub(super) &'a PlanInventory);

impl LocationLookup for Files<'_> {
    fn of(&self, index: usize, pointed: LocationTarget) -> Option<FileLocation> {
        let WorkloadIdentity { namespace, name, .. } = &self.0.workloads[index].identity;
        let (line, column) = match pointed {
            LocationTarget::Object => (1, 1),
            LocationTarget::Said(_, key) if key == keys::SENSITIVITY => (7, 5),
            LocationTarget::Said(..) => return None,
            LocationTarget::Misplaced(_) => (9, 7),
            LocationTarget::Field("nodeName") => (12, 3),
            LocationTarget::Field(_) => (14, 3),
        };
        Some(FileLocation { file: format!("apps of {namespace}/{name}.yaml"), line, column })
    }

    fn of_namespace(&self, name: &str, _: &'static str) -> Option<FileLocation> {
        Some(FileLocation { file: "namespaces.yaml".to_owned(), line: 4, column: 5 }).filter(|_| name == "broken")
    }
}
