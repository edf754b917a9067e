//! Whose a node is, what its stamps should be, and how soon they must be written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant as Moment,
};

use super::{Engine, Retry};
use crate::operator::{
    index::{Change, Index, Touched},
    node::{Membership, NodeRecord, SlimNode, StampChange},
    ruling::Ruling,
    write::{Key, Write},
};
use rempart_core::{
    name::PoolName,
    places::{Place, claims},
    selector::Labels,
};

/// How soon a node's stamps must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// It carries a clearance that it has lost.
    Loses,
    /// It is new, and nothing can run on it.
    New,
    /// It gains something, or a value changes.
    Gains,
}

/// Works out whose `node` is.
pub(super) fn place(node: &mut NodeRecord, ruling: &Ruling) {
    let found =
        claims(&ruling.world.catalogue.pools, Place { labels: &*node, provider_id: node.provider_id.as_deref() });
    let names = |pools: &[&PoolName]| pools.iter().map(|pool| (*pool).clone()).collect();
    node.membership = match (found.owner(), found.by.as_slice(), found.mismatched.as_slice()) {
        (Some(pool), _, _) => Membership::Of(pool.clone()),
        (None, [], []) => Membership::None,
        (None, [], unproven) => Membership::Unproven(names(unproven)),
        (None, disputed, _) => Membership::Disputed(names(disputed)),
    };
}

/// Whether the pools that have a node are others than those that `ruling` went by.
pub(super) fn resettled(index: &Index, ruling: &Ruling) -> bool {
    let Some(before) = &ruling.peopled else { return false };
    let owners = index.nodes.iter().filter_map(|(_, node)| node.membership.pool().cloned());
    *before != owners.collect::<BTreeSet<_>>()
}

/// What separates the stamps of `node` from those that are `granted` to its pool.
pub(super) fn change(node: &NodeRecord, granted: &BTreeMap<PoolName, Arc<Labels>>) -> StampChange {
    match node.membership.pool().and_then(|pool| granted.get(pool)) {
        Some(stamps) => node.differences(stamps),
        None => node.differences(&Labels::new()),
    }
}

/// The nodes whose stamps are not what they should be.
#[derive(Debug, Default)]
pub(super) struct Queue {
    due: BTreeSet<(Urgency, String)>,
    /// Those that have been found since stamps were last planned.
    found: Vec<String>,
    /// Since when each is known to be wrong, until it has been put right.
    since: BTreeMap<String, Moment>,
}

impl Queue {
    /// Whether a node carries a clearance that it has lost and is about to lose the stamp; one that could not be written
    /// keeps nobody waiting.
    pub(super) fn any_loses(&self, retries: &BTreeMap<Key, Retry>) -> bool {
        let mut losing = self.due.iter().take_while(|(urgency, _)| *urgency == Urgency::Loses);
        losing.any(|(_, name)| !retries.contains_key(&Key::Stamps(name.clone())))
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Queues the node `name` when its stamps are not what they should be, and says whether they are.
    fn look(&mut self, name: &str, node: &NodeRecord, ruling: &Ruling) -> bool {
        let change = change(node, &ruling.stamps);
        if change.is_empty() {
            return true;
        }
        let urgency = if !change.remove.is_empty() {
            Urgency::Loses
        } else if node.unstamped() {
            Urgency::New
        } else {
            Urgency::Gains
        };
        self.due.insert((urgency, name.to_owned()));
        if !self.since.contains_key(name) {
            self.found.push(name.to_owned());
        }
        false
    }

    /// Notes since when what has been found is known.
    fn note(&mut self, now: Moment) {
        for name in self.found.drain(..) {
            self.since.entry(name).or_insert(now);
        }
    }
}

impl Engine {
    /// Takes in what was seen of a node.
    pub(super) fn observe_node(&mut self, change: Change<SlimNode>) {
        let change = change.map(|node| NodeRecord::new(node, &mut self.shared));
        let known = |name: &String| self.index.nodes.get(name);
        // Kubelets report often, and nearly always the same.
        let (news, before) = match &change {
            Change::Applied(name, node) => (!known(name).is_some_and(|known| known.same_place(node)), known(name)),
            Change::Deleted(name, _) => (true, known(name)),
            Change::Complete => (true, None),
            Change::Restarted | Change::Listed(..) | Change::Unreadable(_) | Change::Passed(..) => (false, None),
        };
        let before = before.map(|node| node.membership.clone());
        if news {
            self.fleet_changed = true;
            self.records.look();
        }
        match self.index.nodes.observe(change) {
            Touched::Nothing => {}
            Touched::One(name) => {
                self.place(&name);
                let now = self.index.nodes.get(&name).map(|node| &node.membership);
                self.nodes_changed |= before.as_ref() != now;
                // A node that joins or goes unsettles nothing: nothing runs on it.
                self.moves.unsettled |= before.is_some() && now.is_some() && before.as_ref() != now;
            }
            Touched::All => {
                self.nodes_changed = true;
                self.moves.unsettled = true;
                self.shared.sweep();
                self.place_all();
            }
        }
    }

    /// Works out whose the node `name` is, queues it when its stamps are not what they should be, and says whether they are.
    /// Nothing is wrong with one that is gone.
    fn place(&mut self, name: &str) -> bool {
        let Some(node) = self.index.nodes.get_mut(name) else { return true };
        self::place(node, &self.ruling);
        self.queue.look(name, node, &self.ruling)
    }

    /// The same of every node.
    pub(super) fn place_all(&mut self) {
        self.fleet_changed = true;
        for (name, node) in self.index.nodes.iter_mut() {
            place(node, &self.ruling);
            self.queue.look(name, node, &self.ruling);
        }
    }

    /// Takes in that a write of the stamps of the node `name` has ended, and counts how long it took to put it right.
    pub(super) fn settle_stamps(&mut self, name: &str, written: bool, now: Moment) {
        if !self.place(name) {
            return;
        }
        if let Some(since) = self.queue.since.remove(name).filter(|_| written) {
            self.metrics.stamped(now.saturating_duration_since(since));
        }
    }

    /// Asks for the stamps that are not what they should be, the most urgent first.
    pub(super) fn plan_stamps(&mut self, now: Moment, due: &mut Vec<(Key, Write)>) {
        self.queue.note(now);
        let writing = self.under_way.keys().filter(|key| matches!(key, Key::Stamps(_))).count();
        let mut free = self.settings.concurrency.saturating_sub(writing);
        // Nodes that failed wait aside, so that however many they are the others have their turn.
        let mut aside = Vec::new();
        while free > 0 {
            let Some((urgency, name)) = self.queue.due.pop_first() else { break };
            let key = Key::Stamps(name.clone());
            // Under way: settling it looks at the node again.
            if self.under_way.contains_key(&key) {
                continue;
            }
            let change = self.index.nodes.get(&name).map(|node| change(node, &self.ruling.stamps));
            let Some(change) = change.filter(|change| !change.is_empty()) else {
                self.queue.since.remove(&name);
                continue;
            };
            if let Some(retry) = self.retries.get(&key).filter(|retry| retry.not_before > now) {
                aside.push((urgency, name));
                self.wake_at(Some(retry.not_before));
                continue;
            }
            due.push((key, Write::Stamps(change)));
            free = free.saturating_sub(1);
        }
        self.queue.due.extend(aside);
    }
}
