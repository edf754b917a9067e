//! Write queue: which requests may go out now, which are on their way, and which must wait after a failure.
//!
//! It takes the requests of a cycle and returns those to carry out; it is told how each one ended. One request is on its
//! way for each target at a time, and an object that fails waits by itself: only an API server that is away holds up all.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{WriteFailure, WriteRequest, WriteTarget};
use crate::operator::{
    backoff,
    cache::{ClusterCache, ResourceVersioned},
    hold::{HoldReason, Holds},
};

/// The longest wait after a failed write.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// The longest wait of all writes while the API server is away: so late may they resume when it is back.
const LONGEST_ABSENCE: Duration = Duration::from_secs(5);
/// One of so many of the writes that may be on their way at a time may be an event, and one a move. Each takes a connection
/// of its own, and stamps come first.
pub const SHARE: usize = 4;
/// How often a kind of write that fails is logged: with an API server that is away, every one fails.
const LOG_PACE: Duration = Duration::from_secs(1);

/// Failures in a row, and what is waited for after the last.
#[derive(Clone, Copy, Debug)]
struct FailureBackoff {
    failures: u32,
    not_before: Instant,
}

/// What is on its way, and what must wait.
#[derive(Debug, Default)]
pub struct WriteQueue {
    /// By target, the version of the object that the request followed from.
    in_flight: BTreeMap<WriteTarget, u64>,
    backoffs: BTreeMap<WriteTarget, FailureBackoff>,
    /// Set while the API server is away: then no object is to blame, and one write in vain does for all.
    outage: Option<FailureBackoff>,
    /// Requests without an answer in time since the API server last gave any. One alone may be a webhook that takes its
    /// time.
    unanswered: BTreeSet<WriteTarget>,
    /// When a failed write of each kind was last logged.
    logged: BTreeMap<&'static str, Instant>,
}

/// The requests of a cycle, parted.
#[derive(Debug, Default)]
pub struct AdmittedWrites {
    /// Those to carry out now.
    pub requests: Vec<WriteRequest>,
    /// Targets of those that wait.
    pub put_off: Vec<WriteTarget>,
    /// When one of them may go out though nothing happens.
    pub wake: Option<Instant>,
    /// Why they wait.
    pub holds: Holds,
}

impl WriteQueue {
    /// How many requests whose targets are `of` a kind are on their way.
    pub fn in_flight(&self, of: impl Fn(&WriteTarget) -> bool) -> usize {
        self.in_flight.keys().filter(|target| of(target)).count()
    }

    /// Whether a request about `target` is on its way.
    pub fn is_in_flight(&self, target: &WriteTarget) -> bool {
        self.in_flight.contains_key(target)
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// By kind, how many requests are on their way.
    pub fn in_flight_by_kind(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::<_, usize>::new();
        for target in self.in_flight.keys() {
            let count = kinds.entry(target.kind()).or_default();
            *count = count.saturating_add(1);
        }
        kinds
    }

    /// Whether writes about `target` have failed since one was last carried out.
    pub fn has_failed(&self, target: &WriteTarget) -> bool {
        self.backoffs.contains_key(target)
    }

    /// Until when writes about `target` must wait, where that is after `now`.
    pub fn backs_off_until(&self, target: &WriteTarget, now: Instant) -> Option<Instant> {
        self.backoffs.get(target).map(|backoff| backoff.not_before).filter(|not_before| *not_before > now)
    }

    /// Until when all writes wait for an API server that is away, where that is after `now`.
    pub fn outage_until(&self, now: Instant) -> Option<Instant> {
        self.outage.map(|outage| outage.not_before).filter(|not_before| *not_before > now)
    }

    /// Writes about `target` are given up: how they fared says nothing any more.
    pub fn give_up(&mut self, target: &WriteTarget) {
        self.backoffs.remove(target);
    }

    /// What became of own writes, if there ever were any, says nothing any more.
    pub fn forget_failures(&mut self) {
        self.backoffs.clear();
        self.unanswered.clear();
        self.outage = None;
    }

    /// Parts the requests of a cycle, of which `concurrency` of a kind may be on their way at a time.
    pub fn admit(
        &mut self,
        due: Vec<WriteRequest>,
        cache: &ClusterCache,
        concurrency: usize,
        now: Instant,
    ) -> AdmittedWrites {
        let mut admitted = AdmittedWrites::default();
        let mut statuses = self.in_flight(WriteTarget::is_status);
        let mut moves = self.in_flight(WriteTarget::moves_pods);
        for request in due {
            let target = request.target();
            if let Some(not_before) = self.backs_off_until(&target, now) {
                admitted.wake = admitted.wake.map_or(Some(not_before), |wake| Some(wake.min(not_before)));
                admitted.holds.add(HoldReason::Backoff, target.object());
                admitted.put_off.push(target);
            } else if self.in_flight.contains_key(&target) {
                admitted.holds.add(HoldReason::InFlight, target.object());
                admitted.put_off.push(target);
            } else if target.is_status() && statuses >= concurrency {
                // However many statuses differ, the connection is for stamps as well.
                admitted.holds.add(HoldReason::Concurrency, target.object());
                admitted.put_off.push(target);
            } else if target.moves_pods() && moves >= concurrency.div_ceil(SHARE) {
                admitted.holds.add(HoldReason::Concurrency, target.object());
            } else {
                moves = moves.saturating_add(usize::from(target.moves_pods()));
                statuses = statuses.saturating_add(usize::from(target.is_status()));
                self.in_flight.insert(target.clone(), version(cache, &target));
                admitted.requests.push(request);
            }
        }
        admitted
    }

    /// Takes in that the request about `target` has ended, and says from which version of the object it followed.
    pub fn on_write_result(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>, now: Instant) -> u64 {
        let version = self.in_flight.remove(target).unwrap_or(0);
        self.note_outage(target, failure, now);
        match failure {
            None | Some(WriteFailure::Gone) => drop(self.backoffs.remove(target)),
            // What keeps the pod is told in its record, and waited out there.
            Some(WriteFailure::Conflict | WriteFailure::Refused(_) | WriteFailure::Timeout) if target.moves_pods() => {
                self.backoffs.remove(target);
            }
            Some(WriteFailure::NotLeading) => {}
            Some(_) => {
                let before = self.backoffs.get(target).map_or(0, |backoff| backoff.failures);
                let failures = if self.outage.is_some() { before.max(1) } else { before.saturating_add(1) };
                let not_before = now + backoff::after(failures, LONGEST_RETRY);
                self.backoffs.insert(target.clone(), FailureBackoff { failures, not_before });
            }
        }
        version
    }

    /// Takes in whether the API server was there. What was sent before it was known to be away says nothing new.
    fn note_outage(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>, now: Instant) {
        let is_away = match failure {
            // It was not asked.
            Some(WriteFailure::NotLeading) => return,
            Some(WriteFailure::Unreachable) => true,
            // Somebody's webhook may hold it up, and that is no reason to keep others waiting.
            Some(WriteFailure::Timeout) if target.moves_pods() => return,
            Some(WriteFailure::Timeout) => {
                self.unanswered.insert(target.clone());
                if self.unanswered.len() < 2 {
                    return;
                }
                true
            }
            _ => {
                self.unanswered.clear();
                false
            }
        };
        self.outage = match self.outage {
            _ if !is_away => None,
            Some(outage) if outage.not_before > now => Some(outage),
            outage => {
                let failures = outage.map_or(0, |outage| outage.failures).saturating_add(1);
                Some(FailureBackoff { failures, not_before: now + backoff::after(failures, LONGEST_ABSENCE) })
            }
        };
    }

    /// Whether a failed write of this kind is logged. They are all counted.
    pub fn may_log(&mut self, kind: &'static str, now: Instant) -> bool {
        let silent = self.logged.get(kind).is_some_and(|last| now < *last + LOG_PACE);
        if !silent {
            self.logged.insert(kind, now);
        }
        !silent
    }
}

/// The version of the object in `cache` that a write about `target` follows from; 0 when there is none.
fn version(cache: &ClusterCache, target: &WriteTarget) -> u64 {
    let name = target.name();
    match target {
        WriteTarget::MutatingBinding(_) => cache.mutating_bindings.get(name).map(ResourceVersioned::version),
        WriteTarget::ValidatingBinding(_) => cache.validating_bindings.get(name).map(ResourceVersioned::version),
        WriteTarget::NodeLabels(_) => cache.nodes.get(name).map(ResourceVersioned::version),
        WriteTarget::PolicyList => cache.policy_list.get(name).map(ResourceVersioned::version),
        WriteTarget::ProviderStatus(_) => cache.providers.get(name).map(ResourceVersioned::version),
        WriteTarget::PoolStatus(_) => cache.pools.get(name).map(ResourceVersioned::version),
        WriteTarget::Finalizer(_) | WriteTarget::PolicyStatus(_) => {
            cache.policies.get(name).map(ResourceVersioned::version)
        }
        WriteTarget::Record(key) => cache.records.get(key).map(ResourceVersioned::version),
        WriteTarget::Template(..) | WriteTarget::Eviction(_) | WriteTarget::Event { .. } => None,
    }
    .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> WriteTarget {
        WriteTarget::NodeLabels(name.into())
    }

    fn ended(queue: &mut WriteQueue, target: &WriteTarget, failure: &WriteFailure, now: Instant) {
        queue.on_write_result(target, Some(failure), now);
    }

    #[test]
    fn one_object_that_is_slow_or_refused_holds_up_nobody_else() {
        let (mut queue, now) = (WriteQueue::default(), Instant::now());
        let eviction = WriteTarget::Eviction("n/p".into());
        for _ in 0..5 {
            ended(&mut queue, &node("slow"), &WriteFailure::Timeout, now);
            ended(&mut queue, &eviction, &WriteFailure::Timeout, now);
            ended(&mut queue, &eviction, &WriteFailure::Refused("later".into()), now);
        }
        assert_eq!(queue.outage_until(now), None);
        assert!(queue.backs_off_until(&node("slow"), now).is_some());
    }

    #[test]
    fn an_api_server_that_answers_nobody_is_away_until_it_answers() {
        let (mut queue, now) = (WriteQueue::default(), Instant::now());
        ended(&mut queue, &node("a"), &WriteFailure::Timeout, now);
        ended(&mut queue, &node("b"), &WriteFailure::Timeout, now);
        assert!(queue.outage_until(now).is_some());
        ended(&mut queue, &node("c"), &WriteFailure::Conflict, now);
        assert_eq!(queue.outage_until(now), None);
        ended(&mut queue, &node("a"), &WriteFailure::Unreachable, now);
        assert!(queue.outage_until(now).is_some(), "one answer that says so is enough");
    }
}
