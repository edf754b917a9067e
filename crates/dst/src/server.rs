//! A simulated API server: objects, their versions, and what watches are told of them.
//!
//! [`ApiServer`] takes requests that were read already and returns the object or a [`Refusal`], as an API server does:
//! optimistic locking by `resourceVersion`, preconditions, finalizers, graceful deletion of pods, generations, and a log by
//! which watches go on, which forgets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    controllers::{at, text},
    mutation,
    sim_clock::Epoch,
};

/// A kind of object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResourceKind {
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) api_version: &'static str,
    pub(crate) namespaced: bool,
}

const fn resource(
    plural: &'static str,
    kind: &'static str,
    api_version: &'static str,
    namespaced: bool,
) -> ResourceKind {
    ResourceKind { plural, kind, api_version, namespaced }
}

const OWN: &str = "rempart.dev/v1alpha1";
const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// Every kind that it serves.
pub(crate) const KINDS: &[ResourceKind] = &[
    resource("namespaces", "Namespace", "v1", false),
    resource("nodes", "Node", "v1", false),
    resource("pods", "Pod", "v1", true),
    resource("persistentvolumeclaims", "PersistentVolumeClaim", "v1", true),
    resource("persistentvolumes", "PersistentVolume", "v1", false),
    resource("deployments", "Deployment", "apps/v1", true),
    resource("replicasets", "ReplicaSet", "apps/v1", true),
    resource("statefulsets", "StatefulSet", "apps/v1", true),
    resource("daemonsets", "DaemonSet", "apps/v1", true),
    resource("jobs", "Job", "batch/v1", true),
    resource("cronjobs", "CronJob", "batch/v1", true),
    resource("leases", "Lease", "coordination.k8s.io/v1", true),
    resource("events", "Event", "events.k8s.io/v1", true),
    resource("clusterroles", "ClusterRole", "rbac.authorization.k8s.io/v1", false),
    resource("cloudproviders", "CloudProvider", OWN, false),
    resource("placementpools", "PlacementPool", OWN, false),
    resource("placementpolicies", "PlacementPolicy", OWN, false),
    resource("workloadplacements", "WorkloadPlacement", OWN, true),
    resource("validatingadmissionpolicies", "ValidatingAdmissionPolicy", ADMISSION, false),
    resource("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", ADMISSION, false),
    resource("mutatingadmissionpolicies", "MutatingAdmissionPolicy", ADMISSION, false),
    resource("mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", ADMISSION, false),
    resource("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", ADMISSION, false),
];

/// The kind of this plural name.
pub(crate) fn kind_of(plural: &str) -> Option<&'static ResourceKind> {
    KINDS.iter().find(|known| known.plural == plural)
}

/// Where an object is: its plural, its namespace (empty where there is none) and its name.
pub(crate) type ObjectKey = (&'static str, String, String);

/// A request that is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    fn not_found(key: &ObjectKey) -> Self {
        Self::new(404, "NotFound", format!("{} {:?} not found", key.0, key.2))
    }

    fn conflict(key: &ObjectKey) -> Self {
        Self::new(409, "Conflict", format!("{} {:?}: the object has been modified", key.0, key.2))
    }

    /// As the body of an answer.
    pub(crate) fn status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        })
    }
}

/// What happened to an object.
#[derive(Clone, Debug)]
pub(crate) struct LoggedChange {
    pub(crate) version: u64,
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) object: Arc<Value>,
}

/// A page of a list: the objects, the version, and what is asked for to go on.
pub(crate) type ListPage = (Vec<Arc<Value>>, u64, Option<String>);

/// What it keeps.
#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) epoch: Epoch,
    pub(crate) objects: BTreeMap<ObjectKey, Arc<Value>>,
    pub(crate) version: u64,
    pub(crate) log: Vec<LoggedChange>,
    /// Watches that go on from before this are told that it is forgotten.
    pub(crate) forgotten: u64,
    /// The rest of lists that are read in pages, by what is asked for to go on.
    pages: BTreeMap<String, (Vec<Arc<Value>>, u64)>,
    numbers: u64,
}

/// The API server.
#[derive(Debug)]
pub(crate) struct ApiServer {
    state: Mutex<ServerState>,
    pub(crate) changed: Notify,
}

impl ApiServer {
    pub(crate) fn new(epoch: Epoch) -> Self {
        let state = ServerState {
            epoch,
            objects: BTreeMap::new(),
            version: 1,
            log: Vec::new(),
            forgotten: 0,
            pages: BTreeMap::new(),
            numbers: 0,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to what it keeps, and tells watches.
    pub(crate) fn change<T>(&self, with: impl FnOnce(&mut ServerState) -> T) -> T {
        let done = with(&mut self.state());
        self.changed.notify_waiters();
        done
    }
}

/// The metadata of `object`, which becomes a map where it is none.
fn metadata(object: &mut Value) -> &mut serde_json::Map<String, Value> {
    if !object.get("metadata").is_some_and(Value::is_object)
        && let Some(fields) = object.as_object_mut()
    {
        fields.insert("metadata".to_owned(), json!({}));
    }
    match object.get_mut("metadata").and_then(Value::as_object_mut) {
        Some(found) => found,
        None => unreachable!("an object is a map"),
    }
}

impl ServerState {
    pub(crate) fn get(&self, key: &ObjectKey) -> Result<Arc<Value>, Refusal> {
        self.objects.get(key).cloned().ok_or_else(|| Refusal::not_found(key))
    }

    /// Every object of a kind, in the order of their names.
    pub(crate) fn all<'s>(&'s self, plural: &'static str) -> impl Iterator<Item = &'s Arc<Value>> + 's {
        let from = (plural, String::new(), String::new());
        self.objects.range(from..).take_while(move |((of, ..), _)| *of == plural).map(|(_, object)| object)
    }

    fn next_version(&mut self) -> u64 {
        self.version = self.version.saturating_add(1);
        self.version
    }

    fn store(&mut self, key: ObjectKey, mut object: Value, kind: &'static str) -> Arc<Value> {
        let version = self.next_version();
        metadata(&mut object).insert("resourceVersion".to_owned(), version.to_string().into());
        let object = Arc::new(object);
        self.log.push(LoggedChange { version, plural: key.0, kind, object: Arc::clone(&object) });
        self.objects.insert(key, Arc::clone(&object));
        object
    }

    fn remove(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.remove(key) else { return };
        let version = self.next_version();
        let mut object = Value::clone(&object);
        metadata(&mut object).insert("resourceVersion".to_owned(), version.to_string().into());
        self.log.push(LoggedChange { version, plural: key.0, kind: "DELETED", object: Arc::new(object) });
    }

    pub(crate) fn create(&mut self, kind: &'static ResourceKind, mut object: Value) -> Result<Arc<Value>, Refusal> {
        let namespace = if kind.namespaced { text(&object, "/metadata/namespace").to_owned() } else { String::new() };
        let key = (kind.plural, namespace, text(&object, "/metadata/name").to_owned());
        if self.objects.contains_key(&key) {
            return Err(Refusal::new(409, "AlreadyExists", format!("{} {:?} already exists", key.0, key.2)));
        }
        mutation::on_write(self, kind, None, &mut object);
        self.numbers = self.numbers.saturating_add(1);
        let (uid, now) = (format!("00000000-0000-4000-8000-{:012}", self.numbers), self.epoch.now());
        let fields = metadata(&mut object);
        fields.insert("uid".to_owned(), uid.into());
        let now = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
        fields.insert("creationTimestamp".to_owned(), now.to_string().into());
        fields.insert("generation".to_owned(), 1.into());
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), kind.api_version.into());
            fields.insert("kind".to_owned(), kind.kind.into());
        }
        Ok(self.store(key, object, "ADDED"))
    }

    /// Makes the object what `with` makes of it, where what the result says of version and identity is so.
    pub(crate) fn update(&mut self, key: &ObjectKey, with: impl FnOnce(&mut Value)) -> Result<Arc<Value>, Refusal> {
        let before = self.get(key)?;
        let mut after = Value::clone(&before);
        with(&mut after);
        for field in ["/metadata/resourceVersion", "/metadata/uid"] {
            let asked = text(&after, field);
            if !asked.is_empty() && asked != text(&before, field) {
                return Err(Refusal::conflict(key));
            }
        }
        if let Some(kind) = kind_of(key.0) {
            mutation::on_write(self, kind, Some(&before), &mut after);
        }
        let fields = metadata(&mut after);
        for kept in ["uid", "creationTimestamp", "resourceVersion", "deletionTimestamp", "generation"] {
            match at(&before, &format!("/metadata/{kept}")) {
                Some(value) => drop(fields.insert(kept.to_owned(), value.clone())),
                None => drop(fields.remove(kept)),
            }
        }
        if before.get("spec") != after.get("spec") {
            let generation = at(&before, "/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
            metadata(&mut after).insert("generation".to_owned(), generation.saturating_add(1).into());
        }
        // What changes nothing is no write.
        if after == *before {
            return Ok(before);
        }
        let is_held = at(&after, "/metadata/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if !is_held && key.0 != "pods" && at(&before, "/metadata/deletionTimestamp").is_some() {
            self.remove(key);
            return Ok(Arc::new(after));
        }
        Ok(self.store(key.clone(), after, "MODIFIED"))
    }

    /// Deletes the object, or marks it as about to go: one that finalizers hold, and a pod that stands on a node.
    pub(crate) fn delete(&mut self, key: &ObjectKey, options: &Value) -> Result<Arc<Value>, Refusal> {
        let object = self.get(key)?;
        for field in ["resourceVersion", "uid"] {
            let asked = text(options, &format!("/preconditions/{field}"));
            if !asked.is_empty() && asked != text(&object, &format!("/metadata/{field}")) {
                return Err(Refusal::conflict(key));
            }
        }
        let is_held =
            at(&object, "/metadata/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        let runs = key.0 == "pods" && !text(&object, "/spec/nodeName").is_empty();
        if !is_held && !runs {
            self.remove(key);
            return Ok(object);
        }
        if at(&object, "/metadata/deletionTimestamp").is_some() {
            return Ok(object);
        }
        let mut marked = Value::clone(&object);
        let now = self.epoch.now().to_string();
        metadata(&mut marked).insert("deletionTimestamp".to_owned(), now.into());
        Ok(self.store(key.clone(), marked, "MODIFIED"))
    }

    /// Removes an object at once, as a kubelet does with a pod that has ended.
    pub(crate) fn purge(&mut self, key: &ObjectKey) {
        self.remove(key);
    }

    /// A page of a list, of so many objects at most.
    pub(crate) fn list(&mut self, plural: &'static str, page: usize, go_on: Option<&str>) -> Result<ListPage, Refusal> {
        let (all, version) = match go_on {
            None => (self.all(plural).cloned().collect(), self.version),
            Some(token) => self.pages.remove(token).ok_or_else(|| {
                Refusal::new(
                    410,
                    "Expired",
                    "The provided continue parameter is too old to display a consistent list result",
                )
            })?,
        };
        let mut all: Vec<Arc<Value>> = all;
        let rest = all.split_off(page.min(all.len()));
        if rest.is_empty() {
            return Ok((all, version, None));
        }
        self.numbers = self.numbers.saturating_add(1);
        let token = format!("page-{}", self.numbers);
        self.pages.insert(token.clone(), (rest, version));
        Ok((all, version, Some(token)))
    }

    /// Forgets what watches could go on from.
    pub(crate) fn forget(&mut self) {
        self.forgotten = self.version;
        self.pages.clear();
    }
}
