//! Pod specs of manifests: the node selector and the required node affinity, read as the operator reads them.

use std::collections::BTreeSet;

use super::{
    metadata::{UnplacedDiagnostic, texts},
    placeholder,
};
use crate::{diagnostic::position::TextSpan, manifest::node::ManifestNode};
use rempart_core::{
    keys,
    name::quoted,
    selector::SelectorOperator,
    workload::{NODE_NAME_FIELD, NodeRequirements, NodeTerm, UnreadTerm},
};

/// What a pod spec wants of nodes.
#[derive(Debug, Default)]
pub(super) struct ReadNodeRequirements {
    pub(super) node_requirements: NodeRequirements,
    /// The stamps among them that ask for a clearance of some policy, and where they stand.
    pub(super) stamps: Vec<(String, TextSpan)>,
}

/// What `spec`, at `path` of `object`, wants of nodes. What is still to be filled in wants nothing, and is told.
pub(super) fn node_requirements(
    spec: &ManifestNode<'_>,
    path: &str,
    object: &str,
    faults: &mut Vec<UnplacedDiagnostic>,
) -> ReadNodeRequirements {
    let mut selector = texts(spec.get("nodeSelector"), &format!("{path}.nodeSelector"), object, faults);
    selector.retain(|(key, text)| {
        let told = placeholder::unfilled(&format!("{path}.nodeSelector[{}]", quoted(key)), text.said);
        let filled = told.is_none();
        faults.extend(told.map(|told| told.at_place(text.span).of(object.to_owned())));
        filled
    });
    let asked = selector.iter().filter(|(key, _)| keys::policy_asked(key).is_some());
    let stamps = asked.map(|(key, text)| ((*key).to_owned(), text.key)).collect();
    let affinity = ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]
        .into_iter()
        .try_fold(spec, |node, key| node.get(key));
    if let Some(terms) = affinity {
        let before = faults.len();
        placeholder::in_values(&format!("{path}.affinity.nodeAffinity"), terms, faults);
        faults.iter_mut().skip(before).for_each(|fault| fault.object = Some(object.to_owned()));
    }
    let node_requirements = NodeRequirements {
        selector: selector.into_iter().map(|(key, text)| (key.to_owned(), text.said.to_owned())).collect(),
        affinity: affinity.map(|terms| terms.items().iter().map(|term| self::term(term, object, faults)).collect()),
        completed_for: BTreeSet::new(),
    };
    ReadNodeRequirements { node_requirements, stamps }
}

/// Reads a term of a node selector.
pub(super) fn term(term: &ManifestNode<'_>, object: &str, faults: &mut Vec<UnplacedDiagnostic>) -> NodeTerm {
    let span = term.span;
    let mut demands = |field: &str| -> Vec<Option<(String, SelectorOperator)>> {
        let listed = term.get(field).map(ManifestNode::items).unwrap_or_default();
        let mut read = |demand: &ManifestNode<'_>| {
            let read = self::demand(demand);
            if read.is_none() {
                let message = format!("{field} of the node affinity cannot be read: expected key, operator and values");
                let hint = "operator is one of In, NotIn, Exists, DoesNotExist, Gt and Lt".to_owned();
                faults.push(
                    UnplacedDiagnostic::error("WrongType", message)
                        .at_place(demand.span)
                        .of(object.to_owned())
                        .hint(hint),
                );
            }
            read
        };
        listed.iter().map(&mut read).collect()
    };
    let (labels, fields) = (demands("matchExpressions"), demands("matchFields"));
    match NodeTerm::read(labels, fields) {
        Ok(term) => term,
        // It was told above.
        Err(UnreadTerm::Demand) => NodeTerm::default(),
        Err(UnreadTerm::Field(key)) => {
            let message = format!(
                "matchFields of the node affinity asks for {:?} otherwise than Kubernetes lets it",
                quoted(&key)
            );
            let hint = format!("ask for {NODE_NAME_FIELD} with In or NotIn");
            faults.push(
                UnplacedDiagnostic::error("NotSupported", message).at_place(span).of(object.to_owned()).hint(hint),
            );
            NodeTerm::default()
        }
    }
}

fn demand(demand: &ManifestNode<'_>) -> Option<(String, SelectorOperator)> {
    let key = demand.get("key")?.text().ok()?;
    let values = demand.get("values").map(ManifestNode::items).unwrap_or_default();
    let values: Option<Vec<_>> = values.iter().map(|value| value.text().ok().map(str::to_owned)).collect();
    Some((key.to_owned(), SelectorOperator::of_node_affinity(demand.get("operator")?.text().ok()?, values?)?))
}
