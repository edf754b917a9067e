//! Checks of nodes: whether they are what they say, whether they are machines, and what their clocks say.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use super::{Check, CheckResults, Examined, ExaminedKind, FindingCode, namespaces::texts};
use crate::{api::PlacementPool, convert, lint::is_claimable, operator::clock_skew::TOLERANCE};
use rempart_core::{
    catalogue::Pool,
    keys::is_stamp,
    name::PoolName,
    pool_membership::{NodeIdentity, claims},
    selector::Labels,
};

pub(super) const POOLS: Check = Check {
    name: "Pools",
    asks: "whether a node is of its pool by more than what its own kubelet says",
    needs: &[ExaminedKind::PlacementPool, ExaminedKind::Node],
    live: false,
    examine: pools,
};

pub(super) const VIRTUAL: Check = Check {
    name: "VirtualNodes",
    asks: "whether a node of a pool stands for a service and no machine",
    needs: &[ExaminedKind::PlacementPool, ExaminedKind::Node],
    live: false,
    examine: virtual_nodes,
};

pub(super) const LEASES: Check = Check {
    name: "NodeClocks",
    asks: "whether the clocks of nodes are right, by the leases that they renew",
    needs: &[ExaminedKind::Node, ExaminedKind::Lease],
    live: false,
    examine: leases,
};

/// Labels by which a node is known to be none: what virtual kubelets and serverless services write (virtual-kubelet's
/// `cmd/virtual-kubelet`, Azure Container Instances, EKS Fargate, Alibaba Cloud ECI, Liqo, Admiralty).
const VIRTUAL_LABELS: [(&str, &str); 7] = [
    ("type", "virtual-kubelet"),
    ("type", "virtual-node"),
    ("kubernetes.azure.com/role", "virtual-node"),
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("alibabacloud.com/virtual-node", "true"),
    ("liqo.io/type", "virtual-node"),
    ("virtual-kubelet.io/provider", "admiralty"),
];

/// Taints by which likewise.
const VIRTUAL_TAINTS: [&str; 3] =
    ["virtual-kubelet.io/provider", "eks.amazonaws.com/compute-type", "virtual-node.liqo.io/not-allowed"];

fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// The pools that could be read.
fn read_pools(examined: &Examined, check: &'static str, results: &mut CheckResults) -> BTreeMap<PoolName, Pool> {
    let (objects, mut wrong) = examined.decoded::<PlacementPool>(ExaminedKind::PlacementPool);
    let mut pools = BTreeMap::new();
    for object in objects {
        let name = object.metadata.name.clone().unwrap_or_default();
        match convert::pool(&name, &object.spec).value {
            Some(pool) => drop(pools.insert(pool.name.clone(), pool)),
            None => wrong.push(format!("PlacementPool {name} cannot be judged")),
        }
    }
    for message in wrong {
        results.leave(check, message, "`rempart lint` says what is wrong with it");
    }
    pools
}

/// The pool that `node` is of.
fn pool_of<'p>(pools: &'p BTreeMap<PoolName, Pool>, node: &Value) -> Option<&'p Pool> {
    let labels: Labels = texts(node, "/metadata/labels");
    let provider_id = node.pointer("/spec/providerID").and_then(Value::as_str).filter(|id| !id.is_empty());
    let owner = claims(pools, NodeIdentity { labels: &labels, provider_id }).owner()?;
    pools.get(owner)
}

fn pools(examined: &Examined, results: &mut CheckResults) {
    let pools = read_pools(examined, POOLS.name, results);
    for pool in pools.values() {
        if is_claimable(pool) {
            let keys: BTreeSet<&str> = pool.selector.keys().collect();
            let keys: Vec<&str> = keys.into_iter().collect();
            results.find(
                FindingCode::PoolClaimable,
                format!("PlacementPool {}", pool.name),
                "spec.nodeSelector",
                format!("it selects nodes by {} alone, which a kubelet sets for its own node when it registers", keys.join(", ")),
                "whoever starts a node that joins, or has a bootstrap token, to have it stamped as this pool's",
                "give it a providerIDPrefix, or select by a label under node-restriction.kubernetes.io that provisioning sets",
            );
        }
    }
    for node in examined.known(ExaminedKind::Node) {
        let has_id = node.pointer("/spec/providerID").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
        if let (false, Some(pool)) = (has_id, pool_of(&pools, node)) {
            results.find(
                FindingCode::NodeWithoutProviderID,
                format!("Node {}", name_of(node)),
                "spec.providerID",
                format!("it is of pool {} and has no providerID, which can be set once", pool.name),
                "its kubelet to give itself one; nothing says whose machine it is",
                "have it registered by the provider's cloud controller, or give the kubelet its --provider-id",
            );
        }
    }
}

/// By what `node` says that it is none, if it does.
fn virtual_by(node: &Value) -> Option<String> {
    let labels = texts(node, "/metadata/labels");
    let label = VIRTUAL_LABELS.iter().find(|(key, value)| labels.get(*key).is_some_and(|found| found == value));
    let taints = node.pointer("/spec/taints").and_then(Value::as_array).into_iter().flatten();
    let mut taints = taints.filter_map(|taint| taint.get("key")?.as_str());
    let version = node.pointer("/status/nodeInfo/kubeletVersion").and_then(Value::as_str).unwrap_or_default();
    label
        .map(|(key, value)| format!("the label {key}={value}"))
        .or_else(|| taints.find(|key| VIRTUAL_TAINTS.contains(key)).map(|key| format!("the taint {key}")))
        .or_else(|| version.contains("-vk-").then(|| format!("the kubelet version {version}")))
}

fn virtual_nodes(examined: &Examined, results: &mut CheckResults) {
    let pools = read_pools(examined, VIRTUAL.name, results);
    for node in examined.known(ExaminedKind::Node) {
        let Some(by) = virtual_by(node) else { continue };
        let labels = texts(node, "/metadata/labels");
        let is_stamped = labels.keys().any(|key| is_stamp(key));
        let whose = match pool_of(&pools, node) {
            Some(pool) => format!("is of pool {}", pool.name),
            None if is_stamped => "carries stamps".to_owned(),
            // Nothing that needs a stamp runs there.
            None => continue,
        };
        results.find(
            FindingCode::VirtualNode,
            format!("Node {}", name_of(node)),
            "metadata.labels",
            format!("it {whose}, and stands for a service that runs pods elsewhere, by {by}"),
            "pods of a level to run on machines that no pool describes",
            "leave it out of the pool's nodeSelector, or declare a pool of the offer that it stands for",
        );
    }
}

/// Whether the API server takes `node` for ready.
fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.into_iter().any(|one| {
        one.get("type").is_some_and(|kind| kind == "Ready") && one.get("status").is_some_and(|status| status == "True")
    })
}

/// How often a kubelet renews its lease at the latest, beside what clocks may differ by: `nodeLeaseDurationSeconds`.
const RENEWAL: u64 = 40;

fn leases(examined: &Examined, results: &mut CheckResults) {
    let Some(now) = examined.at else {
        return results.leave(LEASES.name, "what time it is is not known", "give --at, or --cluster");
    };
    let (leases, undecodable) = examined.decoded::<Lease>(ExaminedKind::Lease);
    for message in undecodable {
        results.leave(LEASES.name, message, "correct the object, or export it anew");
    }
    let renewed: BTreeMap<String, i64> = leases
        .into_iter()
        .filter(|lease| lease.metadata.namespace.as_deref() == Some("kube-node-lease"))
        .filter_map(|lease| Some((lease.metadata.name?, lease.spec?.renew_time?.0.as_second())))
        .collect();
    for node in examined.known(ExaminedKind::Node) {
        let Some(renewed) = renewed.get(name_of(node)) else { continue };
        let age = now.timestamp().as_second().saturating_sub(*renewed);
        let tolerated = TOLERANCE.as_secs();
        let (code, side) = if age < 0 && age.unsigned_abs() > tolerated {
            (FindingCode::NodeClockAhead, "ahead of")
        } else if age > 0 && age.unsigned_abs() > tolerated.saturating_add(RENEWAL) && is_ready(node) {
            // The node controller counts from when it saw the lease change: a node that is ready renews it, by its own clock.
            (FindingCode::NodeClockBehind, "behind")
        } else {
            continue;
        };
        results.find(
            code,
            format!("Node {}", name_of(node)),
            "Lease.spec.renewTime",
            format!("its lease was renewed {}: its clock is {side} the API server's", super::operator::ago(age)),
            "its kubelet to take certificates and tokens for valid that are not, or the other way round",
            "correct its clock, by NTP",
        );
    }
}
