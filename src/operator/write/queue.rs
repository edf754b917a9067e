//! Write queue, the operator's work queue: which requests may go out now, which are on their way, and which must wait after a failure.
//!
//! It takes the requests of a cycle and returns those to carry out; it is told how each one ended. One request is on its
//! way for each target at a time, and an object that fails is requeued with a
//! backoff of its own: only an API server that is away holds up all.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use super::{WriteFailure, WriteRequest, WriteTarget};
use crate::{
    admission::AdmissionKind,
    operator::{
        backoff,
        cache::{ClusterCache, ResourceVersioned},
        hold::{HoldReason, Holds},
    },
};

/// The longest wait after a failed write.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// The longest wait of all writes while the API server is away: so late may they resume when it is back.
const LONGEST_ABSENCE: Duration = Duration::from_secs(5);
/// One of so many of the writes that may be on their way at a time may be an event, and one a move. Each takes a connection
/// of its own, and stamps come first.
pub const SHARE: usize = 4;
/// So many admission objects are written at a time, as many as one policy has: the API server compiles each, and of those of
/// many policies at once most would not be answered in time, and all would be sent again together.
const ADMISSION_AT_A_TIME: usize = 24;
/// How often a kind of write that fails is logged: with an API server that is away, every one fails.
const LOG_PACE: Duration = Duration::from_secs(1);

/// The longest wait for what somebody undoes again and again, of stamps: others must not wait long for one node.
const LONGEST_UNDONE_STAMP: Duration = Duration::from_secs(5);
/// The same write within this time of the last, which succeeded, means that somebody has undone it.
const UNDONE_WITHIN: Duration = Duration::from_mins(1);
/// So many times in a row it is made at once.
const UNDONE_AT_ONCE: u32 = 1;
/// Writes that succeeded a while ago are forgotten when there are more of them.
const REMEMBERED: usize = 1024;

/// A write that succeeded: what it was, and how often it was made in a row before.
#[derive(Clone, Copy, Debug)]
struct RecentWrite {
    fingerprint: u64,
    again: u32,
    at: Instant,
}

/// A request that is on its way.
#[derive(Clone, Copy, Debug)]
struct InFlightWrite {
    /// The version of the object that it followed from.
    version: u64,
    /// What it asks for, as a number.
    fingerprint: u64,
}

/// How a request ended, for whoever made it.
#[derive(Clone, Copy, Debug)]
pub struct WriteEnd {
    /// The version of the object that it followed from.
    pub version: u64,
    /// Whether the very same write has succeeded before, again and again: somebody undoes it.
    pub is_undone: bool,
}

/// Failures in a row, and what is waited for after the last.
#[derive(Clone, Copy, Debug)]
struct FailureBackoff {
    failures: u32,
    not_before: Instant,
}

/// What is on its way, and what must wait.
#[derive(Debug, Default)]
pub struct WriteQueue {
    in_flight: BTreeMap<WriteTarget, InFlightWrite>,
    /// Writes that succeeded of late, by a number for their target.
    recent: BTreeMap<u64, RecentWrite>,
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
pub struct ReadyWrites {
    /// Those to carry out now.
    pub requests: Vec<WriteRequest>,
    /// Targets of those that wait, and until when, where they wait out failures.
    pub put_off: Vec<(WriteTarget, Option<Instant>)>,
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

    /// What requests that are on their way are about.
    pub fn targets(&self) -> impl Iterator<Item = &WriteTarget> {
        self.in_flight.keys()
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
    pub fn forget(&mut self, target: &WriteTarget) {
        self.backoffs.remove(target);
    }

    /// What became of own writes, if there ever were any, says nothing any more.
    pub fn forget_failures(&mut self) {
        self.backoffs.clear();
        self.unanswered.clear();
        self.outage = None;
    }

    /// Parts the requests of a cycle, of which `concurrency` of a kind may be on their way at a time.
    pub fn take_ready(
        &mut self,
        due: Vec<WriteRequest>,
        cache: &ClusterCache,
        concurrency: usize,
        now: Instant,
    ) -> ReadyWrites {
        let mut admitted = ReadyWrites::default();
        let mut statuses = self.in_flight(WriteTarget::is_status);
        let mut moves = self.in_flight(WriteTarget::moves_pods);
        let is_admission = |target: &WriteTarget| matches!(target, WriteTarget::Admission(..));
        let mut admissions = self.in_flight(is_admission);
        for request in due {
            let target = request.target();
            if let Some(not_before) = self.backs_off_until(&target, now) {
                admitted.wake = admitted.wake.map_or(Some(not_before), |wake| Some(wake.min(not_before)));
                admitted.holds.add(HoldReason::Backoff, target.object());
                admitted.put_off.push((target, Some(not_before)));
            } else if self.is_in_flight(&target) {
                admitted.holds.add(HoldReason::InFlight, target.object());
                admitted.put_off.push((target, None));
            } else if target.is_status() && statuses >= concurrency {
                // However many statuses differ, the connection is for stamps as well.
                admitted.holds.add(HoldReason::Concurrency, target.object());
                admitted.put_off.push((target, None));
            } else if (is_admission(&target) && admissions >= ADMISSION_AT_A_TIME)
                || (target.moves_pods() && moves >= concurrency.div_ceil(SHARE))
            {
                admitted.holds.add(HoldReason::Concurrency, target.object());
            } else {
                moves = moves.saturating_add(usize::from(target.moves_pods()));
                admissions = admissions.saturating_add(usize::from(is_admission(&target)));
                statuses = statuses.saturating_add(usize::from(target.is_status()));
                let write = InFlightWrite { version: version(cache, &target), fingerprint: fingerprint(&request) };
                self.in_flight.insert(target, write);
                admitted.requests.push(request);
            }
        }
        admitted
    }

    /// Takes in that the request about `target` has ended.
    pub fn on_write_result(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>, now: Instant) -> WriteEnd {
        let write = self.in_flight.remove(target).unwrap_or(InFlightWrite { version: 0, fingerprint: 0 });
        self.note_outage(target, failure, now);
        let mut is_undone = false;
        match failure {
            None => {
                let again = self.note_success(target, write.fingerprint, now);
                is_undone = again > UNDONE_AT_ONCE;
                if is_undone {
                    let failures = again.saturating_sub(UNDONE_AT_ONCE);
                    let not_before = now + backoff::after(failures, longest_undone(target));
                    self.backoffs.insert(target.clone(), FailureBackoff { failures, not_before });
                } else {
                    self.backoffs.remove(target);
                }
            }
            Some(WriteFailure::Gone) => drop(self.backoffs.remove(target)),
            // What keeps the pod is told in its record, and waited out there.
            Some(
                WriteFailure::Conflict | WriteFailure::Refused(_) | WriteFailure::OverBudget(_) | WriteFailure::Timeout,
            ) if target.moves_pods() => {
                self.backoffs.remove(target);
            }
            Some(WriteFailure::NotLeading) => {}
            Some(
                WriteFailure::Conflict
                | WriteFailure::NotFound
                | WriteFailure::Refused(_)
                | WriteFailure::OverBudget(_)
                | WriteFailure::Forbidden
                | WriteFailure::Invalid
                | WriteFailure::Unreachable
                | WriteFailure::Timeout
                | WriteFailure::Other,
            ) => {
                let before = self.backoffs.get(target).map_or(0, |backoff| backoff.failures);
                let failures = if self.outage.is_some() { before.max(1) } else { before.saturating_add(1) };
                let not_before = now + backoff::after(failures, LONGEST_RETRY);
                self.backoffs.insert(target.clone(), FailureBackoff { failures, not_before });
            }
        }
        WriteEnd { version: write.version, is_undone }
    }

    /// Notes that a write succeeded, and returns how often the same has before, each time soon after the last.
    fn note_success(&mut self, target: &WriteTarget, fingerprint: u64, now: Instant) -> u32 {
        if !is_declarative(target) {
            return 0;
        }
        if self.recent.len() > REMEMBERED {
            self.recent.retain(|_, write| write.at + UNDONE_WITHIN > now);
            // Nor is it remembered for ever of what failed and is not asked for any more.
            self.backoffs.retain(|_, backoff| backoff.not_before + UNDONE_WITHIN > now);
        }
        let key = number(target);
        let last =
            self.recent.get(&key).filter(|last| last.fingerprint == fingerprint && last.at + UNDONE_WITHIN > now);
        let again = last.map_or(0, |last| last.again.saturating_add(1));
        self.recent.insert(key, RecentWrite { fingerprint, again, at: now });
        again
    }

    /// Takes in whether the API server was there. What was sent before it was known to be away says nothing new.
    fn note_outage(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>, now: Instant) {
        let is_away = match failure {
            // It was not asked.
            Some(WriteFailure::NotLeading) => return,
            // Events may be limited, and kept in a store of their own: how they fare says nothing of other writes.
            Some(WriteFailure::Unreachable | WriteFailure::Timeout) if matches!(target, WriteTarget::Event { .. }) => {
                return;
            }
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
            // An answer, whatever it says.
            None
            | Some(
                WriteFailure::Conflict
                | WriteFailure::Gone
                | WriteFailure::NotFound
                | WriteFailure::Refused(_)
                | WriteFailure::OverBudget(_)
                | WriteFailure::Forbidden
                | WriteFailure::Invalid
                | WriteFailure::Other,
            ) => {
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

/// Whether a write about `target` makes an object what it should be, so that the same again means that it was not. What
/// refuses is restored at once however often somebody alters it, and so are the bindings of mutations: they hold the rule
/// itself. Webhooks do not, and others complete them after their own mind.
fn is_declarative(target: &WriteTarget) -> bool {
    match target {
        WriteTarget::NodeLabels(_)
        | WriteTarget::ProviderStatus(_)
        | WriteTarget::PoolStatus(_)
        | WriteTarget::PolicyStatus(_)
        | WriteTarget::Record(_) => true,
        WriteTarget::Admission(kind, _) => *kind == AdmissionKind::Webhook,
        WriteTarget::Finalizer(_)
        | WriteTarget::Template(..)
        | WriteTarget::Eviction(_)
        | WriteTarget::PodDeletion(_)
        | WriteTarget::Event { .. } => false,
    }
}

fn longest_undone(target: &WriteTarget) -> Duration {
    if matches!(target, WriteTarget::NodeLabels(_)) { LONGEST_UNDONE_STAMP } else { LONGEST_RETRY }
}

/// What `request` asks for, as a number; 0 where nobody asks.
fn fingerprint(request: &WriteRequest) -> u64 {
    match request {
        WriteRequest::LabelNode(_, change) => number(change),
        WriteRequest::ApplyProviderStatus(_, body)
        | WriteRequest::ApplyPoolStatus(_, body)
        | WriteRequest::ApplyPolicyStatus(_, body)
        | WriteRequest::ApplyRecord(_, body) => number(&body.to_string()),
        WriteRequest::PutAdmission { object, .. } => number(&(object.digest(), object.authorities())),
        WriteRequest::SetFinalizers { .. }
        | WriteRequest::DeleteAdmission(..)
        | WriteRequest::RestartRollout { .. }
        | WriteRequest::EvictPod { .. }
        | WriteRequest::DeletePod { .. }
        | WriteRequest::DeleteRecord(..)
        | WriteRequest::RecordEvent(_) => 0,
    }
}

fn number(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// The version of the object in `cache` that a write about `target` follows from; 0 when there is none.
fn version(cache: &ClusterCache, target: &WriteTarget) -> u64 {
    let name = target.name();
    match target {
        WriteTarget::Admission(kind, _) => cache.admission.of(*kind).get(name).map(ResourceVersioned::version),
        WriteTarget::NodeLabels(_) => cache.nodes.get(name).map(ResourceVersioned::version),
        WriteTarget::ProviderStatus(_) => cache.providers.get(name).map(ResourceVersioned::version),
        WriteTarget::PoolStatus(_) => cache.pools.get(name).map(ResourceVersioned::version),
        WriteTarget::Finalizer(_) | WriteTarget::PolicyStatus(_) => {
            cache.policies.get(name).map(ResourceVersioned::version)
        }
        WriteTarget::Record(key) => cache.records.get(key).map(ResourceVersioned::version),
        WriteTarget::Template(..)
        | WriteTarget::Eviction(_)
        | WriteTarget::PodDeletion(_)
        | WriteTarget::Event { .. } => None,
    }
    .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingAdmissionPolicy};

    use super::*;
    use crate::admission::AdmissionObject;

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
    fn admission_of_many_policies_is_written_a_few_at_a_time() {
        let (mut queue, now) = (WriteQueue::default(), Instant::now());
        let all = || -> Vec<_> {
            let delete = |number| WriteRequest::DeleteAdmission(AdmissionKind::Validation, format!("p.{number}"), 1);
            (0..40).map(delete).collect()
        };
        let cache = ClusterCache::default();
        let first = queue.take_ready(all(), &cache, 8, now);
        assert_eq!(first.requests.len(), 24);
        assert!(queue.take_ready(all(), &cache, 8, now).requests.is_empty(), "as many are on their way");
        for request in &first.requests[..3] {
            queue.on_write_result(&request.target(), None, now);
        }
        // One that is done is asked for no more; here it is.
        assert_eq!(queue.take_ready(all(), &cache, 8, now).requests.len(), 3);
    }

    #[test]
    fn what_somebody_undoes_again_and_again_is_written_ever_more_slowly() {
        let (mut queue, mut now) = (WriteQueue::default(), Instant::now());
        let request = || WriteRequest::ApplyPoolStatus("p".into(), serde_json::json!({"nodes": 1}));
        let target = request().target();
        let mut waits = Vec::new();
        for _ in 0..5 {
            assert_eq!(queue.take_ready(vec![request()], &ClusterCache::default(), 4, now).requests.len(), 1);
            let end = queue.on_write_result(&target, None, now);
            let wait = queue.backs_off_until(&target, now).map_or(Duration::ZERO, |then| then - now);
            waits.push((end.is_undone, wait.as_millis()));
            now += wait;
        }
        assert_eq!(waits, [(false, 0), (false, 0), (true, 200), (true, 400), (true, 800)]);
        // Another write is none that was undone, and neither is the same after a while.
        let other = WriteRequest::ApplyPoolStatus("p".into(), serde_json::json!({"nodes": 2}));
        queue.take_ready(vec![other], &ClusterCache::default(), 4, now);
        assert!(!queue.on_write_result(&target, None, now).is_undone);
        queue.take_ready(vec![request()], &ClusterCache::default(), 4, now);
        assert!(!queue.on_write_result(&target, None, now).is_undone);
    }

    #[test]
    fn a_webhook_that_somebody_rewrites_is_restored_ever_more_slowly_and_what_refuses_at_once() {
        let (mut queue, mut now) = (WriteQueue::default(), Instant::now());
        let webhook = AdmissionObject::Webhook(MutatingWebhookConfiguration::default());
        let validation = AdmissionObject::Validation(ValidatingAdmissionPolicy::default());
        let mut waits = Vec::new();
        for version in 0..4 {
            for object in [&webhook, &validation] {
                let request = WriteRequest::PutAdmission { object: Box::new(object.clone()), version: Some(version) };
                let target = request.target();
                assert_eq!(queue.take_ready(vec![request], &ClusterCache::default(), 4, now).requests.len(), 1);
                let end = queue.on_write_result(&target, None, now);
                let wait = queue.backs_off_until(&target, now).map_or(Duration::ZERO, |then| then - now);
                waits.push((end.is_undone, wait.as_millis()));
            }
            now += Duration::from_secs(1);
        }
        let calm = (false, 0);
        assert_eq!(waits, [calm, calm, calm, calm, (true, 200), calm, (true, 400), calm]);
    }

    #[test]
    fn events_that_nobody_answers_hold_up_no_other_write() {
        let (mut queue, now) = (WriteQueue::default(), Instant::now());
        for name in ["a", "b", "c"] {
            let event = WriteTarget::Event { object: "Pod n/p".into(), name: name.into() };
            ended(&mut queue, &event, &WriteFailure::Timeout, now);
            ended(&mut queue, &event, &WriteFailure::Unreachable, now);
        }
        assert_eq!(queue.outage_until(now), None);
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
