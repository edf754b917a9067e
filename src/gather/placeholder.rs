//! Placeholders: values that some tool was to fill in before anybody judges them.
//!
//! Takes a text, and returns what kind of placeholder stands in it, with what to run first.

use crate::{diagnostic::Diagnostic, manifest::node::ManifestNode};
use rempart_core::name::quoted;

/// The code of what is told of them.
pub(super) const CODE: &str = "Placeholder";

/// A form of placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlaceholderForm {
    /// `{{ .Values.level }}`.
    Braces,
    /// `${level}`, `${level:=restricted}`.
    Dollar,
    /// `__LEVEL__`.
    Underscores,
}

impl PlaceholderForm {
    fn of(text: &str) -> Option<Self> {
        let between = |open: &str, close: &str| {
            text.split_once(open).is_some_and(|(_, rest)| rest.find(close).is_some_and(|end| end > 0))
        };
        let screams = |text: &str| {
            let inner = text.strip_prefix("__").and_then(|text| text.strip_suffix("__")).unwrap_or_default();
            !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        if between("{{", "}}") {
            Some(Self::Braces)
        } else if between("${", "}") {
            Some(Self::Dollar)
        } else {
            screams(text).then_some(Self::Underscores)
        }
    }

    /// What fills it in.
    fn remedy(self) -> &'static str {
        match self {
            Self::Braces => "render it first, with `helm template` or the tool whose braces these are",
            Self::Dollar => "fill it in first: `flux build kustomization` or `envsubst`",
            Self::Underscores => "fill it in first, as the pipeline does that deploys it",
        }
    }
}

/// An error about `text`, the value of `field`, where something is to be filled in in it. It lacks its place.
pub(super) fn unfilled<Place>(field: &str, text: &str) -> Option<Diagnostic<Place>> {
    let form = PlaceholderForm::of(text)?;
    let message = format!("{field}: {:?} is a placeholder that nothing has filled in", quoted(text));
    Some(Diagnostic::error(CODE, message).hint(form.remedy()))
}

/// Errors about the values of `node`, at `path`, in which something is to be filled in.
pub(super) fn in_values(path: &str, node: &ManifestNode<'_>, found: &mut Vec<super::metadata::UnplacedDiagnostic>) {
    if let Ok(text) = node.text() {
        found.extend(unfilled(path, text).map(|told| told.at_place(node.span)));
    }
    for (i, item) in node.items().iter().enumerate() {
        in_values(&format!("{path}[{i}]"), item, found);
    }
    for entry in node.entries() {
        in_values(&format!("{path}.{}", quoted(&entry.key)), &entry.value, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_names() {
        for (text, expected) in [
            ("${tenant}", Some(PlaceholderForm::Dollar)),
            ("app-${tenant:=a}", Some(PlaceholderForm::Dollar)),
            ("{{ .Values.level }}", Some(PlaceholderForm::Braces)),
            ("x-{{name}}", Some(PlaceholderForm::Braces)),
            ("__LEVEL__", Some(PlaceholderForm::Underscores)),
            ("restricted", None),
            ("$HOME", None),
            ("__level__", None),
            ("____", None),
            ("{{}}", None),
            ("${}", None),
        ] {
            assert_eq!(PlaceholderForm::of(text), expected, "{text}");
        }
    }
}
