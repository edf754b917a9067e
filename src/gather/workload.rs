//! Workloads: what their manifests say, and whose pods stand where.

use std::sync::Arc;

use super::{
    GatheredObjects, LocatedWorkload, RunningPod, WorkloadOrigin,
    metadata::{LocatedTexts, ObjectMetadata, UnplacedDiagnostic, misspelt, ours, texts},
    pod,
};
use crate::{diagnostic::source::FileId, manifest::node::ManifestNode};
use rempart_core::{
    admission::SensitivitySource,
    keys,
    sensitivity::{SensitivityStatement, TemplateStatements},
    workload::{Workload, WorkloadIdentity, WorkloadKind},
};

/// Takes in `node`, a workload of `kind`.
pub(super) fn take(
    gathered: &mut GatheredObjects<'_>,
    file: FileId,
    kind: WorkloadKind,
    namespace: Arc<str>,
    metadata: &ObjectMetadata<'_>,
    node: &ManifestNode<'_>,
) {
    if let Some((owner, name)) = metadata.controller {
        let controlled = || (kind.as_str().to_owned(), Arc::clone(&namespace), metadata.name.to_owned());
        let by = (owner.to_owned(), Arc::clone(&namespace), name.to_owned());
        match (kind, owner) {
            // Their owner's template is complete, and speaks for them.
            (WorkloadKind::ReplicaSet, "Deployment") | (WorkloadKind::Job, "CronJob") => {
                gathered.controllers.insert(controlled(), by);
                return gathered.ignore(&format!("{kind} of a {owner}"));
            }
            // Whoever writes a pod may claim any owner for it: only what a cluster has seen is believed.
            (WorkloadKind::Pod, "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job") if metadata.exists => {
                if finished(kind, node) {
                    return gathered.ignore("Pod that has finished");
                }
                let found = found(gathered, file, kind, namespace, metadata, node);
                if let Some(on) = found.workload.runs_on.first() {
                    gathered.running.push(RunningPod { of: by.clone(), node: Arc::clone(on) });
                }
                gathered.orphans.push((by, found));
                return;
            }
            _ => {}
        }
    }
    if finished(kind, node) {
        return gathered.ignore(&format!("{kind} that has finished"));
    }
    let found = found(gathered, file, kind, namespace, metadata, node);
    gathered.workloads.push(found);
}

fn found(
    gathered: &mut GatheredObjects<'_>,
    file: FileId,
    kind: WorkloadKind,
    namespace: Arc<str>,
    metadata: &ObjectMetadata<'_>,
    node: &ManifestNode<'_>,
) -> LocatedWorkload {
    let object = format!("{kind} {namespace}/{}", metadata.name);
    let mut faults = Vec::new();
    let found = read(file, kind, namespace, metadata, node, &object, &mut faults, &mut |name| gathered.shared(name));
    gathered.diagnostics.extend(faults.into_iter().map(|fault| fault.in_file(file)));
    found
}

#[expect(clippy::too_many_arguments, reason = "each is another thing")]
fn read(
    file: FileId,
    kind: WorkloadKind,
    namespace: Arc<str>,
    metadata: &ObjectMetadata<'_>,
    node: &ManifestNode<'_>,
    object: &str,
    faults: &mut Vec<UnplacedDiagnostic>,
    shared: &mut impl FnMut(&str) -> Arc<str>,
) -> LocatedWorkload {
    let mut origin = WorkloadOrigin { file, name: metadata.name_span, statements: Vec::new(), node_name: None };
    let mut statement = |source, texts: &LocatedTexts<'_>| {
        let mut statement = SensitivityStatement::default();
        for (key, text) in ours(texts) {
            let field = if key == keys::SENSITIVITY { &mut statement.sensitivity } else { &mut statement.categories };
            *field = Some(text.said.into());
            origin.statements.push((source, key, text.span));
        }
        statement
    };
    let template = kind.template_at().map(|path| (path, path.split('.').try_fold(node, |node, key| node.get(key))));
    let (own, template_says) = if let Some((path, template)) = template {
        let annotations = template.and_then(|template| template.get("metadata")?.get("annotations"));
        let annotations = texts(annotations, &format!("{path}.metadata.annotations"), object, faults);
        faults.extend(misspelt(&annotations, "annotation").into_iter().map(|fault| fault.of(object.to_owned())));
        let heard = kind.speaks_for_pods(metadata.controller.map(|(kind, _)| kind));
        let own = heard.then(|| statement(SensitivitySource::Workload, &metadata.annotations));
        // Of what is applied, admission writes the mirror anew; what exists has the one that its next pods will carry.
        let workload = if heard && !metadata.exists { SensitivityStatement::default() } else { mirrored(&annotations) };
        (own, TemplateStatements { workload, pod: statement(SensitivitySource::Pod, &annotations) })
    } else {
        let workload = mirrored(&metadata.annotations);
        (None, TemplateStatements { workload, pod: statement(SensitivitySource::Pod, &metadata.annotations) })
    };
    let misplaced = misplaced(kind, node, &mut origin);
    let (path, spec) = match template {
        Some((path, template)) => (format!("{path}.spec"), template.and_then(|template| template.get("spec"))),
        None => ("spec".to_owned(), node.get("spec")),
    };
    let node_requirements = spec.map(|spec| pod::node_requirements(spec, &path, object, faults)).unwrap_or_default();
    let named = spec.and_then(|spec| spec.get("nodeName")).and_then(|name| Some((name.text().ok()?, name.span)));
    let named = named.filter(|(name, _)| !name.is_empty());
    // Of a pod that exists, the scheduler has said it.
    let (node_name, runs_on) = match named {
        Some((name, _)) if metadata.exists && kind == WorkloadKind::Pod => (None, vec![shared(name)]),
        Some((name, span)) => {
            origin.node_name = Some(span);
            (Some(name.into()), Vec::new())
        }
        None => (None, Vec::new()),
    };
    let identity = WorkloadIdentity { namespace, kind, name: metadata.name.into() };
    LocatedWorkload {
        workload: Workload { identity, own, template: template_says, misplaced, node_name, node_requirements, runs_on },
        origin,
    }
}

/// What a pod says on behalf of its workload.
fn mirrored(annotations: &LocatedTexts<'_>) -> SensitivityStatement {
    let said = |key| annotations.iter().find(|(found, _)| *found == key).map(|(_, text)| text.said.into());
    SensitivityStatement { sensitivity: said(keys::WORKLOAD_SENSITIVITY), categories: said(keys::WORKLOAD_CATEGORIES) }
}

/// The annotations of ours that a `CronJob` would hand to its jobs, and no further.
fn misplaced(kind: WorkloadKind, node: &ManifestNode<'_>, origin: &mut WorkloadOrigin) -> Vec<&'static str> {
    let path = ["spec", "jobTemplate", "metadata", "annotations"];
    let annotations =
        path.into_iter().try_fold(node, |node, key| node.get(key)).filter(|_| kind == WorkloadKind::CronJob);
    let found = |key: &&'static str| {
        let entry = annotations.and_then(|map| map.entry(key))?;
        origin.statements.push((SensitivitySource::Default, key, entry.key_span));
        Some(*key)
    };
    [keys::SENSITIVITY, keys::CATEGORIES].iter().filter_map(found).collect()
}

/// Whether nothing of it runs any more, or ever will.
fn finished(kind: WorkloadKind, node: &ManifestNode<'_>) -> bool {
    let Some(status) = node.get("status") else { return false };
    let is = |node: &ManifestNode<'_>, field: &str, values: &[&str]| {
        node.get(field).and_then(|found| found.text().ok()).is_some_and(|found| values.contains(&found))
    };
    match kind {
        WorkloadKind::Pod => is(status, "phase", &["Succeeded", "Failed"]),
        WorkloadKind::Job => {
            let ended = |condition: &ManifestNode<'_>| {
                is(condition, "type", &["Complete", "Failed"]) && is(condition, "status", &["True"])
            };
            status.get("conditions").map(ManifestNode::items).unwrap_or_default().iter().any(ended)
        }
        _ => false,
    }
}
