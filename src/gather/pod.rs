//! What a pod spec says of where its pods may run.

use std::collections::BTreeSet;

use super::metadata::{UnplacedDiagnostic, texts};
use crate::manifest::node::ManifestNode;
use rempart_core::{
    selector::{Operator, Selector},
    workload::{NodeTerm, Wants},
};

/// What `spec`, at `path` of `object`, wants of nodes.
pub(super) fn wants(spec: &ManifestNode<'_>, path: &str, object: &str, faults: &mut Vec<UnplacedDiagnostic>) -> Wants {
    let selector = texts(spec.get("nodeSelector"), &format!("{path}.nodeSelector"), object, faults);
    let affinity = ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]
        .into_iter()
        .try_fold(spec, |node, key| node.get(key));
    Wants {
        selector: selector.into_iter().map(|(key, text)| (key.to_owned(), text.said.to_owned())).collect(),
        affinity: affinity.map(|terms| terms.items().iter().map(|term| self::term(term, object, faults)).collect()),
    }
}

fn term(term: &ManifestNode<'_>, object: &str, faults: &mut Vec<UnplacedDiagnostic>) -> NodeTerm {
    let span = term.span;
    let mut demands = |field: &str| -> Vec<(String, Operator)> {
        let listed = term.get(field).map(ManifestNode::items).unwrap_or_default();
        listed
            .iter()
            .filter_map(|demand| {
                let read = self::demand(demand);
                if read.is_none() {
                    let message =
                        format!("{field} of the node affinity cannot be read: expected key, operator and values");
                    let hint = "operator is one of In, NotIn, Exists, DoesNotExist, Gt and Lt".to_owned();
                    faults.push(
                        UnplacedDiagnostic::error("WrongType", message)
                            .at_place(demand.span)
                            .of(object.to_owned())
                            .hint(hint),
                    );
                }
                read
            })
            .collect()
    };
    let labels = Selector::new(demands("matchExpressions"));
    // The only field that Kubernetes lets an affinity ask for is the node's name, and only by these two.
    let mut term = NodeTerm { labels, ..NodeTerm::default() };
    for (key, operator) in demands("matchFields") {
        match operator {
            Operator::In(names) if key == NAME => {
                term.names =
                    Some(term.names.map_or(names.clone(), |known| known.intersection(&names).cloned().collect()));
            }
            Operator::NotIn(names) if key == NAME => term.other_than.extend(names),
            _ => {
                let message =
                    format!("matchFields of the node affinity asks for {key:?} otherwise than Kubernetes lets it");
                let hint = format!("ask for {NAME} with In or NotIn");
                faults.push(
                    UnplacedDiagnostic::error("NotSupported", message).at_place(span).of(object.to_owned()).hint(hint),
                );
            }
        }
    }
    term
}

/// The field of a node that an affinity may ask for.
const NAME: &str = "metadata.name";

fn demand(demand: &ManifestNode<'_>) -> Option<(String, Operator)> {
    let key = demand.get("key")?.text().ok()?;
    let values = || -> Option<BTreeSet<String>> {
        let listed = demand.get("values").map(ManifestNode::items).unwrap_or_default();
        listed.iter().map(|value| value.text().ok().map(str::to_owned)).collect()
    };
    let number = || values()?.into_iter().next()?.parse().ok();
    let operator = match demand.get("operator")?.text().ok()? {
        "In" => Operator::In(values()?),
        "NotIn" => Operator::NotIn(values()?),
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::Gt(number()?),
        "Lt" => Operator::Lt(number()?),
        _ => return None,
    };
    Some((key.to_owned(), operator))
}
