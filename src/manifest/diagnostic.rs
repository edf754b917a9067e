//! What is wrong with a manifest, and where: data, rendered elsewhere.

use super::{node::Span, source::FileId};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It does not do what it should, or cannot be read.
    Error,
    /// It does, but hardly what was meant.
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

/// Where in which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The stretch of it.
    pub span: Span,
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is, in CamelCase; stable, for whoever filters.
    pub code: &'static str,
    /// Where it is; `None` when it is in no file, as a path that does not exist.
    pub place: Option<Place>,
    /// The object that it is about, as `PlacementPolicy state`.
    pub object: Option<String>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error that is in no file and about no object.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning that is in no file and about no object.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self { severity, code, place: None, object: None, message, hint: None }
    }

    /// The same, at `span` of `file`.
    #[must_use]
    pub fn at(self, file: FileId, span: Span) -> Self {
        Self { place: Some(Place { file, span }), ..self }
    }

    /// The same, about `object`.
    #[must_use]
    pub fn of(self, object: impl Into<String>) -> Self {
        Self { object: Some(object.into()), ..self }
    }

    /// The same, with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
