//! Pool membership: which node belongs to which pool, by the catalogue that was last evaluated.
//!
//! A node belongs to the one pool whose selector matches its foreign labels and whose provider identifier it has. What
//! Rempart itself wrote on a node never decides.

use std::collections::BTreeMap;

use super::ClusterCache;
use crate::operator::watch::node::{NodeRecord, PoolMembership};
use rempart_core::{catalogue::Pool, name::PoolName, pool_membership::claims};

/// The membership of `node` among `pools`.
fn membership(node: &NodeRecord, pools: &BTreeMap<PoolName, Pool>) -> PoolMembership {
    let found = claims(pools, node.identity());
    let names = |pools: &[&PoolName]| pools.iter().map(|pool| (*pool).clone()).collect();
    match (found.owner(), found.by.as_slice(), found.mismatched.as_slice()) {
        (Some(pool), _, _) => PoolMembership::Of(pool.clone()),
        (None, [], []) => PoolMembership::None,
        (None, [], unproven) => PoolMembership::Unproven(names(unproven)),
        (None, disputed, _) => PoolMembership::Disputed(names(disputed)),
    }
}

impl ClusterCache {
    /// Assigns the nodes that have changed since it was last done to `pools`.
    pub fn assign_changed_nodes(&mut self, pools: &BTreeMap<PoolName, Pool>) {
        let since = self.assigned.get().copied();
        if self.assigned.differs(&self.revisions.node_objects) {
            self.assign(pools, |node| since.is_none_or(|since| node.changed_at > since));
        }
    }

    /// Assigns every node to `pools`: these are others than before.
    pub fn assign_all_nodes(&mut self, pools: &BTreeMap<PoolName, Pool>) {
        self.assign(pools, |_| true);
    }

    fn assign(&mut self, pools: &BTreeMap<PoolName, Pool>, due: impl Fn(&NodeRecord) -> bool) {
        let mut changed = false;
        for (name, node) in self.nodes.iter_mut().filter(|(_, node)| due(node)) {
            let now = membership(node, pools);
            let differs = node.membership != now;
            // A node that joins unsettles nothing: nothing runs on it.
            if differs && node.is_assigned {
                self.fact_changes.nodes.insert(name.clone());
            }
            changed |= differs || !node.is_assigned;
            (node.membership, node.is_assigned) = (now, true);
        }
        if changed {
            self.revisions.pool_membership.bump();
        }
        self.assigned.remember(self.revisions.node_objects);
    }
}
