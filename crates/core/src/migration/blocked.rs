//! Blocked reasons: why a pod stays where it is though it should not, each with the remedy.

use alloc::string::String;
use core::fmt;

use super::fit::NoFit;
use crate::{instant::Timestamp, pod_lifecycle::NotNow, workload::WorkloadKind};

/// What is missing of a workload after an eviction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplacementShortfall {
    /// The kind and name of what should make pods anew.
    pub owner: String,
    /// How many of its pods are ready.
    pub ready: u32,
    /// How many were before.
    pub before: u32,
}

impl fmt::Display for ReplacementShortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, ready, before } = self;
        write!(f, "a pod of {owner} was evicted and is not made anew: {ready} of {before} are ready")
    }
}

/// Why a pod stays though it should not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockedReason {
    /// No node could take it.
    NoFit(NoFit),
    /// Its successor would be refused.
    Refused(String),
    /// Its level's policy says so.
    ReportOnly,
    /// An officer's word is awaited.
    Stopped(String),
    /// The rollout of its Deployment is paused.
    Paused,
    /// A partition holds back the rollout of its `StatefulSet`.
    Partitioned,
    /// Its Deployment ends all pods before it makes new ones.
    Recreate,
    /// Its controller replaces pods by hand alone.
    OnDelete(WorkloadKind),
    /// So does its `DaemonSet`, whose template says less than is said now.
    OnDeleteBehind,
    /// A rollout of its own controller is about to replace it.
    RolloutUnderWay(WorkloadKind),
    /// Kubernetes itself ends it.
    DaemonSet,
    /// Its workload is being deleted.
    OwnerTerminating(WorkloadKind),
    /// Nobody would make it anew.
    Unmanaged,
    /// The same, since it runs once, for an owner of a kind that Rempart does not know.
    RunsOnce(String),
    /// It is the image of a static pod.
    Static,
    /// Its Job was made from a template that says less than is said now, and that can no longer change.
    JobStarted,
    /// Its Job would take it for one failure too many.
    JobWouldFail,
    /// Other pods of its workload are not ready.
    OthersNotReady,
    /// A disruption budget forbids its eviction for now; in the API server's words.
    Budget(String),
    /// Not every API server acts on its policy yet: its successor could be admitted as it was.
    AdmissionPending,
    /// It was moved, and its successors do not become ready.
    Stuck,
    /// Its template was completed, and says less again.
    TemplateReverted,
    /// The change of its template was refused; in the API server's words.
    TemplateRefused(String),
    /// The note of its move was taken out of its template again.
    NoteTaken,
    /// Another pod of its workload was evicted and is not made anew; what says so.
    NotReplaced(ReplacementShortfall),
    /// The API server did not answer what was asked of it.
    Unanswered,
    /// It is not to be disturbed now.
    NotNow(NotNow),
    /// It was replaced, and its successor waits for the same.
    InVain(String),
    /// It is to leave ahead of an end, and no window is open in which such moves begin; when the next one opens, where one
    /// ever does.
    OutsideWindow(Option<Timestamp>),
    /// It violates for longer than its level lets it, and no other pod of its workload is ready: it goes when its replacement
    /// stands.
    LastReady,
}

impl BlockedReason {
    /// Every [`Self::code`].
    pub const CODES: [&str; 36] = [
        "NoClearedPool",
        "NoClearedNode",
        "NodesTooSmall",
        "NodesTaken",
        "VolumePinned",
        "VolumeInUse",
        "ClaimEnding",
        "DevicesUnknown",
        "NoCapacity",
        "Refused",
        "ReportOnly",
        "MoveStopped",
        "RolloutPaused",
        "RolloutPartitioned",
        "StrategyRecreate",
        "StrategyOnDelete",
        "RolloutUnderWay",
        "DaemonSet",
        "OwnerTerminating",
        "Unmanaged",
        "StaticPod",
        "JobStarted",
        "JobWouldFail",
        "OthersNotReady",
        "DisruptionBudget",
        "AdmissionPending",
        "RolloutStuck",
        "TemplateReverted",
        "TemplateRefused",
        "NoteReverted",
        "NotReplaced",
        "Unanswered",
        "NotNow",
        "ReplacedInVain",
        "OutsideWindow",
        "LastReady",
    ];

    /// A stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoFit(why) => why.code(),
            Self::Refused(_) => "Refused",
            Self::ReportOnly => "ReportOnly",
            Self::Stopped(_) => "MoveStopped",
            Self::Paused => "RolloutPaused",
            Self::Partitioned => "RolloutPartitioned",
            Self::Recreate => "StrategyRecreate",
            Self::OnDelete(_) | Self::OnDeleteBehind => "StrategyOnDelete",
            Self::RolloutUnderWay(_) => "RolloutUnderWay",
            Self::DaemonSet => "DaemonSet",
            Self::OwnerTerminating(_) => "OwnerTerminating",
            Self::Unmanaged | Self::RunsOnce(_) => "Unmanaged",
            Self::Static => "StaticPod",
            Self::JobStarted => "JobStarted",
            Self::JobWouldFail => "JobWouldFail",
            Self::OthersNotReady => "OthersNotReady",
            Self::Budget(_) => "DisruptionBudget",
            Self::AdmissionPending => "AdmissionPending",
            Self::Stuck => "RolloutStuck",
            Self::TemplateReverted => "TemplateReverted",
            Self::TemplateRefused(_) => "TemplateRefused",
            Self::NoteTaken => "NoteReverted",
            Self::NotReplaced(_) => "NotReplaced",
            Self::Unanswered => "Unanswered",
            Self::NotNow(_) => "NotNow",
            Self::InVain(_) => "ReplacedInVain",
            Self::OutsideWindow(_) => "OutsideWindow",
            Self::LastReady => "LastReady",
        }
    }

    /// Whether it keeps a pod no longer than until the deadline of its level: not what would leave a pod nowhere to go, nobody
    /// to make it anew or a successor below its level, nor what waits for an officer.
    #[must_use]
    pub fn yields_to_deadline(&self) -> bool {
        match self {
            Self::Paused
            | Self::Partitioned
            | Self::Recreate
            | Self::OnDelete(_)
            | Self::RolloutUnderWay(_)
            | Self::OthersNotReady
            | Self::Budget(_)
            | Self::Stuck
            | Self::TemplateRefused(_)
            | Self::NoteTaken
            | Self::Unanswered
            | Self::NotNow(_) => true,
            Self::NoFit(_)
            | Self::Refused(_)
            | Self::ReportOnly
            | Self::Stopped(_)
            | Self::OnDeleteBehind
            | Self::DaemonSet
            | Self::OwnerTerminating(_)
            | Self::Unmanaged
            | Self::RunsOnce(_)
            | Self::Static
            | Self::JobStarted
            | Self::JobWouldFail
            | Self::AdmissionPending
            | Self::TemplateReverted
            | Self::NotReplaced(_)
            | Self::InVain(_)
            | Self::OutsideWindow(_)
            | Self::LastReady => false,
        }
    }

    /// Whether its remedy takes the pod away before a successor stands.
    #[must_use]
    pub fn advises_removal(&self) -> bool {
        matches!(self, Self::Recreate | Self::OnDelete(_) | Self::Unmanaged)
    }

    /// When it is over by itself, where that is known.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::NotNow(NotNow::Until(then)) => Some(*then),
            Self::OutsideWindow(opens) => *opens,
            Self::NotNow(NotNow::Marked(_) | NotNow::Unread(_))
            | Self::NoFit(_)
            | Self::Refused(_)
            | Self::ReportOnly
            | Self::Stopped(_)
            | Self::Paused
            | Self::Partitioned
            | Self::Recreate
            | Self::OnDelete(_)
            | Self::OnDeleteBehind
            | Self::RolloutUnderWay(_)
            | Self::DaemonSet
            | Self::OwnerTerminating(_)
            | Self::Unmanaged
            | Self::RunsOnce(_)
            | Self::Static
            | Self::JobStarted
            | Self::JobWouldFail
            | Self::OthersNotReady
            | Self::Budget(_)
            | Self::AdmissionPending
            | Self::Stuck
            | Self::TemplateReverted
            | Self::TemplateRefused(_)
            | Self::NoteTaken
            | Self::NotReplaced(_)
            | Self::Unanswered
            | Self::InVain(_)
            | Self::LastReady => None,
        }
    }

    /// Whether it is on its way all the same, by somebody else's doing.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::RolloutUnderWay(_))
    }
}

impl fmt::Display for BlockedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFit(why) => write!(f, "kept, since {why}; {}", why.remedy()),
            Self::Refused(why) => write!(f, "kept, since its successor would be refused: {why}"),
            Self::ReportOnly => f.write_str("kept, since onClearanceLoss of its level says Report"),
            Self::Stopped(how) => f.write_str(how),
            Self::Paused => f.write_str("kept, since the rollout of its Deployment is paused; resume it"),
            Self::Partitioned => f.write_str(
                "kept, since a partition holds back the rollout of its StatefulSet, and pods below it are made by the former \
                 template; lower spec.updateStrategy.rollingUpdate.partition",
            ),
            Self::Recreate => f.write_str(
                "kept, since the strategy of its Deployment is Recreate; restart it (kubectl rollout restart) when it may \
                 be away, or let it roll",
            ),
            Self::OnDelete(kind) => {
                write!(f, "kept, since the update strategy of its {kind} is OnDelete; delete the pod when it may be away")
            }
            Self::OnDeleteBehind => f.write_str(
                "kept, since the update strategy of its DaemonSet is OnDelete and its template says less than is said now, so \
                 that a pod that is deleted comes back as it was; apply the DaemonSet again when its pods may be away: its \
                 template is completed then, and Kubernetes ends them wherever they may not be",
            ),
            Self::RolloutUnderWay(kind) => write!(f, "is about to be replaced by the rollout of its {kind}"),
            Self::DaemonSet => f.write_str("the pod of a DaemonSet: Kubernetes ends it by itself"),
            Self::OwnerTerminating(kind) => write!(
                f,
                "kept, since its {kind} is being deleted and its pods go with it; if that does not end, see what its \
                 metadata.finalizers wait for"
            ),
            Self::Unmanaged => {
                f.write_str("kept, since nothing controls it, and nobody would make it anew; delete it, and create it again")
            }
            Self::RunsOnce(owner) => write!(
                f,
                "kept until it ends, since it runs once (spec.restartPolicy) and {owner} would not make it anew; delete it, \
                 if what it has done so far may be lost"
            ),
            Self::Static => f.write_str("kept, since it is a static pod; take its manifest off the node"),
            Self::JobStarted => f.write_str(
                "kept, since its Job was made from a template that says less than is said now, and that can no longer \
                 change; let it end, or delete the Job and create it again",
            ),
            Self::JobWouldFail => {
                f.write_str(
                    "kept, since its Job would count the eviction as a failure that it may not have any more (backoffLimit, \
                     backoffLimitPerIndex, podFailurePolicy); it ends with the Job",
                )
            }
            Self::OthersNotReady => f.write_str("waits until the other pods of its workload are ready"),
            Self::Budget(said) => write!(
                f,
                "waits, since the API server refuses to let it go for now: {said}; if that lasts, see what its \
                 PodDisruptionBudget waits for: operators of databases move a primary away once its node is cordoned"
            ),
            Self::AdmissionPending => f.write_str("waits until every API server acts on its policy"),
            Self::Stuck => f.write_str(
                "its replacements do not become ready; it stays until they do, and is tried again from time to time",
            ),
            Self::TemplateReverted => f.write_str(
                "kept, since what owns its template takes away what admission completes in it; say the level in what makes \
                 the template",
            ),
            Self::TemplateRefused(said) => write!(
                f,
                "kept, since the change of its template is refused: {said}; where a webhook or policy of somebody else \
                 completes templates in the same request, apply the workload again, so that this is done before"
            ),
            Self::NoteTaken => f.write_str(
                "kept, since what owns its Deployment takes back what is written into the template, so that no rollout can be \
                 begun, and no other pod of it would stand meanwhile; restart it by way of its owner, or have that leave the \
                 annotation rempart.dev/migration of the template alone",
            ),
            Self::NotReplaced(shortfall) => write!(f, "kept, since {shortfall}; it goes when as many are ready again"),
            Self::Unanswered => f.write_str(
                "kept, since the API server did not answer within ten minutes what was asked of it; is a webhook in its way?",
            ),
            Self::NotNow(mark) => write!(f, "kept, since {mark}; take that away when it may move"),
            Self::InVain(keys) => write!(
                f,
                "was replaced once, and its successor waits for the same ({keys}); take that out of the nodeSelector of \
                 its template"
            ),
            Self::OutsideWindow(Some(opens)) => write!(
                f,
                "kept until {opens}, when the next window of its level opens, or until the clearance of its node ends, should \
                 that come first: ahead of an end pods are moved in windows alone, and at the end itself at once"
            ),
            Self::OutsideWindow(None) => f.write_str(
                "kept, since no window of its level opens any more: it moves when the clearance of its node has ended",
            ),
            Self::LastReady => f.write_str(
                "kept past the deadline of its level, since no other pod of its workload is ready and no replacement stands; \
                 mend what keeps others from becoming ready, or delete it when its workload may be away",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    /// The reason after `before`, in the order of their declaration: one that is missing here does not compile.
    fn next(before: &BlockedReason) -> Option<BlockedReason> {
        use BlockedReason as Blocked;
        let volume = || NoFit::Volume { claim: "c".into(), volume: "v".into() };
        Some(match before {
            Blocked::NoFit(NoFit::NoPool) => Blocked::NoFit(NoFit::EmptyPool("p".into())),
            Blocked::NoFit(NoFit::EmptyPool(_)) => Blocked::NoFit(NoFit::NoNode),
            Blocked::NoFit(NoFit::NoNode) => Blocked::NoFit(NoFit::TooSmall),
            Blocked::NoFit(NoFit::TooSmall) => Blocked::NoFit(NoFit::AntiAffinity),
            Blocked::NoFit(NoFit::AntiAffinity) => Blocked::NoFit(volume()),
            Blocked::NoFit(NoFit::Volume { .. }) => Blocked::NoFit(NoFit::SingleWriter { claim: "c".into() }),
            Blocked::NoFit(NoFit::SingleWriter { .. }) => {
                Blocked::NoFit(NoFit::Ending { what: "claim c".into(), gone: false })
            }
            Blocked::NoFit(NoFit::Ending { .. }) => Blocked::NoFit(NoFit::Devices),
            Blocked::NoFit(NoFit::Devices) => Blocked::NoFit(NoFit::Full),
            Blocked::NoFit(NoFit::Full) => Blocked::Refused("r".into()),
            Blocked::Refused(_) => Blocked::ReportOnly,
            Blocked::ReportOnly => Blocked::Stopped("s".into()),
            Blocked::Stopped(_) => Blocked::Paused,
            Blocked::Paused => Blocked::Partitioned,
            Blocked::Partitioned => Blocked::Recreate,
            Blocked::Recreate => Blocked::OnDelete(WorkloadKind::StatefulSet),
            Blocked::OnDelete(_) => Blocked::OnDeleteBehind,
            Blocked::OnDeleteBehind => Blocked::RolloutUnderWay(WorkloadKind::Deployment),
            Blocked::RolloutUnderWay(_) => Blocked::DaemonSet,
            Blocked::DaemonSet => Blocked::OwnerTerminating(WorkloadKind::Deployment),
            Blocked::OwnerTerminating(_) => Blocked::Unmanaged,
            Blocked::Unmanaged => Blocked::RunsOnce("Workflow w".into()),
            Blocked::RunsOnce(_) => Blocked::Static,
            Blocked::Static => Blocked::JobStarted,
            Blocked::JobStarted => Blocked::JobWouldFail,
            Blocked::JobWouldFail => Blocked::OthersNotReady,
            Blocked::OthersNotReady => Blocked::Budget("b".into()),
            Blocked::Budget(_) => Blocked::AdmissionPending,
            Blocked::AdmissionPending => Blocked::Stuck,
            Blocked::Stuck => Blocked::TemplateReverted,
            Blocked::TemplateReverted => Blocked::TemplateRefused("t".into()),
            Blocked::TemplateRefused(_) => Blocked::NoteTaken,
            Blocked::NoteTaken => {
                Blocked::NotReplaced(ReplacementShortfall { owner: "Cluster c".into(), ready: 1, before: 2 })
            }
            Blocked::NotReplaced(_) => Blocked::Unanswered,
            Blocked::Unanswered => Blocked::NotNow(NotNow::Marked("m")),
            Blocked::NotNow(_) => Blocked::InVain("k".into()),
            Blocked::InVain(_) => Blocked::OutsideWindow(None),
            Blocked::OutsideWindow(_) => Blocked::LastReady,
            Blocked::LastReady => return None,
        })
    }

    #[test]
    fn each_has_a_word_of_its_own_and_a_sentence() {
        let all = core::iter::successors(Some(BlockedReason::NoFit(NoFit::NoPool)), next);
        let told: Vec<_> = all.map(|reason| (reason.code(), reason.to_string())).collect();
        let mut codes: Vec<_> = told.iter().map(|(code, _)| *code).collect();
        // A word may have a sentence for each remedy.
        codes.dedup();
        assert_eq!(codes, BlockedReason::CODES);
        assert!(told.iter().all(|(_, sentence)| !sentence.is_empty()));
    }
}
