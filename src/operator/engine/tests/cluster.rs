//! The cluster of the engine's tests: a few maps as an API server, with an engine that follows it.

use super::*;

/// An API server of a few maps, a clock and an engine that follows it.
pub(super) struct Cluster {
    pub(super) engine: Engine,
    pub(super) version: u64,
    pub(super) nodes: BTreeMap<String, Value>,
    pub(super) policies: BTreeMap<String, Value>,
    pub(super) records: BTreeMap<String, Value>,
    pub(super) admission: AdmissionObjects,
    /// What was told of workloads.
    pub(super) told: Vec<String>,
    pub(super) at: Timestamp,
    pub(super) now: Instant,
    /// Every write so far, as `kind name: what`.
    pub(super) log: Vec<String>,
}

/// What `requests` are about.
pub(super) fn targets(requests: &[WriteRequest]) -> Vec<WriteTarget> {
    requests.iter().map(WriteRequest::target).collect()
}

pub(super) const EXEMPT: &str = "kube-system";

pub(super) fn instant(text: &str) -> Timestamp {
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
        let admission = AdmissionSettings { exempt: vec![EXEMPT.to_owned()], ..AdmissionSettings::default() };
        let components = OperatorComponent::ALL;
        let installed =
            InstalledAdmission::of_release("rempart-system", &admission.exempt, &admission.mutation).unwrap();
        let limits = MoveLimits::default();
        let settings = Settings { components, admission, installed, concurrency: 2, limits, history: None };
        let mut engine = Engine::new(settings, Metrics::new(OperatorComponent::Placement));
        engine.lead(true);
        Self {
            engine,
            version: 1,
            nodes: BTreeMap::new(),
            policies: BTreeMap::new(),
            records: BTreeMap::new(),
            admission: AdmissionObjects::new(),
            told: Vec::new(),
            at: instant("2026-03-01T12:00:00Z"),
            now: Instant::now(),
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
                self.engine.observe(Observation::$kind(WatchChange::Restarted));
                $(
 let value = $value;
 self.engine.observe(Observation::$kind(WatchChange::Listed($name, value)));
)*
                self.engine.observe(Observation::$kind(WatchChange::Complete));
            }};
        }
        list!(Provider, ["acme".to_owned() => self.record::<CloudProvider>(&provider())]);
        self.engine.observe(Observation::Pool(WatchChange::Restarted));
        for pool in pools {
            let record = self.record::<PlacementPool>(pool);
            self.engine.observe(Observation::Pool(WatchChange::Listed(name(pool), record)));
        }
        self.engine.observe(Observation::Pool(WatchChange::Complete));
        self.engine.observe(Observation::Policy(WatchChange::Restarted));
        for policy in policies {
            self.policies.insert(name(policy), policy.clone());
            let record = self.record::<PlacementPolicy>(policy);
            self.engine.observe(Observation::Policy(WatchChange::Listed(name(policy), record)));
        }
        self.engine.observe(Observation::Policy(WatchChange::Complete));
        for kind in AdmissionKind::ALL {
            self.engine.observe(Observation::Admission(kind, WatchChange::Restarted));
            self.engine.observe(Observation::Admission(kind, WatchChange::Complete));
        }
        list!(Pod, []);
        for kind in WorkloadKind::ALL {
            self.engine.observe(Observation::Controller(kind, WatchChange::Restarted));
            self.engine.observe(Observation::Controller(kind, WatchChange::Complete));
        }
        list!(Namespace, []);
        list!(Claim, []);
        list!(Volume, []);
        list!(Record, []);
        for (kind, name, digest) in
            InstalledAdmission::of_release("rempart-system", &[EXEMPT.to_owned()], &MutationMode::Policies)
                .unwrap()
                .iter()
        {
            let installed =
                ObservedAdmission { version: 1, digest, authorities: None, terminating: false, passes_for_ours: true };
            self.engine.observe(Observation::Admission(kind, WatchChange::Applied(name.to_owned(), installed)));
        }
    }

    pub(super) fn list_nodes(&mut self, nodes: &[Value]) {
        self.engine.observe(Observation::Node(WatchChange::Restarted));
        for node in nodes {
            self.nodes.insert(name(node), node.clone());
            let slim = self.slim(node);
            self.engine.observe(Observation::Node(WatchChange::Listed(name(node), slim)));
        }
        self.engine.observe(Observation::Node(WatchChange::Complete));
    }

    /// The names of the admission objects of a kind.
    pub(super) fn admission(&self, kind: AdmissionKind) -> Vec<String> {
        self.admission.keys().filter(|(found, _)| *found == kind).map(|(_, name)| name.clone()).collect()
    }

    /// What the bindings of validations have done about what is refused.
    pub(super) fn actions(&self) -> BTreeSet<String> {
        let actions = |object: &AdmissionObject| match object {
            AdmissionObject::ValidatingBinding(binding) => binding.spec.validation_actions.clone(),
            AdmissionObject::MutatingBinding(_) | AdmissionObject::Validation(_) | AdmissionObject::Webhook(_) => {
                vec![]
            }
        };
        self.admission.values().flat_map(actions).collect()
    }

    pub(super) fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    pub(super) fn record<K: kube::Resource + serde::de::DeserializeOwned>(
        &mut self,
        object: &Value,
    ) -> DeclaredObject<K> {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = self.next_version().into();
        let meta: ObjectMeta = serde_json::from_value(object["metadata"].clone()).unwrap();
        DeclaredObject { meta, object: serde_json::from_value(object).map(Box::new).map_err(|error| error.to_string()) }
    }

    pub(super) fn slim(&mut self, node: &Value) -> PartialNode {
        let mut node = node.clone();
        node["metadata"]["resourceVersion"] = self.next_version().into();
        serde_json::from_value(node).unwrap()
    }

    pub(super) fn edit_policy(&mut self, edit: impl FnOnce(&mut Value)) {
        let mut policy = self.policies["state"].clone();
        edit(&mut policy);
        self.policies.insert("state".into(), policy.clone());
        let record = self.record(&policy);
        self.engine.observe(Observation::Policy(WatchChange::Applied("state".into(), record)));
    }

    /// Does what the engine asks for, as an API server would, and answers. Returns what it was.
    pub(super) fn perform(&mut self, request: WriteRequest) -> Option<Observation> {
        Some(match request {
            WriteRequest::LabelNode(name, change) => {
                let mut node = self.nodes[&name].clone();
                for (key, value) in &change.add {
                    node["metadata"]["labels"][key] = value.as_str().into();
                }
                for key in &change.remove {
                    node["metadata"]["labels"].as_object_mut().unwrap().remove(key);
                }
                self.nodes.insert(name.clone(), node.clone());
                let slim = self.slim(&node);
                Observation::Node(WatchChange::Applied(name, slim))
            }
            WriteRequest::SetFinalizers { policy: name, finalizers, .. } => {
                let mut policy = self.policies[&name].clone();
                policy["metadata"]["finalizers"] = json!(finalizers);
                self.policies.insert(name.clone(), policy.clone());
                let record = self.record(&policy);
                Observation::Policy(WatchChange::Applied(name, record))
            }
            WriteRequest::ApplyPolicyStatus(name, status) => {
                let mut policy = self.policies[&name].clone();
                policy["status"] = status;
                self.policies.insert(name.clone(), policy.clone());
                let record = self.record(&policy);
                Observation::Policy(WatchChange::Applied(name, record))
            }
            WriteRequest::ApplyProviderStatus(name, status) => {
                let mut object = provider();
                object["status"] = status;
                let record = self.record(&object);
                Observation::Provider(WatchChange::Applied(name, record))
            }
            WriteRequest::ApplyPoolStatus(name, status) => {
                let mut object = pool(&name);
                object["status"] = status;
                let record = self.record(&object);
                Observation::Pool(WatchChange::Applied(name, record))
            }
            WriteRequest::PutAdmission { object, .. } => {
                let (kind, name) = (object.kind(), object.name().to_owned());
                let version = self.next_version().parse().unwrap();
                let seen = ObservedAdmission {
                    version,
                    digest: object.digest(),
                    authorities: object.authorities(),
                    terminating: false,
                    passes_for_ours: true,
                };
                self.admission.insert((kind, name.clone()), *object);
                Observation::Admission(kind, WatchChange::Applied(name, seen))
            }
            WriteRequest::ApplyRecord(name, mut body) => {
                body["metadata"]["resourceVersion"] = self.next_version().into();
                self.records.insert(name.clone(), body.clone());
                let seen: DecodedObject<WorkloadPlacement, RecordDigest> = serde_json::from_value(body).unwrap();
                Observation::Record(WatchChange::Applied(name, seen.value.unwrap().unwrap()))
            }
            WriteRequest::DeleteRecord(name, version) => {
                self.records.remove(&name);
                Observation::Record(WatchChange::Deleted(name, version))
            }
            WriteRequest::DeleteAdmission(kind, name, version) => {
                self.admission.remove(&(kind, name.clone()));
                Observation::Admission(kind, WatchChange::Deleted(name, version))
            }
            WriteRequest::RecordEvent(event) => {
                self.told.push(format!("{}: {}: {}", event.object(), event.reason, event.note));
                return None;
            }
            WriteRequest::RestartRollout { .. } | WriteRequest::EvictPod { .. } | WriteRequest::DeletePod { .. } => {
                return None;
            }
        })
    }

    /// One cycle, with everything done that it asks for. Returns the kinds of writes, in order.
    pub(super) fn step(&mut self) -> Vec<String> {
        let writes = self.engine.cycle(self.at, self.now);
        let mut kinds: Vec<String> = Vec::new();
        for request in writes {
            let key = request.target();
            let what = if request.deletes() { "end " } else { "" };
            self.log.push(format!("{what}{} {}", key.kind(), key.object()));
            let kind = format!("{what}{}", key.kind());
            if kinds.last() != Some(&kind) {
                kinds.push(kind);
            }
            let seen = self.perform(request);
            self.engine.on_write_result(&key, Ok(seen), self.now);
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
