//! Node label reconciler: the stamps of every node, and how soon each must be written.
//!
//! It compares the stamps that nodes carry with those that they should carry, and asks for the
//! difference, the most urgent first. A node that loses a clearance comes before all others.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{CycleClocks, ReconcileOutcome, Reconciler, view::ClusterView};
use crate::operator::{
    cache::{ClusterCache, LastSeen, Revision},
    hold::HoldReason,
    metrics::Metrics,
    node_stamps::NodeStamps,
    watch::node::NodeRecord,
    write::{WriteRequest, WriteTarget, queue::WriteQueue},
};
use rempart_core::keys;

/// How soon a node's stamps must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum StampUrgency {
    /// It carries a clearance that it has lost.
    Loses,
    /// It is new, and nothing can run on it.
    New,
    /// It gains something, or a value changes.
    Gains,
}

/// The nodes whose stamps are not what they should be.
#[derive(Default)]
pub struct NodeLabelReconciler {
    due: BTreeSet<(StampUrgency, String)>,
    /// Since when each is known to be wrong, until it has been put right.
    since: BTreeMap<String, Instant>,
    /// What nodes should carry, as it was last followed.
    stamps: LastSeen<Revision>,
    /// Up to which revision of node objects it has looked.
    looked_at: Option<Revision>,
    metrics: Metrics,
}

impl NodeLabelReconciler {
    /// One that has looked at no node.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// Forgets what is due: who does not lead asks for nothing.
    pub fn clear(&mut self) {
        *self = Self::new(self.metrics.clone());
    }

    /// The policies of which a key is still to be taken from a node. A node that could not be written to keeps nobody
    /// waiting.
    pub fn losing(&self, cache: &ClusterCache, stamps: &NodeStamps, writes: &WriteQueue) -> BTreeSet<String> {
        let due = self.due.iter().take_while(|(urgency, _)| *urgency == StampUrgency::Loses).map(|(_, name)| name);
        let due = due.filter(|name| !writes.has_failed(&WriteTarget::NodeLabels((*name).clone())));
        let written = writes.targets().filter_map(|target| match target {
            WriteTarget::NodeLabels(name) => Some(name),
            _ => None,
        });
        let nodes = due.chain(written).filter_map(|name| cache.nodes.get(name));
        let lost = nodes.flat_map(|node| node.stamp_change(stamps).remove);
        lost.filter_map(|key| keys::policy_asked(&key).map(str::to_owned)).collect()
    }

    /// Takes in that a write of the stamps of the node `name` has ended, and counts how long it took to put it right.
    pub fn on_write_result(
        &mut self,
        name: &str,
        is_written: bool,
        (cache, stamps): (&ClusterCache, &NodeStamps),
        now: Instant,
    ) {
        // Nothing is wrong with one that is gone.
        if let Some(node) = cache.nodes.get(name)
            && !self.queue(name, node, stamps, now)
        {
            return;
        }
        if let Some(since) = self.since.remove(name).filter(|_| is_written) {
            self.metrics.observe_stamping(now.saturating_duration_since(since));
        }
    }

    /// Queues the node `name` when its stamps are not what they should be, and says whether they are.
    fn queue(&mut self, name: &str, node: &NodeRecord, stamps: &NodeStamps, now: Instant) -> bool {
        let change = node.stamp_change(stamps);
        if change.is_empty() {
            return true;
        }
        let urgency = if !change.remove.is_empty() {
            StampUrgency::Loses
        } else if node.unstamped() {
            StampUrgency::New
        } else {
            StampUrgency::Gains
        };
        self.due.insert((urgency, name.to_owned()));
        self.since.entry(name.to_owned()).or_insert(now);
        false
    }

    /// Queues what has changed since it last looked.
    fn look(&mut self, view: &ClusterView<'_>, now: Instant) {
        let revision = view.cache.revisions.node_objects;
        let is_new = self.stamps.update(view.stamps.revision());
        let since = self.looked_at.replace(revision).filter(|_| !is_new);
        if since == Some(revision) {
            return;
        }
        for (name, node) in
            view.cache.nodes.iter().filter(|(_, node)| since.is_none_or(|since| node.changed_at > since))
        {
            self.queue(name, node, view.stamps.stamps(), now);
        }
    }
}

impl Reconciler for NodeLabelReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome {
        let now = clocks.monotonic;
        self.look(view, now);
        let mut outcome = ReconcileOutcome::default();
        let writing = view.writes.in_flight(|target| matches!(target, WriteTarget::NodeLabels(_)));
        let mut free = view.settings.concurrency.saturating_sub(writing);
        // Nodes that failed wait aside, so that however many they are the others have their turn.
        let mut aside = Vec::new();
        while free > 0 {
            let Some((urgency, name)) = self.due.pop_first() else { break };
            let target = WriteTarget::NodeLabels(name.clone());
            // When that has ended the node is looked at again.
            if view.writes.is_in_flight(&target) {
                continue;
            }
            let change = view.cache.nodes.get(&name).map(|node| node.stamp_change(view.stamps.stamps()));
            let Some(change) = change.filter(|change| !change.is_empty()) else {
                self.since.remove(&name);
                continue;
            };
            if let Some(not_before) = view.writes.backs_off_until(&target, now) {
                outcome.holds.add(HoldReason::Backoff, target.object());
                outcome.wake_at(Some(not_before));
                aside.push((urgency, name));
                continue;
            }
            outcome.requests.push(WriteRequest::LabelNode(name, change));
            free = free.saturating_sub(1);
        }
        outcome.holds.count(HoldReason::Concurrency, self.due.len());
        self.due.extend(aside);
        outcome
    }

    fn take_over(&mut self, _: &ClusterView<'_>) {
        self.clear();
    }
}
