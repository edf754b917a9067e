//! Worlds: the state of a small cluster, of its facts and of what the operator remembers.
//!
//! Two that are equal behave alike: times are told from the present, and identifiers are used again once nobody speaks of
//! them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rempart_core::{
    cluster_objects::{ObjectUid, PodPhase},
    migration::MigrationMemory,
    monotonic::MonotonicTime,
};

use super::scenario::{Facts, ModelKind, Scenario, WorkloadSpec};

/// The present: what is longer ago than any deadline lies after the first possible reading.
pub(super) const PRESENT: MonotonicTime = MonotonicTime::after(Duration::from_hours(2));
/// How long facts must be stable before anything is moved.
pub(super) const SETTLING: Duration = Duration::from_secs(2);
/// What lies further back decides nothing.
const LONG_AGO: Duration = Duration::from_mins(10);

/// Every note that is in no template any more: none of them comes back.
const FORMER_NOTE: u8 = u8::MAX;

/// A small cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// Which of the scenario's facts hold.
    pub(super) facts: usize,
    /// When they last changed.
    pub(super) facts_changed: MonotonicTime,
    /// Whether the operator has looked at what runs since then.
    pub(super) facts_seen: bool,
    /// Whether each node carries the stamp.
    pub(super) stamped: Vec<bool>,
    pub(super) workloads: Vec<WorkloadState>,
    pub(super) memory: MigrationMemory,
    /// How many pods of an owner are to be ready by the records of its pods, by the identifiers of these.
    pub(super) recorded: BTreeMap<ObjectUid, u32>,
    pub(super) left: FaultsLeft,
}

/// How often each fault may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FaultsLeft {
    pub(super) flips: u8,
    pub(super) take_overs: u8,
    pub(super) delays: u8,
    pub(super) losses: u8,
}

/// What makes pods, and the pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WorkloadState {
    pub(super) template: Template,
    /// Whether its controller has seen the latest template.
    pub(super) observed: bool,
    /// How many of its pods may still fail, of a Job.
    pub(super) failures_left: u8,
    /// In the order of their names.
    pub(super) pods: Vec<PodState>,
}

/// A pod template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Template {
    /// What a move has noted in it.
    pub(super) note: Option<u8>,
    /// Whether it says the level.
    pub(super) said: bool,
    /// Whether it selects by the key.
    pub(super) selects: bool,
}

/// A pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PodState {
    /// The number at the end of its name.
    pub(super) ordinal: u8,
    /// Which of its name's pods it is.
    pub(super) uid: u8,
    /// The template that it was made from.
    pub(super) made_from: Template,
    /// Whether that is the latest.
    pub(super) current: bool,
    pub(super) said: bool,
    pub(super) selects: bool,
    pub(super) node: Option<u8>,
    pub(super) phase: PodPhase,
    pub(super) terminating: bool,
}

impl WorkloadState {
    /// How many of its pods are not being deleted and are so.
    pub(super) fn count(&self, is_so: impl Fn(&PodState) -> bool) -> usize {
        self.pods.iter().filter(|pod| !pod.terminating && is_so(pod)).count()
    }
}

impl PodState {
    /// Whether it is ready and stays.
    pub(super) fn is_ready(&self) -> bool {
        self.phase == PodPhase::Ready && !self.terminating
    }
}

impl World {
    /// The world with which `scenario` begins: everything stands where it may.
    pub(super) fn initial(scenario: &Scenario) -> Self {
        let workload = |spec: &WorkloadSpec| {
            let template = Template { note: None, said: spec.said, selects: spec.said };
            let pod = |(ordinal, node): (usize, &u8)| PodState {
                ordinal: u8::try_from(ordinal).unwrap_or(u8::MAX),
                uid: 0,
                made_from: template,
                current: true,
                said: spec.said,
                selects: spec.said,
                node: Some(*node),
                phase: PodPhase::Ready,
                terminating: false,
            };
            let failures_left = match spec.kind {
                ModelKind::Job { failures } => failures,
                _ => 0,
            };
            let pods = spec.at.iter().enumerate().map(pod).collect();
            WorkloadState { template, observed: true, failures_left, pods }
        };
        let Scenario { flips, take_overs, delays, losses, .. } = *scenario;
        Self {
            facts: 0,
            facts_changed: PRESENT - LONG_AGO,
            facts_seen: true,
            stamped: scenario.facts[0].cleared.to_vec(),
            workloads: scenario.workloads.iter().map(workload).collect(),
            memory: MigrationMemory::default(),
            recorded: BTreeMap::new(),
            left: FaultsLeft { flips, take_overs, delays, losses },
        }
    }

    /// The facts that hold.
    pub(super) fn facts<'s>(&self, scenario: &'s Scenario) -> &'s Facts {
        &scenario.facts[self.facts % scenario.facts.len()]
    }

    /// How many pods are on `node`, those that are about to go among them.
    pub(super) fn pods_on(&self, node: usize) -> usize {
        let pods = self.workloads.iter().flat_map(|workload| &workload.pods);
        pods.filter(|pod| pod.node.map(usize::from) == Some(node)).count()
    }

    /// Whether anything selects by the key: a pod, or a template.
    pub(super) fn selects(&self) -> bool {
        let selects =
            |workload: &WorkloadState| workload.template.selects || workload.pods.iter().any(|pod| pod.selects);
        self.workloads.iter().any(selects)
    }

    /// Whether `node` should carry the stamp.
    pub(super) fn should_be_stamped(&self, scenario: &Scenario, node: usize) -> bool {
        let Facts { cleared, demanded } = self.facts(scenario);
        if *demanded { cleared[node] } else { self.stamped[node] && self.selects() }
    }

    /// Whether some stamp is still to be taken away.
    pub(super) fn is_losing(&self, scenario: &Scenario) -> bool {
        (0..self.stamped.len()).any(|node| self.stamped[node] && !self.should_be_stamped(scenario, node))
    }

    /// Nodes that are cleared by the facts and take one more pod.
    pub(super) fn room(&self, scenario: &Scenario) -> impl Iterator<Item = usize> {
        let Facts { cleared, demanded } = *self.facts(scenario);
        let has_room = |node: &usize| self.pods_on(*node) < usize::from(scenario.nodes[*node]);
        (0..scenario.nodes.len()).filter(move |node| !demanded || cleared[*node]).filter(has_room)
    }

    /// How many pods the workload `index` should have: a `DaemonSet` one on each node that its template lets it be on.
    pub(super) fn wanted(&self, scenario: &Scenario, index: usize) -> usize {
        let WorkloadSpec { kind, at, .. } = scenario.workloads[index];
        let selects = self.workloads[index].template.selects;
        match kind {
            ModelKind::DaemonSet => self.stamped.iter().filter(|is_stamped| !selects || **is_stamped).count(),
            ModelKind::Deployment { .. }
            | ModelKind::Recreate
            | ModelKind::Paused
            | ModelKind::StatefulSet
            | ModelKind::Job { .. }
            | ModelKind::Foreign { .. } => at.len(),
        }
    }

    /// Lets so much time go by.
    pub(super) fn pass(&mut self, time: Duration) {
        self.memory = self.memory.as_of(PRESENT + time, PRESENT);
        let age = PRESENT.since(self.facts_changed).saturating_add(time).min(LONG_AGO);
        self.facts_changed = PRESENT - age;
    }

    /// Tells times from the present.
    pub(super) fn normalise(&mut self) {
        self.memory = self.memory.as_of(PRESENT, PRESENT);
        self.drop_orphaned_records();
        for workload in &mut self.workloads {
            let is_former = |pod: &&mut PodState| !pod.current && pod.made_from.note.is_some();
            workload.pods.iter_mut().filter(is_former).for_each(|pod| pod.made_from.note = Some(FORMER_NOTE));
            workload.pods.sort_unstable_by_key(|pod| (pod.ordinal, pod.uid));
        }
    }

    /// Records go with their pods.
    fn drop_orphaned_records(&mut self) {
        let of = |(index, state): (usize, &WorkloadState)| -> Vec<ObjectUid> {
            state.pods.iter().map(|pod| pod_uid(index, pod.ordinal, pod.uid)).collect()
        };
        let there: BTreeSet<ObjectUid> = self.workloads.iter().enumerate().flat_map(of).collect();
        self.recorded.retain(|pod, _| there.contains(pod));
    }

    /// An identifier for a pod `ordinal` of the workload `index` of which nobody speaks any more.
    pub(super) fn free_uid(&self, index: usize, ordinal: u8) -> u8 {
        let remembered: BTreeSet<ObjectUid> = self.memory.pods();
        let is_taken = |uid: u8| {
            remembered.contains(&pod_uid(index, ordinal, uid))
                || self.workloads[index].pods.iter().any(|pod| (pod.ordinal, pod.uid) == (ordinal, uid))
        };
        (0..u8::MAX).find(|uid| !is_taken(*uid)).unwrap_or(u8::MAX)
    }
}

/// The identifier of the workload `index`.
pub(super) fn workload_uid(index: usize) -> ObjectUid {
    ObjectUid(1 + index as u128)
}

/// The identifier of the `ReplicaSet` of a Deployment, the workload `index`.
pub(super) fn replica_set_uid(index: usize) -> ObjectUid {
    ObjectUid(0x100 + index as u128)
}

/// The identifier of a pod.
pub(super) fn pod_uid(index: usize, ordinal: u8, uid: u8) -> ObjectUid {
    ObjectUid(0x10000 + (index as u128) * 0x10000 + u128::from(ordinal) * 0x100 + u128::from(uid))
}
