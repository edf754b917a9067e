//! All that a plan is made of, gathered from files, from a cluster or from both.

use alloc::string::String;
use alloc::vec::Vec;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    clearance::ClearanceInput,
    namespace::{Namespace, NamespaceFacts},
    selector::Labels,
    volume::{Claim, Volume},
    workload::Workload,
};

/// Facts, demands, places and workloads.
#[derive(Clone, Debug, Default)]
pub struct PlanInventory {
    /// What is known of offers and pools, and what officers demand.
    pub world: ClearanceInput,
    /// The namespaces that are known.
    pub namespaces: BTreeMap<Arc<str>, Namespace>,
    /// Namespaces that no policy governs.
    pub exempt: BTreeSet<String>,
    /// The nodes by name; empty where nobody knows of any.
    pub nodes: BTreeMap<Arc<str>, Node>,
    /// The workloads, in the order in which they were found.
    pub workloads: Vec<Workload>,
    /// The claims of volumes that are known, by namespace and name.
    pub claims: BTreeMap<String, Claim>,
    /// The volumes that are known, by name.
    pub volumes: BTreeMap<String, Volume>,
}

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its labels, without stamps: those follow from what is judged here.
    pub labels: Labels,
    /// The provider's identifier of it.
    pub provider_id: Option<String>,
}

impl PlanInventory {
    /// What is known of the namespace `name`.
    #[must_use]
    pub fn namespace(&self, name: &str) -> NamespaceFacts<'_> {
        match self.namespaces.get(name) {
            known if self.exempt.contains(name) => NamespaceFacts::Exempt { known: known.is_some() },
            Some(known) => NamespaceFacts::Known(known),
            None => NamespaceFacts::Unread,
        }
    }
}
