//! Release: what still selects by keys that nobody demands, and how it is freed of them before Rempart leaves a cluster.
//!
//! Takes what was listed of a cluster and gives a [`ReleaseSurvey`]; [`cluster`] lists, patches one wave after the other
//! and waits for each rollout.

pub mod cluster;
mod rollout;

use std::collections::{BTreeMap, BTreeSet};

use crate::operator::write::TemplateKind;
use rempart_core::{
    clearance::ClearanceInput,
    cluster_objects::{Controller, ControllerSpec, ObjectUid, OwnerRef, Pod, split},
    selector::Labels,
    text::{ListDisplay, counted},
    workload::WorkloadKind,
};

/// What was listed.
#[derive(Debug, Default)]
pub struct ListedCluster {
    /// The policies that are there; none where their kind is not.
    pub world: ClearanceInput,
    /// Those of them that are being deleted: what they demand is in demand until they are gone.
    pub ending: Vec<String>,
    /// Controllers, by kind and by `namespace/name`.
    pub controllers: BTreeMap<WorkloadKind, BTreeMap<String, Controller>>,
    /// Pods, by `namespace/name`.
    pub pods: BTreeMap<String, Pod>,
    /// Nodes that carry a key that nobody demands.
    pub nodes: usize,
    /// Nodes that carry a key of any policy.
    pub stamped: usize,
}

/// A pod template that selects by keys that nobody demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldTemplate {
    /// What has it.
    pub kind: TemplateKind,
    /// Its name, with its namespace.
    pub key: String,
    /// Its identifier.
    pub uid: ObjectUid,
    /// The keys.
    pub keys: BTreeSet<String>,
    /// What makes it in turn, and may put them back.
    pub owner: Option<String>,
}

/// What selects by keys that nobody demands, and what still demands some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseSurvey {
    /// The policies that exist and are not being deleted.
    pub policies: Vec<String>,
    /// Those that are.
    pub ending: Vec<String>,
    /// Templates that can be freed.
    pub templates: Vec<HeldTemplate>,
    /// What has a template that cannot change: a Job that has started, and what is made by another template.
    pub fixed: Vec<(String, BTreeSet<String>)>,
    /// Pods without a node that nobody makes anew by a template that is known: those that have one do not wait.
    pub pods: Vec<(String, BTreeSet<String>)>,
    /// Workloads whose template is free, and some of whose pods are still of a former one: what makes them anew may do so by
    /// that, as below a partition or while a rollout is paused.
    pub former: BTreeSet<String>,
    /// Nodes that carry such keys.
    pub nodes: usize,
    /// Nodes that carry a key of any policy.
    pub stamped: usize,
}

/// What `listed` holds of keys that nobody demands.
#[must_use]
pub fn survey(listed: &ListedCluster) -> ReleaseSurvey {
    let retired = |selector: &Labels| -> BTreeSet<String> {
        selector.keys().filter(|key| listed.world.is_retired(key)).cloned().collect()
    };
    let policies = listed.world.policies.keys().map(ToString::to_string);
    let mut found = ReleaseSurvey {
        policies: policies
            .chain(listed.world.unread_policies.iter().cloned())
            .filter(|name| !listed.ending.contains(name))
            .collect(),
        ending: listed.ending.clone(),
        nodes: listed.nodes,
        stamped: listed.stamped,
        ..ReleaseSurvey::default()
    };
    for (kind, controllers) in &listed.controllers {
        for (key, controller) in controllers {
            let keys = retired(&controller.node_requirements.selector);
            if keys.is_empty() {
                continue;
            }
            let name = || format!("{} {key}", kind.as_str().to_ascii_lowercase());
            match (TemplateKind::of(*kind), fate(listed, key, controller)) {
                (Some(kind), TemplateFate::Free) => {
                    let owner = controller.owner.as_deref();
                    let owner = owner.map(|owner| format!("{} {}", owner.kind_said, owner.name));
                    found.templates.push(HeldTemplate { kind, key: key.clone(), uid: controller.uid, keys, owner });
                }
                (_, TemplateFate::Fixed) => found.fixed.push((name(), keys)),
                (_, TemplateFate::OfAnother | TemplateFate::Over) | (None, TemplateFate::Free) => {}
            }
        }
    }
    let held: BTreeSet<ObjectUid> = found.templates.iter().map(|held| held.uid).collect();
    for (key, pod) in listed.pods.iter().filter(|(_, pod)| pod.is_active()) {
        let keys = retired(&pod.node_requirements.selector);
        if keys.is_empty() {
            continue;
        }
        match pod.owner.as_deref().and_then(|owner| maker(listed, split(key).0, owner)) {
            Some((_, controller)) if held.contains(&controller.uid) => {}
            // Named already, as one that cannot change.
            Some((_, Controller { spec: ControllerSpec::Job { .. }, .. })) => {}
            Some((name, _)) => drop(found.former.insert(name)),
            None if pod.node.is_none() => found.pods.push((format!("pod {key}"), keys)),
            None => {}
        }
    }
    found
}

/// What may become of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TemplateFate {
    /// It can be changed.
    Free,
    /// It cannot.
    Fixed,
    /// It follows from another that is known.
    OfAnother,
    /// No pod is made by it any more.
    Over,
}

fn fate(listed: &ListedCluster, key: &str, controller: &Controller) -> TemplateFate {
    let (namespace, _) = split(key);
    let owner = controller.owner.as_deref();
    let is_known = owner
        .is_some_and(|owner| owner.kind.is_some_and(|kind| holder(listed, kind, namespace, &owner.name).is_some()));
    match &controller.spec {
        _ if controller.terminating => TemplateFate::Over,
        ControllerSpec::ReplicaSet if is_known => TemplateFate::OfAnother,
        ControllerSpec::Job { finished: true, .. } => TemplateFate::Over,
        ControllerSpec::Job { finished: false, started: true, .. } => TemplateFate::Fixed,
        ControllerSpec::Job { finished: false, started: false, .. }
        | ControllerSpec::Deployment { .. }
        | ControllerSpec::ReplicaSet
        | ControllerSpec::StatefulSet { .. }
        | ControllerSpec::DaemonSet { .. }
        | ControllerSpec::CronJob => TemplateFate::Free,
    }
}

fn holder<'a>(listed: &'a ListedCluster, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&'a Controller> {
    listed.controllers.get(&kind)?.get(&format!("{namespace}/{name}"))
}

/// What makes the pods of `owner` anew, with its name: a Deployment, of a `ReplicaSet` that is its.
fn maker<'a>(listed: &'a ListedCluster, namespace: &str, owner: &OwnerRef) -> Option<(String, &'a Controller)> {
    let named = |owner: &OwnerRef, found: &'a Controller| {
        (format!("{} {namespace}/{}", found.spec.kind().as_str().to_ascii_lowercase(), owner.name), found)
    };
    let found = holder(listed, owner.kind?, namespace, &owner.name)?;
    let above = found.owner.as_deref().filter(|_| owner.kind == Some(WorkloadKind::ReplicaSet));
    let above = above.and_then(|above| Some(named(above, holder(listed, above.kind?, namespace, &above.name)?)));
    Some(above.unwrap_or_else(|| named(owner, found)))
}

impl ReleaseSurvey {
    /// Whether Rempart can leave, and nothing would ever wait for a key.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.policies.is_empty() && self.ending.is_empty() && self.holds_nothing()
    }

    /// Whether nothing selects by a key that nobody demands.
    #[must_use]
    pub fn holds_nothing(&self) -> bool {
        self.templates.is_empty() && self.fixed.is_empty() && self.pods.is_empty() && self.former.is_empty()
    }

    /// Why it cannot, in sentences that each name a remedy.
    #[must_use]
    pub fn obstacles(&self) -> Vec<String> {
        let mut told = Vec::new();
        if !self.policies.is_empty() {
            told.push(format!(
                "{} still {}: {}. While the operator runs, delete what shall no longer hold, as with `kubectl delete \
                 placementpolicies --all`",
                counted(self.policies.len(), "PlacementPolicy", "PlacementPolicies"),
                if self.policies.len() == 1 { "exists" } else { "exist" },
                some(self.policies.iter()),
            ));
        }
        if let Some(name) = self.ending.first() {
            told.push(format!(
                "{} being deleted: {}. The operator lets go of it within seconds; where it is gone for good, `kubectl patch \
                 placementpolicy {name} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'` does",
                if self.ending.len() == 1 { "A PlacementPolicy is" } else { "PlacementPolicies are" },
                some(self.ending.iter()),
            ));
        }
        if !self.templates.is_empty() {
            let names = self.templates.iter().map(HeldTemplate::name);
            told.push(format!(
                "{} by keys that no policy demands, and pods made by them would wait for ever on nodes that join later: \
                 {}. `rempart release` frees them, a few rollouts at a time",
                counted(self.templates.len(), "pod template selects", "pod templates select"),
                some(names),
            ));
        }
        if !self.former.is_empty() {
            told.push(format!(
                "{} pods of a former template, which selects by such keys: {}. Wait for the end of its rollout, resume it where \
                 it is paused, or delete the pods below a partition or under OnDelete one by one",
                counted(self.former.len(), "workload has", "workloads have"),
                some(self.former.iter()),
            ));
        }
        let rest = self.fixed.iter().chain(&self.pods).map(|(name, _)| name);
        if !self.fixed.is_empty() || !self.pods.is_empty() {
            told.push(format!(
                "{} by such keys and cannot be changed: {}. Wait for their end, or delete them and make them again",
                counted(self.fixed.len().saturating_add(self.pods.len()), "object selects", "objects select"),
                some(rest),
            ));
        }
        told
    }
}

impl HeldTemplate {
    /// Its kind and name, as people write them.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.kind.workload().as_str().to_ascii_lowercase(), self.key)
    }

    /// Its keys without their domains: `state.secret`.
    #[must_use]
    pub fn short_keys(&self) -> String {
        short_keys(&self.keys)
    }
}

/// Keys without their domains.
#[must_use]
pub fn short_keys(keys: &BTreeSet<String>) -> String {
    ListDisplay(keys.iter().map(|key| key.split_once('/').map_or(key.as_str(), |(_, name)| name))).to_string()
}

/// The first ten of `names`, and how many more there are.
fn some(names: impl Iterator<Item = impl std::fmt::Display> + Clone) -> String {
    const NAMED: usize = 10;
    let more = names.clone().skip(NAMED).count();
    let first = ListDisplay(names.take(NAMED));
    if more == 0 { first.to_string() } else { format!("{first} and {more} more") }
}

#[cfg(test)]
mod tests;
