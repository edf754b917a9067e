//! Pod templates: the part of a pod spec that pods and their templates have in common, and decides where they may run.
//!
//! Takes partial templates, affinities and tolerations and returns the core's terms. What Kubernetes cannot read matches
//! nothing.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::operator::watch::partial::{CompletionMarks, OwnAnnotations};
use rempart_core::{
    cluster_objects::{ObjectUid, OwnerRef, PodToleration, TaintEffect},
    keys,
    selector::{Selector, SelectorOperator},
    sensitivity::TemplateStatements,
    workload::{NodeRequirements, NodeTerm, WorkloadKind},
};

/// A pod template, as much of it as is read.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PartialTemplate {
    #[serde(default)]
    metadata: TemplateMetadata,
    #[serde(default)]
    spec: TemplateSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct TemplateMetadata {
    #[serde(default)]
    annotations: OwnAnnotations,
    #[serde(rename = "labels", default)]
    marks: CompletionMarks,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateSpec {
    node_selector: Option<BTreeMap<String, String>>,
    affinity: Option<PartialAffinity>,
}

impl PartialTemplate {
    /// What its annotations say.
    pub fn said(&self) -> TemplateStatements {
        TemplateStatements::of(&self.metadata.annotations.0)
    }

    /// When Rempart last moved its pods.
    pub fn migration(&self) -> Option<Box<str>> {
        text(&self.metadata.annotations.0, keys::MIGRATION)
    }

    /// Where its pods want to run.
    pub fn node_requirements(self) -> NodeRequirements {
        node_requirements(self.spec.node_selector, self.spec.affinity, self.metadata.marks)
    }
}

/// The affinity of a pod: that to nodes, and what it is to be apart from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartialAffinity {
    node_affinity: Option<NodeAffinity>,
    pod_anti_affinity: Option<PodAntiAffinity>,
}

#[derive(Clone, Debug, Deserialize)]
struct PodAntiAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", default)]
    required: Vec<PodAffinityTerm>,
}

/// Pods to be apart from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodAffinityTerm {
    #[serde(default)]
    topology_key: String,
    label_selector: Option<PodLabelSelector>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    namespace_selector: Option<serde::de::IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodLabelSelector {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
    #[serde(default)]
    match_expressions: Vec<SelectorRequirement>,
}

impl PartialAffinity {
    /// The keys of node labels by which a pod with `labels` in `namespace` is apart from pods with the same labels.
    pub fn apart(&self, labels: Option<&BTreeMap<String, String>>, namespace: &str) -> Vec<Box<str>> {
        let none = BTreeMap::new();
        let labels = labels.unwrap_or(&none);
        let here = |term: &&PodAffinityTerm| {
            // Which namespaces a selector means is not known here; most often it is all.
            let elsewhere = !term.namespaces.is_empty() && !term.namespaces.iter().any(|name| name == namespace);
            term.namespace_selector.is_some() || !elsewhere
        };
        let required = self.pod_anti_affinity.iter().flat_map(|affinity| &affinity.required);
        let meant =
            required.filter(here).filter(|term| term.label_selector.as_ref().is_some_and(|pods| pods.mean(labels)));
        meant.map(|term| term.topology_key.as_str().into()).collect()
    }
}

impl PodLabelSelector {
    fn mean(&self, labels: &BTreeMap<String, String>) -> bool {
        let expressions: Option<Vec<_>> = self.match_expressions.iter().cloned().map(demand).collect();
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && expressions.is_some_and(|expressions| Selector::new(expressions).matches(labels))
    }
}

#[derive(Clone, Debug, Deserialize)]
struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelector>,
}

/// Alternative demands on a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSelector {
    node_selector_terms: Vec<NodeSelectorTerm>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeSelectorTerm {
    #[serde(default)]
    match_expressions: Vec<SelectorRequirement>,
    #[serde(default)]
    match_fields: Vec<SelectorRequirement>,
}

#[derive(Clone, Debug, Deserialize)]
struct SelectorRequirement {
    key: String,
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

/// Where a pod of this node selector and affinity wants to run.
pub fn node_requirements(
    selector: Option<BTreeMap<String, String>>,
    affinity: Option<PartialAffinity>,
    CompletionMarks(completed_for): CompletionMarks,
) -> NodeRequirements {
    let required = affinity.and_then(|affinity| affinity.node_affinity).and_then(|affinity| affinity.required);
    NodeRequirements { selector: selector.unwrap_or_default(), affinity: required.map(terms), completed_for }
}

/// The alternatives of `selector`.
pub fn terms(selector: NodeSelector) -> Vec<NodeTerm> {
    // One that demands what Kubernetes does not know matches nothing, like one that demands nothing.
    selector.node_selector_terms.into_iter().map(|term| self::term(term).unwrap_or_default()).collect()
}

fn term(term: NodeSelectorTerm) -> Option<NodeTerm> {
    let (labels, fields) = (term.match_expressions.into_iter().map(demand), term.match_fields.into_iter().map(demand));
    NodeTerm::read(labels, fields).ok()
}

fn demand(demand: SelectorRequirement) -> Option<(String, SelectorOperator)> {
    let SelectorRequirement { key, operator, values } = demand;
    Some((key, SelectorOperator::of_node_affinity(&operator, values)?))
}

/// What a pod bears, as it is written.
#[derive(Clone, Debug, Deserialize)]
pub struct PartialToleration {
    #[serde(default)]
    key: String,
    #[serde(default)]
    operator: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    effect: String,
}

impl PartialToleration {
    /// It, read; `None` when it bears nothing that Rempart knows of.
    pub fn read(&self) -> Option<PodToleration> {
        let value = match self.operator.as_str() {
            "Exists" => None,
            "" | "Equal" => Some(self.value.as_str().into()),
            _ => return None,
        };
        let effect = match self.effect.as_str() {
            "" => None,
            other => Some(effect(other)?),
        };
        let key = Some(self.key.as_str()).filter(|key| !key.is_empty()).map(Into::into);
        Some(PodToleration { key, value, effect })
    }
}

/// Reads what a taint does.
pub fn effect(text: &str) -> Option<TaintEffect> {
    match text {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    }
}

fn text(annotations: &BTreeMap<String, String>, key: &str) -> Option<Box<str>> {
    annotations.get(key).map(|text| text.as_str().into())
}

/// What controls the object of `metadata`.
pub fn owner(metadata: &ObjectMeta) -> Option<Arc<OwnerRef>> {
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    // The same kind of another group is another kind.
    let group = |version: &str| version.split_once('/').map_or(String::new(), |(group, _)| group.to_owned());
    let known = |kind: &WorkloadKind| {
        *kind != WorkloadKind::Pod
            && kind.as_str() == owner.kind
            && group(kind.api_version()) == group(&owner.api_version)
    };
    Some(Arc::new(OwnerRef {
        kind: WorkloadKind::ALL.into_iter().find(known),
        kind_said: owner.kind.as_str().into(),
        name: owner.name.as_str().into(),
        uid: ObjectUid::parse(&owner.uid).unwrap_or_default(),
    }))
}
