//! The cluster view: what every reconciler of a cycle is given, and the same for all.
//!
//! A [`ClusterView`] joins cache, evaluation, settings and the state of writes, with what the reconcilers before have
//! found. The report of everything that runs is made when the first of them asks for it, at most once a cycle.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    admission::propagation::Propagation,
    migration::{breaker::CircuitBreaker, status::MigrationStatuses},
    records::counts::PolicyLevelCounts,
    settings::Settings,
};
use crate::operator::{
    cache::{CacheRevisions, ClusterCache, Revision},
    evaluate::{Evaluation, stamps::StampKeeper},
    node_stamps::NodeStamps,
    watch::node::NodeRecord,
    write::queue::WriteQueue,
};
use rempart_core::{
    cluster_objects::{ClusterObjects, NodeView, NodeViewLabels, ObjectUid, Pod},
    compliance::{ComplianceReport, PlacementFacts, assess, assess_listing},
    name::{PolicyName, PoolName},
    selector::Labels,
};

/// The stamps of a node that is nobody's.
static NONE: Labels = BTreeMap::new();

/// What is derived from a view, when somebody first asks for it.
#[derive(Default)]
pub struct DerivedState<'a> {
    /// What is on the move.
    moving: BTreeSet<ObjectUid>,
    /// The pods that are gone, where the report lists every pod that has a node.
    listed: Option<Vec<(String, Pod)>>,
    propagated: OnceCell<BTreeSet<PolicyName>>,
    lingering: OnceCell<BTreeSet<PolicyName>>,
    exempt: OnceCell<BTreeSet<String>>,
    node_views: OnceCell<Vec<NodeView<'a>>>,
    report: OnceCell<ComplianceReport<'a>>,
}

impl DerivedState<'_> {
    /// Nothing derived yet, while these are on the move.
    pub fn while_moving(moving: BTreeSet<ObjectUid>) -> Self {
        Self { moving, ..Self::default() }
    }

    /// Has the report list every pod that has a node, and these, which are gone.
    #[must_use]
    pub fn listing(self, gone: Option<Vec<(String, Pod)>>) -> Self {
        Self { listed: gone, ..self }
    }
}

/// The revisions of everything that the report of what runs follows from, beside what is on the move. Whoever tells something
/// by the report compares these, so that no fact can be forgotten by one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRevisions {
    evaluation: u64,
    propagation: Revision,
    /// What stays of the past goes by time, and by what selects by it.
    stamps: Revision,
    nodes: Revision,
    pool_membership: Revision,
    workloads: Revision,
    namespaces: Revision,
}

/// What a reconciler is given.
#[derive(Clone)]
pub struct ClusterView<'a> {
    /// What was observed.
    pub cache: &'a ClusterCache,
    /// What follows from the catalogue, the policies and the instant.
    pub evaluation: &'a Evaluation,
    /// What nodes should carry.
    pub stamps: &'a StampKeeper,
    /// What the operator was told at its start.
    pub settings: &'a Settings,
    /// What is on its way to the API server, and what must wait.
    pub writes: &'a WriteQueue,
    /// The policies that admission acts on.
    pub propagation: Arc<Propagation>,
    /// The policies of which a key is still to be taken from a node.
    pub losing: BTreeSet<String>,
    /// How the migration of each workload stands.
    pub migrations: &'a MigrationStatuses,
    /// What runs of the levels of each policy.
    pub level_counts: Option<&'a PolicyLevelCounts>,
    /// What the circuit breaker has stopped.
    pub breaker: Option<&'a CircuitBreaker>,
    derived: &'a DerivedState<'a>,
}

impl<'a> ClusterView<'a> {
    /// A view before any reconciler has run.
    pub fn new(
        (cache, evaluation, stamps, settings): (&'a ClusterCache, &'a Evaluation, &'a StampKeeper, &'a Settings),
        writes: &'a WriteQueue,
        propagation: Arc<Propagation>,
        derived: &'a DerivedState<'a>,
    ) -> Self {
        Self {
            cache,
            evaluation,
            stamps,
            settings,
            writes,
            propagation,
            losing: BTreeSet::new(),
            migrations: MigrationStatuses::none(),
            level_counts: None,
            breaker: None,
            derived,
        }
    }

    /// Everything that runs.
    pub fn objects(&self) -> ClusterObjects<'a> {
        self.cache.objects()
    }

    /// The namespaces that no policy governs.
    pub fn exempt(&self) -> &'a BTreeSet<String> {
        self.derived.exempt.get_or_init(|| self.settings.admission.exempt.iter().cloned().collect())
    }

    /// What everything that runs is assessed against.
    pub fn facts(&self) -> PlacementFacts<'a> {
        let parsed = |names: &BTreeSet<String>| -> BTreeSet<PolicyName> {
            names.iter().filter_map(|name| PolicyName::parse(name).ok()).collect()
        };
        let propagated = self.derived.propagated.get_or_init(|| parsed(&self.propagation.policies));
        let lingering = self.derived.lingering.get_or_init(|| parsed(&self.propagation.lingering));
        let nodes =
            self.derived.node_views.get_or_init(|| node_views(self.cache, self.evaluation, self.stamps.stamps()));
        PlacementFacts {
            world: &self.evaluation.world,
            propagated,
            lingering,
            exempt: self.exempt(),
            nodes,
            pools: &self.evaluation.stamps,
            moving: &self.derived.moving,
        }
    }

    /// What [`Self::report`] follows from.
    pub fn report_revisions(&self) -> ReportRevisions {
        let CacheRevisions { nodes, pool_membership, workloads, namespaces, .. } = self.cache.revisions;
        ReportRevisions {
            evaluation: self.evaluation.serial,
            propagation: self.propagation.acting,
            stamps: self.stamps.revision(),
            nodes,
            pool_membership,
            workloads,
            namespaces,
        }
    }

    /// How everything that runs stands.
    pub fn report(&self) -> &'a ComplianceReport<'a> {
        self.derived.report.get_or_init(|| match &self.derived.listed {
            Some(gone) => assess_listing(&self.objects(), &self.facts(), gone),
            None => assess(&self.objects(), &self.facts()),
        })
    }
}

/// Every node, by name, with the stamps that it should carry.
fn node_views<'a>(cache: &'a ClusterCache, evaluation: &'a Evaluation, stamps: &'a NodeStamps) -> Vec<NodeView<'a>> {
    let view = |(name, node): (&'a String, &'a NodeRecord)| {
        let pool = node.membership.pool();
        let stamps = pool.and_then(|pool| stamps.of(pool)).map_or(&NONE, |stamps| &**stamps);
        let of_pool = |stamps: &'a BTreeMap<PoolName, Arc<Labels>>| {
            pool.and_then(|pool| stamps.get(pool)).map_or(&NONE, |stamps| &**stamps)
        };
        NodeView {
            name,
            pool,
            labels: NodeViewLabels { own: node, stamps },
            granted: of_pool(&evaluation.stamps),
            retained: of_pool(&evaluation.retained),
            taints: &node.taints,
            schedulable: node.ready && !node.cordoned,
            allocatable: node.allocatable,
            extended_resources: &node.others,
        }
    };
    cache.nodes.iter().map(view).collect()
}
