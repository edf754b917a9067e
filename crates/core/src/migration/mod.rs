//! Migration: which pods are moved next, and how; and of those that are not, why.
//!
//! Takes a compliance report and what is on the move, and gives a [`MigrationPlan`]. It has no memory but what it is handed,
//! never asks for more than may be on the move at a time, never for a step that could leave a pod with nowhere to go, and
//! never for one that brings a pod back below its level.

mod blocked;
mod budget;
mod candidate;
mod deadline;
mod fit;
mod memory;
mod method;
mod progress;
mod stale;
#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    string::String,
    vec::Vec,
};
use core::fmt;

pub use self::{
    blocked::{BlockedReason, ReplacementShortfall},
    candidate::{StepConditions, is_still_due},
    deadline::{
        ANNOUNCED_BEFORE, DeadlineNotice, LevelViolation, OverdueRemoval, PodDeadline, RefusedRemoval, RemovalStage,
        next_removal,
    },
    fit::{EmptyNodes, FitChecker, FitRequirement, NoFit, NodeRefusal, PodPlacer, Unplaced},
    memory::{
        EndedMove, LookSettings, MigrationLook, MigrationMemory, MigrationOutcome, MigrationSurroundings, MoveWait,
        RequestedStep, StepAnswer, StepTarget,
    },
    method::{MigrationMethod, ReplacementStrategy, TemplateEffect, TemplateState, WantedAction},
    progress::{
        AwaitedChange, JOB_COUNTS_WITHIN, MigrationFailure, MigrationProgress, NOTE_SEEN_WITHIN, ProgressMark,
        STEP_DEADLINE, progress, step_deadline,
    },
};
use self::{budget::ConcurrencyBudget, candidate::Candidate};
use super::{
    cluster_objects::{ClusterObjects, ObjectUid, Pod, split},
    compliance::{Compliance, ComplianceReport, OwnedPods, PlacementFacts},
    instant::Timestamp,
    namespace::NamespaceFacts,
    pod_requirements::{PodRequirements, RequirementsResolver},
    workload::WorkloadKind,
};

/// How much may be on the move at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationLimits {
    /// The share of a level's pods, in percent. One workload may always be.
    pub wave: u8,
}

impl Default for MigrationLimits {
    fn default() -> Self {
        Self { wave: 10 }
    }
}

/// What the plan has to reckon with, beside the report.
#[derive(Clone, Copy, Debug)]
pub struct MigrationContext<'a> {
    /// How much may be on the move at a time.
    pub limits: MigrationLimits,
    /// What is on the move, by the identifier of what makes the pods, with how many of its pods are.
    pub moving: &'a BTreeMap<ObjectUid, u32>,
    /// What is to be left alone for now, after a move in vain.
    pub resting: &'a BTreeMap<ObjectUid, BlockedReason>,
    /// Pods whose eviction a disruption budget has just refused, with what the API server said.
    pub refused_evictions: &'a BTreeMap<ObjectUid, String>,
    /// Workloads of which stale pods were replaced.
    pub replaced: &'a BTreeMap<ObjectUid, ReplacedPods>,
    /// Workloads that were moved in vain, and how often: they come after the others.
    pub failures: &'a BTreeMap<ObjectUid, u32>,
    /// Workloads whose owner was seen to take the note of a move out of their template again.
    pub reverting: &'a BTreeSet<ObjectUid>,
    /// Workloads of which a pod was evicted and is not made anew, and how many of their pods were ready before.
    pub missing: &'a BTreeMap<ObjectUid, u32>,
    /// Workloads of which pods went whose successors are not there yet: how many, and one of them with its name.
    pub awaited: &'a BTreeMap<ObjectUid, AwaitedPods>,
    /// What was asked for of a pod that violates and refused last.
    pub refused_removals: &'a BTreeMap<ObjectUid, RefusedRemoval>,
    /// Until when pods that violate may do so, where their levels have a deadline.
    pub deadlines: &'a BTreeMap<ObjectUid, PodDeadline>,
    /// The instant.
    pub now: Timestamp,
    /// Levels, by the names of their policies and their own, whose moves wait for an officer's word, with what to say of
    /// it.
    pub stopped: &'a BTreeMap<(String, String), String>,
}

/// Pods of a workload that went, and whose successors are not there yet.
#[derive(Clone, Debug)]
pub struct AwaitedPods {
    /// How many.
    pub number: u32,
    /// The name of one of them, with its namespace.
    pub key: String,
    /// That one.
    pub pod: Pod,
    /// The levels of which it was one, by the names of their policies and their own.
    pub levels: Vec<(String, String)>,
}

impl AwaitedPods {
    /// What they need, by what is said of the one that is known.
    fn requirements<'p>(&'p self, objects: &ClusterObjects<'p>, facts: &PlacementFacts<'p>) -> Rc<PodRequirements<'p>> {
        let (namespace, _) = split(&self.key);
        let look = || NamespaceFacts::of_cluster(objects.namespaces, facts.exempt, namespace);
        RequirementsResolver::new(facts.world, false).requirements(namespace, look, |statement| {
            objects.sensitivity(namespace, statement, self.pod.owner.as_deref(), Some(&self.pod.statements))
        })
    }
}

impl MigrationContext<'_> {
    /// How often the workload was moved in vain.
    fn failures(&self, uid: ObjectUid) -> u32 {
        self.failures.get(&uid).copied().unwrap_or_default()
    }
}

/// Stale pods of a workload that were replaced, or whose template was changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplacedPods {
    /// What they waited for.
    pub keys: String,
    /// The entries of their template's selector that were taken away, as one text; empty where none was.
    pub template_keys: String,
    /// The pods, by their identifiers: they are none of their successors.
    pub pods: BTreeSet<ObjectUid>,
    /// Whether that was by a change of their template, and their controller is to replace them.
    pub by_template: bool,
}

impl ReplacedPods {
    /// The entries that were taken from the template.
    pub fn taken(&self) -> impl Iterator<Item = &str> {
        self.template_keys.split(", ").filter(|key| !key.is_empty())
    }

    /// Whether `key` was.
    #[must_use]
    pub fn took(&self, key: &str) -> bool {
        self.taken().any(|taken| taken == key)
    }
}

/// A thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationStep<'a> {
    /// Note the move in the template, so that its controller replaces the pods, or that the next ones are right.
    AnnotateTemplate {
        /// The controller's kind.
        kind: WorkloadKind,
        /// Its name.
        name: &'a str,
        /// Entries of its selector that go at the same time, since its next pods would not be given them.
        surplus: Vec<&'a str>,
    },
    /// Ask for the eviction of a pod.
    Evict {
        /// The pod's name.
        name: &'a str,
        /// Its identifier.
        pod: ObjectUid,
        /// The resource version that it must have, where it goes because it is not ready, or waits: only as long as it is so.
        version: Option<u64>,
    },
    /// Delete a pod: past its deadline its disruption budget keeps it no longer.
    Delete {
        /// The pod's name.
        name: &'a str,
        /// Its identifier.
        pod: ObjectUid,
        /// The resource version that it must have, where it goes because it is not ready.
        version: Option<u64>,
    },
}

/// A migration that is due.
#[derive(Clone, Debug)]
pub struct PlannedMigration<'a> {
    /// What makes the pods.
    pub owner: ObjectUid,
    /// The namespace.
    pub namespace: &'a str,
    /// Why.
    pub cause: MigrationCause,
    /// How many pods are on the move by it.
    pub pods_moving: u32,
    /// What to do; more than one thing only where nothing is waited for.
    pub steps: Vec<MigrationStep<'a>>,
}

/// Why pods are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MigrationCause {
    /// They stand where they may not stand, for longer than their level lets them.
    Overdue,
    /// They stand where they may not stand.
    Violating,
    /// They stand where they soon may not stand.
    Expiring,
    /// They wait for what is gone.
    Stale,
    /// Their template says less than is said now.
    TemplateBehind,
    /// The template of a `DaemonSet` selects by what its pods would not be given now: no pod's admission can mend that.
    KeyRetired,
}

impl MigrationCause {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Overdue, Self::Violating, Self::Expiring, Self::Stale, Self::TemplateBehind, Self::KeyRetired];

    /// Why a pod that stands so is moved; `None` where it stands right.
    #[must_use]
    pub fn of(compliance: Compliance) -> Option<Self> {
        match compliance {
            Compliance::Compliant => None,
            Compliance::Expiring => Some(Self::Expiring),
            Compliance::Violating => Some(Self::Violating),
        }
    }

    /// A word for metrics and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Violating => "violating",
            Self::Expiring => "leaving",
            Self::Stale => "stale",
            Self::TemplateBehind => "template",
            Self::KeyRetired => "retired",
        }
    }

    /// Whether it is done once the template says so, since no pod that stands is replaced for it.
    #[must_use]
    pub fn concerns_template_alone(self) -> bool {
        match self {
            Self::Stale | Self::TemplateBehind | Self::KeyRetired => true,
            Self::Overdue | Self::Violating | Self::Expiring => false,
        }
    }
}

impl fmt::Display for MigrationCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be done, and what is not.
#[derive(Debug, Default)]
pub struct MigrationPlan<'a> {
    /// The migrations that are due now, the most pressing first.
    pub migrations: Vec<PlannedMigration<'a>>,
    /// Why pods of a workload stay although they should not, pod by pod.
    pub blocked: BTreeMap<ObjectUid, BTreeMap<&'a str, BlockedReason>>,
    /// Workloads that wait for their turn.
    pub waiting: BTreeSet<ObjectUid>,
    /// Why pods that wait for a node would wait with every node empty, pod by pod.
    pub stranded: BTreeMap<ObjectUid, BTreeMap<&'a str, NoFit>>,
}

/// What is to be done about the pods that `report` found misplaced or stale, and about templates that say too little.
#[must_use]
pub fn plan_migrations<'a>(
    objects: &ClusterObjects<'a>,
    facts: &PlacementFacts<'a>,
    report: &ComplianceReport<'a>,
    context: &MigrationContext<'_>,
) -> MigrationPlan<'a> {
    let mut plan = MigrationPlan::default();
    let mut budget = ConcurrencyBudget::new(report, context);
    let mut candidates = Vec::new();
    let mut fit = FitChecker::new(objects, facts);
    // They are told apart by their addresses, and so must last as long as the search for room.
    let mut reserved = Vec::new();
    for (uid, awaited) in context.awaited {
        // Without a pod its owner is not told of, where it is of another kind.
        let owned = report.workloads.get(uid).map(|owned| Rc::clone(&owned.requirements));
        let requirements = owned.unwrap_or_else(|| awaited.requirements(objects, facts));
        for _ in 0..awaited.number {
            fit.reserve(&awaited.key, &awaited.pod, &requirements);
        }
        reserved.push(requirements);
    }
    for owned in report.workloads.values() {
        let stranded = owned.unscheduled.iter().filter_map(|waits| {
            let found = fit.for_pod(waits.key, waits.pod, &waits.requirements, FitRequirement::Fits);
            Some((waits.key, found.err()?))
        });
        let stranded: BTreeMap<_, _> = stranded.collect();
        if !stranded.is_empty() {
            plan.stranded.insert(owned.uid, stranded);
        }
        candidates.extend(next_move(owned, facts, &mut fit, context, &mut plan.blocked));
    }
    candidates.sort_by(|a, b| a.order().cmp(&b.order()));
    for mut candidate in candidates {
        if context.moving.contains_key(&candidate.owned.uid) {
            continue;
        }
        let is_its_turn = budget.allows(&candidate);
        if !is_its_turn {
            budget.close(&candidate);
        }
        // Taken from the budget only where a node has room: otherwise the next candidate may use it.
        if is_its_turn && candidate.fits(&mut fit) {
            budget.take(&candidate);
            plan.migrations.push(candidate.begin());
        } else {
            plan.waiting.insert(candidate.owned.uid);
        }
    }
    plan
}

/// What there is to move of `owned`. What stays is noted in `blocked`.
fn next_move<'u, 'a>(
    owned: &'u OwnedPods<'a>,
    facts: &PlacementFacts<'_>,
    fit: &mut FitChecker<'_, 'a>,
    context: &MigrationContext<'_>,
    blocked: &mut BTreeMap<ObjectUid, BTreeMap<&'a str, BlockedReason>>,
) -> Option<Candidate<'u, 'a>> {
    let mut notes = BTreeMap::new();
    let found = candidate::misplaced(owned, facts, fit, context, &mut notes);
    let found = found.or_else(|| stale::candidate(owned, facts, context, &mut notes));
    // What costs nothing is done first: whatever is replaced for another reason then comes back at its level.
    let found = candidate::incomplete_template(owned, facts, context).or(found);
    let moving = context.moving.contains_key(&owned.uid);
    if !notes.is_empty() && !moving {
        blocked.insert(owned.uid, notes);
    }
    found
}
