//! Kind definitions: the schema of each kind, read once into what the walk needs.
//!
//! Takes a generated `CustomResourceDefinition`, and returns its schema nodes and what of it is not understood.
//!
//! Our schemas use few keywords, and each is known here by the type that it belongs to. A keyword that is not, or a rule
//! that cannot be compiled, is a defect: it is never left out in silence.

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    envelope,
    rule::CelRule,
    shape::{SchemaNode, ValueShape},
};

/// One of our kinds.
#[derive(Debug)]
pub(super) struct KindDefinition {
    /// The whole object.
    pub(super) root: SchemaNode,
    /// What of the definition is not understood here.
    pub(super) defects: Vec<String>,
}

/// The rules compiled so far, by their text: few of them differ, and compiling is most of the work of reading.
pub(super) type CompiledRules = BTreeMap<String, Result<Arc<CelRule>, String>>;

/// A definition being read.
struct DefinitionReader<'c> {
    compiled: &'c mut CompiledRules,
    defects: Vec<String>,
}

impl KindDefinition {
    /// Reads a definition; `compiled` is shared with those read before and after.
    pub(super) fn of(crd: &CustomResourceDefinition, compiled: &mut CompiledRules) -> Self {
        let mut reading = DefinitionReader { compiled, defects: Vec::new() };
        let schemas =
            crd.spec.versions.iter().filter_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
        let mut schema = schemas.map(serde_json::to_value).next().and_then(Result::ok).unwrap_or_default();
        complete(&mut schema);
        let root = node(&crd.spec.names.kind, schema, &mut reading);
        Self { root, defects: reading.defects }
    }
}

/// Adds to the schema of a kind what the API server knows of every object, and takes what it does not look at when an
/// object is written: its status.
fn complete(schema: &mut Value) {
    let Some(Value::Object(fields)) = schema.get_mut("properties") else { return };
    let name = fields.get("metadata").and_then(|metadata| metadata.pointer("/properties/name")).cloned();
    fields.insert("metadata".to_owned(), envelope::metadata(name));
    fields.insert("apiVersion".to_owned(), json!({"type": "string"}));
    fields.insert("kind".to_owned(), json!({"type": "string"}));
    fields.insert("status".to_owned(), envelope::anything());
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.extend([json!("apiVersion"), json!("kind"), json!("metadata")]);
    }
}

/// The keywords of one schema, each taken once.
struct SchemaKeywords<'r, 'c> {
    at: &'r str,
    left: Map<String, Value>,
    reading: &'r mut DefinitionReader<'c>,
}

impl SchemaKeywords<'_, '_> {
    fn defect(&mut self, what: impl Display) {
        self.reading.defects.push(format!("{}: {what}", self.at));
    }

    fn take<T: DeserializeOwned>(&mut self, keyword: &str) -> Option<T> {
        let read = serde_json::from_value(self.left.remove(keyword)?);
        read.map_err(|error| self.defect(format_args!("{keyword}: {error}"))).ok()
    }

    fn limit(&mut self, keyword: &str) -> usize {
        self.take(keyword).unwrap_or(usize::MAX)
    }

    fn child(&mut self, step: &str, keyword: &str) -> SchemaNode {
        let schema = self.take(keyword).unwrap_or_default();
        node(&format!("{}{step}", self.at), schema, self.reading)
    }
}

fn node(at: &str, schema: Value, reading: &mut DefinitionReader<'_>) -> SchemaNode {
    let Value::Object(left) = schema else {
        reading.defects.push(format!("{at}: {schema} is no schema"));
        return SchemaNode { shape: ValueShape::Anything, rules: Vec::new(), example: None };
    };
    let mut keywords = SchemaKeywords { at, left, reading };
    let shape = shape(&mut keywords);
    let example = keywords.take::<String>("description").and_then(|text| example(&text));
    let rules = rules(&mut keywords);
    for keyword in std::mem::take(&mut keywords.left).keys() {
        keywords.defect(format_args!("the keyword {keyword} is not known"));
    }
    SchemaNode { shape, rules, example }
}

fn rules(keywords: &mut SchemaKeywords<'_, '_>) -> Vec<Arc<CelRule>> {
    let stated: Vec<Value> = keywords.take("x-kubernetes-validations").unwrap_or_default();
    let mut rules = Vec::with_capacity(stated.len());
    for rule in stated {
        let compiled = keywords.reading.compiled.entry(rule.to_string());
        match compiled.or_insert_with(|| CelRule::compile(rule).map(Arc::new)).clone() {
            Ok(rule) => rules.push(rule),
            Err(error) => keywords.defect(error),
        }
    }
    rules
}

fn shape(keywords: &mut SchemaKeywords<'_, '_>) -> ValueShape {
    // How field managers share a value says nothing about what it may be.
    keywords.left.remove("x-kubernetes-map-type");
    let type_ = keywords.take::<String>("type");
    match type_.as_deref() {
        Some("object") if keywords.left.contains_key("additionalProperties") => ValueShape::Map {
            values: Box::new(keywords.child("{}", "additionalProperties")),
            shortest: keywords.take("minProperties").unwrap_or_default(),
            longest: keywords.limit("maxProperties"),
        },
        Some("object") => {
            let schemas: BTreeMap<String, Value> = keywords.take("properties").unwrap_or_default();
            let known = schemas.into_iter().map(|(name, schema)| {
                let child = node(&format!("{}.{name}", keywords.at), schema, keywords.reading);
                (name, child)
            });
            ValueShape::Fields { known: known.collect(), required: keywords.take("required").unwrap_or_default() }
        }
        Some("array") => list(keywords),
        Some("string") => ValueShape::Text {
            longest: keywords.limit("maxLength"),
            allowed: keywords.take("enum").unwrap_or_default(),
        },
        Some("number") => {
            // JSON has no other numbers.
            if keywords.left.get("format").is_some_and(|format| format == "double") {
                keywords.left.remove("format");
            }
            ValueShape::Number { least: keywords.take("minimum") }
        }
        Some("integer") => {
            // Nothing here is near its bounds.
            if keywords.left.get("format").is_some_and(|format| format == "int32") {
                keywords.left.remove("format");
            }
            ValueShape::Integer { least: keywords.take("minimum"), most: keywords.take("maximum") }
        }
        Some("boolean") => ValueShape::Boolean,
        None if keywords.take("x-kubernetes-preserve-unknown-fields") == Some(true) => ValueShape::Anything,
        other => {
            keywords.defect(format_args!("the type {other:?} is not known"));
            ValueShape::Anything
        }
    }
}

fn list(keywords: &mut SchemaKeywords<'_, '_>) -> ValueShape {
    let kind: Option<String> = keywords.take("x-kubernetes-list-type");
    // That the entries of a map differ in their keys is told by a rule of ours, whose sentence names the entry.
    let ruled = keywords.left.contains_key("x-kubernetes-validations");
    if kind.as_deref() == Some("map") && keywords.take::<Value>("x-kubernetes-list-map-keys").is_some() && !ruled {
        keywords.defect("no rule says that the entries differ in their keys");
    }
    ValueShape::List {
        item: Box::new(keywords.child("[]", "items")),
        shortest: keywords.take("minItems").unwrap_or_default(),
        longest: keywords.limit("maxItems"),
        distinct: kind.as_deref() == Some("set"),
    }
}

/// The value that a description shows: what follows "Example:", in backquotes.
fn example(description: &str) -> Option<String> {
    let (_, after) = description.split_once("Example: `")?;
    let (example, _) = after.split_once('`')?;
    Some(example.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defects(schema: Value) -> Vec<String> {
        let mut reading = DefinitionReader { compiled: &mut CompiledRules::new(), defects: Vec::new() };
        node("Kind", schema, &mut reading);
        reading.defects
    }

    #[test]
    fn what_is_not_understood_is_a_defect() {
        for schema in [
            json!({"type": "string", "pattern": "x"}),
            json!({"type": "string", "minimum": 1}),
            json!({"type": "number", "format": "float"}),
            json!({"type": "null"}),
            json!({"type": "integer", "format": "int128"}),
            json!({"type": "string", "maxLength": "long"}),
            json!({"type": "object", "properties": {"a": {"type": "string", "oneOf": []}}}),
            json!({"type": "array", "items": {"type": "string", "nullable": true}}),
            json!({"type": "object", "additionalProperties": true}),
            json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []}),
            json!({"type": "string", "x-kubernetes-validations": [{"rule": "self.("}]}),
            json!({"type": "string", "x-kubernetes-validations": [{"rule": "true", "messageExpression": "("}]}),
            json!({"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}),
            json!({"type": "string", "x-kubernetes-validations": [{"rule": "true", "optionalOldSelf": true}]}),
            json!({"type": "string", "x-kubernetes-validations": [{"rule": "true", "fieldPath": ".a['b']"}]}),
            json!({}),
            json!(true),
        ] {
            assert_eq!(defects(schema.clone()).len(), 1, "{schema}: {:?}", defects(schema.clone()));
        }
    }

    #[test]
    fn an_example_is_taken_from_the_description() {
        assert_eq!(example("The name. Example: `iaas`. More.").as_deref(), Some("iaas"));
        assert_eq!(example("The name."), None);
    }
}
