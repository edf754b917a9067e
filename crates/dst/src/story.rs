//! The story of a run: the cluster at its beginning, and what people, providers and machines do to it.
//!
//! [`begin`] makes the cluster; [`StoryTeller::act`] does one thing more.

use serde_json::{Value, json};

use crate::{
    controllers::{key_of, text},
    seeded::SeededRng,
    server::{ServerState, kind_of},
};

/// The day on which every run begins, a minute before its end.
pub(crate) const BEGIN: &str = "2026-03-01T23:59:00Z";
const TODAY: &str = "2026-03-01";
const TOMORROW: &str = "2026-03-02";

fn create(state: &mut ServerState, plural: &'static str, object: Value) {
    if let Some(kind) = kind_of(plural) {
        drop(state.create(kind, object));
    }
}

fn node(name: &str, pool: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"pool": pool, "kubernetes.io/hostname": name}},
        "spec": {"providerID": format!("sim:///{name}")},
        "status": {
            "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "12"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

fn offer(name: &str, until: Option<&str>) -> Value {
    let mut held = json!({"scheme": "hds", "validFrom": "2026-01-01"});
    if let Some(until) = until {
        held["validUntil"] = until.into();
    }
    json!({
        "name": name, "zones": [{"name": format!("{name}-1"), "region": name, "country": "FR"}], "qualifications": [held],
    })
}

fn pool(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "provider": "acme", "offer": name, "zone": format!("{name}-1"), "nodeSelector": {"matchLabels": {"pool": name}},
        },
    })
}

fn policy() -> Value {
    json!({
        "metadata": {"name": "state"},
        "spec": {
            "mode": "Enforce", "defaultLevel": "low",
            "levels": [{"name": "low"}, {"name": "high", "require": {"qualifications": ["hds"]}}],
        },
    })
}

fn workload(kind: &str, name: &str, level: Option<&str>) -> Value {
    let annotations = level.map_or_else(|| json!({}), |level| json!({"rempart.dev/sensitivity": level}));
    let mut spec = json!({
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main"}]}},
    });
    match kind {
        "Deployment" => {
            spec["replicas"] = 2.into();
            spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
        }
        "StatefulSet" => spec["replicas"] = 2.into(),
        _ => {}
    }
    json!({"metadata": {"name": name, "namespace": "shop", "annotations": annotations}, "spec": spec})
}

/// The cluster at its beginning. `installed` are the admission objects of the chart.
pub(crate) fn begin(state: &mut ServerState, installed: Vec<Value>) {
    for object in installed {
        let kind = crate::server::KINDS.iter().find(|kind| kind.kind == text(&object, "/kind"));
        if let Some(kind) = kind {
            drop(state.create(kind, object));
        }
    }
    for role in ["rempart-admission", "rempart-mutation-policies"] {
        create(state, "clusterroles", json!({"metadata": {"name": role}}));
    }
    for name in ["kube-system", "rempart-system", "shop"] {
        create(
            state,
            "namespaces",
            json!({"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}),
        );
    }
    for (name, pool) in [("a1", "alpha"), ("a2", "alpha"), ("b1", "beta"), ("b2", "beta"), ("x1", "none")] {
        create(state, "nodes", node(name, pool));
    }
    let provider = json!({
        "metadata": {"name": "acme"},
        "spec": {"operator": {"name": "Acme", "jurisdiction": "FR"}, "offers": [offer("alpha", None), offer("beta", None)]},
    });
    create(state, "cloudproviders", provider);
    create(state, "placementpools", pool("alpha"));
    create(state, "placementpools", pool("beta"));
    create(state, "placementpolicies", policy());
    create(state, "deployments", workload("Deployment", "web", Some("high")));
    create(state, "deployments", workload("Deployment", "open", None));
    create(state, "statefulsets", workload("StatefulSet", "db", Some("high")));
    create(state, "daemonsets", workload("DaemonSet", "agent", Some("high")));
}

/// Who decides what happens next.
#[derive(Debug)]
pub(crate) struct StoryTeller {
    dice: SeededRng,
}

impl StoryTeller {
    pub(crate) fn new(dice: SeededRng) -> Self {
        Self { dice }
    }

    /// Does one thing, and says what.
    pub(crate) fn act(&mut self, state: &mut ServerState) -> String {
        match self.dice.below(20) {
            0..4 => self.edit_certificates(state),
            4..7 => self.edit_policy(state),
            7..9 => self.replace_pool(state),
            9..12 => self.change_node(state),
            12..15 => self.annotate(state),
            15 => self.label_namespace(state),
            16 => self.scale(state),
            17 => self.delete_pod(state),
            18 => {
                state.forget();
                "etcd is compacted".to_owned()
            }
            _ => self.tamper(state),
        }
    }

    fn edit_certificates(&mut self, state: &mut ServerState) -> String {
        let at = self.dice.below(2);
        let until = self.dice.pick(&[None, None, Some(TODAY), Some(TOMORROW), Some("2026-02-01")]).flatten();
        let name = if at == 0 { "alpha" } else { "beta" };
        drop(state.update(&("cloudproviders", String::new(), "acme".to_owned()), |provider| {
            if let Some(found) = provider.pointer_mut(&format!("/spec/offers/{at}")) {
                *found = offer(name, until);
            }
        }));
        format!("hds of {name} is valid until {until:?}")
    }

    fn edit_policy(&mut self, state: &mut ServerState) -> String {
        let key = ("placementpolicies", String::new(), "state".to_owned());
        if state.get(&key).is_err() {
            create(state, "placementpolicies", policy());
            return "the policy is applied again".to_owned();
        }
        match self.dice.below(6) {
            0 => {
                drop(state.delete(&key, &Value::Null));
                "the policy is deleted".to_owned()
            }
            1 => {
                let mode = self.dice.pick(&["Enforce", "Warn", "Audit"]).unwrap_or("Enforce");
                drop(state.update(&key, |policy| policy["spec"]["mode"] = mode.into()));
                format!("the policy is in {mode}")
            }
            2 => {
                let name = self.dice.pick(&["high", "top"]).unwrap_or("high");
                drop(state.update(&key, |policy| policy["spec"]["levels"][1]["name"] = name.into()));
                format!("its level is called {name}")
            }
            3 => {
                drop(state.update(&key, |policy| {
                    if let Some(level) = policy["spec"]["levels"][1].as_object_mut() {
                        level.remove("require");
                    }
                }));
                "its level demands nothing".to_owned()
            }
            _ => {
                drop(state.update(&key, |policy| {
                    policy["spec"]["mode"] = "Enforce".into();
                    policy["spec"]["levels"][1] = json!({"name": "high", "require": {"qualifications": ["hds"]}});
                }));
                "it is what it was".to_owned()
            }
        }
    }

    fn replace_pool(&mut self, state: &mut ServerState) -> String {
        let name = self.dice.pick(&["alpha", "beta"]).unwrap_or("alpha");
        let key = ("placementpools", String::new(), name.to_owned());
        if state.delete(&key, &Value::Null).is_ok() {
            format!("pool {name} is deleted")
        } else {
            create(state, "placementpools", pool(name));
            format!("pool {name} is declared")
        }
    }

    fn change_node(&mut self, state: &mut ServerState) -> String {
        let name = self.dice.pick(&["a1", "a2", "b1", "b2", "x1"]).unwrap_or("a1");
        let key = ("nodes", String::new(), name.to_owned());
        let pool = self.dice.pick(&["alpha", "beta", "none"]).unwrap_or("none");
        if state.get(&key).is_err() {
            create(state, "nodes", node(name, pool));
            format!("node {name} joins as one of {pool}")
        } else if self.dice.happens(400) {
            drop(state.delete(&key, &Value::Null));
            format!("node {name} is gone")
        } else {
            drop(state.update(&key, |node| node["metadata"]["labels"]["pool"] = pool.into()));
            format!("node {name} is labelled as one of {pool}")
        }
    }

    fn annotate(&mut self, state: &mut ServerState) -> String {
        let (plural, name) = self
            .dice
            .pick(&[("deployments", "web"), ("deployments", "open"), ("statefulsets", "db"), ("daemonsets", "agent")])
            .unwrap_or(("deployments", "web"));
        let level = self.dice.pick(&[Some("high"), Some("high"), None, Some("low"), Some("unknown")]).flatten();
        drop(state.update(&(plural, "shop".to_owned(), name.to_owned()), |object| {
            object["metadata"]["annotations"] =
                level.map_or_else(|| json!({}), |level| json!({"rempart.dev/sensitivity": level}));
        }));
        format!("{plural} {name} says {level:?}")
    }

    fn label_namespace(&mut self, state: &mut ServerState) -> String {
        let level = self.dice.pick(&[None, Some("high"), Some("low")]).flatten();
        drop(state.update(&("namespaces", String::new(), "shop".to_owned()), |namespace| {
            let mut labels = json!({"kubernetes.io/metadata.name": "shop"});
            if let Some(level) = level {
                labels["rempart.dev/sensitivity"] = level.into();
            }
            namespace["metadata"]["labels"] = labels;
        }));
        format!("the namespace says {level:?}")
    }

    fn scale(&mut self, state: &mut ServerState) -> String {
        let (plural, name) =
            self.dice.pick(&[("deployments", "web"), ("statefulsets", "db")]).unwrap_or(("deployments", "web"));
        let replicas = self.dice.below(4);
        drop(state.update(&(plural, "shop".to_owned(), name.to_owned()), |object| {
            object["spec"]["replicas"] = replicas.into();
        }));
        format!("{plural} {name} is scaled to {replicas}")
    }

    fn delete_pod(&mut self, state: &mut ServerState) -> String {
        let pods: Vec<_> = state.all("pods").map(|pod| key_of("pods", pod)).collect();
        let Some(key) = self.dice.pick(&pods) else { return "there is no pod to delete".to_owned() };
        drop(state.delete(&key, &Value::Null));
        format!("pod {} is deleted", key.2)
    }

    /// Somebody deletes or alters an admission object of a policy.
    fn tamper(&mut self, state: &mut ServerState) -> String {
        let plural = self
            .dice
            .pick(&[
                "validatingadmissionpolicybindings",
                "validatingadmissionpolicies",
                "mutatingadmissionpolicybindings",
            ])
            .unwrap_or("validatingadmissionpolicybindings");
        let of_policies =
            state.all(plural).filter(|object| text(object, "/metadata/name").starts_with("rempart.state"));
        let keys: Vec<_> = of_policies.map(|object| key_of(plural, object)).collect();
        let Some(key) = self.dice.pick(&keys) else { return "there is nothing to tamper with".to_owned() };
        if self.dice.happens(500) {
            drop(state.delete(&key, &Value::Null));
            format!("{} {} is deleted", key.0, key.2)
        } else {
            drop(state.update(&key, |object| object["spec"]["validationActions"] = json!(["Audit"])));
            format!("{} {} is altered", key.0, key.2)
        }
    }
}
