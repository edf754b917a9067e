//! Passed-over objects: what is counted and not judged, and what is told of it.
//!
//! Takes objects of kinds whose pods are not judged here, parts of workloads, and documents that are no objects. Whatever of
//! them says a level, or would have pods, is named: nobody shall take it for placeable.

use std::sync::Arc;

use super::{
    GatheredObjects, UnjudgedObject, UnjudgedStatement, key_walk,
    kind::{self, ObjectClass},
    metadata::{ObjectMetadata, UnplacedDiagnostic},
    placeholder,
    pod_templates::places,
    unheard, unjudged,
};
use crate::{
    diagnostic::{Diagnostic, Severity, source::FileId},
    manifest::node::ManifestNode,
};
use rempart_core::{name::quoted, workload::WorkloadKind};

/// How much was taken in before an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakenObjects {
    told: usize,
    workloads: usize,
    orphans: usize,
    namespaces: usize,
}

/// Kinds whose texts tell of our keys without saying a level: definitions of kinds and rules.
const DESCRIPTIVE: [&str; 7] = [
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
];

impl GatheredObjects<'_> {
    /// Takes in an object whose pods, if it has any, are not judged here.
    pub(super) fn other(&mut self, file: FileId, node: &ManifestNode<'_>) {
        let kind = node.get("kind").and_then(|kind| kind.text().ok()).unwrap_or_default();
        self.ignore(&quoted(kind));
        if let Some(nearly) = kind::nearly(kind) {
            self.diagnostics.push(nearly.at(file, kind::span(node)));
            let object = self.statements(file, kind, node);
            return self.unjudged.push(object);
        }
        let object = self.statements(file, kind, node);
        if object.statements.is_empty() {
            return;
        }
        if let Some((key, span, within)) = object.first() {
            let kind = a_kind(kind);
            let message = match within {
                None => format!(
                    "{key} of {kind}, which is not judged here: pods that it makes are judged when they are made, by what \
                     they say themselves"
                ),
                Some(path) => format!(
                    "{key} within the text of {} of {kind}, which is not judged here: what is made of it says it, and is \
                     judged when it is made",
                    quoted(path)
                ),
            };
            let told = Diagnostic::warning("Unjudged", message).at(file, span);
            self.diagnostics.push(match within {
                None => told,
                Some(_) => told.hint("render what is made of it, and judge that"),
            });
        }
        self.unjudged.push(object);
    }

    /// Takes in an object of `kind` in a version that no API server has any more: `fault` says so, and costs no other.
    pub(super) fn outdated(&mut self, file: FileId, kind: &str, fault: Diagnostic, node: &ManifestNode<'_>) {
        self.ignore(&quoted(kind));
        let message = format!("{}: it is not judged", fault.message);
        self.diagnostics.push(Diagnostic { severity: Severity::Warning, message, ..fault });
        let object = self.statements(file, kind, node);
        self.unjudged.push(object);
    }

    /// How much is taken in.
    pub(super) fn taken(&self) -> TakenObjects {
        let Self { diagnostics, workloads, orphans, namespaces, .. } = self;
        let (told, namespaces) = (diagnostics.told(), namespaces.len());
        TakenObjects { told, workloads: workloads.len(), orphans: orphans.len(), namespaces }
    }

    /// Leaves `node`, of a directory, unjudged where something is still to be filled in in it, and has all of that which was
    /// taken in since `before` forgotten: in a repository what some tool completes costs itself alone. But a namespace that is
    /// known, and whose labels are to be filled in, says of others what nobody knows.
    pub(super) fn leave_unfilled(
        &mut self,
        file: FileId,
        known: ObjectClass,
        node: &ManifestNode<'_>,
        before: &TakenObjects,
    ) {
        let has_pods = matches!(known, ObjectClass::Workload(_) | ObjectClass::Templated(_));
        let is_nameless = matches!(known, ObjectClass::Namespace) && self.namespaces.len() == before.namespaces;
        if !(has_pods || is_nameless) || self.diagnostics.told() == before.told {
            return;
        }
        let told = self.diagnostics.take_back(before.told);
        let is_unfilled = told.iter().any(|found| found.code == placeholder::CODE);
        let soften = |found: Diagnostic| {
            if found.code != placeholder::CODE {
                return found;
            }
            let message = format!("{}: it is not judged", found.message);
            Diagnostic { severity: Severity::Warning, message, ..found }
        };
        self.diagnostics.extend(told.into_iter().map(soften));
        if !is_unfilled {
            return;
        }
        self.workloads.truncate(before.workloads);
        self.orphans.truncate(before.orphans);
        let kind = node.get("kind").and_then(|kind| kind.text().ok()).unwrap_or_default();
        // What is misspelt is told already.
        let object = self.named_statements(file, kind, node, unjudged::statements(node, &mut Vec::new()));
        let namespace = object.namespace.filter(|_| has_pods);
        self.unjudged.push(UnjudgedObject { namespace, ..object });
    }

    /// Takes in a document that is no object, as the values of a chart: what it says is said of something made elsewhere.
    /// That it is no object is told already where it `is_told`.
    pub(super) fn document(&mut self, file: FileId, node: &ManifestNode<'_>, is_told: bool) {
        // What is misspelt in what is no object may be anything.
        let statements = unjudged::statements(node, &mut Vec::new());
        let object = UnjudgedObject { kind: None, namespace: None, name: String::new(), file, statements };
        let Some((key, span, _)) = object.first() else { return };
        if !is_told {
            let message =
                format!("{key} in a document that is no Kubernetes object: what is made of it is not judged here");
            let hint = "render what is made of it, and judge that";
            self.diagnostics.push(Diagnostic::warning("Unjudged", message).at(file, span).hint(hint));
        }
        self.unjudged.push(object);
    }

    /// Takes in a part of a workload of `kind`, as a patch is, which is no workload itself.
    pub(super) fn part(
        &mut self,
        file: FileId,
        kind: WorkloadKind,
        namespace: &str,
        metadata: &ObjectMetadata<'_>,
        node: &ManifestNode<'_>,
    ) {
        self.ignore(&format!("part of {}", a_kind(kind.as_str())));
        let object = format!("{kind} {namespace}/{}", metadata.name);
        let part = a_kind(kind.as_str());
        let message = format!("{object} has no containers: it is a part of {part}, as a patch is, and not judged");
        let hint = "render what it is a part of, and judge that";
        self.diagnostics
            .push(Diagnostic::warning("PartOnly", message).at(file, metadata.name_span).of(object).hint(hint));
        let said = self.statements(file, kind.as_str(), node);
        self.unjudged.push(said);
    }

    /// What `node`, which is not judged, says all the same.
    fn statements(&mut self, file: FileId, kind: &str, node: &ManifestNode<'_>) -> UnjudgedObject {
        let mut faults = Vec::new();
        let mut statements = unjudged::statements(node, &mut faults);
        if DESCRIPTIVE.contains(&kind) {
            statements.retain(|said| said.within.is_none());
        }
        self.diagnostics.extend(faults.into_iter().map(|fault| fault.in_file(file)));
        self.named_statements(file, kind, node, statements)
    }

    fn named_statements(
        &self,
        file: FileId,
        kind: &str,
        node: &ManifestNode<'_>,
        statements: Vec<UnjudgedStatement>,
    ) -> UnjudgedObject {
        let metadata = node.get("metadata");
        let text = |key: &str| metadata.and_then(|found| found.get(key)?.text().ok()).filter(|text| !text.is_empty());
        let namespace = text("namespace").map_or_else(|| Arc::clone(&self.default_namespace), Into::into);
        let name = text("name").or_else(|| text("generateName")).unwrap_or_default().to_owned();
        UnjudgedObject { kind: Some(kind.to_owned()), namespace: Some(namespace), name, file, statements }
    }

    /// Warns of keys of ours in `node`, which is judged, where nobody reads them.
    pub(super) fn unheard(&mut self, file: FileId, known: ObjectClass, node: &ManifestNode<'_>) {
        if !key_walk::has_ours(node) {
            return;
        }
        let annotations = |path: &str| format!("{path}.metadata.annotations");
        let own = || vec!["metadata.annotations".to_owned(), "metadata.labels".to_owned()];
        let (heard, remedy) = match known {
            ObjectClass::Other => return,
            ObjectClass::Workload(kind) => {
                let mut heard = own();
                let template = kind.template_at().map(annotations);
                let remedy = template.as_ref().map_or_else(
                    || "write it in metadata.annotations".to_owned(),
                    |template| format!("write it in metadata.annotations of the {kind}, or in {template}"),
                );
                heard.extend(template);
                // Admission refuses what stands there, and says so.
                if kind == WorkloadKind::CronJob {
                    heard.push(annotations("spec.jobTemplate"));
                }
                (heard, remedy)
            }
            ObjectClass::Templated(templates) => {
                let mut heard = own();
                let found: Vec<_> = templates.iter().flat_map(|template| places(node, &template.template)).collect();
                // Of what has no template, all that it says is told as not judged.
                if found.iter().all(|place| place.node.is_none()) {
                    return;
                }
                heard.extend(found.iter().map(|place| annotations(&place.path)));
                let ways: Vec<_> = templates.iter().map(|template| annotations(&template.template)).collect();
                (heard, format!("write it in {}", ways.join(" or ")))
            }
            ObjectClass::Namespace => (own(), "write it in metadata.labels".to_owned()),
            ObjectClass::Node | ObjectClass::Claim | ObjectClass::Volume | ObjectClass::Own(_) => {
                let remedy = "write it in metadata.annotations of a workload, or in metadata.labels of a namespace";
                (Vec::new(), remedy.to_owned())
            }
        };
        let found: Vec<UnplacedDiagnostic> = unheard::elsewhere(node, &heard, &remedy);
        if found.is_empty() {
            return;
        }
        let text = |node: Option<&ManifestNode<'_>>| node.and_then(|node| node.text().ok()).map(quoted);
        let name =
            node.get("metadata").and_then(|metadata| metadata.get("name").or_else(|| metadata.get("generateName")));
        let object = format!("{} {}", text(node.get("kind")).unwrap_or_default(), text(name).unwrap_or_default());
        self.diagnostics.extend(found.into_iter().map(|found| found.in_file(file).of(object.clone())));
    }
}

/// `kind` with its article.
pub(super) fn a_kind(kind: &str) -> String {
    let article = if kind.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    format!("{article} {}", quoted(kind))
}
