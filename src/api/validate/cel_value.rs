//! Values for CEL: what a rule is given of an object.
//!
//! Takes a value beside its schema node and the rule that will read it, and returns the value as CEL has it. Fields that
//! the rule does not read are left out.

use std::sync::Arc;

use kube_cel::cel;
use serde_json::Value;

use super::{
    rule::CelRule,
    shape::{SchemaNode, ValueShape},
};

impl SchemaNode {
    /// The value for CEL, with only those fields that the rule reads: the evaluator copies each entry of a list as often
    /// as a rule looks at it, and an offer has a hundred zones of which the uniqueness of its name needs none.
    pub(super) fn to_cel(&self, rule: &CelRule, value: &Value) -> cel::Value {
        match (&self.shape, value) {
            (ValueShape::Fields { known, .. }, Value::Object(fields)) => {
                let read = known.iter().filter(|(name, _)| rule.reads(name));
                // The API server drops a field without a value before it judges.
                let written = read.filter_map(|(name, node)| Some((name, node, fields.get(name)?)));
                let written = written.filter(|(.., value)| !value.is_null());
                map(written.map(|(name, node, value)| (name, node.to_cel(rule, value))))
            }
            (ValueShape::Map { values, .. }, Value::Object(entries)) => {
                map(entries.iter().map(|(key, value)| (key, values.to_cel(rule, value))))
            }
            (ValueShape::List { item, .. }, Value::Array(items)) => {
                items.iter().map(|value| item.to_cel(rule, value)).collect::<Vec<_>>().into()
            }
            (ValueShape::Text { .. }, Value::String(text)) => cel::Value::String(Arc::new(text.clone())),
            (ValueShape::Number { .. }, Value::Number(number)) => {
                number.as_f64().map_or(cel::Value::Null, cel::Value::Float)
            }
            (ValueShape::Integer { .. }, Value::Number(number)) => {
                number.as_i64().map_or(cel::Value::Null, cel::Value::Int)
            }
            (ValueShape::Boolean, Value::Bool(yes)) => cel::Value::Bool(*yes),
            // A structure that is wrong is told as such, and rules that read it are not asked.
            _ => cel::Value::Null,
        }
    }
}

fn map<'n>(entries: impl Iterator<Item = (&'n String, cel::Value)>) -> cel::Value {
    entries.map(|(name, value)| (name.clone(), value)).collect::<std::collections::HashMap<_, _>>().into()
}
