//! A cluster that is a few maps, with an engine that follows it.

use super::*;

/// An API server of a few maps, a clock and an engine that follows it.
pub(super) struct Cluster {
    pub(super) engine: Engine,
    pub(super) version: u64,
    pub(super) nodes: BTreeMap<String, Value>,
    pub(super) policies: BTreeMap<String, Value>,
    pub(super) records: BTreeMap<String, Value>,
    /// What was told of workloads.
    pub(super) told: Vec<String>,
    pub(super) at: Instant,
    pub(super) now: Moment,
    /// Every write so far, as `kind name: what`.
    pub(super) log: Vec<String>,
}

pub(super) const EXEMPT: &str = "kube-system";

pub(super) fn instant(text: &str) -> Instant {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

pub(super) fn provider() -> Value {
    json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "CloudProvider", "metadata": {"name": "acme", "generation": 1},
        "spec": {"operator": {"name": "Acme", "jurisdiction": "FR"}, "offers": [{"name": "o",
            "zones": [{"name": "z", "region": "r", "country": "FR"}],
            "qualifications": [{"scheme": "hds", "validFrom": "2026-01-01", "validUntil": "2026-06-30"}]}]},
    })
}

pub(super) fn pool(name: &str) -> Value {
    json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPool", "metadata": {"name": name, "generation": 1},
        "spec": {"provider": "acme", "offer": "o", "zone": "z", "nodeSelector": {"matchLabels": {"pool": name}}},
    })
}

pub(super) fn policy(mode: &str) -> Value {
    json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy",
        "metadata": {"name": "state", "generation": 1, "uid": "u-1"},
        "spec": {"mode": mode, "defaultLevel": "low",
            "levels": [{"name": "low"}, {"name": "high", "require": {"qualifications": ["hds"]}}]},
    })
}

pub(super) fn node(name: &str, labels: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": labels}})
}

pub(super) const CLEARED: &str = "clearance.rempart.node-restriction.kubernetes.io/state.high";

impl Cluster {
    pub(super) fn new() -> Self {
        let settings = Settings { exempt: vec![EXEMPT.to_owned()], concurrency: 2, limits: MoveLimits::default() };
        let mut engine = Engine::new(settings, Metrics::default());
        engine.lead(true);
        Self {
            engine,
            version: 1,
            nodes: BTreeMap::new(),
            policies: BTreeMap::new(),
            records: BTreeMap::new(),
            told: Vec::new(),
            at: instant("2026-03-01T12:00:00Z"),
            now: Moment::now(),
            log: Vec::new(),
        }
    }

    /// A cluster of which every kind is listed, with these objects.
    pub(super) fn listed(policies: &[Value], pools: &[Value], nodes: &[Value]) -> Self {
        let mut cluster = Self::new();
        cluster.list_all_but_nodes(policies, pools);
        cluster.list_nodes(nodes);
        cluster
    }

    pub(super) fn list_all_but_nodes(&mut self, policies: &[Value], pools: &[Value]) {
        macro_rules! list {
            ($kind:ident, [$($name:expr => $value:expr),*]) => {{
                self.engine.observe(Observation::$kind(Change::Restarted));
                $(
 let value = $value;
 self.engine.observe(Observation::$kind(Change::Listed($name, value)));
)*
                self.engine.observe(Observation::$kind(Change::Complete));
            }};
        }
        list!(Provider, ["acme".to_owned() => self.record::<CloudProvider>(&provider())]);
        self.engine.observe(Observation::Pool(Change::Restarted));
        for pool in pools {
            let record = self.record::<PlacementPool>(pool);
            self.engine.observe(Observation::Pool(Change::Listed(name(pool), record)));
        }
        self.engine.observe(Observation::Pool(Change::Complete));
        self.engine.observe(Observation::Policy(Change::Restarted));
        for policy in policies {
            self.policies.insert(name(policy), policy.clone());
            let record = self.record::<PlacementPolicy>(policy);
            self.engine.observe(Observation::Policy(Change::Listed(name(policy), record)));
        }
        self.engine.observe(Observation::Policy(Change::Complete));
        list!(MutatingBinding, []);
        list!(ValidatingBinding, []);
        list!(MutatingPolicy, []);
        list!(ValidatingPolicy, []);
        list!(Roster, []);
        list!(Pod, []);
        for kind in Kind::ALL {
            self.engine.observe(Observation::Controller(kind, Change::Restarted));
            self.engine.observe(Observation::Controller(kind, Change::Complete));
        }
        list!(Namespace, []);
        list!(Claim, []);
        list!(Volume, []);
        list!(Record, []);
        let (mutations, validations) = crate::operator::bindings::admission_policies();
        for name in mutations {
            let change = Change::Applied(name.to_owned(), Existing { version: 1 });
            self.engine.observe(Observation::MutatingPolicy(change));
        }
        for name in validations {
            let change = Change::Applied(name.to_owned(), Existing { version: 1 });
            self.engine.observe(Observation::ValidatingPolicy(change));
        }
    }

    pub(super) fn list_nodes(&mut self, nodes: &[Value]) {
        self.engine.observe(Observation::Node(Change::Restarted));
        for node in nodes {
            self.nodes.insert(name(node), node.clone());
            let slim = self.slim(node);
            self.engine.observe(Observation::Node(Change::Listed(name(node), slim)));
        }
        self.engine.observe(Observation::Node(Change::Complete));
    }

    pub(super) fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    pub(super) fn record<K: kube::Resource + serde::de::DeserializeOwned>(&mut self, object: &Value) -> Record<K> {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = self.next_version().into();
        let meta: ObjectMeta = serde_json::from_value(object["metadata"].clone()).unwrap();
        Record { meta, object: serde_json::from_value(object).map(Box::new).map_err(|error| error.to_string()) }
    }

    pub(super) fn slim(&mut self, node: &Value) -> SlimNode {
        let mut node = node.clone();
        node["metadata"]["resourceVersion"] = self.next_version().into();
        serde_json::from_value(node).unwrap()
    }

    pub(super) fn edit_policy(&mut self, edit: impl FnOnce(&mut Value)) {
        let mut policy = self.policies["state"].clone();
        edit(&mut policy);
        self.policies.insert("state".into(), policy.clone());
        let record = self.record(&policy);
        self.engine.observe(Observation::Policy(Change::Applied("state".into(), record)));
    }

    /// Does what the engine asks for, as an API server would, and answers. Returns what it was.
    pub(super) fn perform(&mut self, key: &Key, write: Write) -> Option<Observation> {
        let meta = |version: String| ObjectMeta { resource_version: Some(version), ..ObjectMeta::default() };
        let named = |name: &str| name.to_owned();
        Some(match (key, write) {
            (Key::Stamps(name), Write::Stamps(change)) => {
                let mut node = self.nodes[name].clone();
                for (key, value) in &change.add {
                    node["metadata"]["labels"][key] = value.as_str().into();
                }
                for key in &change.remove {
                    node["metadata"]["labels"].as_object_mut().unwrap().remove(key);
                }
                self.nodes.insert(name.clone(), node.clone());
                let slim = self.slim(&node);
                Observation::Node(Change::Applied(name.clone(), slim))
            }
            (Key::Finalizer(name), Write::Finalizers { finalizers, .. }) => {
                let mut policy = self.policies[name].clone();
                policy["metadata"]["finalizers"] = json!(finalizers);
                self.policies.insert(name.clone(), policy.clone());
                let record = self.record(&policy);
                Observation::Policy(Change::Applied(name.clone(), record))
            }
            (Key::PolicyStatus(name), Write::Status(status)) => {
                let mut policy = self.policies[name].clone();
                policy["status"] = status;
                self.policies.insert(name.clone(), policy.clone());
                let record = self.record(&policy);
                Observation::Policy(Change::Applied(name.clone(), record))
            }
            (Key::ProviderStatus(name), Write::Status(status)) => {
                let mut object = provider();
                object["status"] = status;
                let record = self.record(&object);
                Observation::Provider(Change::Applied(name.clone(), record))
            }
            (Key::PoolStatus(name), Write::Status(status)) => {
                let mut object = pool(name);
                object["status"] = status;
                let record = self.record(&object);
                Observation::Pool(Change::Applied(name.clone(), record))
            }
            (Key::Roster, Write::CreateRoster(data)) => {
                let version = self.next_version().parse().unwrap();
                Observation::Roster(Change::Applied(named(ROSTER), Roster { version, data }))
            }
            (Key::Roster, Write::PatchRoster(patch)) => {
                let data = patch.into_iter().filter_map(|(name, mode)| mode.map(|mode| (name, mode))).collect();
                let version = self.next_version().parse().unwrap();
                Observation::Roster(Change::Applied(named(ROSTER), Roster { version, data }))
            }
            (
                Key::MutatingBinding(name),
                Write::CreateMutatingBinding(binding) | Write::ReplaceMutatingBinding(binding),
            ) => {
                let meta = ObjectMeta { labels: binding.metadata.labels, ..meta(self.next_version()) };
                Observation::MutatingBinding(Change::Applied(name.clone(), BindingRecord { meta, spec: binding.spec }))
            }
            (
                Key::ValidatingBinding(name),
                Write::CreateValidatingBinding(binding) | Write::ReplaceValidatingBinding(binding),
            ) => {
                let meta = ObjectMeta { labels: binding.metadata.labels, ..meta(self.next_version()) };
                let spec = Some(binding.spec);
                Observation::ValidatingBinding(Change::Applied(name.clone(), BindingRecord { meta, spec }))
            }
            (Key::Record(name), Write::Record { mut body, notices }) => {
                for notice in &notices {
                    let Key::Notice(about, reason, _) = notice.key(self.at) else { unreachable!() };
                    self.told.push(format!("{about}: {reason}: {}", notice.note));
                }
                body["metadata"]["resourceVersion"] = self.next_version().into();
                self.records.insert(name.clone(), body.clone());
                let seen: Seen<WorkloadPlacement, Recorded> = serde_json::from_value(body).unwrap();
                Observation::Record(Change::Applied(name.clone(), seen.kept.unwrap().unwrap()))
            }
            (Key::Record(name), Write::Delete { version }) => {
                self.records.remove(name);
                Observation::Record(Change::Deleted(name.clone(), version))
            }
            (Key::MutatingBinding(name), Write::Delete { version }) => {
                Observation::MutatingBinding(Change::Deleted(name.clone(), version))
            }
            (Key::ValidatingBinding(name), Write::Delete { version }) => {
                Observation::ValidatingBinding(Change::Deleted(name.clone(), version))
            }
            _ => return None,
        })
    }

    /// One cycle, with everything done that it asks for. Returns the kinds of writes, in order.
    pub(super) fn step(&mut self) -> Vec<String> {
        let writes = self.engine.cycle(self.at, self.now);
        let mut kinds: Vec<String> = Vec::new();
        for (key, write) in writes {
            let what = if matches!(write, Write::Delete { .. }) { "end " } else { "" };
            self.log.push(format!("{what}{} {}", key.kind(), key.object()));
            let kind = format!("{what}{}", key.kind());
            if kinds.last() != Some(&kind) {
                kinds.push(kind);
            }
            let seen = self.perform(&key, write);
            self.engine.settle(&key, Ok(seen), self.now);
        }
        kinds
    }

    pub(super) fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// Cycles, with time going on, until nothing is asked for.
    pub(super) fn rest(&mut self) {
        self.rest_within(50);
    }

    pub(super) fn rest_within(&mut self, cycles: usize) {
        for _ in 0..cycles {
            self.wait(500);
            if self.step().is_empty() && self.engine.wake().is_none() {
                return;
            }
        }
        panic!("never rests: {:#?}", self.log);
    }

    pub(super) fn stamped(&self, node: &str, key: &str) -> bool {
        self.nodes[node]["metadata"]["labels"].get(key).is_some()
    }

    pub(super) fn condition(&self, kind: &str) -> (String, String, String) {
        let conditions = self.policies["state"]["status"]["conditions"].as_array().unwrap();
        let found = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
        let text = |field: &str| found[field].as_str().unwrap().to_owned();
        (text("status"), text("reason"), text("message"))
    }
}

pub(super) fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}
