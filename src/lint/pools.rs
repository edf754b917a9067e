//! Lints of pools and providers: what they name that is not there, whom nobody uses, and who claims the same nodes.

use std::collections::BTreeSet;

use super::about;
use crate::{
    api::validate::ResourceKind,
    diagnostic::{
        Diagnostic,
        Severity::{Error, Warning},
        suggest,
    },
    gather::{LocatedInventory, OwnObject},
};
use rempart_core::{
    catalogue::{Pool, UnresolvedReference},
    name::ProviderName,
    plan::{NodeOwnership, Plan},
    pool_membership::may_be_set_by_kubelet,
    text::counted,
};

/// What is to be said of the places in `located`.
pub(super) fn findings(located: &LocatedInventory<'_>, plan: &Plan<'_>) -> Vec<Diagnostic> {
    let mut found = unresolved(located, plan);
    found.extend(unused(located));
    found.extend(overlapping(located));
    found.extend(claimable(located));
    found.extend(disputed(located, plan));
    found.extend(empty(located, plan));
    found
}

fn pool<'s, 't>(located: &'s LocatedInventory<'t>, name: &str) -> Option<&'s OwnObject<'t>> {
    located.own.get(&(ResourceKind::PlacementPool, name.to_owned()))
}

/// Pools that stand on nothing that is recorded.
fn unresolved(located: &LocatedInventory<'_>, plan: &Plan<'_>) -> Vec<Diagnostic> {
    let catalogue = &located.inventory.world.catalogue;
    if catalogue.providers.is_empty() && catalogue.all_pools().next().is_some() {
        let message = "there is no CloudProvider among what was read, so that nothing can be said of pools";
        return vec![Diagnostic::warning("CatalogueMissing", message).hint("give the catalogue too, or --cluster")];
    }
    let pools = plan.pools.iter().chain(&plan.control_plane);
    let unresolved = pools.filter_map(|clearance| Some((clearance.pool, clearance.site.err()?)));
    unresolved
        .filter_map(|(of, unresolved)| {
            let own = pool(located, of.name.as_str())?;
            let (field, named, known): (_, _, Vec<&str>) = match unresolved {
                UnresolvedReference::Provider { named } => {
                    ("spec.provider", named, catalogue.providers.keys().map(ProviderName::as_str).collect())
                }
                UnresolvedReference::Offer { provider, named } => {
                    let offers = catalogue.providers.get(provider).map(|provider| &provider.offers);
                    ("spec.offer", named, offers.into_iter().flatten().map(|(name, _)| name.as_str()).collect())
                }
                UnresolvedReference::Zone { provider, offer, named } => {
                    let offer = catalogue.providers.get(provider).and_then(|provider| provider.offers.get(offer));
                    let zones = offer.map(|offer| &offer.zones);
                    ("spec.zone", named, zones.into_iter().flatten().map(|(name, _)| name.as_str()).collect())
                }
            };
            let hint = nearest_of(named, &known);
            Some(Diagnostic { hint, ..about(own, field, Error, unresolved.code(), unresolved.to_string()) })
        })
        .collect()
}

/// What may be meant by `named` among `known`: the nearest, or all of them when they are few.
pub(super) fn nearest_of(named: &str, known: &[&str]) -> Option<String> {
    let near = suggest::nearest(named, known.iter().copied()).map(suggest::meant);
    near.or_else(|| (known.len() <= 8 && !known.is_empty()).then(|| format!("there is {}", known.join(", "))))
}

/// Providers that no pool uses. Where no pool is given at all, nothing can be said of it.
fn unused(located: &LocatedInventory<'_>) -> Vec<Diagnostic> {
    let catalogue = &located.inventory.world.catalogue;
    let used: BTreeSet<&str> = catalogue.all_pools().map(|pool| pool.provider.as_str()).collect();
    let unused =
        located.own.values().filter(|own| own.kind == ResourceKind::CloudProvider && !used.contains(own.name.as_str()));
    let unused = unused.filter(|_| !used.is_empty());
    unused
        .map(|own| {
            let message = format!("no PlacementPool is of provider {}", own.name);
            let hint = "declare a pool of it, or leave it out";
            about(own, "metadata.name", Warning, "ProviderUnused", message).hint(hint)
        })
        .collect()
}

/// Pools whose selectors claim the same nodes whatever nodes there are.
fn overlapping(located: &LocatedInventory<'_>) -> Vec<Diagnostic> {
    let pools: Vec<&Pool> = located.inventory.world.catalogue.pools.values().collect();
    let mut found = Vec::new();
    for (i, one) in pools.iter().enumerate() {
        for other in pools.iter().skip(i.saturating_add(1)) {
            let Some((wide, narrow)) = swallowed(one, other) else { continue };
            let Some(own) = pool(located, wide.name.as_str()) else { continue };
            let message = format!(
                "every node of pool {} is claimed by pool {} too, and a node that two pools claim belongs to none",
                narrow.name, wide.name
            );
            let hint = "select by a label that tells them apart, or give both a providerIDPrefix";
            found.push(about(own, "spec.nodeSelector", Error, "PoolsOverlap", message).hint(hint));
        }
    }
    found
}

/// Whether a node is of `pool` by what its own kubelet says when it registers, and by nothing else.
pub(crate) fn is_claimable(pool: &Pool) -> bool {
    pool.provider_id_prefix.is_none() && !pool.selector.is_empty() && pool.selector.keys().all(may_be_set_by_kubelet)
}

/// Pools of which a node is by what its own kubelet says when it registers, and by nothing else.
fn claimable(located: &LocatedInventory<'_>) -> Vec<Diagnostic> {
    let pools = located.inventory.world.catalogue.pools.values();
    let claimable = pools.filter(|of| is_claimable(of));
    claimable
        .filter_map(|of| {
            let keys: BTreeSet<&str> = of.selector.keys().collect();
            let keys: Vec<&str> = keys.into_iter().collect();
            let message = format!(
                "any node that registers with label {} is of pool {}: its kubelet sets that itself, and nothing else is asked",
                keys.join(", "),
                of.name
            );
            let hint = "select by a label under node-restriction.kubernetes.io, which no kubelet may set, or give providerIDPrefix";
            Some(about(pool(located, of.name.as_str())?, "spec.nodeSelector", Warning, "PoolClaimable", message).hint(hint))
        })
        .collect()
}

/// Of two pools the wider and the narrower, when every node of the narrower is of the wider too.
fn swallowed<'p>(one: &'p Pool, other: &'p Pool) -> Option<(&'p Pool, &'p Pool)> {
    let wider = |wide: &Pool, narrow: &Pool| {
        let proven = match (&wide.provider_id_prefix, &narrow.provider_id_prefix) {
            (None, _) => true,
            (Some(wide), Some(narrow)) => narrow.starts_with(wide.as_str()),
            (Some(_), None) => false,
        };
        proven && narrow.selector.implies(&wide.selector)
    };
    if wider(one, other) {
        return Some((one, other));
    }
    wider(other, one).then_some((other, one))
}

/// Nodes that several pools claim.
fn disputed(located: &LocatedInventory<'_>, plan: &Plan<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let disputed: Vec<&str> =
        plan.nodes.iter().filter(|(_, of)| **of == NodeOwnership::Disputed).map(|(name, _)| *name).collect();
    for clearance in &plan.pools {
        let claimed: Vec<&str> = disputed.iter().copied().filter(|node| plan.claims(clearance.pool, node)).collect();
        let (Some(first), Some(own)) = (claimed.first(), pool(located, clearance.pool.name.as_str())) else { continue };
        let nodes = counted(claimed.len(), "node", "nodes");
        let message = format!(
            "pool {} claims {nodes} (as {first}) that another pool claims too, so that they belong to neither",
            clearance.pool.name
        );
        let hint = "select by a label that tells the pools apart, or give both a providerIDPrefix";
        found.push(about(own, "spec.nodeSelector", Error, "NodesDisputed", message).hint(hint));
    }
    found
}

/// Pools without a node, where nodes are given.
fn empty(located: &LocatedInventory<'_>, plan: &Plan<'_>) -> Vec<Diagnostic> {
    if plan.nodes.is_empty() {
        return Vec::new();
    }
    let has_nodes: BTreeSet<usize> = plan
        .nodes
        .values()
        .filter_map(|of| match of {
            NodeOwnership::Pool(pool) => Some(*pool),
            _ => None,
        })
        .collect();
    // A pool whose nodes are disputed, or that stands on nothing, has been told of already.
    let disputed =
        |pool: &Pool| plan.nodes.iter().any(|(node, of)| *of == NodeOwnership::Disputed && plan.claims(pool, node));
    let pools = plan.pools.iter().enumerate().filter(|(index, _)| !has_nodes.contains(index));
    let pools = pools.filter(|(_, clearance)| clearance.site.is_ok() && !disputed(clearance.pool));
    pools
        .filter_map(|(_, clearance)| {
            let own = pool(located, clearance.pool.name.as_str())?;
            let message = format!("none of the {} nodes belongs to pool {}", plan.nodes.len(), own.name);
            let hint = "compare nodeSelector and providerIDPrefix with the nodes' labels and providerIDs";
            Some(about(own, "spec.nodeSelector", Warning, "PoolEmpty", message).hint(hint))
        })
        .collect()
}
