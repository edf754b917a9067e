//! Plan findings: a diagnostic for each workload and namespace that is refused or unplaceable.
//!
//! Takes a plan and a lookup of locations, and returns what a pipeline shows beside the line that must change.

use super::{
    entries::{EntryOutcome, ReportEntry},
    location::{FileLocation, IgnoredKinds, LocationLookup, LocationTarget, UnreadPath},
};
use crate::diagnostic::Diagnostic;
use rempart_core::{
    admission::{AdmissionRefusal, SensitivitySource},
    keys,
    plan::{PlacementOutcome, Plan, PlannedWorkload, UnplaceableReason},
};

/// Something that is wrong, where a report points at it.
pub type ReportFinding = Diagnostic<FileLocation>;

impl ReportFinding {
    /// What it is about, where a report names nothing else: its object, with the line.
    #[must_use]
    pub fn title(&self) -> String {
        let place = self.place.as_ref().map(ToString::to_string);
        let parts: Vec<String> = self.object.iter().cloned().chain(place).collect();
        if parts.is_empty() { "input".to_owned() } else { parts.join(" at ") }
    }

    /// What is wrong and what to do about it.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

/// What findings of one code have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingRule {
    /// The stable word.
    pub code: &'static str,
    /// What it means, in a sentence.
    pub short: &'static str,
    /// What to do about it.
    pub help: &'static str,
}

/// The code of a workload whose pods would stay pending.
pub const UNPLACEABLE: &str = "Unplaceable";

/// The code of what was not judged.
const NOT_JUDGED: &str = "NotJudged";

/// Everything that [`of_plan`] and [`of_ignored`] find.
pub const PLAN_RULES: [FindingRule; 7] = [
    FindingRule {
        code: "AnnotationTooLong",
        short: "An annotation of Rempart is longer than is looked into.",
        help: "Shorten it to at most 1,024 characters: a level is one name, and categories are a list of names.",
    },
    FindingRule {
        code: "LevelUnknown",
        short: "The object asks for a sensitivity level that a policy does not have.",
        help: "Write one of the levels that the message lists. An empty value is an unknown level, not a missing one.",
    },
    FindingRule {
        code: "CategoryUnknown",
        short: "The object names a category of data that a policy does not have.",
        help: "Write one of the categories that the message lists: separated by ',' in an annotation and by '.' in a \
               namespace's label, without spaces.",
    },
    FindingRule {
        code: "AnnotationMisplaced",
        short: "An annotation of Rempart stands where it reaches no pod.",
        help: "Put it on the CronJob's metadata, or on spec.jobTemplate.spec.template.metadata.",
    },
    FindingRule {
        code: "NodeNameSet",
        short: "The object names its node itself, past the scheduler, although a policy asks for a cleared one.",
        help: "Remove nodeName, and let kube-scheduler choose among the nodes that are cleared.",
    },
    FindingRule {
        code: UNPLACEABLE,
        short: "No node could run the pods: they would stay pending.",
        help: "Correct the workload's own node selector or affinity, or record or add a pool that is \
               cleared. The plan says for each pool what it lacks.",
    },
    FindingRule {
        code: NOT_JUDGED,
        short: "Nothing is known of where these pods would run.",
        help: "Render charts and kustomizations, or let --render do so; name kinds that make pods with --pod-template.",
    },
];

/// A warning for each thing that was not judged.
pub fn of_ignored(ignored: &IgnoredKinds) -> impl Iterator<Item = ReportFinding> {
    let objects = ignored.unjudged.iter().map(|object| {
        let told = ReportFinding::warning(NOT_JUDGED, object.reason()).of(object.to_string());
        ReportFinding { place: object.place.clone(), ..told }
    });
    let paths = ignored.unread.iter().map(|UnreadPath { path, reason }| {
        let told = ReportFinding::warning(NOT_JUDGED, format!("not judged: {reason}"));
        told.at_place(FileLocation { file: path.clone(), line: 1, column: 1 })
    });
    objects.chain(paths)
}

/// An error for each workload and namespace of `plan` that is refused, and for each workload that is unplaceable.
pub fn of_plan<'p>(
    plan: &'p Plan<'p>,
    origins: &'p dyn LocationLookup,
) -> impl Iterator<Item = ReportFinding> + use<'p> {
    ReportEntry::of(plan).into_iter().filter_map(move |entry| {
        let (code, place) = match (entry, entry.fate()) {
            (ReportEntry::Namespace(namespace), _) => {
                let refusal = entry.refusal()?;
                (refusal.code(), origins.of_namespace(namespace.name, refusal.key()?))
            }
            (ReportEntry::Workload(index, planned), EntryOutcome::Refused) => {
                let (refusal, at) = (entry.refusal()?, WorkloadLocations { origins, index, planned });
                (refusal.code(), at.refused(refusal).or_else(|| at.object()))
            }
            (ReportEntry::Workload(index, planned), EntryOutcome::Unplaceable) => {
                let at = WorkloadLocations { origins, index, planned };
                (UNPLACEABLE, at.unplaceable().or_else(|| at.object()))
            }
            (_, EntryOutcome::Placeable | EntryOutcome::Unrestricted) => return None,
        };
        let (object, message) = (entry.object().to_string(), entry.message(plan));
        Some(ReportFinding { place, ..ReportFinding::error(code, message).of(object) })
    })
}

/// A workload, with what knows where it stands.
struct WorkloadLocations<'p> {
    origins: &'p dyn LocationLookup,
    index: usize,
    planned: &'p PlannedWorkload<'p>,
}

impl WorkloadLocations<'_> {
    fn object(&self) -> Option<FileLocation> {
        self.origins.of(self.index, LocationTarget::Object)
    }

    fn said(&self, source: SensitivitySource, key: &'static str) -> Option<FileLocation> {
        match source {
            SensitivitySource::Namespace => self.origins.of_namespace(&self.planned.workload.identity.namespace, key),
            SensitivitySource::Workload | SensitivitySource::Pod => {
                self.origins.of(self.index, LocationTarget::Said(source, key))
            }
            SensitivitySource::Default | SensitivitySource::Minimum => None,
        }
    }

    fn refused(&self, refusal: &AdmissionRefusal<'_>) -> Option<FileLocation> {
        match (refusal, refusal.source(), refusal.key()) {
            (AdmissionRefusal::Misplaced { .. }, _, Some(key)) => {
                self.origins.of(self.index, LocationTarget::Misplaced(key))
            }
            (AdmissionRefusal::NodeName { .. }, ..) => self.origins.of(self.index, LocationTarget::Field("nodeName")),
            (_, Some(source), Some(key)) => self.said(source, key),
            _ => None,
        }
    }

    /// What the workload wishes for itself, or else whoever raised its level.
    fn unplaceable(&self) -> Option<FileLocation> {
        let PlannedWorkload { workload, judgement, outcome } = self.planned;
        if *outcome == PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes) {
            let field = if workload.node_requirements.selector.is_empty() { "affinity" } else { "nodeSelector" };
            return self.origins.of(self.index, LocationTarget::Field(field));
        }
        let mut in_force = judgement.policies.iter().filter(|levelled| levelled.in_force);
        in_force.find_map(|levelled| self.said(levelled.source, keys::SENSITIVITY))
    }
}
