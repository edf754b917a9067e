//! Object walk: an object beside its definition, structure first, then the rules that can be asked.
//!
//! Takes a schema node and a value, and returns every violation, sorted by path. A rule is not asked about a value
//! whose structure is wrong.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    path::{DisplayPath, FieldStep},
    rule::CelRule,
    shape::{SchemaNode, ValueShape},
};
use crate::diagnostic::{Diagnostic, FieldDiagnostic, FieldPath, suggest};
use rempart_core::{
    name::quoted,
    text::{BriefDisplay, FewDisplay},
};

/// One violation, with the way to it.
#[derive(Debug)]
struct FoundViolation<'a> {
    steps: Vec<FieldStep<'a>>,
    code: &'static str,
    message: String,
    hint: Option<String>,
    /// Of a field that is not known, the one that was probably meant.
    meant: Option<String>,
    /// Whether rules are to be spared the value.
    structural: bool,
}

/// A walk under way.
#[derive(Debug, Default)]
pub(super) struct ObjectWalk<'a> {
    steps: Vec<FieldStep<'a>>,
    found: Vec<FoundViolation<'a>>,
}

impl<'a> ObjectWalk<'a> {
    /// Notes a violation at a place that the walk is not at.
    pub(super) fn refuse(&mut self, at: &[FieldStep<'a>], code: &'static str, message: String) {
        // Of the form of a text the rules judge more than was found here.
        let structural = code != "Invalid";
        self.found.push(FoundViolation { steps: at.to_vec(), code, message, hint: None, meant: None, structural });
    }

    /// Adds a hint to the last violation.
    pub(super) fn hint(&mut self, hint: String) {
        if let Some(last) = self.found.last_mut() {
            last.hint = Some(hint);
        }
    }

    /// Adds a hint to every violation at a place that has none.
    pub(super) fn hint_at(&mut self, at: &[FieldStep<'_>], hint: &str) {
        for found in self.found.iter_mut().filter(|found| found.steps == at) {
            found.hint.get_or_insert_with(|| hint.to_owned());
        }
    }

    /// Says of one place what was found at another.
    pub(super) fn rename(&mut self, from: &[FieldStep<'a>], to: &[FieldStep<'a>]) {
        for found in self.found.iter_mut().filter(|found| found.steps == from) {
            found.steps = to.to_vec();
        }
    }

    /// Everything that was found, in the order of the object's fields by name and of its entries by number.
    pub(super) fn into_violations(mut self) -> Vec<FieldDiagnostic> {
        self.found.sort_by(|a, b| (&a.steps, a.code, &a.message).cmp(&(&b.steps, b.code, &b.message)));
        let told = self.found.into_iter().map(|FoundViolation { steps, code, message, hint, .. }| {
            Diagnostic::error(code, message).at_place(FieldPath(DisplayPath(&steps).to_string())).hint_of(hint)
        });
        told.collect()
    }

    /// Looks at a whole object, of which something may have been found already.
    pub(super) fn object(&mut self, root: &'a SchemaNode, object: &'a Value) {
        self.from(0, root, object);
    }

    /// Looks at a value and all that is in it.
    fn node(&mut self, node: &'a SchemaNode, value: &'a Value) {
        self.from(self.found.len(), node, value);
    }

    /// Looks at a value of which something was found since `start`.
    fn from(&mut self, start: usize, node: &'a SchemaNode, value: &'a Value) {
        self.shape(node, value);
        for rule in &node.rules {
            if !self.spared(rule, start) {
                self.judge(rule, node, value);
            }
        }
    }

    /// Notes a violation of the structure where the walk is.
    fn wrong(&mut self, code: &'static str, message: String) {
        self.refuse(&self.steps.clone(), code, message);
    }

    fn under(&mut self, step: FieldStep<'a>, look: impl FnOnce(&mut Self)) {
        self.steps.push(step);
        look(self);
        self.steps.pop();
    }

    fn shape(&mut self, node: &'a SchemaNode, value: &'a Value) {
        match (&node.shape, value) {
            (ValueShape::Fields { known, required }, Value::Object(fields)) => {
                for (name, value) in fields {
                    self.under(FieldStep::Field(name), |walk| match known.get(name) {
                        Some(node) => walk.value(node, value),
                        None => walk.unknown(name, known.keys().map(String::as_str)),
                    });
                }
                for name in required.iter().filter(|name| !fields.contains_key(*name)) {
                    let example = known.get(name).and_then(|node| node.example.as_deref());
                    self.under(FieldStep::Field(name), |walk| walk.missing(example));
                }
            }
            (ValueShape::Map { values, shortest, longest }, Value::Object(entries)) => {
                self.within(*shortest, *longest, entries.len());
                for (key, value) in entries {
                    self.under(FieldStep::Key(key), |walk| walk.value(values, value));
                }
            }
            (ValueShape::List { item, shortest, longest, distinct }, Value::Array(items)) => {
                self.within(*shortest, *longest, items.len());
                for (i, value) in items.iter().enumerate() {
                    self.under(FieldStep::Entry(i), |walk| walk.value(item, value));
                }
                if *distinct {
                    self.distinct(items);
                }
            }
            (ValueShape::Text { longest, allowed }, Value::String(text)) => self.text(text, *longest, allowed),
            (ValueShape::Number { least }, Value::Number(number)) => self.number(number, *least, None),
            (ValueShape::Integer { least, most }, Value::Number(number))
                if number.as_f64().is_some_and(|n| n.fract() == 0.0) =>
            {
                self.number(number, *least, *most);
            }
            (ValueShape::Boolean, Value::Bool(_)) | (ValueShape::Anything, _) => {}
            (shape, _) => self.wrong_type(node, shape, value),
        }
    }

    /// Looks at a value, if there is one.
    fn value(&mut self, node: &'a SchemaNode, value: &'a Value) {
        if !value.is_null() {
            return self.node(node, value);
        }
        // Clients write `creationTimestamp: null`, and in metadata nothing follows from it.
        if self.steps.len() > 1 && self.steps.first() == Some(&FieldStep::Field("metadata")) {
            return;
        }
        let is_demand = self.steps.contains(&FieldStep::Field("require"));
        self.wrong(
            "Empty",
            "nothing is written after it, which the API server reads as if it were not there: write a value, or leave \
             it out"
                .to_owned(),
        );
        if is_demand {
            self.hint("as it stands, nothing is demanded here".to_owned());
        } else if let Some(example) = &node.example {
            self.hint(for_example(example));
        }
    }

    fn unknown<'n>(&mut self, name: &str, known: impl Iterator<Item = &'n str> + Clone) {
        self.wrong(
            "UnknownField",
            format!("there is no field {:?} here: correct its name, or leave it out", quoted(name)),
        );
        let meant = suggest::nearest(name, known.clone()).map(str::to_owned);
        if let Some(hint) = suggest::nearest_or_all(name, known, "fields") {
            self.hint(hint);
        }
        if let Some(last) = self.found.last_mut() {
            last.meant = meant;
        }
    }

    fn missing(&mut self, example: Option<&str>) {
        self.wrong("Required", "it is required, and not there: write it".to_owned());
        if let Some(example) = example {
            self.hint(for_example(example));
        }
    }

    /// Looks at a number. Definitions write their bounds as JSON numbers, of whatever type the value is.
    fn number(&mut self, number: &serde_json::Number, least: Option<f64>, most: Option<f64>) {
        let Some(value) = number.as_f64() else { return };
        if let Some(least) = least.filter(|least| value < *least) {
            self.wrong("OutOfRange", format!("{number} is less than {least}: write at least {least}"));
        }
        if let Some(most) = most.filter(|most| value > *most) {
            self.wrong("OutOfRange", format!("{number} is more than {most}: write at most {most}"));
        }
    }

    fn within(&mut self, shortest: usize, longest: usize, length: usize) {
        if length < shortest {
            self.wrong("TooFew", format!("{length} entries, where at least {shortest} must be: write more"));
        }
        if length > longest {
            self.wrong("TooMany", format!("{length} entries, where at most {longest} may be: leave some out"));
        }
    }

    fn distinct(&mut self, items: &'a [Value]) {
        let mut seen = BTreeSet::new();
        for (i, item) in items.iter().enumerate() {
            if !seen.insert(item.to_string()) {
                let message = format!("{} is there twice: leave one out", BriefDisplay(&item.to_string()));
                self.under(FieldStep::Entry(i), |walk| walk.wrong("Duplicate", message));
            }
        }
    }

    fn text(&mut self, text: &str, longest: usize, allowed: &[String]) {
        let length = text.chars().count();
        if length > longest {
            let message =
                format!("{:?}: {length} characters, where at most {longest} may be: shorten it", quoted(text));
            self.wrong("TooLong", message);
        }
        if !allowed.is_empty() && !allowed.iter().any(|allowed| allowed == text) {
            let message =
                format!("{:?} is not one of the values: write one of {}", quoted(text), FewDisplay(allowed.iter()));
            self.wrong("NotSupported", message);
            if let Some(near) = suggest::nearest(text, allowed.iter().map(String::as_str)) {
                self.hint(suggest::meant(near));
            }
        }
    }

    fn wrong_type(&mut self, node: &SchemaNode, shape: &ValueShape, value: &Value) {
        let needed = match shape {
            ValueShape::Fields { .. } => "fields with values",
            ValueShape::Map { .. } => "keys with values",
            ValueShape::List { .. } => "a list",
            ValueShape::Text { .. } => "text",
            ValueShape::Number { .. } => "a number",
            ValueShape::Integer { .. } => "a whole number",
            ValueShape::Boolean => "true or false",
            ValueShape::Anything => "a value",
        };
        let given = match value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::String(text) => format!("{:?}", quoted(text)),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object with fields".to_owned(),
        };
        self.wrong("WrongType", format!("{given} is there, where {needed} must be: write {needed}"));
        let hint = match (shape, value) {
            (ValueShape::Text { .. }, Value::Bool(_)) => {
                Some("YAML reads a bare no, off, yes or on as true or false: put it in quotes".to_owned())
            }
            (ValueShape::Text { .. }, Value::Number(number)) => Some(format!("put it in quotes: \"{number}\"")),
            (ValueShape::Boolean, Value::String(text)) if text == "true" || text == "false" => {
                Some(format!("leave the quotes out: {text}"))
            }
            (ValueShape::Number { .. } | ValueShape::Integer { .. }, Value::String(text))
                if text.parse::<f64>().is_ok() =>
            {
                Some(format!("leave the quotes out: {}", quoted(text)))
            }
            (ValueShape::List { item, .. }, Value::String(text)) if matches!(item.shape, ValueShape::Text { .. }) => {
                Some(format!("put it in brackets: [{}]", quoted(text)))
            }
            _ => node.example.as_deref().map(for_example),
        };
        if let Some(hint) = hint {
            self.hint(hint);
        }
    }

    /// Whether a rule of the value at hand is not to be asked: it reads something whose structure is wrong, so that its
    /// answer would only say once more, and worse, what was found since `start`.
    ///
    /// The API server likewise asks no rule when the structure is wrong; it then asks none at all.
    fn spared(&self, rule: &CelRule, start: usize) -> bool {
        let depth = self.steps.len();
        self.found.iter().skip(start).filter(|found| found.structural).any(|found| {
            let inside = found.steps.get(depth..).unwrap_or_default();
            // A field that is not known is not read either, but the one that was meant may be.
            let unread = usize::from(found.code == "UnknownField");
            if unread > 0 && !found.meant.as_ref().is_some_and(|meant| rule.reads(meant)) {
                return false;
            }
            inside.iter().take(inside.len().saturating_sub(unread)).all(|step| match step {
                FieldStep::Field(name) => rule.reads(name),
                FieldStep::Entry(_) | FieldStep::Key(_) => true,
            })
        })
    }

    fn judge(&mut self, rule: &'a CelRule, node: &'a SchemaNode, value: &'a Value) {
        let Err(sentence) = rule.judge(node.to_cel(rule, value)) else { return };
        // A rule on the keys of a map names one of them, and which is chance: each is judged alone.
        if let (ValueShape::Map { .. }, Value::Object(entries)) = (&node.shape, value) {
            let mut blamed = false;
            for (key, value) in entries {
                let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
                if let Err(sentence) = rule.judge(node.to_cel(rule, &alone)) {
                    blamed = true;
                    // The sentence repeats the key, which no schema bounds.
                    let sentence = if key.len() > 64 { sentence.replace(key, &quoted(key)) } else { sentence };
                    self.under(FieldStep::Key(key), |walk| walk.broken(rule, sentence));
                }
            }
            if blamed {
                return;
            }
        }
        let sentence = match value {
            Value::String(text) => format!("{:?}: {sentence}", quoted(text)),
            _ => sentence,
        };
        self.broken(rule, sentence);
    }

    fn broken(&mut self, rule: &'a CelRule, message: String) {
        let field = rule.field.iter().map(|name| FieldStep::Field(name));
        let steps = self.steps.iter().copied().chain(field).collect();
        self.found.push(FoundViolation { steps, code: rule.code, message, hint: None, meant: None, structural: false });
    }
}

fn for_example(example: &str) -> String {
    format!("for example {example}")
}
