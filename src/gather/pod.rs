//! Pod specs of manifests: the node selector and the required node affinity, read as the operator reads them.

use std::collections::BTreeSet;

use super::metadata::{UnplacedDiagnostic, texts};
use crate::manifest::node::ManifestNode;
use rempart_core::{
    name::quoted,
    selector::SelectorOperator,
    workload::{NODE_NAME_FIELD, NodeRequirements, NodeTerm, UnreadTerm},
};

/// What `spec`, at `path` of `object`, wants of nodes.
pub(super) fn node_requirements(
    spec: &ManifestNode<'_>,
    path: &str,
    object: &str,
    faults: &mut Vec<UnplacedDiagnostic>,
) -> NodeRequirements {
    let selector = texts(spec.get("nodeSelector"), &format!("{path}.nodeSelector"), object, faults);
    let affinity = ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]
        .into_iter()
        .try_fold(spec, |node, key| node.get(key));
    NodeRequirements {
        selector: selector.into_iter().map(|(key, text)| (key.to_owned(), text.said.to_owned())).collect(),
        affinity: affinity.map(|terms| terms.items().iter().map(|term| self::term(term, object, faults)).collect()),
        completed_for: BTreeSet::new(),
    }
}

fn term(term: &ManifestNode<'_>, object: &str, faults: &mut Vec<UnplacedDiagnostic>) -> NodeTerm {
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
