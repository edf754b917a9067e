//! Requests from drafts: what an API server would hand to admission, without the fields that it leaves out when empty.

use rempart_core::{
    keys,
    policy::Policy,
    selector::Labels,
    sensitivity::{PodSensitivity, SensitivityStatement, TemplateStatements},
};
use serde_json::{Map, Value, json};

use super::drafts::{
    Change, Edit, NamespaceDraft, OwnerDraft, PodDraft, Said, SelectorDraft, TeamEdit, Text, UserDraft, WorkloadDraft,
};

/// A request that admission is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) group: &'static str,
    /// With the subresource, as rules name it.
    pub(crate) resource: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
    /// The policies on which the user has the verb `declassify`.
    pub(crate) may_declassify: Vec<String>,
    pub(crate) namespace: String,
    /// The labels of the namespace, or what its selectors are asked of.
    pub(crate) labels: Labels,
    pub(crate) object: Value,
    /// Null where nothing was there before.
    pub(crate) old: Value,
}

/// A policy, whose names drafts refer to.
#[derive(Clone, Copy)]
pub(crate) struct Drafter<'a>(pub(crate) &'a Policy);

/// Whether a text is about levels or about categories, and what stands between two of these.
#[derive(Clone, Copy)]
enum About {
    Level,
    Categories(&'static str),
}

impl Drafter<'_> {
    fn text(self, text: &Text, about: About) -> String {
        let Self(policy) = self;
        match (text, about) {
            (Text::Known(place), About::Level) => {
                let level = policy.levels.at(place.index(policy.levels.iter().len()));
                level.map(|level| level.name.to_string()).unwrap_or_default()
            }
            (Text::Known(_), About::Categories(_)) if policy.categories.is_empty() => "nowhere".to_owned(),
            (Text::Known(place), About::Categories(_)) => {
                let name = policy.categories.keys().nth(place.index(policy.categories.len()));
                name.map(ToString::to_string).unwrap_or_default()
            }
            (Text::Odd(text), _) => (*text).to_owned(),
            (Text::Repeated(character, times), _) => character.to_string().repeat(*times),
            (Text::Joined(texts), About::Level) => self.text(&texts[0], about),
            (Text::Joined(texts), About::Categories(separator)) => {
                texts.iter().map(|text| self.text(text, about)).collect::<Vec<_>>().join(separator)
            }
        }
    }

    /// Labels or annotations with what is `said`, under these keys.
    fn add(self, to: &mut Labels, (level, categories): &Said, keys: [&str; 2], separator: &'static str) {
        let level = level.as_ref().map(|text| self.text(text, About::Level));
        let categories = categories.as_ref().map(|text| self.text(text, About::Categories(separator)));
        to.extend(keys.into_iter().zip([level, categories]).filter_map(|(key, text)| Some((key.to_owned(), text?))));
    }

    fn edit(self, map: &mut Labels, edits: [(&str, &Edit); 2], separator: &'static str) {
        for ((key, edit), about) in edits.into_iter().zip([About::Level, About::Categories(separator)]) {
            match edit {
                None => {}
                Some(None) => drop(map.remove(key)),
                Some(Some(text)) => drop(map.insert(key.to_owned(), self.text(text, about))),
            }
        }
    }

    /// The labels of a namespace: values that a label may have.
    fn labels(self, namespace: &NamespaceDraft) -> Labels {
        let NamespaceDraft { name, team, said } = namespace;
        let mut labels = Labels::from([("kubernetes.io/metadata.name".to_owned(), name.clone())]);
        labels.extend(team.map(|team| ("team".to_owned(), team.to_owned())));
        self.add(&mut labels, said, OWN, ".");
        labels.into_iter().map(|(key, value)| (key, label_value(&value))).collect()
    }

    /// The request that `user` makes in `namespace`.
    pub(crate) fn request(self, user: UserDraft, change: &Change, namespace: &NamespaceDraft) -> Request {
        let may_declassify = if user == UserDraft::Officer { vec![self.0.name.to_string()] } else { vec![] };
        let (user, groups) = match user {
            UserDraft::Officer => ("officer".to_owned(), vec![]),
            UserDraft::Alice => ("alice".to_owned(), vec![]),
            UserDraft::Scheduler => ("system:kube-scheduler".to_owned(), vec!["system:authenticated".to_owned()]),
            UserDraft::Kubelet(node) => (format!("system:node:{node}"), vec!["system:nodes".to_owned()]),
            UserDraft::Impostor => ("system:node:node-7".to_owned(), vec!["system:authenticated".to_owned()]),
        };
        let labels = self.labels(namespace);
        let mut request = Request {
            group: "",
            resource: "pods",
            kind: "Pod",
            operation: "CREATE",
            user,
            groups,
            may_declassify,
            namespace: namespace.name.clone(),
            labels,
            object: Value::Null,
            old: Value::Null,
        };
        match change {
            Change::PodCreated(pod) => request.object = self.pod(pod, &request, &self.annotations(pod), pod.is_gated),
            Change::PodUpdated { pod, edits: [a, b, c, d], opens_gate, note, status } => {
                let before = self.annotations(pod);
                let mut after = before.clone();
                self.edit(&mut after, [(keys::WORKLOAD_SENSITIVITY, a), (keys::WORKLOAD_CATEGORIES, b)], ",");
                self.edit(&mut after, [(keys::SENSITIVITY, c), (keys::CATEGORIES, d)], ",");
                if *note {
                    after.insert("note".to_owned(), "hello".to_owned());
                }
                request.operation = "UPDATE";
                // Through its status nothing of its spec changes.
                request.resource = if *status && !opens_gate { "pods/status" } else { "pods" };
                request.old = self.pod(pod, &request, &before, *opens_gate || pod.is_gated);
                let mut object = self.pod(pod, &request, &after, !opens_gate && pod.is_gated);
                // Admission completes no pod that is there.
                object["spec"]["nodeSelector"] = request.old["spec"]["nodeSelector"].clone();
                request.object = without_empty(object);
            }
            Change::WorkloadCreated(workload) => {
                address(&mut request, workload.kind);
                request.object = workload_object(workload, &request, &Statements::of(self, workload), false);
            }
            Change::WorkloadUpdated { workload, own, template, mirror, job_template, image, status } => {
                address(&mut request, workload.kind);
                let before = Statements::of(self, workload);
                let mut after = before.clone();
                for (to, [level, categories]) in
                    [(&mut after.own, own), (&mut after.template, template), (&mut after.job_template, job_template)]
                {
                    self.edit(to, [(OWN[0], level), (OWN[1], categories)], ",");
                }
                let [level, categories] = mirror;
                let mirror = [(keys::WORKLOAD_SENSITIVITY, level), (keys::WORKLOAD_CATEGORIES, categories)];
                self.edit(&mut after.template, mirror, ",");
                if *status {
                    // Through its status nothing of its spec changes.
                    after = Statements { own: after.own, ..before.clone() };
                    request.resource = status_of(request.resource);
                }
                request.operation = "UPDATE";
                request.old = workload_object(workload, &request, &before, false);
                request.object = workload_object(workload, &request, &after, *image && !status);
            }
            Change::PodBound { legacy, to } => {
                request.kind = "Binding";
                request.resource = if *legacy { "bindings" } else { "pods/binding" };
                request.object = without_empty(json!({
                    "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "api-0", "namespace": request.namespace},
                    "target": {"apiVersion": "v1", "kind": "Node", "name": to},
                }));
            }
            Change::NamespaceCreated => {
                (request.kind, request.resource) = ("Namespace", "namespaces");
                request.object = namespace_object(&request.namespace, &request.labels);
            }
            Change::NamespaceUpdated { edits: [level, categories], team, subresource } => {
                let mut labels = request.labels.clone();
                self.edit(&mut labels, [(OWN[0], level), (OWN[1], categories)], ".");
                match team {
                    TeamEdit::Set(team) => drop(labels.insert("team".to_owned(), (*team).to_owned())),
                    TeamEdit::Removed => drop(labels.remove("team")),
                    TeamEdit::Kept => {}
                }
                let labels = labels.into_iter().map(|(key, value)| (key, label_value(&value))).collect();
                request.operation = "UPDATE";
                request.kind = "Namespace";
                request.old = namespace_object(&request.namespace, &request.labels);
                request.object = namespace_object(&request.namespace, &labels);
                request.resource = match subresource {
                    None => "namespaces",
                    Some("status") => "namespaces/status",
                    Some(_) => "namespaces/finalize",
                };
                // A request for a namespace itself is matched by the labels that it asks for.
                if subresource.is_none() {
                    request.labels = labels;
                }
            }
        }
        request
    }

    fn annotations(self, pod: &PodDraft) -> Labels {
        let mut annotations = Labels::new();
        self.add(&mut annotations, &pod.mirror, [keys::WORKLOAD_SENSITIVITY, keys::WORKLOAD_CATEGORIES], ",");
        self.add(&mut annotations, &pod.own, OWN, ",");
        if pod.is_static {
            annotations.insert("kubernetes.io/config.mirror".to_owned(), "hash".to_owned());
        }
        annotations
    }

    fn pod(self, pod: &PodDraft, request: &Request, annotations: &Labels, is_gated: bool) -> Value {
        let (name, prefix) = if pod.has_name { ("api-0", "") } else { ("", "api-") };
        let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api", "controller": true}]);
        let node = pod.node_name.as_ref().map(|text| self.text(text, About::Level));
        without_empty(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "generateName": prefix, "namespace": request.namespace, "annotations": annotations,
                "ownerReferences": if pod.has_owner { owner } else { Value::Null },
            },
            "spec": {
                "containers": [{"name": "main", "image": "example.org/app:1"}],
                "nodeName": node,
                "nodeSelector": self.selector(pod.selector, request, annotations),
                "schedulingGates": if is_gated { json!([{"name": "example.org/wait"}]) } else { Value::Null },
            },
        }))
    }

    fn selector(self, draft: SelectorDraft, request: &Request, annotations: &Labels) -> Labels {
        let Self(policy) = self;
        let foreign = ("disk".to_owned(), "ssd".to_owned());
        let stated = TemplateStatements::of(annotations);
        let namespace = SensitivityStatement::of(&request.labels);
        let said = PodSensitivity::new(&namespace, [], Some(&stated));
        let mut selector = Labels::from([foreign]);
        if let Ok(need) = policy.need(&request.namespace, &said) {
            selector = policy.complete(&need, &selector);
        }
        let ours: Vec<String> = selector.keys().filter(|key| keys::is_stamp(key)).cloned().collect();
        match draft {
            SelectorDraft::Absent => Labels::new(),
            SelectorDraft::Surplus => {
                let every = (0..policy.levels.iter().len()).filter_map(|rank| policy.clearance_key(rank));
                let surplus = every.map(|key| (key, keys::GRANTED.to_owned()));
                surplus.chain(selector.clone()).collect()
            }
            SelectorDraft::Lacking(place) if !ours.is_empty() => {
                selector.remove(&ours[place.index(ours.len())]);
                selector
            }
            SelectorDraft::Wrong(place) if !ours.is_empty() => {
                selector.insert(ours[place.index(ours.len())].clone(), "false".to_owned());
                selector
            }
            SelectorDraft::Complete | SelectorDraft::Lacking(_) | SelectorDraft::Wrong(_) => selector,
        }
    }
}

/// Makes `request` one for a workload of `kind`.
fn address(request: &mut Request, kind: &'static str) {
    (request.group, request.resource) = match kind {
        "Deployment" => ("apps", "deployments"),
        "StatefulSet" => ("apps", "statefulsets"),
        "DaemonSet" => ("apps", "daemonsets"),
        "ReplicaSet" => ("apps", "replicasets"),
        "Job" => ("batch", "jobs"),
        _ => ("batch", "cronjobs"),
    };
    request.kind = kind;
}

fn status_of(resource: &str) -> &'static str {
    match resource {
        "deployments" => "deployments/status",
        "statefulsets" => "statefulsets/status",
        "daemonsets" => "daemonsets/status",
        "replicasets" => "replicasets/status",
        "jobs" => "jobs/status",
        _ => "cronjobs/status",
    }
}

/// A workload of whose pods this is `said`.
fn workload_object(workload: &WorkloadDraft, request: &Request, said: &Statements, image: bool) -> Value {
    let image = if image { "example.org/app:2" } else { "example.org/app:1" };
    let template = json!({
        "metadata": {"annotations": said.template},
        "spec": {"containers": [{"name": "main", "image": image}]},
    });
    let (controller, owner) = match workload.owner {
        OwnerDraft::Nobody => (false, None),
        OwnerDraft::Listed(kind) => (false, Some(kind)),
        OwnerDraft::Controller(kind) => (true, Some(kind)),
    };
    let owner = owner.map(|kind| {
        let mut reference = json!({"apiVersion": "v1", "kind": kind, "name": "owner"});
        if controller {
            reference["controller"] = json!(true);
        }
        reference
    });
    let (is_job, conditions) = (workload.kind == "Job", workload.ended_by);
    let condition = conditions.map(|(kind, status)| json!({"type": kind, "status": status}));
    let started = workload.has_started.then_some("2026-01-01T00:00:00Z");
    let mut object = json!({
        "apiVersion": format!("{}/v1", request.group), "kind": workload.kind,
        "metadata": {
            "name": "api", "namespace": request.namespace, "annotations": said.own,
            "ownerReferences": owner.into_iter().collect::<Vec<_>>(),
        },
        "spec": if workload.kind == "CronJob" {
            json!({"jobTemplate": {"metadata": {"annotations": said.job_template}, "spec": {"template": template}}})
        } else {
            json!({"template": template})
        },
    });
    if is_job {
        object["status"] = json!({"startTime": started, "conditions": condition.into_iter().collect::<Vec<_>>()});
    }
    let mut object = without_empty(object);
    if is_job {
        object["spec"]["suspend"] = json!(workload.is_suspended);
    }
    object
}

/// The keys of what an object says itself.
const OWN: [&str; 2] = [keys::SENSITIVITY, keys::CATEGORIES];

/// The annotations of a workload, wherever they stand.
#[derive(Clone)]
struct Statements {
    own: Labels,
    template: Labels,
    job_template: Labels,
}

impl Statements {
    fn of(drafter: Drafter<'_>, workload: &WorkloadDraft) -> Self {
        let mut statements = Self { own: Labels::new(), template: Labels::new(), job_template: Labels::new() };
        drafter.add(&mut statements.own, &workload.own, OWN, ",");
        drafter.add(&mut statements.template, &workload.template, OWN, ",");
        let mirror = [keys::WORKLOAD_SENSITIVITY, keys::WORKLOAD_CATEGORIES];
        drafter.add(&mut statements.template, &workload.mirror, mirror, ",");
        drafter.add(&mut statements.job_template, &workload.job_template, OWN, ",");
        statements
    }
}

/// `value`, cut so that it may be a label's.
fn label_value(value: &str) -> String {
    let cut: String = value.chars().take(63).collect();
    cut.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

fn namespace_object(name: &str, labels: &Labels) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// `value` without what is empty: an API server leaves it out where a field is optional, as all are that are made here.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().map(|(name, value)| match name.as_str() {
                // A value that somebody wrote may be empty.
                "annotations" | "labels" | "nodeSelector" => (name, value),
                _ => (name, without_empty(value)),
            });
            Value::Object(kept.filter(|(_, value)| !is_empty(value)).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_empty).collect()),
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
