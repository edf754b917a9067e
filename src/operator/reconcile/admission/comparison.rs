//! Comparison of admission: what is there, held against what the chart installs and what each policy must have.
//!
//! Takes what a cache has of a cluster, and returns faults. Pure: the reconciler asks it in every pass, and whoever looks at a
//! cluster from outside asks the same.

use std::collections::{BTreeMap, BTreeSet};

use super::propagation::{AdmissionFault, AdmissionFaultKind};
use crate::{
    admission::{self, AdmissionKind, AdmissionObjects, AdmissionSettings, installed::InstalledAdmission},
    api::PlacementPolicy,
    convert,
    operator::cache::{AdmissionStores, ClusterCache, ObservedAdmission},
};

/// The objects that `object` must have; `None` where its names cannot be used, which its definition rules out.
#[must_use]
pub fn objects_of(name: &str, object: &PlacementPolicy, settings: &AdmissionSettings) -> Option<AdmissionObjects> {
    let policy = convert::policy_of_admission(name, &object.spec)?;
    let uid = object.metadata.uid.as_deref();
    Some(admission::compile(&policy, uid, object.spec.namespace_selector.as_ref(), settings))
}

/// The labels by which the pools that there are select nodes.
pub fn pool_labels(cache: &ClusterCache) -> BTreeSet<String> {
    let specs = cache.pools.iter().filter_map(|(_, pool)| pool.object.as_ref().ok()?.spec.node_selector.as_ref());
    specs.flat_map(admission::selected_by).map(str::to_owned).collect()
}

/// What is wrong with the object of `kind` that must have `digest`, where something is.
pub fn fault_of(
    kind: AdmissionKind,
    name: &str,
    (digest, authorities): (u64, Option<u64>),
    found: Option<&ObservedAdmission>,
) -> Option<AdmissionFault> {
    let fault = match found {
        None => AdmissionFaultKind::Missing,
        Some(found) if found.terminating => AdmissionFaultKind::Missing,
        Some(found) if found.digest != digest => AdmissionFaultKind::Altered,
        Some(found) if authorities.is_some() && found.authorities != authorities => AdmissionFaultKind::Altered,
        Some(_) => return None,
    };
    Some(AdmissionFault { kind, name: name.to_owned(), fault })
}

/// What is wrong with what the chart installs, and what passes for Rempart's and is nobody's.
pub fn faults_of_chart(installed: &InstalledAdmission, admission: &AdmissionStores) -> Vec<AdmissionFault> {
    let of_chart = installed
        .iter()
        .filter_map(|(kind, name, digest)| fault_of(kind, name, (digest, None), admission.of(kind).get(name)));
    // What has the name of a policy's object is that policy's, or goes.
    let foreign = AdmissionKind::ALL.into_iter().flat_map(|kind| {
        let nobodys = move |(name, found): &(&String, &ObservedAdmission)| {
            found.passes_for_ours && admission::policy_of(name).is_none() && !installed.contains(kind, name)
        };
        let foreign =
            move |name: &String| AdmissionFault { kind, name: name.clone(), fault: AdmissionFaultKind::Foreign };
        admission.of(kind).iter().filter(nobodys).map(move |(name, _)| foreign(name))
    });
    of_chart.chain(foreign).collect()
}

/// What is wrong with the objects of each policy of `cache`, by `settings`: only of policies with a fault, and of those that
/// are there, can be read and are not being deleted. Objects of a policy that is not there are told apart, as orphaned.
#[must_use]
pub fn faults_of_policies(
    cache: &ClusterCache,
    settings: &AdmissionSettings,
) -> (BTreeMap<String, Vec<AdmissionFault>>, Vec<AdmissionFault>) {
    let mut lacking = BTreeMap::new();
    for (name, record) in cache.policies.iter().filter(|(_, record)| !record.is_terminating()) {
        let Some(objects) = record.object.as_ref().ok().and_then(|object| objects_of(name, object, settings)) else {
            continue;
        };
        let faults = objects.iter().filter_map(|((kind, name), object)| {
            let desired = (object.digest(), object.authorities());
            fault_of(*kind, name, desired, cache.admission.of(*kind).get(name))
        });
        let faults: Vec<_> = faults.collect();
        if !faults.is_empty() {
            lacking.insert(name.clone(), faults);
        }
    }
    let kept = AdmissionKind::ALL.into_iter().filter(|kind| *kind != AdmissionKind::Mutation);
    let orphaned = kept.flat_map(|kind| {
        let is_orphan =
            |name: &&String| admission::policy_of(name).is_some_and(|policy| cache.policies.get(policy).is_none());
        cache
            .admission
            .of(kind)
            .iter()
            .filter_map(move |(name, found)| (!found.terminating).then_some(name))
            .filter(is_orphan)
            .map(move |name| AdmissionFault { kind, name: name.clone(), fault: AdmissionFaultKind::Orphaned })
    });
    let orphaned = orphaned.collect();
    (lacking, orphaned)
}
