//! Whose a node is, what its stamps should be, and how soon they must be written.

use std::collections::BTreeSet;

use crate::{
    core::{
        places::{Place, claims},
        selector::Labels,
    },
    operator::{
        index::Index,
        node::{Membership, NodeRecord, StampChange},
        ruling::Ruling,
    },
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
    let names = |pools: &[&crate::core::name::PoolName]| pools.iter().map(|pool| (*pool).clone()).collect();
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
    let owner = |(_, node): (&'_ String, &'_ NodeRecord)| match &node.membership {
        Membership::Of(pool) => Some(pool.clone()),
        _ => None,
    };
    *before != index.nodes.iter().filter_map(owner).collect::<BTreeSet<_>>()
}

/// What separates the stamps of `node` from those that it should carry.
pub(super) fn change(node: &NodeRecord, ruling: &Ruling) -> StampChange {
    match &node.membership {
        Membership::Of(pool) => match ruling.stamps.get(pool) {
            Some(stamps) => node.differences(stamps),
            None => node.differences(&Labels::new()),
        },
        _ => node.differences(&Labels::new()),
    }
}

/// Queues the node `name` when its stamps are not what they should be.
pub(super) fn queue(queue: &mut BTreeSet<(Urgency, String)>, name: &str, node: &NodeRecord, ruling: &Ruling) {
    let change = change(node, ruling);
    if change.is_empty() {
        return;
    }
    let urgency = if !change.remove.is_empty() {
        Urgency::Loses
    } else if node.unstamped() {
        Urgency::New
    } else {
        Urgency::Gains
    };
    queue.insert((urgency, name.to_owned()));
}
