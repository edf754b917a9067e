//! Objects of our own kinds: validated, decoded, and kept with the places of their fields.
//!
//! Takes a node, and returns the object, if it can be decoded, with a diagnostic for each violation.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{
    api::{self, CloudProviderSpec, PlacementPolicySpec, PlacementPoolSpec, validate::ResourceKind},
    diagnostic::{
        Diagnostic, FieldPath,
        position::TextSpan,
        source::{FileId, SourceSpan},
    },
    manifest::node::ManifestNode,
};
use rempart_core::{name::quoted, reason::RequirementSource};

use super::placeholder;

/// An object of ours.
#[derive(Clone, Debug)]
pub struct OwnObject<'t> {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub file: FileId,
    /// What was written.
    pub node: ManifestNode<'t>,
    /// What that says.
    pub spec: OwnSpec,
    /// Where it breaks its definition.
    defects: Vec<FieldPath>,
}

/// What an object of ours says.
#[derive(Clone, Debug)]
pub enum OwnSpec {
    /// A `CloudProvider`.
    Provider(Box<CloudProviderSpec>),
    /// A `PlacementPool`.
    Pool(Box<PlacementPoolSpec>),
    /// A `PlacementPolicy`.
    Policy(Box<PlacementPolicySpec>),
}

impl fmt::Display for OwnObject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl<'t> OwnObject<'t> {
    /// Reads `node`. Every violation of the definition is told; what can be decoded in spite of them is still an object.
    pub(super) fn read(file: FileId, kind: ResourceKind, node: ManifestNode<'t>) -> (Option<Self>, Vec<Diagnostic>) {
        let json = node.to_json();
        let name = json.pointer("/metadata/name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
        let object = format!("{kind} {}", quoted(&name)).trim_end().to_owned();
        let violations = api::validate::violations(kind, &json);
        let defects = violations.iter().filter_map(|found| found.place.clone()).collect();
        let mut diagnostics: Vec<Diagnostic> = violations
            .into_iter()
            .map(|found| {
                let span = place_of(&node, found.path(), found.code == "UnknownField");
                let message = found.to_string();
                let located = found.locate(|_| Some(SourceSpan { file, span }));
                Diagnostic { message, ..located }.of(object.clone())
            })
            .collect();
        let unfilled = unfilled(file, &node, &object);
        // One thing to mend: what the definition says of a value that is still to be filled in adds nothing.
        let told: Vec<_> = unfilled.iter().map(|found| found.place).collect();
        diagnostics.retain(|found| !told.contains(&found.place));
        diagnostics.extend(unfilled);
        let spec = json.get("spec").cloned().unwrap_or_default();
        let spec = match kind {
            ResourceKind::CloudProvider => decode(spec).map(|spec| OwnSpec::Provider(Box::new(spec))),
            ResourceKind::PlacementPool => decode(spec).map(|spec| OwnSpec::Pool(Box::new(spec))),
            ResourceKind::PlacementPolicy => decode(spec).map(|spec| OwnSpec::Policy(Box::new(spec))),
        };
        let spec = spec.map_err(|error| {
            // The definition is as strict as the type, and says it better.
            if diagnostics.is_empty() {
                let message = format!("spec: {error}");
                diagnostics.push(Diagnostic::error("WrongType", message).at(file, node.span).of(object));
            }
        });
        let own = spec.ok().filter(|_| !name.is_empty()).map(|spec| Self { kind, name, file, node, spec, defects });
        (own, diagnostics)
    }

    /// Whether its definition has spoken of the field at `path` already, of a part of it, or of a list or map that it is in.
    #[must_use]
    pub fn is_defect_known(&self, path: &FieldPath) -> bool {
        let is_in = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        // What is said of the whole object is about other fields.
        self.defects.iter().any(|FieldPath(defect)| {
            is_in(defect, &path.0) || (is_in(&path.0, defect) && !["", "spec"].contains(&defect.as_str()))
        })
    }

    /// Where its name stands.
    #[must_use]
    pub fn name_span(&self) -> TextSpan {
        place_of(&self.node, "metadata.name", false)
    }

    /// Where `path` stands, or the nearest thing around it that is there.
    #[must_use]
    pub fn place(&self, path: &str) -> SourceSpan {
        SourceSpan { file: self.file, span: place_of(&self.node, path, false) }
    }
}

/// Fields that people read, and from which nothing follows.
const PROSE: [&str; 5] = ["displayName", "reason", "approvedBy", "source", "reference"];

/// Errors about what is still to be filled in.
fn unfilled(file: FileId, node: &ManifestNode<'_>, object: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for path in ["metadata.name", "spec"] {
        let value = node.find(path);
        if value.whole {
            placeholder::in_values(path, value.node, &mut found);
        }
    }
    found.retain(|told| {
        let field = told.message.split_once(':').map_or("", |(path, _)| path);
        !PROSE.iter().any(|prose| field.ends_with(prose))
    });
    found.into_iter().map(|told| told.in_file(file).of(object)).collect()
}

fn decode<T: DeserializeOwned>(spec: serde_json::Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(spec)
}

/// The path of a level or category within its policy.
#[must_use]
pub fn demander(spec: &PlacementPolicySpec, demander: RequirementSource<'_>) -> Option<String> {
    match demander {
        RequirementSource::Level(name) => {
            let index = spec.levels.iter().position(|level| level.name == name.as_str())?;
            Some(format!("spec.levels[{index}]"))
        }
        RequirementSource::Category(name) => {
            let index = spec.categories.iter().position(|category| category.name == name.as_str())?;
            Some(format!("spec.categories[{index}]"))
        }
    }
}

/// Where `path` of `node` stands: the key when it is the key that is `wrong`, or when what is missing should be below it;
/// the entry of a list when it should be in that.
fn place_of(node: &ManifestNode<'_>, path: &str, wrong: bool) -> TextSpan {
    let found = node.find(path);
    let in_entry = !found.whole && path.get(..found.reached).is_some_and(|reached| reached.ends_with(']'));
    match found.key {
        Some(key) if (wrong || !found.whole) && !in_entry => key,
        _ if in_entry => TextSpan::at(found.node.span.start),
        _ => found.node.span,
    }
}
