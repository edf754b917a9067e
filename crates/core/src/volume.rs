//! Volumes and claims of them: as much as decides whether a pod that has one may be moved, and whereto.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};

use super::{selector::LabelSource, workload::NodeTerm};

/// A claim of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The resource version.
    pub version: u64,
    /// The volume that it is bound to.
    pub volume: Option<Arc<str>>,
    /// Whether pods of one node alone may have it at a time: its access modes are `ReadWriteOnce` or `ReadWriteOncePod`
    /// and none for many nodes.
    pub single_writer: bool,
    /// Whether its deletion has been asked for: it is there for as long as a pod has it.
    pub terminating: bool,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The resource version.
    pub version: u64,
    /// The nodes that can reach it; any when `None`.
    pub reach: Option<Vec<NodeTerm>>,
    /// Where its own labels say that it is.
    pub domains: Box<[VolumeDomain]>,
    /// Whether its deletion has been asked for.
    pub terminating: bool,
}

/// Where a volume is, as a label of its own says: kube-scheduler holds that against the label of nodes, whether or not the
/// volume has a node affinity (its plugin `VolumeZone`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeDomain {
    /// The key, of those that are general by now.
    key: &'static str,
    /// The key that it is written under.
    written: &'static str,
    /// Any of these.
    values: BTreeSet<Box<str>>,
}

/// The labels that say where a volume is: the former key of each, and its key since Kubernetes 1.17.
const DOMAIN_KEYS: [(&str, &str); 2] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// What parts the zones of a volume that is in several.
const DOMAIN_SEPARATOR: &str = "__";

impl VolumeDomain {
    /// Reads a label of a volume; `None` where it says nothing of a place.
    #[must_use]
    pub fn read(key: &str, value: &str) -> Option<Self> {
        let (former, current) = DOMAIN_KEYS.into_iter().find(|(former, current)| [*former, *current].contains(&key))?;
        let values = value.split(DOMAIN_SEPARATOR).map(|value| value.trim().into()).collect();
        Some(Self { key: current, written: if key == former { former } else { current }, values })
    }

    fn accepts<L: LabelSource + ?Sized>(&self, node: &L) -> bool {
        let value = node.label(self.written).or_else(|| node.label(self.key));
        value.is_some_and(|value| self.values.contains(value))
    }
}

/// A claim that is bound to a volume which not every node can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeReach<'a> {
    /// The claim.
    pub claim: Arc<str>,
    /// The name of the volume.
    pub name: Arc<str>,
    /// The volume.
    pub volume: &'a Volume,
}

impl<'a> VolumeReach<'a> {
    /// That of `claim` in `namespace`, by the claims and volumes that are known; `None` where it limits nothing.
    #[must_use]
    pub fn of(
        namespace: &str,
        claim: &Arc<str>,
        claims: &'a BTreeMap<String, Claim>,
        volumes: &'a BTreeMap<String, Volume>,
    ) -> Option<Self> {
        let name = claims.get(&format!("{namespace}/{claim}"))?.volume.as_ref()?;
        let volume = volumes.get(&**name).filter(|volume| !volume.is_reached_from_anywhere())?;
        Some(Self { claim: Arc::clone(claim), name: Arc::clone(name), volume })
    }

    /// Whether the node `name` with these `labels` is within it.
    #[must_use]
    pub fn includes<L: LabelSource + ?Sized>(&self, name: &str, labels: &L) -> bool {
        self.volume.is_reached_from(name, labels)
    }
}

impl Volume {
    /// Whether the node `name` with these `labels` can reach it, as kube-scheduler sees it.
    #[must_use]
    pub fn is_reached_from<L: LabelSource + ?Sized>(&self, name: &str, labels: &L) -> bool {
        // A node that says nothing of where it is, is kept out by no label of a volume.
        let says_where = || {
            DOMAIN_KEYS.iter().any(|(former, current)| labels.label(former).or_else(|| labels.label(current)).is_some())
        };
        self.reach.as_ref().is_none_or(|terms| terms.iter().any(|term| term.accepts(name, labels)))
            && (self.domains.is_empty() || !says_where() || self.domains.iter().all(|domain| domain.accepts(labels)))
    }

    /// Whether any node can.
    #[must_use]
    pub fn is_reached_from_anywhere(&self) -> bool {
        self.reach.is_none() && self.domains.is_empty()
    }
}
