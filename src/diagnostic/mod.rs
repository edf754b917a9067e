//! Diagnostics: what is wrong with something that was read, where, and what to write instead.
//!
//! Takes faults from whoever finds one (readers of manifests, schemas, conversions, lints, plans) and returns them as data:
//! one type for all, whose place is a [`FieldPath`] while only the object is known, a [`SourceSpan`] once its text is, and
//! whatever a report needs at last. Rendered by [`render`]; nothing here knows a kind of object.

pub mod capped;
pub mod position;
pub mod render;
mod snippet;
pub mod source;
pub mod suggest;

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use self::{
    position::TextSpan,
    source::{FileId, SourceSpan},
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It keeps something from working.
    Error,
    /// It may be meant, and probably is not.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// The way to a field of an object, as `spec.offers[0].zones[1].country` or `metadata.annotations[rempart.dev/x]`; empty
/// for the object itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub String);

/// What is wrong with a field of an object whose text is not known, as that of a cluster.
pub type FieldDiagnostic = Diagnostic<FieldPath>;

/// One thing that is wrong, at a `Place`, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic<Place = SourceSpan> {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is, in CamelCase; stable, for whoever filters.
    pub code: &'static str,
    /// Where it is; `None` when it is nowhere, as a path that does not exist.
    pub place: Option<Place>,
    /// The object that it is about, as `PlacementPolicy state`.
    pub object: Option<String>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl<Place> Diagnostic<Place> {
    /// An error that is nowhere and about no object.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning that is nowhere and about no object.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// A diagnostic that is nowhere and about no object.
    #[must_use]
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity, code, place: None, object: None, message: message.into(), hint: None }
    }

    /// The same, at `place`.
    #[must_use]
    pub fn at_place(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// The same, about `object`.
    #[must_use]
    pub fn of(self, object: impl Into<String>) -> Self {
        Self { object: Some(object.into()), ..self }
    }

    /// The same, with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.hint_of(Some(hint.into()))
    }

    /// The same, with a hint if there is one.
    #[must_use]
    pub fn hint_of(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// The same, where `locate` finds its place.
    #[must_use]
    pub fn locate<To>(self, locate: impl FnOnce(Place) -> Option<To>) -> Diagnostic<To> {
        let Self { severity, code, place, object, message, hint } = self;
        Diagnostic { severity, code, place: place.and_then(locate), object, message, hint }
    }
}

impl Diagnostic {
    /// The same, at `span` of `file`.
    #[must_use]
    pub fn at(self, file: FileId, span: TextSpan) -> Self {
        self.at_place(SourceSpan { file, span })
    }
}

impl Diagnostic<TextSpan> {
    /// The same, in `file`.
    #[must_use]
    pub fn in_file(self, file: FileId) -> Diagnostic {
        self.locate(|span| Some(SourceSpan { file, span }))
    }
}

impl Diagnostic<FieldPath> {
    /// The way to the field that is wrong; empty for the object itself.
    #[must_use]
    pub fn path(&self) -> &str {
        self.place.as_ref().map_or("", |FieldPath(path)| path)
    }
}

impl fmt::Display for Diagnostic<FieldPath> {
    /// As the API server says it: `spec.zone: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}
