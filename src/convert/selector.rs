//! Selector conversion: from a `LabelSelector` to the core's `Selector`.
//!
//! A selector with one expression that cannot be read is none: the rest alone would select more.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::field::FieldReader;
use rempart_core::selector::{Selector, SelectorOperator};

/// Reads `selector`. One expression that cannot be read leaves nothing of it: the rest alone would select more.
pub(super) fn selector(selector: &LabelSelector, mut reader: FieldReader<'_>) -> Option<Selector> {
    let labels = selector.match_labels.iter().flatten();
    let mut terms: Vec<_> =
        labels.map(|(key, value)| (key.clone(), SelectorOperator::In([value.clone()].into()))).collect();
    let mut whole = true;
    for (i, expression) in selector.match_expressions.iter().flatten().enumerate() {
        let values = || expression.values.iter().flatten().cloned().collect();
        let operator = match expression.operator.as_str() {
            "In" => SelectorOperator::In(values()),
            "NotIn" => SelectorOperator::NotIn(values()),
            "Exists" => SelectorOperator::Exists,
            "DoesNotExist" => SelectorOperator::DoesNotExist,
            other => {
                reader.field("matchExpressions").entry(i).field("operator").refuse(format_args!(
                    "{:?} is no operator: write In, NotIn, Exists or DoesNotExist",
                    rempart_core::name::quoted(other)
                ));
                whole = false;
                continue;
            }
        };
        terms.push((expression.key.clone(), operator));
    }
    whole.then(|| Selector::new(terms))
}
