//! Keys that a pod selects by, held against the policies that there are.
//!
//! It takes the facts at one instant and a raw pod, and returns the keys for which it waits though no policy would add
//! them now: its level, category or exception is gone, or asks for nothing any more.

use serde_json::{Map, Value};

use super::{
    facts::ClusterFacts,
    log::text,
    needs::{levels, rank},
};

/// The domain of all stamps.
const DOMAIN: &str = "rempart.node-restriction.kubernetes.io";

/// The keys in a pod's selector that no policy demands.
pub fn undemanded_keys<'a>(facts: &ClusterFacts<'_>, pod: &'a Value) -> Vec<&'a str> {
    let selector = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    let keys = selector.into_iter().flat_map(Map::keys).map(String::as_str);
    keys.filter(|key| !is_demanded(facts, key).unwrap_or(true)).collect()
}

/// Whether some policy demands a key; nothing of one that is no key of a policy.
fn is_demanded(facts: &ClusterFacts<'_>, key: &str) -> Option<bool> {
    let (domain, name) = key.split_once('/')?;
    let kind = domain.strip_suffix(DOMAIN)?.strip_suffix('.')?;
    let (policy, name) = name.split_once('.')?;
    let Some(policy) = facts.policies.get(policy) else { return Some(false) };
    let named = |list: &str| {
        let list = policy.pointer(list).and_then(Value::as_array).into_iter().flatten();
        list.into_iter().find(|entry| text(entry, "/name") == name)
    };
    match kind {
        "clearance" => Some(
            rank(policy, name)
                .is_some_and(|rank| levels(policy).iter().take(rank + 1).any(|level| level.get("require").is_some())),
        ),
        "category" => Some(named("/spec/categories").is_some_and(|category| category.get("require").is_some())),
        "exception" => Some(named("/spec/exceptions").is_some()),
        _ => None,
    }
}
