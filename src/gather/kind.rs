//! Object classes: whether the `apiVersion` and `kind` of a manifest are a concern of Rempart's.
//!
//! Takes the two, and returns a class or a diagnostic. A kind that is nearly one of those judged is never passed over
//! in silence.

use crate::{
    api,
    diagnostic::{Diagnostic, position::TextSpan, suggest},
    manifest::{files::FileOrigin, node::ManifestNode},
};
use rempart_core::{
    name::quoted,
    workload::{TemplatedKind, WorkloadKind},
};

use super::pod_templates::PodTemplateKinds;

/// What an object is to Rempart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectClass {
    /// One of ours.
    Own(api::validate::ResourceKind),
    /// A namespace.
    Namespace,
    /// A node.
    Node,
    /// A claim of a volume.
    Claim,
    /// A volume.
    Volume,
    /// Something with pods.
    Workload(WorkloadKind),
    /// Something of others with pods, by each of its templates.
    Templated(&'static [TemplatedKind]),
    /// No concern of ours.
    Other,
}

/// The `apiVersion` and `kind` that `node` says; nothing where it is no object, and may be anything by where it was found.
///
/// # Errors
/// A diagnostic, which may still lack its place.
pub(super) fn of<'n>(node: &'n ManifestNode<'_>, origin: FileOrigin) -> Result<Option<(&'n str, &'n str)>, Diagnostic> {
    let anything = origin == FileOrigin::Directory;
    if node.entries().is_empty() {
        if anything {
            return Ok(None);
        }
        let message = format!("expected a Kubernetes object, found {}", node.describe());
        return Err(Diagnostic::error("NotAnObject", message).hint("begin with apiVersion, kind and metadata"));
    }
    // What would be judged if it said its version must not be passed over.
    let judged = node.get("kind").and_then(|kind| kind.text().ok()).and_then(version_of);
    let judged = judged.filter(|_| !anything || node.get("metadata").is_some());
    let field = |name: &'static str| match node.get(name).filter(|found| !found.is_null()) {
        None => Err(match &judged {
            Some(version) if name == "apiVersion" => {
                Some(Diagnostic::error("NoVersion", "apiVersion: missing").hint(format!("write {version}")))
            }
            _ if anything => None,
            _ => {
                let message = format!("passed over: this is no Kubernetes object, it has no {name}");
                Some(Diagnostic::warning("NoKind", message).hint("every object begins with apiVersion and kind"))
            }
        }),
        Some(found) => found.text().map_err(|mistyped| {
            let message = format!("{name}: expected a string, found {}", mistyped.found);
            (!anything).then(|| Diagnostic::error("WrongType", message))
        }),
    };
    match field("apiVersion").and_then(|version| Ok((version, field("kind")?))) {
        Ok(found) => Ok(Some(found)),
        Err(told) => told.map_or(Ok(None), Err),
    }
}

/// The `apiVersion` of `kind`, where that is one that is judged.
fn version_of(kind: &str) -> Option<String> {
    let own = api::validate::ResourceKind::parse(kind).map(|_| format!("{}/{}", api::GROUP, api::VERSION));
    let workload = || WorkloadKind::ALL.into_iter().find(|known| known.as_str() == kind);
    own.or_else(|| workload().map(|kind| kind.api_version().to_owned()))
        .or_else(|| matches!(kind, "Namespace" | "Node").then(|| "v1".to_owned()))
}

/// Where `node` says its kind.
pub(super) fn span(node: &ManifestNode<'_>) -> TextSpan {
    node.get("kind").map_or(node.span, |kind| kind.span)
}

/// Where what `fault` is about stands in `node`: its version, or its kind.
pub(super) fn place(node: &ManifestNode<'_>, fault: &Diagnostic) -> TextSpan {
    match node.get("apiVersion") {
        Some(version) if fault.code == UNKNOWN_VERSION => version.span,
        _ => span(node),
    }
}

const UNKNOWN_VERSION: &str = "UnknownVersion";

/// What an object of this version and kind is.
///
/// # Errors
/// A diagnostic without its place, when the group is known, and what it should contain is not.
pub(super) fn known(api_version: &str, kind: &str, templates: &PodTemplateKinds) -> Result<ObjectClass, Diagnostic> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    if group == api::GROUP {
        return own(version, kind);
    }
    let known = match (group, kind) {
        ("", "Namespace") => ObjectClass::Namespace,
        ("", "Node") => ObjectClass::Node,
        ("", "PersistentVolumeClaim") => ObjectClass::Claim,
        ("", "PersistentVolume") => ObjectClass::Volume,
        _ => {
            let known = WorkloadKind::ALL.into_iter().find(|of| of.as_str() == kind && is_group_of(*of, group));
            let Some(of) = known else {
                let templates = templates.of(group, kind);
                return Ok(if templates.is_empty() { ObjectClass::Other } else { ObjectClass::Templated(templates) });
            };
            ObjectClass::Workload(of)
        }
    };
    if version == "v1" && group != FORMER {
        return Ok(known);
    }
    let right = match known {
        ObjectClass::Workload(kind) => kind.api_version(),
        _ => "v1",
    };
    let message = format!(
        "apiVersion {:?} of {} is not served by any supported Kubernetes",
        quoted(api_version),
        super::passed_over::a_kind(kind)
    );
    Err(Diagnostic::error(UNKNOWN_VERSION, message).hint(format!("write {right}")))
}

/// The group that workloads were of before they had one of their own.
const FORMER: &str = "extensions";

/// The API group of `kind`.
pub(super) fn group_of(kind: WorkloadKind) -> &'static str {
    kind.api_version().rsplit_once('/').map_or("", |(group, _)| group)
}

fn is_group_of(kind: WorkloadKind, group: &str) -> bool {
    let own = group_of(kind);
    own == group || (own == "apps" && group == FORMER)
}

/// Whether objects of this version are our own.
pub(super) fn is_ours(api_version: &str) -> bool {
    api_version.split_once('/').is_some_and(|(group, _)| group == api::GROUP)
}

fn own(version: &str, kind: &str) -> Result<ObjectClass, Diagnostic> {
    // Written by the operator, from what is judged here.
    if kind == "WorkloadPlacement" {
        return Ok(ObjectClass::Other);
    }
    let Some(found) = api::validate::ResourceKind::parse(kind) else {
        let known = api::validate::ResourceKind::ALL.map(api::validate::ResourceKind::as_str);
        let message = format!("there is no kind {:?} in {}", quoted(kind), api::GROUP);
        return Err(Diagnostic::error("UnknownKind", message).hint(
            suggest::nearest(kind, known).map_or_else(|| format!("write one of {}", known.join(", ")), suggest::meant),
        ));
    };
    if version == api::VERSION {
        Ok(ObjectClass::Own(found))
    } else {
        let message = format!("there is no version {:?} of {}", quoted(version), api::GROUP);
        Err(Diagnostic::error(UNKNOWN_VERSION, message).hint(format!("write {}/{}", api::GROUP, api::VERSION)))
    }
}

/// A warning when `kind` is nearly one that would have been judged.
pub(super) fn nearly(kind: &str) -> Option<Diagnostic> {
    let judged: Vec<&str> =
        WorkloadKind::ALL.map(WorkloadKind::as_str).into_iter().chain(["Namespace", "Node"]).collect();
    let meant = suggest::nearest(kind, judged.iter().copied())?;
    let message = format!("passed over: nothing is known of kind {:?}", quoted(kind));
    Some(Diagnostic::warning("UnknownKind", message).hint(suggest::meant(meant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_by_group_and_kind() {
        for (version, kind, expected) in [
            ("apps/v1", "Deployment", ObjectClass::Workload(WorkloadKind::Deployment)),
            ("batch/v1", "CronJob", ObjectClass::Workload(WorkloadKind::CronJob)),
            ("v1", "Pod", ObjectClass::Workload(WorkloadKind::Pod)),
            ("v1", "Node", ObjectClass::Node),
            ("rempart.dev/v1alpha1", "PlacementPool", ObjectClass::Own(api::validate::ResourceKind::PlacementPool)),
            ("v1", "Service", ObjectClass::Other),
            ("v1", "PersistentVolumeClaim", ObjectClass::Claim),
            ("serving.knative.dev/v1", "Deployment", ObjectClass::Other),
            ("example.org/v1", "Node", ObjectClass::Other),
        ] {
            assert_eq!(known(version, kind, &PodTemplateKinds::default()).unwrap(), expected, "{version} {kind}");
        }
    }

    #[test]
    fn what_a_known_group_does_not_have_is_an_error() {
        for (version, kind, hint) in [
            ("apps/v1beta1", "Deployment", "write apps/v1"),
            ("extensions/v1beta1", "DaemonSet", "write apps/v1"),
            ("batch/v1beta1", "CronJob", "write batch/v1"),
            ("rempart.dev/v1", "PlacementPool", "write rempart.dev/v1alpha1"),
            ("rempart.dev/v1alpha1", "PlacmentPolicy", "perhaps PlacementPolicy is meant"),
        ] {
            assert_eq!(known(version, kind, &PodTemplateKinds::default()).unwrap_err().hint.as_deref(), Some(hint));
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_noticed_and_another_kind_is_not() {
        assert!(nearly("Deploymnet").is_some() && nearly("Statefulset").is_some());
        assert!(nearly("Role").is_none() && nearly("Service").is_none() && nearly("PodMonitor").is_none());
    }
}
