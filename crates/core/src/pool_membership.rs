//! Pool membership: which place belongs to which pool. A place is whatever carries labels: a node today.

use alloc::vec::Vec;

use alloc::collections::BTreeMap;

use super::{catalogue::Pool, name::PoolName, selector::LabelSource};

/// The verb on `PlacementPool`s that a user needs for a change of what tells whose a registered node is.
pub const LABEL_VERB: &str = "label-nodes";

/// What tells whose a place is.
#[derive(Clone, Copy)]
pub struct NodeIdentity<'a> {
    /// Its labels.
    pub labels: &'a dyn LabelSource,
    /// The provider's identifier of it, where it has one.
    pub provider_id: Option<&'a str>,
}

/// Whose a place is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolClaims<'a> {
    /// The pools that claim it: it belongs to the one that stands alone.
    pub by: Vec<&'a PoolName>,
    /// The pools whose labels it has, but not their provider identifier.
    pub mismatched: Vec<&'a PoolName>,
}

impl<'a> PoolClaims<'a> {
    /// The pool that the place belongs to. None where several claim it.
    #[must_use]
    pub fn owner(&self) -> Option<&'a PoolName> {
        match self.by.as_slice() {
            [pool] => Some(pool),
            _ => None,
        }
    }
}

/// Labels of Kubernetes' own domains that a kubelet may give its node all the same.
const KUBELET_LABELS: [&str; 12] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// Whether a kubelet may give its own node a label with this key, as the API server's plugin `NodeRestriction` has it.
#[must_use]
pub fn may_be_set_by_kubelet(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return true };
    let within = |of: &str| domain.strip_suffix(of).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if !within("kubernetes.io") && !within("k8s.io") {
        return true;
    }
    within("kubelet.kubernetes.io") || within("node.kubernetes.io") || KUBELET_LABELS.contains(&key)
}

/// Who claims `place` among `pools`. A selector that demands nothing claims nothing.
#[must_use]
pub fn claims<'a>(pools: &'a BTreeMap<PoolName, Pool>, place: NodeIdentity<'_>) -> PoolClaims<'a> {
    let mut claims = PoolClaims::default();
    for (name, pool) in pools {
        if pool.selector.is_empty() || !pool.selector.matches(place.labels) {
            continue;
        }
        let proven = pool
            .provider_id_prefix
            .as_deref()
            .is_none_or(|prefix| place.provider_id.is_some_and(|id| id.starts_with(prefix)));
        if proven { claims.by.push(name) } else { claims.mismatched.push(name) }
    }
    claims
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;
    use crate::catalogue::PoolRole;
    use crate::selector::{Labels, Selector, SelectorOperator};

    fn pools(entries: &[(&str, &str, Option<&str>)]) -> BTreeMap<PoolName, Pool> {
        let pool = |(name, value, prefix): &(&str, &str, Option<&str>)| Pool {
            name: PoolName::parse(name).unwrap(),
            role: PoolRole::Nodes,
            provider: "p".into(),
            offer: "o".into(),
            zone: "z".into(),
            selector: Selector::new(vec![("pool".into(), SelectorOperator::In([(*value).to_owned()].into()))]),
            provider_id_prefix: prefix.map(Into::into),
            price: None,
        };
        entries.iter().map(pool).map(|pool| (pool.name.clone(), pool)).collect()
    }

    #[test]
    fn a_place_belongs_to_the_one_pool_that_claims_and_proves_it() {
        let labels: Labels = [("pool".to_owned(), "a".to_owned())].into();
        for (provider_id, entries, owner) in [
            (None, vec![("one", "a", None)], Some("one")),
            (None, vec![("one", "b", None)], None),
            (None, vec![("one", "a", None), ("two", "a", None)], None),
            (Some("aws:///x/i-1"), vec![("one", "a", Some("aws:///x/")), ("two", "a", Some("aws:///y/"))], Some("one")),
            (Some("aws:///z/i-1"), vec![("one", "a", Some("aws:///x/"))], None),
            (None, vec![("one", "a", Some("aws:///x/"))], None),
        ] {
            let pools = pools(&entries);
            let found = claims(&pools, NodeIdentity { labels: &labels, provider_id });
            assert_eq!(found.owner().map(PoolName::as_str), owner, "{entries:?} {provider_id:?}");
        }
    }

    #[test]
    fn a_kubelet_may_set_what_is_not_of_kubernetes() {
        for free in [
            "pool",
            "k8s.scaleway.com/pool",
            "topology.kubernetes.io/zone",
            "node.kubernetes.io/pool",
            "mykubernetes.io/a",
        ] {
            assert!(may_be_set_by_kubelet(free), "{free}");
        }
        for held in [
            "node-restriction.kubernetes.io/pool",
            "a.node-restriction.kubernetes.io/b",
            "cluster.x-k8s.io.k8s.io/a",
            "kubernetes.io/role",
        ] {
            assert!(!may_be_set_by_kubelet(held), "{held}");
        }
    }

    #[test]
    fn a_selector_that_demands_nothing_claims_nothing() {
        let mut pools = pools(&[("one", "a", None)]);
        for pool in pools.values_mut() {
            pool.selector = Selector::default();
        }
        assert_eq!(claims(&pools, NodeIdentity { labels: &Labels::new(), provider_id: None }), PoolClaims::default());
    }
}
