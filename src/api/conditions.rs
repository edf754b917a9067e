//! Condition types and reasons: the words by which scripts, alerts and `kubectl wait` tell statuses of ours apart.
//!
//! Constants for whoever makes a status, and [`CONDITION_TYPES`], which says of each kind which conditions it has and
//! which reasons each of them gives. They are part of the API: a word is never given another meaning, and each is
//! explained in `docs/operations.md`, which a test compares with the table here.

/// A condition of one of our kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionType {
    /// The kind that has it.
    pub kind: &'static str,
    /// Its `type`.
    pub name: &'static str,
    /// Every `reason` that it gives.
    pub reasons: &'static [&'static str],
}

/// Whether an object could be used: of providers, pools and policies.
pub const READY: &str = "Ready";
/// Whether admission holds workloads to a policy.
pub const ENFORCED: &str = "Enforced";
/// Whether moves of a policy's pods wait for an officer's approval; also why a pod stays, and an event that says so.
pub const MOVE_STOPPED: &str = "MoveStopped";
/// Whether a pool that is cleared for one of a policy's levels ends within the level's lead time.
pub const QUALIFICATION_ENDING: &str = "QualificationEnding";
/// Of a policy: whether there are as many providers, regions, zones or pools as its levels spread pods over.
pub const SPREAD_SATISFIABLE: &str = "SpreadSatisfiable";
/// Whether a cleared pool remains for a workload.
pub const PLACEABLE: &str = "Placeable";
/// Whether every pod of a workload runs where it may.
pub const COMPLIANT: &str = "Compliant";
/// Whether pods of a workload are moved, or are about to be; also the event of a move that begins.
pub const MIGRATING: &str = "Migrating";

/// `Ready` of a provider: every fact could be used.
pub const UNDERSTOOD: &str = "Understood";
/// `Ready` of a provider: some facts could not, and count as unknown.
pub const INVALID_ENTRIES: &str = "InvalidEntries";

/// `Ready` of a pool: provider, offer and zone are recorded.
pub const RESOLVED: &str = "Resolved";
/// `Ready` of a pool: the provider is not recorded.
pub const PROVIDER_NOT_FOUND: &str = "ProviderNotFound";
/// `Ready` of a pool: the provider has no such offer.
pub const OFFER_NOT_FOUND: &str = "OfferNotFound";
/// `Ready` of a pool: the offer has no such zone.
pub const ZONE_NOT_FOUND: &str = "ZoneNotFound";
/// `Ready` of a pool: another pool selects some of its nodes too.
pub const NODES_CLAIMED_TWICE: &str = "NodesClaimedTwice";
/// `Ready` of a pool: nodes that it selects have a `spec.providerID` of another place.
pub const PROVIDER_ID_MISMATCH: &str = "ProviderIDMismatch";

/// `Ready` of a pool or policy: a field cannot be used, and without it nothing can be decided.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// `Ready` of a policy: it was evaluated for every pool.
pub const EVALUATED: &str = "Evaluated";
/// `Ready` of a policy: it was evaluated, and names what the catalogue does not have.
pub const UNKNOWN_NAMES: &str = "UnknownNames";
/// `Ready` and `Enforced` of a policy: it is being deleted.
pub const DELETING: &str = "Deleting";

/// `Enforced`: bindings are in place and API servers have taken them up.
pub const BOUND: &str = "Bound";
/// `Enforced`: bindings are in place and API servers are taking them up.
pub const SETTLING: &str = "Settling";
/// `Enforced`: admission policies or bindings of the chart are missing or altered.
pub const INSTALLATION_DIFFERS: &str = "InstallationDiffers";
/// `Enforced`: admission policies or bindings that the policy must have are missing or altered.
pub const ADMISSION_DIFFERS: &str = "AdmissionDiffers";
/// `Enforced`: the object could not be decoded, so its mode is not known.
pub const UNDECODABLE: &str = "Undecodable";
/// `Enforced`: the policy's mode is `Warn`.
pub const MODE_WARN: &str = "ModeWarn";
/// `Enforced`: the policy's mode is `Audit`.
pub const MODE_AUDIT: &str = "ModeAudit";

/// `MoveStopped`: nothing is stopped.
pub const NOTHING_STOPPED: &str = "NothingStopped";
/// `MoveStopped`: too many pods would have moved at once.
pub const TOO_MANY_AT_ONCE: &str = "TooManyAtOnce";

/// `QualificationEnding`: no pool ends within a lead time.
pub const NONE_ENDING: &str = "NoneEnding";
/// `QualificationEnding`: the last cleared pool of a level ends.
pub const LAST_POOL_ENDING: &str = "LastPoolEnding";
/// `QualificationEnding`: the control plane ends, and every pool of a level with it.
pub const CONTROL_PLANE_ENDING: &str = "ControlPlaneEnding";
/// `QualificationEnding`: pools are withdrawn, and their pods leave.
pub const POOLS_LEAVING: &str = "PoolsLeaving";
/// `QualificationEnding`: the level's action is `Report`.
pub const REPORTED: &str = "Reported";

/// `SpreadSatisfiable`: there is what the pods of every level must be spread over.
pub const ENOUGH_DOMAINS: &str = "EnoughDomains";
/// `SpreadSatisfiable`: there is less, and pods wait.
pub const TOO_FEW_DOMAINS: &str = "TooFewDomains";

/// `Placeable`: pools are cleared for what the workload needs.
pub const POOLS_CLEARED: &str = "PoolsCleared";
/// `Placeable`: no policy that governs the workload is in `Enforce`.
pub const NOT_ENFORCED: &str = "NotEnforced";
/// `Placeable`: nothing is required of a place.
pub const NOTHING_REQUIRED: &str = "NothingRequired";
/// `Placeable` and `Migrating`: no pool is cleared.
pub const NO_CLEARED_POOL: &str = "NoClearedPool";
/// `Placeable` and `Migrating`: cleared pools have no node that could be used.
pub const NO_CLEARED_NODE: &str = "NoClearedNode";
/// `Placeable`: the workload's own selector or affinity excludes every cleared pool.
pub const OWN_WISHES: &str = "OwnWishes";
/// `Placeable` and `Migrating`: admission refuses the workload's pods.
pub const REFUSED: &str = "Refused";

/// `Compliant`: every pod runs where it may.
pub const ALL_CLEARED: &str = "AllCleared";
/// `Compliant`: pods run where they may not.
pub const VIOLATING: &str = "Violating";

/// `Migrating`: pods are being moved.
pub const MOVING: &str = "Moving";
/// `Migrating`: pods wait for stable facts, for stamps that nodes must lose first, or for their turn.
pub const WAITING: &str = "Waiting";
/// `Migrating`: nothing is to be moved.
pub const NOTHING_TO_MOVE: &str = "NothingToMove";
/// `Migrating`: nodes are too small even when empty.
pub const NODES_TOO_SMALL: &str = "NodesTooSmall";
/// `Migrating`: nodes have no room left.
pub const NO_CAPACITY: &str = "NoCapacity";
/// `Migrating`: nodes run pods from which it must be apart.
pub const NODES_TAKEN: &str = "NodesTaken";
/// `Migrating`: a volume holds the pod where it is.
pub const VOLUME_PINNED: &str = "VolumePinned";
/// `Migrating`: the API server refuses the eviction.
pub const DISRUPTION_BUDGET: &str = "DisruptionBudget";
/// `Migrating`: other pods of the workload are not ready.
pub const OTHERS_NOT_READY: &str = "OthersNotReady";
/// `Migrating`: replacements do not become ready.
pub const ROLLOUT_STUCK: &str = "RolloutStuck";
/// `Migrating`: the level's action is `Report`.
pub const REPORT_ONLY: &str = "ReportOnly";
/// `Migrating`: the rollout is paused.
pub const ROLLOUT_PAUSED: &str = "RolloutPaused";
/// `Migrating`: a partition holds the rollout back.
pub const ROLLOUT_PARTITIONED: &str = "RolloutPartitioned";
/// `Migrating`: the workload's own rollout is replacing the pod.
pub const ROLLOUT_UNDER_WAY: &str = "RolloutUnderWay";
/// `Migrating`: the workload is being deleted.
pub const OWNER_TERMINATING: &str = "OwnerTerminating";
/// `Migrating`: the Job was made from a template that says less than is said now.
pub const JOB_STARTED: &str = "JobStarted";
/// `Migrating`: not every API server acts on the policy yet.
pub const ADMISSION_PENDING: &str = "AdmissionPending";
/// `Migrating`: somebody takes away what admission completes in the template.
pub const TEMPLATE_REVERTED: &str = "TemplateReverted";
/// `Migrating`: the Deployment's strategy is `Recreate`.
pub const STRATEGY_RECREATE: &str = "StrategyRecreate";
/// `Migrating`: the update strategy is `OnDelete`.
pub const STRATEGY_ON_DELETE: &str = "StrategyOnDelete";
/// `Migrating`: the `DaemonSet` controller ends the pod by itself.
pub const DAEMON_SET: &str = "DaemonSet";
/// `Migrating`: no controller would create the pod again.
pub const UNMANAGED: &str = "Unmanaged";
/// `Migrating`: the pod is a kubelet's mirror of a manifest on the node.
pub const STATIC_POD: &str = "StaticPod";
/// `Migrating`: the Job has no failure left.
pub const JOB_WOULD_FAIL: &str = "JobWouldFail";
/// `Migrating`: the pod's claim is for one node at a time.
pub const VOLUME_IN_USE: &str = "VolumeInUse";
/// `Migrating`: the pod's claim or volume is being deleted, or gone.
pub const CLAIM_ENDING: &str = "ClaimEnding";
/// `Migrating`: the pod claims devices that nobody counts.
pub const DEVICES_UNKNOWN: &str = "DevicesUnknown";
/// `Migrating`: the change of the template is refused.
pub const TEMPLATE_REFUSED: &str = "TemplateRefused";
/// `Migrating`: somebody takes the note of the move out of the template.
pub const NOTE_REVERTED: &str = "NoteReverted";
/// `Migrating`: another pod of the same owner was evicted, and is not made anew.
pub const NOT_REPLACED: &str = "NotReplaced";
/// `Migrating`: the API server did not answer.
pub const UNANSWERED: &str = "Unanswered";
/// `Migrating`: a mark of the pod says not now.
pub const NOT_NOW: &str = "NotNow";
/// `Migrating`: the pod leaves ahead of an end when a window of its level opens.
pub const OUTSIDE_WINDOW: &str = "OutsideWindow";
/// `Migrating`: the pod is past its level's deadline, and the last that is ready.
pub const LAST_READY: &str = "LastReady";
/// `Migrating`: the pod was replaced once, and its successor waits for the same.
pub const REPLACED_IN_VAIN: &str = "ReplacedInVain";

/// Every condition of every kind, each with its reasons.
pub const CONDITION_TYPES: [ConditionType; 10] = [
    ConditionType { kind: "CloudProvider", name: READY, reasons: &[UNDERSTOOD, INVALID_ENTRIES] },
    ConditionType {
        kind: "PlacementPool",
        name: READY,
        reasons: &[
            RESOLVED,
            INVALID_SPEC,
            PROVIDER_NOT_FOUND,
            OFFER_NOT_FOUND,
            ZONE_NOT_FOUND,
            NODES_CLAIMED_TWICE,
            PROVIDER_ID_MISMATCH,
        ],
    },
    ConditionType {
        kind: "PlacementPolicy",
        name: READY,
        reasons: &[EVALUATED, UNKNOWN_NAMES, INVALID_SPEC, DELETING],
    },
    ConditionType {
        kind: "PlacementPolicy",
        name: ENFORCED,
        reasons: &[
            BOUND,
            SETTLING,
            MODE_WARN,
            MODE_AUDIT,
            INSTALLATION_DIFFERS,
            ADMISSION_DIFFERS,
            UNDECODABLE,
            DELETING,
        ],
    },
    ConditionType { kind: "PlacementPolicy", name: MOVE_STOPPED, reasons: &[NOTHING_STOPPED, TOO_MANY_AT_ONCE] },
    ConditionType {
        kind: "PlacementPolicy",
        name: QUALIFICATION_ENDING,
        reasons: &[NONE_ENDING, CONTROL_PLANE_ENDING, LAST_POOL_ENDING, POOLS_LEAVING, REPORTED],
    },
    ConditionType { kind: "PlacementPolicy", name: SPREAD_SATISFIABLE, reasons: &[ENOUGH_DOMAINS, TOO_FEW_DOMAINS] },
    ConditionType {
        kind: "WorkloadPlacement",
        name: PLACEABLE,
        reasons: &[
            POOLS_CLEARED,
            NOT_ENFORCED,
            NOTHING_REQUIRED,
            NO_CLEARED_POOL,
            NO_CLEARED_NODE,
            OWN_WISHES,
            REFUSED,
            NODES_TOO_SMALL,
            VOLUME_PINNED,
            CLAIM_ENDING,
        ],
    },
    ConditionType { kind: "WorkloadPlacement", name: COMPLIANT, reasons: &[ALL_CLEARED, VIOLATING] },
    ConditionType {
        kind: "WorkloadPlacement",
        name: MIGRATING,
        reasons: &[
            MOVING,
            WAITING,
            NOTHING_TO_MOVE,
            NO_CLEARED_POOL,
            NO_CLEARED_NODE,
            NODES_TOO_SMALL,
            NO_CAPACITY,
            NODES_TAKEN,
            VOLUME_PINNED,
            DISRUPTION_BUDGET,
            OTHERS_NOT_READY,
            ROLLOUT_STUCK,
            MOVE_STOPPED,
            REPORT_ONLY,
            ROLLOUT_PAUSED,
            ROLLOUT_PARTITIONED,
            ROLLOUT_UNDER_WAY,
            JOB_STARTED,
            OWNER_TERMINATING,
            ADMISSION_PENDING,
            TEMPLATE_REVERTED,
            STRATEGY_RECREATE,
            STRATEGY_ON_DELETE,
            DAEMON_SET,
            UNMANAGED,
            STATIC_POD,
            JOB_WOULD_FAIL,
            REFUSED,
            VOLUME_IN_USE,
            CLAIM_ENDING,
            DEVICES_UNKNOWN,
            TEMPLATE_REFUSED,
            NOTE_REVERTED,
            NOT_REPLACED,
            UNANSWERED,
            NOT_NOW,
            REPLACED_IN_VAIN,
            OUTSIDE_WINDOW,
            LAST_READY,
        ],
    },
];

/// Event: what a policy's levels are cleared for has changed.
pub const CLEARANCE_CHANGED: &str = "ClearanceChanged";
/// Event: pods of a workload are about to be evicted, and deleted where a budget refuses that, by their level's deadline.
pub const DEADLINE_NEAR: &str = "DeadlineNear";
/// Event: a window is the last in which pods leave a pool ahead of its end.
pub const LAST_WINDOW: &str = "LastWindow";
/// Event: no window is left in which pods leave a pool ahead of its end.
pub const NO_WINDOW: &str = "NoWindow";
/// Event: no place remains for a workload's pods.
pub const PLACEMENT_BLOCKED: &str = "PlacementBlocked";
/// Event: pods that ran where they may no longer do.
pub const CLEARANCE_LOST: &str = "ClearanceLost";
/// Event: a move ended with every pod where it may be.
pub const MIGRATED: &str = "Migrated";
/// Event: replacements of moved pods do not become ready.
pub const MIGRATION_FAILED: &str = "MigrationFailed";

/// Event: a node has come under a pool.
pub const NODE_JOINED: &str = "NodeJoined";
/// Event: a node is a pool's no more, though it is still there.
pub const NODE_LEFT: &str = "NodeLeft";
/// Event: a workload is to be placed by a lower level than before.
pub const LEVEL_LOWERED: &str = "LevelLowered";

/// The reason of every event that the operator emits.
pub const EVENT_REASONS: [&str; 15] = [
    DEADLINE_NEAR,
    CLEARANCE_CHANGED,
    LAST_WINDOW,
    NO_WINDOW,
    PLACEMENT_BLOCKED,
    CLEARANCE_LOST,
    MIGRATING,
    MIGRATED,
    MIGRATION_FAILED,
    MOVE_STOPPED,
    TOO_FEW_DOMAINS,
    ENOUGH_DOMAINS,
    NODE_JOINED,
    NODE_LEFT,
    LEVEL_LOWERED,
];
