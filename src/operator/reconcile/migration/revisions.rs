//! Migration revisions: what a look at everything that runs follows from.

use std::collections::BTreeSet;

use crate::operator::{
    cache::Revision,
    reconcile::view::{ClusterView, ReportRevisions},
};

/// The revisions of everything that a look at what runs follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LookRevisions {
    report: ReportRevisions,
    /// An officer approves a move by an annotation.
    policies: Revision,
    /// Moves that are due wait for it.
    losing: BTreeSet<String>,
}

impl LookRevisions {
    /// Those of `view`.
    pub(super) fn of(view: &ClusterView<'_>) -> Self {
        Self { report: view.report_revisions(), policies: view.cache.revisions.policies, losing: view.losing.clone() }
    }
}
