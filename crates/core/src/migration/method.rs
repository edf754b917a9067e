//! Migration methods: one table of how a workload's pods are replaced × what its template says → how they are moved.
//!
//! Takes how a controller replaces pods, whether its template says all that is said now, by which template a pod was made,
//! and what the officer wants; gives the method, or why the pod stays. Every pair is written out: what Kubernetes makes of
//! a kind is never left to a rest of cases.

use super::blocked::BlockedReason;
use crate::{
    cluster_objects::{ControllerSpec, RolloutStrategy, split},
    compliance::{MisplacedPod, OwnedPods, PodOwner, PodRevision},
    policy::LossAction,
    workload::WorkloadKind,
};

/// How pods are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MigrationMethod {
    /// Change the template: its controller replaces the pods, by its own strategy.
    RestartRollout,
    /// Change the template, which restarts nothing, so that the next pods are right.
    CompleteTemplate,
    /// Evict one pod after the other, while the rest is ready.
    EvictOneByOne,
    /// Evict them all.
    EvictAll,
    /// Evict one, past its deadline.
    EvictOverdue,
    /// Delete one, past its deadline and its disruption budget.
    DeleteOverdue,
}

/// How a pod is replaced when its template changes, or when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReplacementStrategy {
    /// A `Deployment` whose replacements stand before anything goes.
    Surge,
    /// The same, whose owner takes the note of a move out of its template again: it does not roll for us.
    Reverted,
    /// A `Deployment` of which some pods go before their replacements stand.
    InPlace,
    /// A `Deployment` of which all pods go before any replacement stands.
    Recreate,
    /// A `Deployment` whose rollout is paused.
    Paused,
    /// A `StatefulSet`: pod by pod.
    Ordered,
    /// The same, of a pod that is not ready: a rollout waits for it instead of replacing it (kubernetes#67250).
    OrderedUnready,
    /// A `StatefulSet`, a pod of it below its partition: made by the former template.
    Partitioned,
    /// A `StatefulSet` that replaces only what somebody deletes.
    OnDelete,
    /// A `DaemonSet`: Kubernetes ends pods wherever its template's selector does not match.
    EveryNode,
    /// The same, which replaces only what somebody deletes.
    EveryNodeOnDelete,
    /// A `ReplicaSet`: its template is for new pods.
    NewPodsOnly,
    /// A `Job` that has started: its template can no longer change.
    Started {
        /// Whether it bears that one more pod fails.
        bears_failure: bool,
    },
    /// A `Job` that waits for its start.
    NotStarted,
    /// A `CronJob`: its template is for new jobs.
    NewJobsOnly,
    /// A workload that is being deleted.
    Terminating {
        /// Which one.
        kind: WorkloadKind,
    },
    /// By a controller of a kind that Rempart does not know.
    UnknownOwner,
    /// Nobody makes it anew.
    NoOwner,
}

/// Whether a template says all that is said now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TemplateState {
    /// A pod that is made from it is admitted at its level.
    Complete,
    /// It says less.
    Behind,
}

/// What a change of the template does to pods that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TemplateEffect {
    /// Its controller replaces or ends them.
    Restarts,
    /// Nothing.
    RestartsNothing,
    /// There is no template, or it cannot change.
    Immutable,
}

impl ReplacementStrategy {
    /// Every one, for the table.
    pub const ALL: [Self; 20] = [
        Self::Surge,
        Self::Reverted,
        Self::InPlace,
        Self::Recreate,
        Self::Paused,
        Self::Ordered,
        Self::OrderedUnready,
        Self::Partitioned,
        Self::OnDelete,
        Self::EveryNode,
        Self::EveryNodeOnDelete,
        Self::NewPodsOnly,
        Self::Started { bears_failure: true },
        Self::Started { bears_failure: false },
        Self::NotStarted,
        Self::NewJobsOnly,
        Self::Terminating { kind: WorkloadKind::Deployment },
        Self::Terminating { kind: WorkloadKind::StatefulSet },
        Self::UnknownOwner,
        Self::NoOwner,
    ];

    /// How `pod`, one of `owned`, is replaced; without one, what holds of the pods that come. `reverts` says that its owner
    /// was seen to take the note of a move away.
    #[must_use]
    pub fn of(owned: &OwnedPods<'_>, pod: Option<&MisplacedPod<'_>>, reverts: bool) -> Self {
        match owned.owner {
            PodOwner::Known(_, controller) if controller.terminating => {
                Self::Terminating { kind: controller.spec.kind() }
            }
            PodOwner::Known(_, controller) => match &controller.spec {
                ControllerSpec::Deployment { paused: true, .. } => Self::Paused,
                ControllerSpec::Deployment { strategy: RolloutStrategy::Recreate, .. } => Self::Recreate,
                ControllerSpec::Deployment { strategy: RolloutStrategy::Rolling { surge: 0, .. }, .. } => Self::InPlace,
                ControllerSpec::Deployment { strategy: RolloutStrategy::Rolling { surge: 1.., .. }, .. } => {
                    if reverts {
                        Self::Reverted
                    } else {
                        Self::Surge
                    }
                }
                ControllerSpec::ReplicaSet => Self::NewPodsOnly,
                ControllerSpec::StatefulSet { on_delete: true, .. } => Self::OnDelete,
                ControllerSpec::StatefulSet { on_delete: false, first_updated, last_ordinal, rolling: _ } => {
                    let below = match pod {
                        Some(pod) => ordinal(pod.key) < *first_updated,
                        // All there are.
                        None => last_ordinal < first_updated,
                    };
                    match pod {
                        _ if below => Self::Partitioned,
                        Some(pod) if !pod.pod.is_ready() => Self::OrderedUnready,
                        Some(_) | None => Self::Ordered,
                    }
                }
                ControllerSpec::DaemonSet { on_delete: true, .. } => Self::EveryNodeOnDelete,
                ControllerSpec::DaemonSet { on_delete: false, .. } => Self::EveryNode,
                // Admission leaves the template of a CronJob's Job as it was made.
                ControllerSpec::Job { started: false, .. } if controller.statements().own.is_some() => Self::NotStarted,
                ControllerSpec::Job { failures_left, .. } => Self::Started {
                    bears_failure: match pod {
                        Some(pod) => controller.bears_disruption_of(pod.pod, owned.pods.terminating),
                        None => *failures_left != Some(0),
                    },
                },
                ControllerSpec::CronJob => Self::NewJobsOnly,
            },
            PodOwner::Unknown(_) => Self::UnknownOwner,
            PodOwner::None(..) => Self::NoOwner,
        }
    }

    /// What a change of the template does to pods that run.
    #[must_use]
    pub fn template_effect(self) -> TemplateEffect {
        match self {
            Self::Surge
            | Self::Reverted
            | Self::InPlace
            | Self::Recreate
            | Self::Ordered
            | Self::OrderedUnready
            | Self::EveryNode
            | Self::EveryNodeOnDelete => TemplateEffect::Restarts,
            Self::Paused
            | Self::Partitioned
            | Self::OnDelete
            | Self::NewPodsOnly
            | Self::NotStarted
            | Self::NewJobsOnly => TemplateEffect::RestartsNothing,
            Self::Started { .. } | Self::Terminating { .. } | Self::UnknownOwner | Self::NoOwner => {
                TemplateEffect::Immutable
            }
        }
    }

    /// How a pod that stands wrong is moved.
    ///
    /// # Errors
    /// Why it stays.
    #[expect(clippy::unnested_or_patterns, reason = "a table: each line is a row of it")]
    pub fn method(
        self,
        template: TemplateState,
        revision: PodRevision,
        action: WantedAction,
    ) -> Result<MigrationMethod, BlockedReason> {
        use BlockedReason as Blocked;
        use MigrationMethod::{CompleteTemplate, EvictAll, EvictOneByOne, RestartRollout};
        use PodRevision::{Current, Former};
        use TemplateState::{Behind, Complete};
        use WantedAction::{Evict, Migrate};
        match (self, template, revision, action) {
            // Whoever is evicted into a template that says less comes back below its level: the template comes first.
            (
                Self::Surge | Self::Reverted | Self::InPlace | Self::Ordered | Self::OrderedUnready,
                Behind,
                Current | Former,
                Migrate | Evict,
            )
            | (Self::Surge, Complete, Current, Migrate)
            | (Self::Recreate, Behind, Current | Former, Evict)
            | (Self::EveryNode, Behind, Current | Former, Migrate | Evict) => Ok(RestartRollout),
            (Self::NewPodsOnly | Self::NewJobsOnly | Self::NotStarted, Behind, Current | Former, Migrate | Evict)
            | (Self::OnDelete, Behind, Current | Former, Evict) => Ok(CompleteTemplate),

            // The template is right and the pod is of a former one: its controller is replacing it, or is kept from that.
            (Self::Surge | Self::Reverted | Self::InPlace | Self::Recreate, Complete, Former, Migrate | Evict) => {
                Err(Blocked::RolloutUnderWay(WorkloadKind::Deployment))
            }
            (Self::Ordered, Complete, Former, Migrate | Evict) => {
                Err(Blocked::RolloutUnderWay(WorkloadKind::StatefulSet))
            }
            (Self::Paused, Behind, Current | Former, Migrate | Evict)
            | (Self::Paused, Complete, Former, Migrate | Evict)
            | (Self::Paused, Complete, Current, Migrate) => Err(Blocked::Paused),
            (Self::Partitioned, Behind, Current | Former, Migrate | Evict)
            | (Self::Partitioned, Complete, Former, Migrate | Evict) => Err(Blocked::Partitioned),
            (Self::Started { .. }, Behind, Current | Former, Migrate | Evict)
            | (Self::Started { .. }, Complete, Former, Migrate | Evict) => Err(Blocked::JobStarted),

            (Self::Recreate, Complete, Current, Migrate) | (Self::Recreate, Behind, Current | Former, Migrate) => {
                Err(Blocked::Recreate)
            }
            (Self::OnDelete, Complete | Behind, Current | Former, Migrate) => {
                Err(Blocked::OnDelete(WorkloadKind::StatefulSet))
            }
            (Self::EveryNodeOnDelete, Behind, Current | Former, Migrate | Evict) => {
                Err(Blocked::OnDeleteBehind)
            }
            (Self::EveryNode | Self::EveryNodeOnDelete, Complete, Current | Former, Migrate | Evict) => {
                Err(Blocked::DaemonSet)
            }
            (Self::Started { bears_failure: false }, Complete, Current, Migrate) => Err(Blocked::JobWouldFail),
            (Self::NoOwner, Complete | Behind, Current | Former, Migrate) => Err(Blocked::Unmanaged),
            (Self::Terminating { kind }, Complete | Behind, Current | Former, Migrate)
            // Its ReplicaSet is not being deleted yet, and makes the pod anew by the former template.
            | (Self::Terminating { kind: kind @ WorkloadKind::Deployment }, Complete | Behind, Current | Former, Evict) => {
                Err(Blocked::OwnerTerminating(kind))
            }

            (Self::Reverted | Self::InPlace | Self::Ordered | Self::Partitioned, Complete, Current, Migrate)
            | (Self::OrderedUnready, Complete, Current | Former, Migrate)
            | (Self::Started { bears_failure: true }, Complete, Current, Migrate)
            | (Self::NewPodsOnly | Self::NewJobsOnly | Self::NotStarted, Complete, Current | Former, Migrate)
            | (Self::UnknownOwner, Complete | Behind, Current | Former, Migrate) => Ok(EvictOneByOne),
            (
                Self::Surge
                | Self::Reverted
                | Self::InPlace
                | Self::Recreate
                | Self::Paused
                | Self::Ordered
                | Self::Partitioned
                | Self::Started { .. },
                Complete,
                Current,
                Evict,
            )
            | (
                Self::OnDelete | Self::OrderedUnready | Self::NewPodsOnly | Self::NewJobsOnly | Self::NotStarted,
                Complete,
                Current | Former,
                Evict,
            )
            | (
                Self::UnknownOwner
                | Self::NoOwner
                | Self::Terminating {
                    kind:
                        WorkloadKind::ReplicaSet
                        | WorkloadKind::StatefulSet
                        | WorkloadKind::DaemonSet
                        | WorkloadKind::Job
                        | WorkloadKind::CronJob
                        | WorkloadKind::Pod
                        | WorkloadKind::Templated(_),
                },
                Complete | Behind,
                Current | Former,
                Evict,
            ) => Ok(EvictAll),
        }
    }
}

/// What is wanted of a pod that stands wrong, where anything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WantedAction {
    /// Replaced, replacement first.
    Migrate,
    /// Evicted.
    Evict,
}

impl WantedAction {
    /// What `action` wants; nothing where it wants to be told alone.
    #[must_use]
    pub fn of(action: LossAction) -> Option<Self> {
        match action {
            LossAction::Report => None,
            LossAction::Migrate => Some(Self::Migrate),
            LossAction::Evict => Some(Self::Evict),
        }
    }
}

/// The number at the end of a pod's name, which a `StatefulSet` gives.
#[must_use]
pub(super) fn ordinal(key: &str) -> u64 {
    let (_, name) = split(key);
    name.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}
