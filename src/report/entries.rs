//! Report entries: every workload, and every namespace whose own labels are refused.
//!
//! Takes a plan, and returns its entries in a fixed order with what becomes of each.

use std::{cmp::Ordering, fmt};

use schemars::JsonSchema;
use serde::Serialize;

use super::location::IgnoredKinds;
use rempart_core::{
    admission::AdmissionRefusal,
    plan::{PlacementOutcome, Plan, PlannedWorkload, PolicyRefusal, RefusedNamespace},
    workload::{WorkloadIdentity, WorkloadKind},
};

/// What becomes of a workload, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[schemars(rename = "Fate")]
pub enum EntryOutcome {
    /// Its pods have somewhere to run.
    Placeable,
    /// Its pods would stay pending.
    Unplaceable,
    /// Admission refuses it, or its pods.
    Refused,
    /// No policy asks anything of its places.
    Unrestricted,
}

impl EntryOutcome {
    /// Of an outcome.
    #[must_use]
    pub fn of(outcome: &PlacementOutcome) -> Self {
        match outcome {
            PlacementOutcome::Placeable(_) => Self::Placeable,
            PlacementOutcome::Unplaceable(_) => Self::Unplaceable,
            PlacementOutcome::Refused => Self::Refused,
            PlacementOutcome::Unrestricted(_) => Self::Unrestricted,
        }
    }

    /// As a sentence has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placeable => "placeable",
            Self::Unplaceable => "unplaceable",
            Self::Refused => "refused",
            Self::Unrestricted => "unrestricted",
        }
    }
}

/// How many entries fare how, and how many objects of other kinds were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Tally")]
pub struct OutcomeCounts {
    /// Workloads whose pods have somewhere to run.
    pub placeable: usize,
    /// Workloads whose pods would stay pending.
    pub unplaceable: usize,
    /// Workloads that admission refuses, or whose pods it refuses; and namespaces whose labels it refuses.
    pub refused: usize,
    /// Workloads of whose places no policy asks anything.
    pub unrestricted: usize,
    /// Objects of other kinds, which were passed over.
    pub ignored: usize,
}

impl OutcomeCounts {
    /// Of a plan.
    #[must_use]
    pub fn of(plan: &Plan<'_>, ignored: &IgnoredKinds) -> Self {
        let refused = plan.namespaces.iter().filter(|namespace| namespace.in_force()).count();
        let mut tally = Self { refused, ignored: ignored.total(), ..Self::default() };
        for planned in &plan.workloads {
            let count = match EntryOutcome::of(&planned.outcome) {
                EntryOutcome::Placeable => &mut tally.placeable,
                EntryOutcome::Unplaceable => &mut tally.unplaceable,
                EntryOutcome::Refused => &mut tally.refused,
                EntryOutcome::Unrestricted => &mut tally.unrestricted,
            };
            *count = count.saturating_add(1);
        }
        tally
    }
}

/// One entry of a report on a plan.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReportEntry<'p> {
    /// A namespace whose labels are refused in force.
    Namespace(&'p RefusedNamespace<'p>),
    /// The workload at this place of the plan.
    Workload(usize, &'p PlannedWorkload<'p>),
}

impl<'p> ReportEntry<'p> {
    /// Every entry of `plan`: the namespaces first, by name, then the workloads by namespace, kind and name.
    pub(super) fn of(plan: &'p Plan<'p>) -> Vec<Self> {
        let namespaces = plan.namespaces.iter().filter(|namespace| namespace.in_force()).map(Self::Namespace);
        let workloads = plan.workloads.iter().enumerate().map(|(index, planned)| Self::Workload(index, planned));
        let mut entries: Vec<Self> = namespaces.chain(workloads).collect();
        // Stable, so that twins of one identity keep the order in which they were found.
        entries.sort_by(Self::compare);
        entries
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Namespace(one), Self::Namespace(other)) => one.name.cmp(other.name),
            (Self::Namespace(_), Self::Workload(..)) => Ordering::Less,
            (Self::Workload(..), Self::Namespace(_)) => Ordering::Greater,
            (Self::Workload(_, one), Self::Workload(_, other)) => one.workload.identity.cmp(&other.workload.identity),
        }
    }

    /// What becomes of it.
    pub(super) fn fate(&self) -> EntryOutcome {
        match self {
            Self::Namespace(_) => EntryOutcome::Refused,
            Self::Workload(_, planned) => EntryOutcome::of(&planned.outcome),
        }
    }

    /// What becomes of it and why.
    pub(super) fn message(&self, plan: &Plan<'p>) -> String {
        let message = match self {
            Self::Namespace(namespace) => namespace.message(),
            Self::Workload(_, planned) => plan.message(planned),
        };
        // A space is not seen in a message: what to do about it is said.
        let hint = self.refusal().and_then(AdmissionRefusal::hint).filter(|hint| hint.ends_with(" without the space"));
        hint.map_or_else(|| message.clone(), |hint| format!("{message}; {hint}"))
    }

    /// All that policies refuse of it, those that are not in force included.
    pub(super) fn refusals(&self) -> &'p [PolicyRefusal<'p>] {
        match self {
            Self::Namespace(namespace) => &namespace.refusals,
            Self::Workload(_, planned) => &planned.judgement.refusals,
        }
    }

    /// Its first refusal that is in force: the API server, too, tells one.
    pub(super) fn refusal(&self) -> Option<&'p AdmissionRefusal<'p>> {
        self.refusals().iter().find(|refused| refused.in_force).map(|refused| &refused.refusal)
    }

    /// Which object it is about.
    pub(super) fn object(&self) -> ObjectName<'p> {
        match self {
            Self::Namespace(namespace) => ObjectName { kind: NAMESPACE, namespace: None, name: namespace.name },
            Self::Workload(_, planned) => ObjectName::from(&planned.workload.identity),
        }
    }
}

/// The kind of the entries that are namespaces.
pub(super) const NAMESPACE: &str = "Namespace";

/// Which object, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectName<'a> {
    pub(super) kind: &'static str,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
}

impl<'a> From<&'a WorkloadIdentity> for ObjectName<'a> {
    fn from(identity: &'a WorkloadIdentity) -> Self {
        Self { kind: WorkloadKind::as_str(identity.kind), namespace: Some(&identity.namespace), name: &identity.name }
    }
}

impl fmt::Display for ObjectName<'_> {
    /// `Deployment claims/api`, `Namespace claims`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
