//! The control plane in the second opinion: what counts it in clears a node while every place of it meets as much.

use serde_json::{Value, json};

use super::{policy, pool, provider};
use crate::{ClusterFacts, NodeClearance};

/// Whether a node of the one pool is cleared for levels `restricted`, which requires `require`, and `secret` above it, where the
/// control plane has these places.
fn cleared(require: &Value, places: &[Value]) -> (bool, bool) {
    let (provider, pool, policy) = (provider(), pool(), policy(require));
    let node = json!({"metadata": {"name": "n", "labels": {"pool": "nord"}}});
    let mut facts = ClusterFacts { now: "2026-11-22T12:00:00Z".parse().unwrap(), ..ClusterFacts::default() };
    facts.providers.insert("nord", &provider);
    facts.policies.insert("state", &policy);
    facts.nodes.insert("n", &node);
    facts.pools.insert("nord", &pool);
    for place in places {
        facts.pools.insert(place.pointer("/metadata/name").and_then(Value::as_str).unwrap(), place);
    }
    let node = NodeClearance::of(&facts, "n");
    (node.cleared("state", "restricted"), node.cleared("state", "secret"))
}

fn place(name: &str, offer: &str) -> Value {
    let spec = json!({"role": "ControlPlane", "provider": "nord", "offer": offer, "zone": "nord-1"});
    json!({"metadata": {"name": name}, "spec": spec})
}

#[test]
fn what_counts_the_control_plane_in_is_cleared_where_all_of_it_meets_as_much() {
    let counting = json!({"qualifications": ["secnumcloud"], "controlPlane": true});
    let other = json!({"qualifications": ["secnumcloud"]});
    for (require, places, expected) in [
        (&other, vec![], true),
        (&other, vec![place("cp", "gone")], true),
        (&counting, vec![], false),
        (&counting, vec![place("cp", "iaas")], true),
        (&counting, vec![place("cp", "gone")], false),
        (&counting, vec![place("cp-a", "iaas"), place("cp-b", "gone")], false),
        (&counting, vec![place("cp-a", "iaas"), place("cp-b", "iaas")], true),
    ] {
        assert_eq!(cleared(require, &places), (expected, expected), "{require} {places:?}");
    }
}

#[test]
fn a_place_of_the_control_plane_has_no_node() {
    let mut claiming = place("cp", "iaas");
    claiming["spec"]["nodeSelector"] = json!({"matchLabels": {"pool": "nord"}});
    assert_eq!(cleared(&json!({"qualifications": ["secnumcloud"]}), &[claiming]), (true, true));
}
