//! Migration revisions: what a look at everything that runs follows from, and which of it must be stable before pods move.

use crate::operator::{cache::Revision, reconcile::view::ClusterView};

/// The revisions of the facts by which a pod may be where it is: they must be stable before pods are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FactRevisions {
    evaluation: u64,
    pool_reassignments: Revision,
    namespace_labels: Revision,
    propagation: Revision,
}

/// The revisions of everything that a look at what runs follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LookRevisions {
    pub(super) facts: FactRevisions,
    nodes: Revision,
    workloads: Revision,
    namespaces: Revision,
    policies: Revision,
    /// Moves that are due wait for it.
    is_stamping: bool,
}

impl LookRevisions {
    /// Those of `view`.
    pub(super) fn of(view: &ClusterView<'_>) -> Self {
        let revisions = &view.cache.revisions;
        Self {
            facts: FactRevisions {
                evaluation: view.evaluation.serial,
                pool_reassignments: revisions.pool_reassignments,
                namespace_labels: revisions.namespace_labels,
                propagation: view.propagation.revision,
            },
            nodes: revisions.nodes,
            workloads: revisions.workloads,
            namespaces: revisions.namespaces,
            policies: revisions.policies,
            is_stamping: view.is_stamping,
        }
    }
}
