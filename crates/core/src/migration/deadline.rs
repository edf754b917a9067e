//! Deadlines: what becomes of a pod that violates for longer than its level lets it.
//!
//! Takes since when each pod violates and what came of asking for its removal, and gives what is asked next: its eviction,
//! and past its disruption budget its deletion. A reason to stay that only delays ends here; one that keeps a pod from having
//! anywhere to go, or anybody to make it anew, does not. What is about to go is announced a day before.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use crate::{
    cluster_objects::{ControllerSpec, ObjectUid, Pod},
    compliance::{Compliance, ComplianceReport, MisplacedPod, OwnedPods, PodOwner},
    instant::Timestamp,
    name::{LevelName, PolicyName},
    pod_requirements::LevelRef,
    policy::{LossAction, PolicyLevels},
};

/// How long before a deadline it is announced, where as much is left.
pub const ANNOUNCED_BEFORE: Duration = Duration::from_hours(24);

/// What was asked for a pod that violates, and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemovalStage {
    /// Its eviction, before its deadline.
    Eviction,
    /// Its eviction, past its deadline.
    OverdueEviction,
    /// Its deletion.
    Deletion,
}

/// A removal that the API server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefusedRemoval {
    /// What was asked for.
    pub stage: RemovalStage,
    /// Whether disruption budgets, and not somebody's admission, have refused its eviction past its deadline again and again,
    /// for as long as a step of a move may take.
    pub budget_persists: bool,
    /// Whether that is waited out.
    pub is_waited_out: bool,
}

/// What is done about a pod past its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OverdueRemoval {
    /// Its eviction is asked for.
    Evict,
    /// It is deleted: its budget never lets it go.
    Delete,
    /// What refused it last is waited out.
    Wait,
}

/// What is asked next for a pod past its deadline, of which `refused` was refused last. A budget that says no once may say
/// yes a moment later, when the pod of another workload that shares it is ready again, or somebody's drain is over; one that
/// never does is what the deadline is for. Right before a deletion an eviction was refused.
#[must_use]
pub fn next_removal(refused: Option<RefusedRemoval>) -> OverdueRemoval {
    let Some(RefusedRemoval { stage, budget_persists, is_waited_out }) = refused else { return OverdueRemoval::Evict };
    match (stage, budget_persists, is_waited_out) {
        // The deadline has come since, or what was refused is old: it is asked for once more.
        (RemovalStage::Eviction, true | false, true | false)
        | (RemovalStage::OverdueEviction | RemovalStage::Deletion, true | false, false) => OverdueRemoval::Evict,
        (RemovalStage::OverdueEviction, true, true) => OverdueRemoval::Delete,
        (RemovalStage::OverdueEviction, false, true) | (RemovalStage::Deletion, true | false, true) => {
            OverdueRemoval::Wait
        }
    }
}

/// Since when a pod violates a level that has a deadline. One that its policy, or another, demands only since yesterday has
/// been violated since yesterday, however long the pod has stood wrong under others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LevelViolation {
    /// The policy.
    pub policy: PolicyName,
    /// Its level.
    pub level: LevelName,
    /// Since when.
    pub since: Timestamp,
}

/// The levels with a deadline that a pod violates, and which of its deadlines was announced last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct PodViolations {
    levels: Vec<LevelViolation>,
    announced: Option<Timestamp>,
}

/// The deadline of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodDeadline {
    /// When it ends.
    pub at: Timestamp,
    /// Since when the pod violates.
    pub since: Timestamp,
}

/// Pods of a workload that are about to go by their deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlineNotice<'a> {
    /// What makes the pods.
    pub owner: ObjectUid,
    /// The pods, by their names with their namespace, and when the deadline of each ends.
    pub pods: Vec<(&'a str, PodDeadline)>,
}

impl<'a> MisplacedPod<'a> {
    /// The levels of policies in force that it violates and that say for how long it may; not those that only tell of it.
    fn tolerances(&self) -> impl Iterator<Item = (&'a PolicyLevels, LevelRef<'a>, Duration)> {
        let violated = self.unsatisfied().filter(|(_, compliance)| *compliance == Compliance::Violating);
        violated.filter_map(|(required, _)| {
            let level = required.level()?;
            let levels = &required.policy.levels;
            let on_loss = &levels.at(level.rank)?.on_loss;
            match on_loss.action {
                LossAction::Migrate | LossAction::Evict => Some((levels, level, on_loss.deadline?)),
                LossAction::Report => None,
            }
        })
    }
}

impl OwnedPods<'_> {
    /// Whether `pod` may go though nothing of it stands elsewhere yet: it is not ready, or another one is, none of them is on
    /// its way out, and as many are there as are wanted.
    #[must_use]
    pub fn can_spare(&self, pod: &Pod) -> bool {
        let is_whole = match self.owner {
            PodOwner::Known(_, controller) => self.pods.staying() >= controller.replicas,
            PodOwner::Unknown(_) | PodOwner::None(..) => true,
        };
        !pod.is_ready() || (self.pods.ready > 1 && self.pods.terminating == 0 && is_whole)
    }

    /// Whether one of its pods may be deleted where its eviction is refused. What is deleted is not marked as disrupted, so
    /// that a Job counts it as a failure whatever its rules say of disruptions.
    #[must_use]
    pub fn bears_deletion(&self) -> bool {
        match self.owner {
            PodOwner::Known(_, controller) => match controller.spec {
                ControllerSpec::Job { .. } | ControllerSpec::CronJob => false,
                ControllerSpec::Deployment { .. }
                | ControllerSpec::ReplicaSet
                | ControllerSpec::StatefulSet { .. }
                | ControllerSpec::DaemonSet { .. } => true,
            },
            PodOwner::Unknown(_) | PodOwner::None(..) => true,
        }
    }
}

/// The violations of pods whose levels have a deadline, by the identifiers of the pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Violations(BTreeMap<ObjectUid, PodViolations>);

impl Violations {
    /// Those of whoever takes over, from what is recorded of them.
    pub(super) fn recorded(recorded: impl IntoIterator<Item = (ObjectUid, LevelViolation)>) -> Self {
        let mut violations = Self::default();
        for (pod, violation) in recorded {
            violations.0.entry(pod).or_default().levels.push(violation);
        }
        violations
    }

    /// Takes in how `report` finds everything at `now`.
    pub(super) fn observe(&mut self, report: &ComplianceReport<'_>, now: Timestamp) {
        let mut before = core::mem::take(&mut self.0);
        for found in report.workloads.values().flat_map(|owned| &owned.misplaced) {
            let known = before.remove(&found.pod.uid).unwrap_or_default();
            let levels = found.tolerances().map(|(levels, LevelRef { policy, rank, level }, _)| {
                // A level demands all that those below it demand, so that who is raised has violated it for as long as those;
                // and one that is called otherwise now is no other.
                let is_below = |known: &&LevelViolation| {
                    known.policy == *policy && levels.rank(known.level.as_str()).is_none_or(|known| known <= rank)
                };
                let known = known.levels.iter().filter(is_below).map(|known| known.since).min();
                // An instant to come is that of a clock that was set back since.
                let since = known.map_or(now, |known| known.min(now));
                LevelViolation { policy: policy.clone(), level: level.clone(), since }
            });
            let levels: Vec<_> = levels.collect();
            if !levels.is_empty() {
                self.0.insert(found.pod.uid, PodViolations { levels, announced: known.announced });
            }
        }
    }

    /// The levels with a deadline that `pod` violates, and since when.
    pub(super) fn of(&self, pod: ObjectUid) -> &[LevelViolation] {
        self.0.get(&pod).map_or(&[][..], |known| &known.levels)
    }

    /// The first of the deadlines of `pod`, where it has one.
    fn deadline(&self, pod: &MisplacedPod<'_>) -> Option<PodDeadline> {
        let known = self.of(pod.pod.uid);
        let deadlines = pod.tolerances().filter_map(|(_, LevelRef { policy, level, .. }, tolerated)| {
            let violation = known.iter().find(|known| known.policy == *policy && known.level == *level)?;
            Some(PodDeadline { at: violation.since.after(tolerated), since: violation.since })
        });
        deadlines.min()
    }

    /// The deadlines of all pods of `report` that have one.
    pub(super) fn deadlines<'r, 'a: 'r>(
        &'r self,
        report: &'r ComplianceReport<'a>,
    ) -> impl Iterator<Item = (&'r OwnedPods<'a>, &'r MisplacedPod<'a>, PodDeadline)> {
        report.workloads.values().flat_map(move |owned| {
            owned.misplaced.iter().filter_map(move |pod| Some((owned, pod, self.deadline(pod)?)))
        })
    }

    /// What is to be announced at `now` of pods that their deadline `ends`, which is remembered.
    pub(super) fn announce<'a>(
        &mut self,
        report: &ComplianceReport<'a>,
        now: Timestamp,
        ends: impl Fn(ObjectUid, &str) -> bool,
    ) -> Vec<DeadlineNotice<'a>> {
        let mut notices: BTreeMap<ObjectUid, Vec<(&'a str, PodDeadline)>> = BTreeMap::new();
        let mut told = Vec::new();
        for (owned, pod, deadline) in self.deadlines(report) {
            // One that has become earlier is another.
            let told_of = self.0.get(&pod.pod.uid).and_then(|known| known.announced);
            if told_of.is_none_or(|told| deadline.at < told)
                && !pod.pod.terminating
                && ends(owned.uid, pod.key)
                && deadline.at.before(ANNOUNCED_BEFORE) <= now
            {
                notices.entry(owned.uid).or_default().push((pod.key, deadline));
                told.push((pod.pod.uid, deadline.at));
            }
        }
        for (pod, at) in told {
            if let Some(known) = self.0.get_mut(&pod) {
                known.announced = Some(at);
            }
        }
        notices.into_iter().map(|(owner, pods)| DeadlineNotice { owner, pods }).collect()
    }

    /// When after `now` a deadline is next to be announced, or ends.
    pub(super) fn next(&self, report: &ComplianceReport<'_>, now: Timestamp) -> Option<Timestamp> {
        let instants =
            self.deadlines(report).flat_map(|(.., deadline)| [deadline.at.before(ANNOUNCED_BEFORE), deadline.at]);
        instants.filter(|then| *then > now).min()
    }
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    #[test]
    fn past_its_deadline_a_pod_is_evicted_and_past_a_budget_that_never_lets_go_deleted() {
        use OverdueRemoval::{Delete, Evict, Wait};
        use RemovalStage::{Deletion, Eviction, OverdueEviction};
        assert_eq!(next_removal(None), Evict);
        for (stage, budget_persists, is_waited_out, expected) in [
            (Eviction, true, true, Evict),
            (Eviction, true, false, Evict),
            (Eviction, false, true, Evict),
            (Eviction, false, false, Evict),
            (OverdueEviction, true, true, Delete),
            // It is old: the budget may have room again.
            (OverdueEviction, true, false, Evict),
            // Somebody's admission said no, or a budget that may say yes in a moment.
            (OverdueEviction, false, true, Wait),
            (OverdueEviction, false, false, Evict),
            (Deletion, true, true, Wait),
            (Deletion, true, false, Evict),
            (Deletion, false, true, Wait),
            (Deletion, false, false, Evict),
        ] {
            let refused = RefusedRemoval { stage, budget_persists, is_waited_out };
            assert_eq!(next_removal(Some(refused)), expected, "{refused:?}");
        }
    }
}
