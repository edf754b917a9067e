//! Offline validation: what the API server would refuse in an object of ours, told without one.
//!
//! Takes a kind and an object as JSON, and returns one diagnostic for each violation. The generated definitions are the
//! only source: their structure is walked here, and their CEL rules are evaluated, with the very sentences that a
//! cluster would answer. Everything is found rather than the first thing.
//!
//! It says more than the API server in two ways. A field with nothing after it is a violation: the API server cannot tell
//! it from one that is not there, and a level whose `require:` was left empty demands nothing. And there are hints.
//! It says less in one: a status is ignored, as the API server does with one that is sent.

mod cel_value;
mod definition;
mod envelope;
mod form;
mod hint;
mod library;
mod metadata;
mod path;
mod rule;
mod shape;
mod walk;

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::LazyLock};

use serde_json::Value;

use crate::diagnostic::{Diagnostic, FieldDiagnostic, FieldPath};

use self::{
    definition::{CompiledRules, KindDefinition},
    path::FieldStep::Field,
    walk::ObjectWalk,
};

/// One of our kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// What the offers of a provider are worth.
    CloudProvider,
    /// Which data may run where.
    PlacementPolicy,
    /// Nodes, and the place that they stand in.
    PlacementPool,
}

impl ResourceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CloudProvider, Self::PlacementPolicy, Self::PlacementPool];

    /// The kind of that name, if it is ours.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind as it is written in an object.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CloudProvider => "CloudProvider",
            Self::PlacementPolicy => "PlacementPolicy",
            Self::PlacementPool => "PlacementPool",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The definitions, read and compiled when the first object is judged.
static DEFINITIONS: LazyLock<BTreeMap<String, KindDefinition>> = LazyLock::new(|| {
    let mut compiled = CompiledRules::new();
    let crds = super::crds::crds();
    crds.iter().map(|crd| (crd.spec.names.kind.clone(), KindDefinition::of(crd, &mut compiled))).collect()
});

/// Everything for which the API server would refuse to create `object`, sorted by path: entries by number, fields by
/// name.
///
/// All are errors. Their codes are stable words for programs:
///
/// - `UnknownField`, `Required`, `WrongType`, `TooLong`, `TooMany`, `TooFew`, `OutOfRange`, `NotSupported` and
///   `Duplicate` are of the structure;
/// - `Empty` is a field with nothing after it;
/// - `Invalid`, `Forbidden` and again `Required` are of the rules, and of names;
/// - `Unjudged` is a part of our own definitions that is not understood here, which no released version has.
///
/// `object` is the JSON that kubectl would send. Fields that are not known are violations, since kubectl asks for that.
pub fn violations(kind: ResourceKind, object: &Value) -> Vec<FieldDiagnostic> {
    const NAME: [path::FieldStep<'_>; 2] = [Field("metadata"), Field("name")];
    let Some(definition) = DEFINITIONS.get(kind.as_str()) else { return defects(kind) };
    let generated = envelope::generated_name(object);
    let object = match &generated {
        Some(name) => Cow::Owned(named(object, name)),
        None => Cow::Borrowed(object),
    };
    let mut walk = ObjectWalk::default();
    if let Value::Object(fields) = &*object {
        metadata::look(&mut walk, kind.as_str(), fields);
    }
    walk.object(&definition.root, &object);
    if kind == ResourceKind::PlacementPolicy {
        for field in ["defaultLevel", "minimumLevel"] {
            if let Some(hint) = hint::level(object.get("spec"), field) {
                walk.hint_at(&[Field("spec"), Field(field)], &hint);
            }
        }
    }
    if generated.is_some() {
        walk.rename(&NAME, &[Field("metadata"), Field("generateName")]);
    }
    let mut violations = defects(kind);
    violations.extend(walk.into_violations());
    violations
}

/// What of our own definition of a kind is not understood here, so that it cannot be said that an object is right. A
/// test holds that there is nothing.
pub fn defects(kind: ResourceKind) -> Vec<FieldDiagnostic> {
    let unjudged = |message: &str| {
        let found = Diagnostic::error("Unjudged", message).at_place(FieldPath::default());
        found.hint("this is a mistake in Rempart: ask the API server with kubectl apply --dry-run=server")
    };
    match DEFINITIONS.get(kind.as_str()) {
        Some(definition) => definition.defects.iter().map(|defect| unjudged(defect)).collect(),
        None => vec![unjudged("there is no definition of the kind")],
    }
}

/// The object under a name.
fn named(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.insert("name".to_owned(), name.into());
    }
    object
}
