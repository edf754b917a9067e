//! Records, decoded to digests: of a `WorkloadPlacement` that is there, only what tells whether it is right is kept.
//!
//! The digest is taken from the record itself and not from a note of what was written, so that whatever became of it
//! shows.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::Deserialize;

use super::{fields::uid, partial::FromPartial};
use crate::{
    api::{self, ViolatingPod, WorkloadPlacement, WorkloadPlacementStatus, conditions},
    operator::cache::store::{ResourceVersioned, version},
};
use rempart_core::{
    cluster_objects::ObjectUid,
    instant::Timestamp,
    migration::LevelViolation,
    name::{LevelName, PolicyName},
};

/// The conditions of a record, in their order.
pub const CONDITIONS: [&str; 3] = [conditions::PLACEABLE, conditions::COMPLIANT, conditions::MIGRATING];

/// A record, decoded to take its digest.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = WorkloadPlacement)]
pub struct PartialRecord {
    metadata: ObjectMeta,
    #[serde(default)]
    status: WorkloadPlacementStatus,
}

/// What is remembered of a record: a digest of what it says, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordDigest {
    /// The resource version.
    pub version: u64,
    /// The identifier of the workload.
    pub owner: ObjectUid,
    /// Whether no object owns it any more, as when its workload was deleted and its dependents were kept: nobody else ends it.
    pub is_orphaned: bool,
    /// The digest of what it says.
    pub digest: u64,
    /// Whether each of [`CONDITIONS`] holds, and since when, in seconds.
    pub since: [Option<(bool, i64)>; 3],
    /// Whether it says that a move waits for an officer's word.
    pub stopped: bool,
    /// By which level of which policy it says that the workload is placed, each as a number: the names of all records would be
    /// much of the operator's memory.
    levels: Box<[u64]>,
    /// How many pods of the same owner are to be ready before its pod is moved.
    pub awaited_ready: Option<u32>,
    /// When it was made, in seconds of Unix time.
    pub created: i64,
    /// Since when pods violate levels that have a deadline, by the identifiers of the pods.
    pub violations: Box<[(ObjectUid, LevelViolation)]>,
}

impl RecordDigest {
    /// Whether it says that the workload is placed by `level` of `policy`.
    #[must_use]
    pub fn says_level(&self, policy: &str, level: &str) -> bool {
        self.levels.contains(&level_digest(policy, level))
    }

    /// Whether it says that there is no place for the pods of its workload.
    #[must_use]
    pub fn is_unplaceable(&self) -> bool {
        let [placeable, ..] = self.since;
        placeable.is_some_and(|(holds, _)| !holds)
    }

    /// Since when it says that pods stand where they may not, in seconds of Unix time.
    #[must_use]
    pub fn violating_since(&self) -> Option<i64> {
        let [_, compliant, _] = self.since;
        compliant.filter(|(holds, _)| !holds).map(|(_, since)| since)
    }
}

impl ResourceVersioned for RecordDigest {
    fn version(&self) -> u64 {
        self.version
    }
}

impl FromPartial<WorkloadPlacement> for RecordDigest {
    type Partial = PartialRecord;

    fn from_partial(partial: PartialRecord) -> Result<Option<Self>, String> {
        let PartialRecord { metadata, mut status } = partial;
        let owner = metadata.owner_references.iter().flatten().next();
        let since = CONDITIONS.map(|kind| {
            let found = api::find_condition(&status.conditions, kind)?;
            Some((found.status == "True", found.last_transition_time.0.as_second()))
        });
        let levels =
            status.policies.iter().filter_map(|policy| Some(level_digest(&policy.name, policy.level.as_deref()?)));
        let levels = levels.collect();
        let violations = status.violating_since.iter();
        let violations = violations.filter_map(|found| Some((uid(Some(&found.uid)), violation(found)?))).collect();
        let stopped = status.conditions.iter().any(|condition| condition.reason == conditions::MOVE_STOPPED);
        Ok(Some(Self {
            stopped,
            levels,
            awaited_ready: status.awaited_ready.and_then(|ready| u32::try_from(ready).ok()),
            version: version(metadata.resource_version.as_deref()),
            owner: uid(owner.map(|owner| owner.uid.as_str())),
            is_orphaned: owner.is_none(),
            created: metadata.creation_timestamp.map_or(i64::MIN, |created| created.0.as_second()),
            violations,
            digest: digest(&mut status),
            since,
        }))
    }
}

/// What `found` says; nothing where it is no level of a policy, or says no instant.
fn violation(found: &ViolatingPod) -> Option<LevelViolation> {
    Some(LevelViolation {
        policy: PolicyName::parse(&found.policy).ok()?,
        level: LevelName::parse(&found.level).ok()?,
        since: Timestamp::from_seconds(found.since.as_ref()?.0.as_second()),
    })
}

fn level_digest(policy: &str, level: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (policy, level).hash(&mut hasher);
    hasher.finish()
}

/// What `status` says, without when it came about, as a number.
pub fn digest(status: &mut WorkloadPlacementStatus) -> u64 {
    for condition in &mut status.conditions {
        condition.last_transition_time = Time(jiff::Timestamp::UNIX_EPOCH);
    }
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(status).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}
