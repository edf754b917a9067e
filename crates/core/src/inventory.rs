//! All that a plan is made of, gathered from files, from a cluster or from both.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{clearance::World, selector::Labels, workload::Workload};

/// The label that every namespace has, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Facts, demands, places and workloads.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// What is known of offers and pools, and what officers demand.
    pub world: World,
    /// The labels of the namespaces that are known.
    pub namespaces: BTreeMap<Arc<str>, Labels>,
    /// Namespaces that no policy governs.
    pub exempt: BTreeSet<String>,
    /// The nodes by name; empty where nobody knows of any.
    pub nodes: BTreeMap<Arc<str>, Node>,
    /// The workloads, in the order in which they were found.
    pub workloads: Vec<Workload>,
}

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its labels, without stamps: those follow from what is judged here.
    pub labels: Labels,
    /// The provider's identifier of it.
    pub provider_id: Option<String>,
}

impl Inventory {
    /// The labels of `namespace`, and whether they are known. The API server gives every namespace one with its name.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> (Labels, bool) {
        let known = self.namespaces.get(namespace);
        let mut labels = known.cloned().unwrap_or_default();
        labels.entry(NAMESPACE_NAME.to_owned()).or_insert_with(|| namespace.to_owned());
        (labels, known.is_some())
    }
}
