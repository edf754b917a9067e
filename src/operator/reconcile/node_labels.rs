//! Node label reconciler: the stamps of every node, and how soon each must be written.
//!
//! It compares the stamps that nodes carry with those that they should carry, and asks for the
//! difference, the most urgent first. A node that loses a clearance comes before all others.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{CycleClocks, ReconcileOutcome, Reconciler, view::ClusterView};
use crate::api::conditions;
use crate::operator::{
    cache::{ClusterCache, LastSeen, Revision},
    hold::HoldReason,
    metrics::Metrics,
    node_stamps::NodeStamps,
    watch::node::NodeRecord,
    write::{EventRequest, WriteRequest, WriteTarget, queue::WriteQueue},
};
use rempart_core::{instant::Timestamp, keys, name::PoolName};

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

/// A node that came into being no longer ago than this is new: by then its provider has labelled it.
const NEW: Duration = Duration::from_mins(10);

/// How a pool's nodes change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    /// A node comes under it.
    Joined,
    /// A node that is still there is its no more.
    Left,
}

impl MembershipChange {
    /// Each.
    pub const ALL: [Self; 2] = [Self::Joined, Self::Left];

    /// The value of the label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Left => "left",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Joined => conditions::NODE_JOINED,
            Self::Left => conditions::NODE_LEFT,
        }
    }
}

/// Whether a change of pools came with the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeAge {
    /// It did, as with every node that a provider adds.
    New,
    /// It was there before.
    Registered,
}

impl NodeAge {
    /// Each.
    pub const ALL: [Self; 2] = [Self::New, Self::Registered];

    /// Of `node`, at the instant `at`. Of which it is not known, it was there before.
    fn of(node: &NodeRecord, at: Timestamp) -> Self {
        let age = node.registered.map(|registered| at.timestamp().duration_since(registered.timestamp()));
        let is_new = age.is_some_and(|age| Duration::try_from(age).unwrap_or_default() <= NEW);
        if is_new { Self::New } else { Self::Registered }
    }

    /// The value of the label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Registered => "registered",
        }
    }
}

/// The nodes whose stamps are not what they should be.
#[derive(Default)]
pub struct NodeLabelReconciler {
    due: BTreeSet<(StampUrgency, String)>,
    /// Since when each is known to be wrong, until it has been put right.
    since: BTreeMap<String, Instant>,
    /// What nodes should carry, as it was last followed.
    stamps: LastSeen<Revision>,
    /// Whose each node is that carries no stamp of that, or of another pool: it was told, or is no news, since nothing is known
    /// of the pool for a while. What was told before a replica took over is told again if it was not written.
    told: BTreeMap<String, Option<PoolName>>,
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

    /// What there is to tell of the node `name`, whose stamps name another pool than the one that it belongs to. Whoever can
    /// alter what pools know nodes by can take one into a pool, so that of each an officer can hear, those above all that did
    /// not come with the node.
    fn tell_membership(
        &mut self,
        name: &str,
        node: &NodeRecord,
        view: &ClusterView<'_>,
        at: Timestamp,
    ) -> Vec<EventRequest> {
        let now = node.membership.pool();
        let before = node.stamped_pool();
        let told = self.told.insert(name.to_owned(), now.cloned());
        if before == now.map(PoolName::as_str) || told.is_some_and(|told| told.as_ref() == now) {
            return Vec::new();
        }
        let age = NodeAge::of(node, at);
        let since = match (age, node.registered) {
            (NodeAge::New, _) => "new".to_owned(),
            (NodeAge::Registered, Some(registered)) => format!("registered since {registered}"),
            (NodeAge::Registered, None) => "registered before".to_owned(),
        };
        let left = before.map(|pool| {
            let now = now.map_or("it is no pool's now".to_owned(), |now| format!("it is PlacementPool {now}'s now"));
            (pool, MembershipChange::Left, format!("node {name}, {since}, has left: {now}"))
        });
        let joined = now.map(|pool| {
            let before = before.map_or_else(String::new, |before| format!(" from PlacementPool {before}"));
            (pool.as_str(), MembershipChange::Joined, format!("node {name}, {since}, has joined{before}"))
        });
        let told = left.into_iter().chain(joined).map(|(pool, change, note)| {
            self.metrics.membership_changed(pool, change, age);
            tracing::info!(pool, node = name, note, "a pool's nodes change");
            let uid = view.cache.pools.get(pool).and_then(|known| known.meta.uid.clone());
            let event = EventRequest::of_pool(pool, uid, change.reason(), note, at);
            EventRequest { warning: age == NodeAge::Registered, ..event }
        });
        told.collect()
    }

    /// Queues what has changed since it last looked.
    fn look(&mut self, view: &ClusterView<'_>, now: Instant) {
        let revision = view.cache.revisions.node_objects;
        let is_new = self.stamps.update(view.stamps.revision());
        let since = self.looked_at.replace(revision).filter(|_| !is_new);
        if since == Some(revision) {
            return;
        }
        // What stamps say needs no memory.
        let stamped = |name: &str| view.cache.nodes.get(name).map(NodeRecord::stamped_pool);
        self.told
            .retain(|name, told| stamped(name).is_some_and(|stamped| stamped != told.as_ref().map(PoolName::as_str)));
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
            if let Some(node) = view.cache.nodes.get(&name)
                && (change.add.contains_key(keys::POOL) || change.remove.contains(keys::POOL))
            {
                outcome.events.extend(self.tell_membership(&name, node, view, clocks.wall));
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
