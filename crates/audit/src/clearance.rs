//! Clearance of a node: whether it may have a pod with a given need.
//!
//! It takes the facts at one instant, derives the node's pool from foreign labels and the provider ID, and returns the
//! first requirement that is not met. Stamps on the node are never read.

use serde_json::Value;

use super::{
    facts::ClusterFacts,
    log::text,
    needs::{PlacementDemand, PlacementNeed, ends, exceptions, governs, levels, rank},
    requirements::{OfferZone, lacks},
    selectors,
};

/// Clearance of a node by its pool, if exactly one pool claims it.
#[derive(Clone, Copy, Debug)]
pub struct NodeClearance<'a> {
    facts: &'a ClusterFacts<'a>,
    pool: Option<(&'a str, Option<OfferZone<'a>>)>,
}

/// Labels that the operator writes. Whose a node is must not follow from what was made of it.
pub(super) fn is_stamp(key: &str) -> bool {
    key.split('/').next().is_some_and(|domain| {
        domain == "rempart.node-restriction.kubernetes.io"
            || domain.ends_with(".rempart.node-restriction.kubernetes.io")
    })
}

impl<'a> NodeClearance<'a> {
    /// The clearance of `node`.
    pub fn of(facts: &'a ClusterFacts<'a>, node: &str) -> Self {
        let Some(node) = facts.nodes.get(node) else { return Self { facts, pool: None } };
        let of_nodes = facts.pools.iter().filter(|(_, pool)| !is_control_plane(pool));
        let mut claims = of_nodes.filter(|(_, pool)| {
            let selector = pool.pointer("/spec/nodeSelector").filter(|selector| selectors::says_anything(selector));
            let prefix = text(pool, "/spec/providerIDPrefix");
            selector.is_some_and(|selector| selectors::matches(selector, node, is_stamp))
                && text(node, "/spec/providerID").starts_with(prefix)
        });
        let pool = match (claims.next(), claims.next()) {
            (Some((name, pool)), None) => Some((*name, site(facts, pool))),
            _ => None,
        };
        Self { facts, pool }
    }

    /// The name of its pool.
    pub fn pool(&self) -> Option<&'a str> {
        self.pool.map(|(name, _)| name)
    }

    /// Why it may not have a pod with this need; nothing when it may.
    pub fn refuses(&self, need: &PlacementNeed) -> Option<String> {
        need.demands.iter().find_map(|demand| self.refuses_demand(&need.namespace, demand))
    }

    /// Whether pods with this need are offered it: it may have them, and who is admitted by an exception selects pools that
    /// the exception lends, and those that are cleared for its level, though its own be lower.
    pub fn is_offered(&self, need: &PlacementNeed) -> bool {
        self.refuses(need).is_none()
            && need.demands.iter().all(|demand| {
                let PlacementDemand::Level { policy, level, exception: Some(name) } = demand else { return true };
                let Some(found) = self.facts.policies.get(policy.as_str()) else { return true };
                let of = rank(found, level).unwrap_or_default();
                let mut granted =
                    exceptions(found, &need.namespace, of).filter(|exception| text(exception, "/name") == name);
                granted.all(|exception| {
                    let of_exception = rank(found, text(exception, "/level")).unwrap_or_default();
                    let is_lent = self.excepted(found, &need.namespace, of)
                        && self.control_plane_refuses("", found, of_exception).is_none();
                    is_lent || self.cleared(policy, text(exception, "/level"))
                })
            })
    }

    /// Whether it is cleared for a level, whatever exceptions say and whoever enforces it.
    pub fn cleared(&self, policy: &str, level: &str) -> bool {
        let Some(policy) = self.facts.policies.get(policy) else { return false };
        let below = rank(policy, level).map(|rank| levels(policy).iter().take(rank + 1));
        below.is_some_and(|mut below| below.all(|level| self.falls_short("", level).is_none()))
            && rank(policy, level).is_some_and(|rank| self.control_plane_refuses("", policy, rank).is_none())
    }

    fn refuses_demand(&self, namespace: &str, demand: &PlacementDemand) -> Option<String> {
        let (PlacementDemand::Level { policy: name, .. }
        | PlacementDemand::Category { policy: name, .. }
        | PlacementDemand::Unknown { policy: name, .. }) = demand;
        // What nobody demands any more is met: its policy is gone or about to be, reports only, governs elsewhere, or has no
        // such level, category or exception now.
        let policy = self.facts.policies.get(name.as_str())?;
        let found = self.facts.namespaces.get(namespace)?;
        if text(policy, "/spec/mode") != "Enforce" || ends(policy).is_some() || !governs(policy, namespace, found) {
            return None;
        }
        match demand {
            // One that is known again is what it says.
            PlacementDemand::Unknown { value, .. } if rank(policy, value).is_some() => {
                self.refuses_level(policy, namespace, value, None)
            }
            PlacementDemand::Unknown { value, .. } => Some(format!("policy {name} does not know {value:?}")),
            PlacementDemand::Category { category, .. } => {
                let mut known = policy.pointer("/spec/categories").and_then(Value::as_array).into_iter().flatten();
                let found = known.find(|found| text(found, "/name") == category)?;
                let who = format!("category {category} of policy {name}");
                self.falls_short(&who, found).or_else(|| {
                    let require = found.get("require").filter(|require| counts_control_plane(require))?;
                    self.control_plane_lacks(&who, &[require])
                })
            }
            PlacementDemand::Level { level, exception, .. } => {
                self.refuses_level(policy, namespace, level, exception.as_deref())
            }
        }
    }

    /// Why it may not have a pod of a level, which was admitted by an exception or by none.
    fn refuses_level(&self, policy: &Value, namespace: &str, level: &str, by: Option<&str>) -> Option<String> {
        let rank = rank(policy, level)?;
        let mut granted = exceptions(policy, namespace, rank).map(|found| text(found, "/name"));
        // One that is removed is retired as levels are.
        if by.is_some_and(|name| granted.all(|found| found != name)) {
            return None;
        }
        let name = text(policy, "/metadata/name");
        // What is granted is a pool, and not where the control plane runs.
        if self.excepted(policy, namespace, rank) {
            return self.control_plane_refuses(&format!("level {level} of policy {name}"), policy, rank);
        }
        let who = |level: &Value| format!("level {} of policy {name}", text(level, "/name"));
        let mut below = levels(policy).iter().take(rank + 1);
        let of_pool = below.find_map(|level| self.falls_short(&who(level), level));
        of_pool.or_else(|| self.control_plane_refuses(&format!("level {level} of policy {name}"), policy, rank))
    }

    /// What the control plane lacks of a level that counts it in, or lies above one that does: everything that is asked of a
    /// pool of that level is asked of it.
    fn control_plane_refuses(&self, who: &str, policy: &Value, rank: usize) -> Option<String> {
        let asked: Vec<&Value> =
            levels(policy).iter().take(rank + 1).filter_map(|level| level.get("require")).collect();
        let is_counted = asked.iter().any(|require| counts_control_plane(require));
        is_counted.then(|| self.control_plane_lacks(who, &asked)).flatten()
    }

    /// What some place of the control plane lacks of what is asked, or that no place is known.
    fn control_plane_lacks(&self, who: &str, asked: &[&Value]) -> Option<String> {
        let mut places = self.facts.pools.iter().filter(|(_, pool)| is_control_plane(pool)).peekable();
        if places.peek().is_none() {
            return Some(format!("{who}: nobody says where the control plane runs"));
        }
        places.find_map(|(name, pool)| {
            let Some(site) = site(self.facts, pool) else {
                return Some(format!("{who}: control plane {name} stands on nothing that is recorded"));
            };
            let lack = asked.iter().find_map(|require| lacks(self.facts, site, require))?;
            Some(format!("{who}: control plane {name}: {lack}"))
        })
    }

    /// Whether somebody has granted that pods of this namespace and level may be here, until today or later.
    fn excepted(&self, policy: &Value, namespace: &str, of: usize) -> bool {
        let today = self.facts.today();
        exceptions(policy, namespace, of).any(|exception| {
            let pools = exception.pointer("/pools").and_then(Value::as_array);
            let lent = |pool: &str| pools.is_some_and(|listed| listed.iter().any(|found| found == pool));
            self.pool.is_some_and(|(pool, _)| lent(pool)) && today.as_str() <= text(exception, "/until")
        })
    }

    fn falls_short(&self, who: &str, of: &Value) -> Option<String> {
        let require = of.get("require")?;
        let Some((pool, site)) = self.pool else { return Some(format!("{who}: the node is of no pool")) };
        let Some(site) = site else { return Some(format!("{who}: pool {pool} stands on nothing that is recorded")) };
        lacks(self.facts, site, require).map(|lack| format!("{who}: pool {pool}: {lack}"))
    }
}

/// Whether a pool is where the control plane runs, and of no node.
fn is_control_plane(pool: &Value) -> bool {
    text(pool, "/spec/role") == "ControlPlane"
}

fn counts_control_plane(require: &Value) -> bool {
    require.get("controlPlane").and_then(Value::as_bool).unwrap_or_default()
}

fn site<'a>(facts: &ClusterFacts<'a>, pool: &'a Value) -> Option<OfferZone<'a>> {
    let named = |object: &'a Value, list: &str, name: &str| {
        object.pointer(list).and_then(Value::as_array)?.iter().find(|entry| text(entry, "/name") == name)
    };
    let provider = *facts.providers.get(text(pool, "/spec/provider"))?;
    let offer = named(provider, "/spec/offers", text(pool, "/spec/offer"))?;
    let zone = named(offer, "/zones", text(pool, "/spec/zone"))?;
    Some(OfferZone { provider, offer, zone })
}
