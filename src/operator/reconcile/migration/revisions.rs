//! Migration revisions: what a look at everything that runs follows from.

use std::collections::BTreeSet;

use crate::operator::{cache::Revision, reconcile::view::ClusterView};

/// The revisions of everything that a look at what runs follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LookRevisions {
    evaluation: u64,
    propagation: Revision,
    nodes: Revision,
    workloads: Revision,
    namespaces: Revision,
    policies: Revision,
    /// Moves that are due wait for it.
    losing: BTreeSet<String>,
}

impl LookRevisions {
    /// Those of `view`.
    pub(super) fn of(view: &ClusterView<'_>) -> Self {
        let revisions = &view.cache.revisions;
        Self {
            evaluation: view.evaluation.serial,
            propagation: view.propagation.acting,
            nodes: revisions.nodes,
            workloads: revisions.workloads,
            namespaces: revisions.namespaces,
            policies: revisions.policies,
            losing: view.losing.clone(),
        }
    }
}
