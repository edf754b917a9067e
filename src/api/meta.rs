//! Schemas of the Kubernetes types that the API embeds: label selectors and conditions.
//!
//! They are written out because the generated ones have no bounds, and because an expression that
//! the API server would not accept in a binding or a node list must be refused here, where its author
//! sees it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::limits;

/// The domain of the labels with which the operator stamps nodes.
pub const STAMP_DOMAIN: &str = "rempart.node-restriction.kubernetes.io";

const KEY_MESSAGE: &str = "not the key of a label: write a name of at most 63 letters, digits, dashes, dots and \
     underscores, with or without a domain and a slash before it, such as node.example/pool";

/// Whether `name` can be the key of a label. Kubernetes has a library for it since 1.31.
fn is_key(name: &str) -> String {
    const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
    format!(
        "{name}.matches('^({LABEL}([.]{LABEL})*/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$') \
         && {name}.matches('(^|/)[^/]{{1,63}}$') && !{name}.matches('^[^/]{{254}}')"
    )
}

/// What every selector obeys.
fn selector_schema() -> Schema {
    let is_key_of_map = is_key("k");
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must be there with exactly these values, at most 32. \
                    Example: `{node.example/pool: gouv}`.",
                "type": "object",
                "maxProperties": limits::SELECTOR,
                "additionalProperties": {
                    "type": "string",
                    "maxLength": limits::NAME,
                    "x-kubernetes-validations": [{
                        "rule": "self.matches('^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$')",
                        "message": "not the value of a label: write at most 63 letters, digits, dashes, dots and \
                            underscores, starting and ending with a letter or digit",
                    }],
                },
                "x-kubernetes-validations": [{
                    // Keys have no `maxLength` in a schema.
                    "rule": format!("self.all(k, k.size() <= 317 && {is_key_of_map})"),
                    "messageExpression": format!(
                        "'\"' + self.map(k, k.size() > 317 || !({is_key_of_map}), k)[0] + '\" is {KEY_MESSAGE}'"
                    ),
                }],
            },
            "matchExpressions": {
                "description": "Conditions on labels, all of which must hold, at most 32.",
                "type": "array",
                "maxItems": limits::SELECTOR,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label. Example: `topology.kubernetes.io/zone`.",
                            "type": "string",
                            "maxLength": 317,
                            "x-kubernetes-validations": [{
                                "rule": is_key("self"),
                                "message": KEY_MESSAGE,
                            }],
                        },
                        "operator": {
                            "description": "What is asked of the label: its value is one of `values` (In) or none \
                                of them (NotIn), or the label is there (Exists) or not (DoesNotExist).",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values of In and NotIn, at most 32; absent with Exists and \
                                DoesNotExist.",
                            "type": "array",
                            "maxItems": limits::SELECTOR,
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string", "maxLength": limits::NAME },
                        },
                    },
                    "x-kubernetes-validations": [
                        {
                            "rule": "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
                            "messageExpression": "'operator ' + self.operator + ' compares with values: name at least \
                                one in values, or use Exists or DoesNotExist'",
                            "reason": "FieldValueRequired",
                            "fieldPath": ".values",
                        },
                        {
                            "rule": "self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
                            "messageExpression": "'operator ' + self.operator + ' takes no values: leave values out, \
                                or use In or NotIn'",
                            "reason": "FieldValueForbidden",
                            "fieldPath": ".values",
                        },
                    ],
                },
            },
        },
    })
}

/// A selector of namespaces; empty selects all of them.
pub(super) fn namespace_selector(_: &mut SchemaGenerator) -> Schema {
    selector_schema()
}

/// A selector of nodes: never empty, and never by the stamps that follow from it.
pub(super) fn node_selector(_: &mut SchemaGenerator) -> Schema {
    let ours = format!("(k == '{STAMP_DOMAIN}' || k.startsWith('{STAMP_DOMAIN}/') || k.contains('.{STAMP_DOMAIN}/'))");
    let mut schema = selector_schema();
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        json!([
            {
                "rule": "(has(self.matchLabels) && size(self.matchLabels) > 0) || \
                    (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
                "message": "an empty selector would claim every node: name the labels of this pool's nodes in \
                    matchLabels or matchExpressions",
                "reason": "FieldValueRequired",
            },
            {
                "rule": format!(
                    "(!has(self.matchLabels) || !self.matchLabels.exists(k, {ours})) && \
                     (!has(self.matchExpressions) || !self.matchExpressions.map(e, e.key).exists(k, {ours}))"
                ),
                "message": format!(
                    "labels of {STAMP_DOMAIN} are written by Rempart from this selector, which therefore cannot ask \
                     for them: select by labels of the provider or of your own"
                ),
                "reason": "FieldValueForbidden",
            },
        ]),
    );
    schema
}

/// The conditions of a status, as Kubernetes writes them.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": limits::CONDITIONS,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": condition(),
    })
}

/// One condition; the shape that `k8s_openapi` decodes into [`Condition`].
fn condition() -> Value {
    json!({
        "type": "object",
        "required": ["lastTransitionTime", "message", "reason", "status", "type"],
        "properties": {
            "type": {
                "description": "What is stated, such as Ready.",
                "type": "string",
                "maxLength": 316,
            },
            "status": {
                "description": "Whether it holds: True, False or Unknown.",
                "type": "string",
                "enum": ["True", "False", "Unknown"],
            },
            "reason": {
                "description": "Why, as one stable word for programs.",
                "type": "string",
                "minLength": 1,
                "maxLength": 1024,
            },
            "message": {
                "description": "Why, as a sentence for people.",
                "type": "string",
                "maxLength": 32768,
            },
            "lastTransitionTime": {
                "description": "When the status last changed.",
                "type": "string",
                "format": "date-time",
            },
            "observedGeneration": {
                "description": "The metadata.generation that the operator had read. When it is behind, \
                    the condition speaks of an earlier edit.",
                "type": "integer",
                "format": "int64",
                "minimum": 0,
            },
        },
    })
}

/// The condition of a type, if it is there.
pub fn find_condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}
