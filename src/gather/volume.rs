//! Volumes of manifests: claims, volumes, and which claims the pods of a workload have.
//!
//! Takes nodes, and returns the core's claims and volumes. How many nodes can reach a volume is judged there.

use std::{collections::BTreeMap, sync::Arc};

use super::{metadata::UnplacedDiagnostic, pod};
use crate::manifest::node::ManifestNode;
use rempart_core::{
    volume::{Claim, Volume, VolumeDomain},
    workload::WorkloadKind,
};

/// Reads `node`, a `PersistentVolumeClaim`.
pub(super) fn claim(node: &ManifestNode<'_>) -> Claim {
    let spec = node.get("spec");
    let modes = spec.and_then(|spec| spec.get("accessModes")).map(ManifestNode::items).unwrap_or_default();
    let single = |mode: &ManifestNode<'_>| matches!(mode.text(), Ok("ReadWriteOnce" | "ReadWriteOncePod"));
    let volume = spec.and_then(|spec| spec.get("volumeName")?.text().ok()).filter(|name| !name.is_empty());
    Claim {
        version: 0,
        volume: volume.map(Into::into),
        single_writer: !modes.is_empty() && modes.iter().all(single),
        terminating: is_terminating(node),
    }
}

/// Reads `node`, a `PersistentVolume`.
pub(super) fn volume(node: &ManifestNode<'_>, object: &str, faults: &mut Vec<UnplacedDiagnostic>) -> Volume {
    let terms = ["spec", "nodeAffinity", "required", "nodeSelectorTerms"];
    let terms = terms.into_iter().try_fold(node, |node, key| node.get(key));
    let labels = node.get("metadata").and_then(|metadata| metadata.get("labels"));
    let labels = labels.map(ManifestNode::entries).unwrap_or_default();
    Volume {
        version: 0,
        reach: terms.map(|terms| terms.items().iter().map(|term| pod::term(term, object, faults)).collect()),
        domains: labels.iter().filter_map(|entry| VolumeDomain::read(&entry.key, entry.value.text().ok()?)).collect(),
        terminating: is_terminating(node),
    }
}

/// The claim, by namespace and name, that `node`, a `PersistentVolume`, is bound to or kept for.
pub(super) fn bound_to(node: &ManifestNode<'_>) -> Option<String> {
    let phase = node.get("status").and_then(|status| status.get("phase")?.text().ok());
    let claim = node.get("spec")?.get("claimRef").filter(|_| !matches!(phase, Some("Released" | "Failed")))?;
    Some(format!("{}/{}", claim.get("namespace")?.text().ok()?, claim.get("name")?.text().ok()?))
}

fn is_terminating(node: &ManifestNode<'_>) -> bool {
    let ending = node.get("metadata").and_then(|metadata| metadata.get("deletionTimestamp"));
    ending.is_some_and(|ending| !ending.is_null())
}

/// The claims by name that the pods of a workload have: those that `spec`, that of its pods, names; and of a `StatefulSet`
/// the names that its own claims begin with.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkloadClaims {
    /// Of every pod.
    pub(super) shared: Vec<Arc<str>>,
    /// What stands before the number of each pod.
    pub(super) numbered: Vec<String>,
}

impl WorkloadClaims {
    pub(super) fn read(
        kind: WorkloadKind,
        name: &str,
        node: &ManifestNode<'_>,
        spec: Option<&ManifestNode<'_>>,
    ) -> Self {
        let listed = |node: Option<&'_ ManifestNode<'_>>, key: &str| -> Vec<String> {
            let items = node.and_then(|node| node.get(key)).map(ManifestNode::items).unwrap_or_default();
            let named = |item: &ManifestNode<'_>| {
                let path: &[&str] =
                    if key == "volumes" { &["persistentVolumeClaim", "claimName"] } else { &["metadata", "name"] };
                Some(path.iter().try_fold(item, |node, key| node.get(key))?.text().ok()?.to_owned())
            };
            items.iter().filter_map(named).collect()
        };
        let shared = listed(spec, "volumes").into_iter().map(Into::into).collect();
        let templates = if kind == WorkloadKind::StatefulSet {
            listed(node.get("spec"), "volumeClaimTemplates")
        } else {
            Vec::new()
        };
        Self { shared, numbered: templates.into_iter().map(|template| format!("{template}-{name}-")).collect() }
    }

    /// The claims of each pod, by those that there are in `namespace`.
    pub(super) fn of_pods(&self, namespace: &str, known: &BTreeMap<String, Claim>) -> Vec<Box<[Arc<str>]>> {
        if self.numbered.is_empty() {
            return if self.shared.is_empty() { Vec::new() } else { vec![self.shared.clone().into()] };
        }
        let front = format!("{namespace}/");
        let mut pods: BTreeMap<u32, Vec<Arc<str>>> = BTreeMap::new();
        for claim in known.range(front.clone()..).map_while(|(key, _)| key.strip_prefix(&front)) {
            let number = self.numbered.iter().find_map(|name| claim.strip_prefix(name.as_str())?.parse::<u32>().ok());
            if let Some(number) = number {
                pods.entry(number).or_insert_with(|| self.shared.clone()).push(claim.into());
            }
        }
        pods.into_values().map(Into::into).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.numbered.is_empty()
    }
}
