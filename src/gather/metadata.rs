//! Object metadata of manifests: names, labels, annotations and owners, as far as they say something to Rempart.
//!
//! Takes a node, and returns the metadata or diagnostics without a file.

use crate::{
    diagnostic::{Diagnostic, position::TextSpan, suggest},
    manifest::node::ManifestNode,
};
use rempart_core::{keys, name::quoted};

use super::placeholder;

/// The prefix of every annotation and label of ours on objects of others.
pub(super) const PREFIX: &str = "rempart.dev/";

/// A text, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocatedText<'n> {
    pub(super) said: &'n str,
    pub(super) span: TextSpan,
    /// Where its key stands.
    pub(super) key: TextSpan,
}

/// Texts by key, in the order of the file.
pub(super) type LocatedTexts<'n> = Vec<(&'n str, LocatedText<'n>)>;

/// What is read of an object's metadata.
#[derive(Debug)]
pub(super) struct ObjectMetadata<'n> {
    /// The name, or the beginning of the one that the API server will make.
    pub(super) name: &'n str,
    pub(super) name_span: TextSpan,
    /// Whether it is the beginning of one.
    pub(super) is_generated: bool,
    pub(super) namespace: Option<&'n str>,
    pub(super) labels: LocatedTexts<'n>,
    pub(super) annotations: LocatedTexts<'n>,
    /// Whether it was read from a cluster rather than written.
    pub(super) exists: bool,
    /// The kind and name of the owner that controls it.
    pub(super) controller: Option<(&'n str, &'n str)>,
}

impl<'n> ObjectMetadata<'n> {
    /// The metadata of `node`, an object of `kind`. Diagnostics lack their file.
    pub(super) fn of(kind: &str, node: &'n ManifestNode<'_>) -> (Option<Self>, Vec<UnplacedDiagnostic>) {
        let mut faults = Vec::new();
        let Some(metadata) = node.get("metadata").filter(|found| !found.entries().is_empty()) else {
            faults.push(
                UnplacedDiagnostic::error("Required", "metadata: missing".to_owned())
                    .at_place(node.span)
                    .of(kind.to_owned()),
            );
            return (None, faults);
        };
        let mut field = |name: &'static str| {
            let found = metadata.get(name).filter(|found| !found.is_null())?;
            match found.text() {
                // As the API server has it: an empty field is none.
                Ok("") => None,
                Ok(text) => Some((text, found.span)),
                Err(mistyped) => {
                    let message = format!("metadata.{name}: {mistyped}");
                    faults.push(
                        UnplacedDiagnostic::error("WrongType", message).at_place(mistyped.span).hint_of(mistyped.hint),
                    );
                    None
                }
            }
        };
        let (namespace, namespace_span) = field("namespace").unzip();
        let exists = field("uid").is_some();
        let (given, generated) = (field("name"), field("generateName"));
        let is_generated = given.is_none();
        let Some((name, name_span)) = given.or(generated) else {
            if faults.is_empty() {
                let message = "metadata.name: missing".to_owned();
                faults.push(UnplacedDiagnostic::error("Required", message).at_place(metadata.span).of(kind.to_owned()));
            }
            return (None, faults);
        };
        let object = format!("{kind} {}", quoted(name));
        let namespace_span = namespace_span.unwrap_or(metadata.span);
        for (field, text, span) in [("name", Some(name), name_span), ("namespace", namespace, namespace_span)] {
            if let Some(wrong) = text.filter(|text| !is_name(text)) {
                if let Some(told) = placeholder::unfilled(&format!("metadata.{field}"), wrong) {
                    faults.push(told.at_place(span));
                    continue;
                }
                let message = format!(
                    "metadata.{field}: {:?} is no name: write lower-case letters, digits, dashes and dots, starting with a \
                     letter or digit",
                    quoted(wrong)
                );
                faults.push(UnplacedDiagnostic::error("Invalid", message).at_place(span));
            }
        }
        if !faults.is_empty() {
            return (None, faults.into_iter().map(|fault| fault.of(object.clone())).collect());
        }
        let mut faults: Vec<_> = faults.into_iter().map(|fault| fault.of(object.clone())).collect();
        let labels = texts(metadata.get("labels"), "metadata.labels", &object, &mut faults);
        let annotations = texts(metadata.get("annotations"), "metadata.annotations", &object, &mut faults);
        let controller = metadata.get("ownerReferences").and_then(|owners| {
            let controls = |owner: &&ManifestNode<'_>| {
                let flag = owner.get("controller").map(ManifestNode::to_json);
                flag == Some(serde_json::Value::Bool(true))
            };
            let owner = owners.items().iter().find(controls)?;
            Some((owner.get("kind")?.text().ok()?, owner.get("name")?.text().ok()?))
        });
        (Some(Self { name, name_span, is_generated, namespace, labels, annotations, exists, controller }), faults)
    }
}

/// Whether `key` is one of ours, read or misspelt.
pub(super) fn is_ours(key: &str) -> bool {
    key.starts_with(PREFIX) || key.starts_with(keys::COMPLETED)
}

/// Whether `text` may be the name of an object, or the beginning of one that the API server makes. No such name can
/// disturb a terminal.
fn is_name(text: &str) -> bool {
    let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= 253
        && text.as_bytes().first().is_some_and(letter)
        && text.bytes().all(|b| letter(&b) || matches!(b, b'-' | b'.'))
}

/// The texts of a map. What is no text is told: the API server refuses the whole object for it.
pub(super) fn texts<'n>(
    map: Option<&'n ManifestNode<'_>>,
    path: &str,
    object: &str,
    faults: &mut Vec<UnplacedDiagnostic>,
) -> LocatedTexts<'n> {
    let mut texts = LocatedTexts::new();
    for entry in map.map(ManifestNode::entries).unwrap_or_default() {
        match entry.value.text() {
            // The API server stores nothing as an empty text.
            Err(_) if entry.value.is_null() => {
                texts.push((&entry.key, LocatedText { said: "", span: entry.value.span, key: entry.key_span }));
            }
            Ok(text) => {
                texts.push((&entry.key, LocatedText { said: text, span: entry.value.span, key: entry.key_span }));
            }
            Err(mistyped) => {
                let message = format!("{path}[{}]: {mistyped}", quoted(&entry.key));
                let fault = UnplacedDiagnostic::error("WrongType", message).at_place(mistyped.span);
                faults.push(fault.hint_of(mistyped.hint).of(object.to_owned()));
            }
        }
    }
    texts
}

/// A diagnostic that does not know its file yet.
pub(super) type UnplacedDiagnostic = Diagnostic<TextSpan>;

/// The entries whose keys say a level or categories.
pub(super) fn ours<'n>(texts: &LocatedTexts<'n>) -> impl Iterator<Item = (&'static str, LocatedText<'n>)> {
    [keys::SENSITIVITY, keys::CATEGORIES]
        .into_iter()
        .filter_map(|key| texts.iter().find(|(found, _)| *found == key).map(|(_, text)| (key, *text)))
}

/// Where an object says something to Rempart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkedBy {
    /// By its labels, as namespaces do.
    Labels,
    /// By its annotations, as workloads do.
    Annotations,
}

/// Namespaces speak by labels.
pub(super) const NAMESPACE: MarkedBy = MarkedBy::Labels;
/// Workloads speak by annotations.
pub(super) const WORKLOAD: MarkedBy = MarkedBy::Annotations;

/// Keys of ours that Rempart reads or writes on objects of others.
pub(super) const KNOWN: [&str; 10] = [
    keys::SENSITIVITY,
    keys::CATEGORIES,
    keys::WORKLOAD_SENSITIVITY,
    keys::WORKLOAD_CATEGORIES,
    keys::MIGRATION,
    keys::NOT_BEFORE,
    "rempart.dev/approve-move",
    "rempart.dev/admission",
    "rempart.dev/metrics",
    "rempart.dev/policy",
];

/// Keys of ours where nobody reads them: misspelt, or a label in the place of an annotation.
pub(super) fn unheard(metadata: &ObjectMetadata<'_>, rules: MarkedBy) -> Vec<UnplacedDiagnostic> {
    let (heard, unheard, right, wrong) = match rules {
        MarkedBy::Labels => (&metadata.labels, &metadata.annotations, "label", "annotation"),
        MarkedBy::Annotations => (&metadata.annotations, &metadata.labels, "annotation", "label"),
    };
    let mut found = misspelt(heard, right);
    let who = if rules == MarkedBy::Labels {
        "a namespace says it by a label"
    } else {
        "a workload says it by an annotation"
    };
    for (key, text) in ours(unheard) {
        let message = format!("{wrong} {key} has no effect here: {who}");
        let hint = Some(format!("move it to metadata.{right}s"));
        found.push(UnplacedDiagnostic::warning("Unheard", message).at_place(text.key).hint_of(hint));
    }
    found
}

/// Keys with our prefix that nobody reads.
pub(super) fn misspelt(texts: &LocatedTexts<'_>, what: &str) -> Vec<UnplacedDiagnostic> {
    let unknown = texts.iter().filter(|(key, _)| key.starts_with(PREFIX) && !KNOWN.contains(key));
    let looks_alike =
        texts.iter().filter(|(key, _)| !key.starts_with(PREFIX) && suggest::nearest(key, KNOWN).is_some());
    unknown
        .chain(looks_alike)
        .map(|(key, text)| {
            let message = format!("{what} {:?} has no effect: Rempart reads no such {what}", quoted(key));
            let meant = suggest::nearest(key, KNOWN).unwrap_or(keys::SENSITIVITY);
            UnplacedDiagnostic::warning("UnknownAnnotation", message).at_place(text.key).hint(suggest::meant(meant))
        })
        .collect()
}
