//! Facts of the run: providers, pools, policies and namespaces, derived from a small state that faults alter.
//!
//! | provider | country | qualified as | cleared at rest for |
//! |---|---|---|---|
//! | `ancre` | FR | secnumcloud, hds | every level; health. No fault touches it, so that no level is ever without a pool |
//! | `nord` | FR | secnumcloud, hds | every level; health |
//! | `sud` | FR | secnumcloud | every level |
//! | `est` | DE | hds | internal; health |
//! | `ouest` | IE | hds | internal; health; not by the second policy |
//! | `coffre` | FR | secnumcloud | the level of the policy `vault`, which no other pool is cleared for |

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::FakeNode;

/// The label that says which pool a node is of.
pub(super) const POOL_LABEL: &str = "chaos.example/pool";
/// The providers that faults are about. Each has one pool, of its name.
pub(super) const SHAKEN: [&str; 4] = ["nord", "sud", "est", "ouest"];
/// The provider that no fault is about, and the one without which a level has no pool.
const ANCHOR: &str = "ancre";
pub(super) const VAULT: &str = "coffre";
/// A node of no pool.
pub(super) const STRAY: &str = "stray";

/// The namespaces, with their labels.
pub(super) const NAMESPACES: [(&str, &[(&str, &str)]); 5] = [
    ("claims", &[("tenant", "state")]),
    ("archive", &[("tenant", "state"), ("rempart.dev/sensitivity", "restricted")]),
    ("garden", &[("tenant", "state"), ("green", "yes")]),
    ("free", &[]),
    ("vault", &[("tenant", "vault")]),
];

/// Nodes of each pool.
const NODES: usize = 3;

/// The facts as faults have altered them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct FaultState {
    /// Providers whose certificates have ended.
    pub(super) expired: BTreeSet<&'static str>,
    /// Providers that somebody in the United States controls.
    pub(super) sold: BTreeSet<&'static str>,
    /// Providers whose power usage has grown.
    pub(super) hot: BTreeSet<&'static str>,
    /// Providers that the level `restricted` denies.
    pub(super) denied: BTreeSet<&'static str>,
    /// Providers whose object is gone.
    pub(super) lost: BTreeSet<&'static str>,
    /// Pools that an exception lends to the namespace `archive`.
    pub(super) excepted: BTreeSet<&'static str>,
    /// The level `restricted` asks for no certificate.
    pub(super) loose: bool,
    /// The policy `green` governs all of the tenant's namespaces.
    pub(super) wide: bool,
    /// The policy `green` only reports.
    pub(super) suspended: bool,
    /// The namespace `claims` is labelled as restricted.
    pub(super) raised: bool,
    /// Policies that are deleted.
    pub(super) deleted: BTreeSet<&'static str>,
    /// The level `internal` has another name.
    pub(super) renamed: bool,
    /// The exception that lends the pool `est` to the namespace `garden` is removed.
    pub(super) revoked: bool,
    /// Pools some of whose nodes have lost the label by which they are theirs.
    pub(super) unlabelled: BTreeSet<&'static str>,
}

impl FaultState {
    /// The `CloudProvider`s by name, absent where a fault has deleted one.
    pub(super) fn providers(&self) -> BTreeMap<&'static str, Option<Value>> {
        let all = SHAKEN.into_iter().chain([ANCHOR, VAULT]);
        all.map(|name| (name, (!self.lost.contains(name)).then(|| self.provider(name)))).collect()
    }

    fn provider(&self, name: &str) -> Value {
        let (country, schemes, carbon): (_, &[&str], _) = match name {
            "nord" | ANCHOR => ("FR", &["secnumcloud", "hds"], 40),
            "est" => ("DE", &["hds"], 80),
            "ouest" => ("IE", &["hds"], 300),
            _ => ("FR", &["secnumcloud"], 60),
        };
        let qualifications: Vec<Value> = schemes
            .iter()
            .map(|scheme| {
                let until = if self.expired.contains(name) { "2025-12-31" } else { "2099-12-31" };
                json!({"scheme": scheme, "validFrom": "2024-01-01", "validUntil": until})
            })
            .collect();
        let controls = if self.sold.contains(name) { "US" } else { country };
        json!({
            "apiVersion": "rempart.dev/v1alpha1",
            "kind": "CloudProvider",
            "metadata": {"name": name},
            "spec": {
                "operator": {"name": name, "jurisdiction": country},
                "controllingParty": {"name": format!("{name} Group"), "jurisdiction": controls},
                "offers": [{
                    "name": "iaas",
                    "technology": [{"name": "stack", "supplier": name, "jurisdiction": country}],
                    "zones": [{
                        "name": format!("{name}-1"), "region": name, "country": country,
                        "pue": if self.hot.contains(name) { 1.9 } else { 1.2 }, "carbonIntensity": carbon,
                    }],
                    "qualifications": qualifications,
                }],
            },
        })
    }

    /// The policies by name, absent where a fault has deleted one.
    pub(super) fn policies(&self) -> BTreeMap<&'static str, Option<Value>> {
        let policy = |name: &str, spec: Value| json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": name}, "spec": spec});
        let all = [("state", self.state()), ("green", self.green()), ("vault", vault())];
        all.map(|(name, spec)| (name, (!self.deleted.contains(name)).then(|| policy(name, spec)))).into()
    }

    /// The name of the lowest level that asks for anything. Policies over the same namespaces share it.
    fn internal(&self) -> &'static str {
        if self.renamed { "inner" } else { "internal" }
    }

    fn state(&self) -> Value {
        let mut restricted = BTreeMap::from([("notExposedTo", json!(["us-cloud-act"]))]);
        if !self.loose {
            restricted.insert("qualifications", json!(["secnumcloud"]));
        }
        if !self.denied.is_empty() {
            restricted.insert("providers", json!({"deny": self.denied}));
        }
        let exception = |name: &str, namespace: &str, pools: &BTreeSet<&str>| {
            json!({
                "name": name, "namespaces": [namespace], "level": "restricted", "pools": pools,
                "until": "2099-12-31", "reason": "chaos", "approvedBy": "chaos",
            })
        };
        let legacy = (!self.excepted.is_empty()).then(|| exception("legacy", "archive", &self.excepted));
        let standing = (!self.revoked).then(|| exception("standing", "garden", &["est"].into()));
        json!({
            "mode": "Enforce",
            "namespaceSelector": {"matchLabels": {"tenant": "state"}},
            "defaultLevel": self.internal(),
            "levels": [
                {"name": "public"},
                {"name": self.internal(), "require": {"jurisdictions": {"operator": ["EU"]}}},
                {"name": "restricted", "require": restricted},
                {"name": "secret", "require": {"jurisdictions": {"data": ["FR"]}, "maxPUE": 1.5}},
            ],
            "categories": [{"name": "health", "require": {"qualifications": ["hds"]}}],
            "exceptions": legacy.into_iter().chain(standing).collect::<Vec<_>>(),
        })
    }

    fn green(&self) -> Value {
        let governed = if self.wide { json!({"tenant": "state"}) } else { json!({"tenant": "state", "green": "yes"}) };
        json!({
            "mode": if self.suspended { "Audit" } else { "Enforce" },
            "namespaceSelector": {"matchLabels": governed},
            "defaultLevel": self.internal(),
            "levels": [
                {"name": "public"},
                {"name": self.internal(), "require": {"maxCarbonIntensity": 100}},
                {"name": "restricted"},
                {"name": "secret"},
            ],
            "categories": [{"name": "health"}],
        })
    }

    /// The labels of a namespace.
    pub(super) fn namespace(&self, name: &str) -> Value {
        let labels = NAMESPACES.into_iter().find(|(known, _)| *known == name).map(|(_, labels)| labels);
        let mut labels: BTreeMap<_, _> = labels.unwrap_or_default().iter().copied().collect();
        if self.raised && name == "claims" {
            labels.insert("rempart.dev/sensitivity", "restricted");
        }
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    }
}

fn vault() -> Value {
    json!({
        "mode": "Enforce",
        "namespaceSelector": {"matchLabels": {"tenant": "vault"}},
        "defaultLevel": "sealed",
        "levels": [{"name": "sealed", "require": {"providers": {"allow": [VAULT]}, "qualifications": ["secnumcloud"]}}],
    })
}

/// The pools, which stay as they are.
pub(super) fn pools() -> Vec<Value> {
    let pool = |name: &str| {
        json!({
            "apiVersion": "rempart.dev/v1alpha1",
            "kind": "PlacementPool",
            "metadata": {"name": name},
            "spec": {
                "provider": name, "offer": "iaas", "zone": format!("{name}-1"),
                "nodeSelector": {"matchLabels": {POOL_LABEL: name}},
                "providerIDPrefix": format!("made:///{name}/"),
            },
        })
    };
    SHAKEN.into_iter().chain([ANCHOR, VAULT]).map(pool).collect()
}

/// The names of the nodes of a pool.
pub(super) fn node_names(pool: &str) -> impl Iterator<Item = String> {
    (1..=NODES).map(move |number| format!("{pool}-{number}"))
}

/// Those of them that lose their label when the pool's nodes do: a change of a fleet that reaches most of it.
pub(super) fn unlabelled_names(pool: &str) -> impl Iterator<Item = String> {
    node_names(pool).take(NODES - 1)
}

/// All nodes, to be made.
pub(super) fn nodes() -> Vec<FakeNode> {
    let of = |pool: &'static str| {
        node_names(pool).map(move |name| {
            let id = format!("made:///{pool}/{name}");
            FakeNode::new(name).label(POOL_LABEL, pool).provider_id(id)
        })
    };
    SHAKEN.into_iter().chain([ANCHOR, VAULT]).flat_map(of).chain([FakeNode::new(STRAY)]).collect()
}
