//! Workloads: what their manifests say, and whose pods stand where.

use std::sync::Arc;

use super::{
    GatheredObjects, LocatedWorkload, RunningPod, WorkloadOrigin,
    metadata::{LocatedTexts, ObjectMetadata, UnplacedDiagnostic, misspelt, ours, texts},
    passed_over::a_kind,
    placeholder, pod,
    pod_templates::{PodTemplateKinds, TemplatePlace, places},
    volume::WorkloadClaims,
};
use crate::{
    diagnostic::source::FileId,
    manifest::node::{ManifestNode, NodeContent},
};
use rempart_core::{
    admission::SensitivitySource,
    keys,
    sensitivity::{SensitivityStatement, TemplateStatements},
    workload::{TemplatedKind, Workload, WorkloadIdentity, WorkloadKind},
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
            // Their owner's template is complete, and speaks for them where it was read. As below, only a cluster is
            // believed.
            (WorkloadKind::ReplicaSet, "Deployment") | (WorkloadKind::Job, "CronJob") if metadata.exists => {
                gathered.controllers.insert(controlled(), by.clone());
                if finished(kind, node) || has_no_replicas(node) {
                    return gathered.ignore(&format!("{kind} of a {owner}"));
                }
                let found = found(gathered, file, kind, namespace, metadata, node);
                return gathered.orphans.push((by, found));
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
    if !metadata.exists && is_part(kind, node) {
        return gathered.part(file, kind, &namespace, metadata, node);
    }
    let found = found(gathered, file, kind, namespace, metadata, node);
    gathered.workloads.push(found);
}

/// Takes in `node`, of a kind of others that has these `templates`. Whether it has any.
pub(super) fn take_templated(
    gathered: &mut GatheredObjects<'_>,
    file: FileId,
    templates: &'static [TemplatedKind],
    namespace: &Arc<str>,
    metadata: &ObjectMetadata<'_>,
    node: &ManifestNode<'_>,
) -> bool {
    let mut any = false;
    for template in templates {
        let kind = WorkloadKind::Templated(template);
        for place in places(node, &template.template) {
            // An entry of a list has pods even where it says nothing of them; a template that is not there has none.
            if place.node.is_none() && !place.path.contains('[') {
                continue;
            }
            any = true;
            if PodTemplateKinds::is_added(template)
                && let Some(told) = no_template(template, &place, metadata)
            {
                gathered.diagnostics.push(told.in_file(file));
                continue;
            }
            let part = place.path.strip_prefix("spec.").unwrap_or(&place.path);
            let name =
                if template.is_one_of_several { format!("{}/{part}", metadata.name) } else { metadata.name.to_owned() };
            let read = ReadWorkload { file, kind, name: &name, metadata, node, template: Some(place) };
            let found = read.take(gathered, Arc::clone(namespace));
            gathered.workloads.push(found);
        }
    }
    any
}

/// An error where the way that the command line gives to the pod template of a kind leads to something else at `place`.
fn no_template(
    template: &TemplatedKind,
    place: &TemplatePlace<'_, '_>,
    metadata: &ObjectMetadata<'_>,
) -> Option<UnplacedDiagnostic> {
    let found = place.node?;
    let containers = found.get("spec").and_then(|spec| spec.get("containers"));
    if containers.is_some_and(|containers| matches!(containers.content, NodeContent::List(_))) {
        return None;
    }
    let (kind, path) = (&template.kind, &place.path);
    let message = format!("{path} is no pod template: it has no spec.containers");
    let hint = if found.get("containers").is_some() {
        "end the way that --pod-template gives before `spec`: a template has metadata and spec".to_owned()
    } else {
        format!("correct the way that --pod-template gives to the pod template of {}", a_kind(kind))
    };
    let told = UnplacedDiagnostic::error("NoPodTemplate", message).at_place(found.span).hint(hint);
    Some(told.of(format!("{kind} {}", metadata.name)))
}

/// Whether `node` is no workload but a part of one, as a patch is: the API server takes no pod without containers.
fn is_part(kind: WorkloadKind, node: &ManifestNode<'_>) -> bool {
    let template = kind.template_at().map_or(Some(node), |path| at(node, path));
    let containers = template.and_then(|template| template.get("spec")?.get("containers"));
    containers.is_none_or(ManifestNode::is_null)
}

fn at<'n, 't>(node: &'n ManifestNode<'t>, path: &str) -> Option<&'n ManifestNode<'t>> {
    path.split('.').try_fold(node, |node, key| node.get(key))
}

fn found(
    gathered: &mut GatheredObjects<'_>,
    file: FileId,
    kind: WorkloadKind,
    namespace: Arc<str>,
    metadata: &ObjectMetadata<'_>,
    node: &ManifestNode<'_>,
) -> LocatedWorkload {
    let template = kind.template_at().map(|path| TemplatePlace { path: path.to_owned(), node: at(node, path) });
    ReadWorkload { file, kind, name: metadata.name, metadata, node, template }.take(gathered, namespace)
}

/// A workload to be read.
struct ReadWorkload<'r, 'n, 't> {
    file: FileId,
    kind: WorkloadKind,
    name: &'r str,
    metadata: &'r ObjectMetadata<'n>,
    node: &'n ManifestNode<'t>,
    /// Where its pod template is; nothing of a pod.
    template: Option<TemplatePlace<'n, 't>>,
}

impl ReadWorkload<'_, '_, '_> {
    fn take(self, gathered: &mut GatheredObjects<'_>, namespace: Arc<str>) -> LocatedWorkload {
        let object = format!("{} {namespace}/{}", self.kind, self.name);
        let (file, mut faults) = (self.file, Vec::new());
        let (metadata, node) = (self.metadata, self.node);
        let template = self.template.as_ref().map(|place| place.node);
        let found = self.read(namespace, &object, &mut faults, &mut |name| gathered.shared(name));
        if let Some(pods) = &mut gathered.pods {
            let identity = &found.workload.identity;
            let read = match template {
                None => pods.pod(&identity.namespace, metadata, node),
                Some(Some(template)) => pods.template(identity, &found.claims, node, template),
                Some(None) => Ok(()),
            };
            faults.extend(read.err().map(|why| {
                UnplacedDiagnostic::error("NotReadable", why).at_place(metadata.name_span).of(object.clone())
            }));
        }
        gathered.diagnostics.extend(faults.into_iter().map(|fault| fault.in_file(file)));
        found
    }

    fn read(
        self,
        namespace: Arc<str>,
        object: &str,
        faults: &mut Vec<UnplacedDiagnostic>,
        shared: &mut impl FnMut(&str) -> Arc<str>,
    ) -> LocatedWorkload {
        let Self { file, kind, name, metadata, node, template } = self;
        let mut origin = WorkloadOrigin {
            file,
            name: metadata.name_span,
            is_generated: metadata.is_generated,
            ..WorkloadOrigin::new(file)
        };
        let (own, template_says) = if let Some(TemplatePlace { path, node: template }) = &template {
            let annotations = template.and_then(|template| template.get("metadata")?.get("annotations"));
            let annotations = texts(annotations, &format!("{path}.metadata.annotations"), object, faults);
            faults.extend(misspelt(&annotations, "annotation").into_iter().map(|fault| fault.of(object.to_owned())));
            let heard = kind.speaks_for_pods(metadata.controller.map(|(kind, _)| kind));
            let own =
                heard.then(|| said(SensitivitySource::Workload, &metadata.annotations, object, &mut origin, faults));
            if matches!(kind, WorkloadKind::Templated(_)) {
                faults.extend(unheard(kind, path, metadata).map(|fault| fault.of(object.to_owned())));
            }
            // Of what is applied, admission writes the mirror anew; what exists has the one that its next pods will carry.
            let workload =
                if heard && !metadata.exists { SensitivityStatement::default() } else { mirrored(&annotations) };
            (
                own,
                TemplateStatements {
                    workload,
                    pod: said(SensitivitySource::Pod, &annotations, object, &mut origin, faults),
                },
            )
        } else {
            let workload = mirrored(&metadata.annotations);
            if !metadata.exists && metadata.controller.is_none() {
                faults.extend(mirror_of_nothing(&metadata.annotations).map(|fault| fault.of(object.to_owned())));
            }
            let pod = said(SensitivitySource::Pod, &metadata.annotations, object, &mut origin, faults);
            (None, TemplateStatements { workload, pod })
        };
        let misplaced = misplaced(kind, node, &mut origin);
        let (path, spec) = match &template {
            Some(TemplatePlace { path, node }) => {
                (format!("{path}.spec"), node.and_then(|template| template.get("spec")))
            }
            None => ("spec".to_owned(), node.get("spec")),
        };
        let read = spec.map(|spec| pod::node_requirements(spec, &path, object, faults)).unwrap_or_default();
        origin.stamps = read.stamps;
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
        let claims = WorkloadClaims::read(kind, metadata.name, node, spec);
        let identity = WorkloadIdentity { namespace, kind, name: name.into() };
        let workload = Workload {
            identity,
            own,
            template: template_says,
            misplaced,
            node_name,
            node_requirements: read.node_requirements,
            runs_on,
            claims: Vec::new(),
        };
        LocatedWorkload { workload, origin, claims }
    }
}

/// What `texts` say as `source`. What is still to be filled in says nothing, and is told.
fn said(
    source: SensitivitySource,
    texts: &LocatedTexts<'_>,
    object: &str,
    origin: &mut WorkloadOrigin,
    faults: &mut Vec<UnplacedDiagnostic>,
) -> SensitivityStatement {
    let mut statement = SensitivityStatement::default();
    for (key, text) in ours(texts) {
        if let Some(told) = placeholder::unfilled(&format!("annotation {key}"), text.said) {
            faults.push(told.at_place(text.span).of(object.to_owned()));
            continue;
        }
        let field = if key == keys::SENSITIVITY { &mut statement.sensitivity } else { &mut statement.categories };
        *field = Some(text.said.into());
        origin.statements.push((source, key, text.span));
    }
    statement
}

/// Warnings of annotations of ours on an object of a kind of which no pod hears them.
fn unheard(kind: WorkloadKind, path: &str, metadata: &ObjectMetadata<'_>) -> impl Iterator<Item = UnplacedDiagnostic> {
    let told = ours(&metadata.annotations).map(|(key, text)| {
        let message = format!("annotation {key} has no effect here: no pod of {} hears it", a_kind(kind.as_str()));
        let hint = format!("write it in {path}.metadata.annotations");
        UnplacedDiagnostic::warning("Unheard", message).at_place(text.key).hint(hint)
    });
    told.collect::<Vec<_>>().into_iter()
}

/// Warnings of the annotations of a pod of nothing that admission writes on behalf of a workload.
fn mirror_of_nothing(annotations: &LocatedTexts<'_>) -> impl Iterator<Item = UnplacedDiagnostic> {
    let pairs = [(keys::WORKLOAD_SENSITIVITY, keys::SENSITIVITY), (keys::WORKLOAD_CATEGORIES, keys::CATEGORIES)];
    let found = pairs.into_iter().filter_map(|(mirror, own)| {
        let (_, text) = annotations.iter().find(|(key, _)| *key == mirror)?;
        let message = format!(
            "annotation {mirror} is what admission writes into the templates of a workload, and this pod has none"
        );
        let hint = format!("say it of the pod itself, by {own}");
        Some(UnplacedDiagnostic::warning("MirrorOfNothing", message).at_place(text.key).hint(hint))
    });
    found.collect::<Vec<_>>().into_iter()
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

/// Whether `node` is scaled down to nothing, as the `ReplicaSet`s of former revisions are.
fn has_no_replicas(node: &ManifestNode<'_>) -> bool {
    let replicas = node.get("spec").and_then(|spec| spec.get("replicas"));
    replicas.is_some_and(|replicas| replicas.to_json() == 0)
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
