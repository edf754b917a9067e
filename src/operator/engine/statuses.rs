//! The statuses of what people declare: compared with those that they should have, at a pace.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant as Moment},
};

use super::Engine;
use crate::operator::{
    admission,
    ruling::time,
    status,
    write::{FINALIZER, Key, Write},
};
use rempart_core::instant::Instant;

/// How often statuses are compared while things keep changing.
const STATUS_PACE: Duration = Duration::from_millis(500);

impl Engine {
    /// Asks for the statuses that are not what they should be.
    pub(super) fn plan_statuses(&mut self, at: Instant, now: Moment, due: &mut Vec<(Key, Write)>) {
        if !self.statuses_due {
            return;
        }
        if let Some(not_before) = self.statuses_not_before.filter(|not_before| *not_before > now) {
            self.wake_at(Some(not_before));
            return;
        }
        self.statuses_due = false;
        self.statuses_not_before = Some(now + STATUS_PACE);
        let stamp = time(whole_seconds(at));
        let census = status::census(&self.index);
        self.metrics.counted(&self.index);
        for (name, record) in self.index.providers.iter() {
            let Some(found) = self.ruling.of_provider.get(name) else { continue };
            let desired = status::of_provider(record, found, &stamp);
            let current = record.object.as_ref().map(|object| object.status.as_ref());
            compare(Key::ProviderStatus(name.clone()), &desired, current, &mut self.said, due);
        }
        for (name, record) in self.index.pools.iter() {
            let Some(found) = self.ruling.of_pool.get(name) else { continue };
            let empty = status::Census::default();
            let desired = status::of_pool(record, found, census.get(name.as_str()).unwrap_or(&empty), &stamp);
            let current = record.object.as_ref().map(|object| object.status.as_ref());
            compare(Key::PoolStatus(name.clone()), &desired, current, &mut self.said, due);
        }
        for (name, record) in self.index.policies.iter() {
            let Some(found) = self.ruling.of_policy.get(name) else { continue };
            // Its finalizer is written first, and follows from the version that a status would alter.
            if !record.ending() && !record.meta.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER) {
                continue;
            }
            let bindings = admission::bindings_of(name, record, &self.settings.exempt);
            let settled = self.admission.settled().contains(name);
            let levels = self.records.levels.get(name).map(Vec::as_slice).unwrap_or_default();
            let stops = self.moves.stops.of(name);
            let done = status::Done { bindings: &bindings, settled, standings: levels, stops };
            let desired = status::of_policy(name, record, found, done, &self.index, &stamp);
            let current = record.object.as_ref().map(|object| object.status.as_ref());
            compare(Key::PolicyStatus(name.clone()), &desired, current, &mut self.said, due);
        }
    }
}

/// Asks for `desired` where it is not `current`.
fn compare<S: serde::Serialize + PartialEq>(
    key: Key,
    desired: &S,
    current: Result<Option<&S>, &String>,
    said: &mut BTreeMap<Key, serde_json::Value>,
    due: &mut Vec<(Key, Write)>,
) {
    if current.is_ok() {
        said.remove(&key);
    }
    if current.is_ok_and(|current| current == Some(desired)) {
        return;
    }
    let Ok(value) = serde_json::to_value(desired) else { return };
    if current.is_err() {
        let timeless = timeless(value.clone());
        if said.get(&key) == Some(&timeless) {
            return;
        }
        said.insert(key.clone(), timeless);
    }
    due.push((key, Write::Status(value)));
}

/// `status` without the times of its conditions: where they cannot be read they are those of every new look.
fn timeless(mut status: serde_json::Value) -> serde_json::Value {
    let conditions = status.get_mut("conditions").and_then(serde_json::Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(serde_json::Value::as_object_mut) {
        condition.remove("lastTransitionTime");
    }
    status
}

/// Conditions are written down to the second.
pub(super) fn whole_seconds(at: Instant) -> Instant {
    Instant::from_seconds(at.timestamp().as_second())
}
