//! JSON values of nodes: what kubectl would send for a manifest.
//!
//! Takes a node, and returns its value. It never fails: a scalar that means nothing to JSON is text.

use serde_json::{Map, Number, Value};

use super::{
    node::{ManifestNode, NodeContent},
    scalar::{ScalarMeaning, YamlScalar},
};

impl ManifestNode<'_> {
    /// The JSON that kubectl would send for this. Dates are strings; so are, since JSON has no word for them, infinity
    /// and what is not a number.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.content {
            NodeContent::Scalar(scalar) => scalar.to_json(),
            NodeContent::List(items) => Value::Array(items.iter().map(ManifestNode::to_json).collect()),
            NodeContent::Map(entries) => {
                let pairs = entries.iter().map(|entry| (entry.key.clone().into_owned(), entry.value.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

impl YamlScalar<'_> {
    fn to_json(&self) -> Value {
        match self.meaning() {
            ScalarMeaning::Null => Value::Null,
            ScalarMeaning::Bool(value) => value.into(),
            ScalarMeaning::Int(value) => value.into(),
            ScalarMeaning::Unsigned(value) => value.into(),
            ScalarMeaning::Float(value) => match whole(value) {
                Some(whole) => whole.into(),
                None => Number::from_f64(value).map_or_else(|| Value::String(self.text.to_string()), Value::Number),
            },
            ScalarMeaning::Text(text) => Value::String(text.to_owned()),
        }
    }
}

/// A float without a fraction travels as an integer, as far as these reach: `replicas: 2.0` is 2.
fn whole(value: f64) -> Option<i64> {
    /// 2 to the 63rd.
    const END: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is within the bounds")]
    (value.fract() == 0.0 && (-END..END).contains(&value)).then_some(value as i64)
}
