//! Volumes, claims of them, and namespaces: the fields that tell which nodes can reach them, and labels.
//!
//! Takes partial objects and returns the core's [`Claim`], [`Volume`] and [`Namespace`].

use k8s_openapi::api::core::v1 as k8s;
use serde::Deserialize;

use crate::operator::{
    cache::store::{ResourceVersioned, version},
    watch::controller::NoFields,
    watch::partial::{FromPartial, PartialObject},
    watch::template::{NodeSelector, terms},
};
use rempart_core::{
    namespace::Namespace,
    volume::{Claim, Volume, VolumeDomain},
};

impl ResourceVersioned for Claim {
    fn version(&self) -> u64 {
        self.version
    }
}

impl ResourceVersioned for Volume {
    fn version(&self) -> u64 {
        self.version
    }
}

impl ResourceVersioned for Namespace {
    fn version(&self) -> u64 {
        self.version
    }
}

/// What matters of a claim's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSpec {
    volume_name: Option<String>,
    #[serde(default)]
    access_modes: Vec<String>,
}

impl ClaimSpec {
    /// Whether pods of one node alone may have it at a time.
    fn is_for_one_node(&self) -> bool {
        !self.access_modes.is_empty()
            && self.access_modes.iter().all(|mode| matches!(mode.as_str(), "ReadWriteOnce" | "ReadWriteOncePod"))
    }
}

impl FromPartial<k8s::PersistentVolumeClaim> for Claim {
    type Partial = PartialObject<k8s::PersistentVolumeClaim, ClaimSpec, NoFields>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let single_writer = partial.spec.is_for_one_node();
        Ok(Some(Self {
            version: version(partial.metadata.resource_version.as_deref()),
            volume: partial.spec.volume_name.filter(|name| !name.is_empty()).map(Into::into),
            single_writer,
            terminating: partial.metadata.deletion_timestamp.is_some(),
        }))
    }
}

/// What matters of a volume's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSpec {
    node_affinity: Option<VolumeNodeAffinity>,
}

#[derive(Clone, Debug, Deserialize)]
struct VolumeNodeAffinity {
    required: Option<NodeSelector>,
}

impl FromPartial<k8s::PersistentVolume> for Volume {
    type Partial = PartialObject<k8s::PersistentVolume, VolumeSpec, NoFields, true>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let required = partial.spec.node_affinity.and_then(|affinity| affinity.required);
        Ok(Some(Self {
            version: version(partial.metadata.resource_version.as_deref()),
            reach: required.map(terms),
            domains: partial
                .metadata
                .labels
                .iter()
                .flatten()
                .filter_map(|(key, value)| VolumeDomain::read(key, value))
                .collect(),
            terminating: partial.metadata.deletion_timestamp.is_some(),
        }))
    }
}

impl FromPartial<k8s::Namespace> for Namespace {
    type Partial = PartialObject<k8s::Namespace, NoFields, NoFields, true>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let labels = partial.metadata.labels.unwrap_or_default();
        Ok(Some(Self::new(version(partial.metadata.resource_version.as_deref()), labels)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operator::watch::partial::DecodedObject;

    #[test]
    fn what_is_read_of_claims_volumes_and_namespaces() {
        let metadata = json!({"name": "a", "resourceVersion": "4", "labels": {"team": "lab"}});
        let bound = json!({"metadata": metadata, "spec": {"volumeName": "pv-1", "accessModes": ["ReadWriteOnce"]}});
        let claim = serde_json::from_value::<DecodedObject<k8s::PersistentVolumeClaim, Claim>>(bound)
            .unwrap()
            .value
            .unwrap()
            .unwrap();
        assert_eq!(claim, Claim { version: 4, volume: Some("pv-1".into()), single_writer: true, terminating: false });
        let free = json!({"metadata": metadata, "spec": {}});
        let claim = serde_json::from_value::<DecodedObject<k8s::PersistentVolumeClaim, Claim>>(free)
            .unwrap()
            .value
            .unwrap()
            .unwrap();
        assert_eq!(claim.volume, None);

        let expression = json!({"key": "zone", "operator": "In", "values": ["a"]});
        let reach = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}});
        let pinned = json!({"metadata": metadata, "spec": {"nodeAffinity": reach}});
        let volume = serde_json::from_value::<DecodedObject<k8s::PersistentVolume, Volume>>(pinned)
            .unwrap()
            .value
            .unwrap()
            .unwrap();
        let terms: Vec<_> = volume.reach.unwrap().iter().map(|term| term.labels.to_string()).collect();
        assert_eq!(terms, ["zone=a"]);
        let anywhere = json!({"metadata": metadata, "spec": {}});
        let volume = serde_json::from_value::<DecodedObject<k8s::PersistentVolume, Volume>>(anywhere)
            .unwrap()
            .value
            .unwrap()
            .unwrap();
        assert_eq!(volume.reach, None);

        let labelled = json!({"name": "a", "deletionTimestamp": "2026-03-01T12:00:00Z",
            "labels": {"topology.kubernetes.io/zone": "a__b", "team": "lab"}});
        let volume =
            serde_json::from_value::<DecodedObject<k8s::PersistentVolume, Volume>>(json!({"metadata": labelled}))
                .unwrap()
                .value
                .unwrap()
                .unwrap();
        let domain = VolumeDomain::read("topology.kubernetes.io/zone", "a__b").unwrap();
        assert_eq!((volume.terminating, &*volume.domains), (true, [domain].as_slice()));
        for (modes, expected) in [
            (json!([]), false),
            (json!(["ReadWriteOncePod"]), true),
            (json!(["ReadWriteOnce", "ReadOnlyMany"]), false),
            (json!(["ReadWriteMany"]), false),
        ] {
            let claim = json!({"metadata": {"name": "a"}, "spec": {"accessModes": modes}});
            let claim = serde_json::from_value::<DecodedObject<k8s::PersistentVolumeClaim, Claim>>(claim);
            assert_eq!(claim.unwrap().value.unwrap().unwrap().single_writer, expected, "{modes}");
        }

        let namespace = json!({"metadata": metadata, "spec": {"finalizers": ["kubernetes"]}});
        let namespace = serde_json::from_value::<DecodedObject<k8s::Namespace, Namespace>>(namespace)
            .unwrap()
            .value
            .unwrap()
            .unwrap();
        assert_eq!(namespace, Namespace::new(4, [("team".to_owned(), "lab".to_owned())].into()));
    }
}
