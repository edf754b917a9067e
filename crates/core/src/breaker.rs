//! Circuit breaker, the measure of clearance losses: how many pods ceased to be compliant because recorded facts changed.
//!
//! Takes a compliance report and the facts as they were, and gives the loss of each level: what guards running pods against
//! facts that were lost by mistake.
//!
//! The measure is what would be, now, if the facts had stayed what they were. What ends by its own date has ended in
//! both, and what is new in scope (a label, an annotation, a policy that was not in force) was in neither.

use alloc::borrow::ToOwned;
use alloc::string::String;

use alloc::collections::{BTreeMap, BTreeSet};

use super::{
    cluster_objects::{ClusterObjects, split},
    compliance::{Compliance, ComplianceReport},
    name::PolicyName,
    namespace::NamespaceFacts,
    pod_requirements::LevelRef,
    policy::Policy,
    selector::Labels,
};

/// The facts as they were a while ago.
#[derive(Debug)]
pub struct LossBaseline<'a> {
    /// The policies of then.
    pub policies: &'a BTreeMap<PolicyName, Policy>,
    /// The stamps that each node, by name, would now have by the facts of then, if no pool were withdrawn ahead of time.
    pub nodes: BTreeMap<&'a str, &'a Labels>,
    /// Those that it would have by the lead times of then; of no node where these are the same as now.
    pub led: BTreeMap<&'a str, &'a Labels>,
}

/// How many of a level's pods were lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClearanceLoss {
    /// Pods that would stand right had the facts stayed.
    pub lost: u32,
    /// All pods of the level.
    pub total: u32,
    /// The nodes of the pods that were lost.
    pub nodes: BTreeSet<String>,
    /// Whether some of them still stand where they may, and are to leave ahead of the end.
    pub is_ahead: bool,
}

impl ClearanceLoss {
    /// Whether more than `share` percent were lost.
    #[must_use]
    pub fn exceeds(&self, share: u8) -> bool {
        u64::from(self.lost).saturating_mul(100) > u64::from(self.total).saturating_mul(u64::from(share))
    }
}

/// What each level lost since `baseline`; levels that lost nothing are left out.
#[must_use]
pub fn losses<'a>(
    objects: &ClusterObjects<'_>,
    report: &ComplianceReport<'a>,
    baseline: &LossBaseline<'_>,
) -> BTreeMap<LevelRef<'a>, ClearanceLoss> {
    let mut losses: BTreeMap<LevelRef<'a>, ClearanceLoss> = BTreeMap::new();
    for pod in report.workloads.values().flat_map(|owned| &owned.misplaced) {
        let (namespace, _) = split(pod.key);
        let Some(known) = objects.namespaces.get(namespace).map(NamespaceFacts::Known) else { continue };
        let Some(node) = pod.pod.node.as_deref() else { continue };
        for (required, compliance) in pod.unsatisfied() {
            let stamps = match compliance {
                Compliance::Violating => baseline.nodes.get(node),
                // A lead time that was edited may begin to move most of a level.
                Compliance::Expiring => baseline.led.get(node),
                Compliance::Compliant => None,
            };
            let (Some(level), Some(stamps)) = (required.level(), stamps) else { continue };
            let then = baseline.policies.get(&required.policy.name);
            let then = then.filter(|then| then.is_in_force() && known.governed_by(then, namespace));
            let said =
                objects.sensitivity(namespace, known.statement(), pod.pod.owner.as_deref(), Some(&pod.pod.statements));
            let stood = then.is_some_and(|then| then.need(namespace, &said).is_ok_and(|need| need.met_by(stamps)));
            if stood {
                let loss = losses.entry(level).or_default();
                loss.lost = loss.lost.saturating_add(1);
                loss.is_ahead |= compliance == Compliance::Expiring;
                if !loss.nodes.contains(node) {
                    loss.nodes.insert(node.to_owned());
                }
            }
        }
    }
    for (level, loss) in &mut losses {
        loss.total = report.levels.get(level).map_or(loss.lost, |counts| counts.total);
    }
    losses
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    #[test]
    fn more_than_the_share_trips_and_the_share_itself_does_not() {
        let loss = |lost, total| ClearanceLoss { lost, total, ..ClearanceLoss::default() }.exceeds(50);
        assert!(loss(1, 1) && loss(2, 3) && loss(501, 1000));
        assert!(!loss(0, 0) && !loss(1, 2) && !loss(500, 1000) && !loss(0, 5));
        assert!(
            !ClearanceLoss { lost: 7, total: 7, ..ClearanceLoss::default() }.exceeds(100),
            "at 100 % it never trips"
        );
    }
}
