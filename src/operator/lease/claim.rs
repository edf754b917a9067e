//! Lease claims: what a candidate has seen of the lease, and whether it may take, hold or must wait for it.
//!
//! Takes what was read and written, each with the candidate's own uptime, and returns the next step. No client and no clock.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

use super::LeaseDuration;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimStep {
    /// Write ourselves into the lease, at the version that was seen.
    Hold,
    /// It is another's, for so long unless it is renewed or given back.
    Wait(Duration),
}

/// A candidate's view of the lease.
#[derive(Debug)]
pub(super) struct LeaseClaim {
    identity: String,
    /// For how long it is ours after each renewal, when it is.
    duration: LeaseDuration,
    /// The version that the next write follows from; none when there is no lease.
    version: Option<String>,
    spec: LeaseSpec,
    /// Since when, by our own clock, it says what it says. The times that others write into it are theirs, and say
    /// nothing to us: their clocks may be wrong.
    since: Duration,
    /// Whether the lease may have become something else, so that it must be looked at.
    doubtful: bool,
}

impl LeaseClaim {
    /// Nothing has been seen.
    pub(super) fn new(identity: String, duration: LeaseDuration) -> Self {
        Self { identity, duration, version: None, spec: LeaseSpec::default(), since: Duration::ZERO, doubtful: true }
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Who holds the lease, as it was last seen.
    pub(super) fn holder(&self) -> Option<&str> {
        self.spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    /// Whether it is known to be ours, at a version that is known.
    pub(super) fn ours(&self) -> bool {
        !self.doubtful && self.holder() == Some(&self.identity)
    }

    /// The version to write at; none to create it.
    pub(super) fn version(&self) -> Option<String> {
        self.version.clone()
    }

    /// The lease was read at `now`.
    pub(super) fn saw(&mut self, lease: Option<Lease>, now: Duration) {
        self.doubtful = false;
        self.version = lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        // A lease that somebody has removed is its holder's until it would have ended: who holds it may not know yet.
        let Some(lease) = lease else { return };
        let spec = lease.spec.unwrap_or_default();
        if spec != self.spec {
            (self.spec, self.since) = (spec, now);
        }
    }

    /// The lease was written, by a request sent at `sent`.
    pub(super) fn wrote(&mut self, lease: Lease, sent: Duration) {
        self.doubtful = false;
        self.version = lease.metadata.resource_version;
        (self.spec, self.since) = (lease.spec.unwrap_or_default(), sent);
    }

    /// The lease is not what it was seen to be.
    pub(super) fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// What follows at `now`. A lease with our own name in it is ours: a container that was started again has the name
    /// of the one before it, which has ended.
    pub(super) fn step(&self, now: Duration) -> ClaimStep {
        if self.holder().is_none_or(|holder| holder == self.identity) {
            return ClaimStep::Hold;
        }
        let seconds = self.spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        // One that does not say is taken to last as long as any may.
        let lasts = Duration::from_secs(seconds.unwrap_or(LeaseDuration::LONGEST));
        let end = self.since.saturating_add(lasts);
        match end.saturating_sub(now) {
            Duration::ZERO => ClaimStep::Hold,
            left => ClaimStep::Wait(left),
        }
    }

    /// The lease with us as its holder.
    pub(super) fn held(&self, now: MicroTime) -> LeaseSpec {
        let ours = self.spec.holder_identity.as_deref() == Some(self.identity.as_str());
        // Who was holder before us counts; that nobody was, before the first, does not.
        let transitions = self.spec.lease_transitions.map_or(0, |before| before.saturating_add(i32::from(!ours)));
        let acquired = self.spec.acquire_time.clone().filter(|_| ours);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.0.as_secs()).ok(),
            lease_transitions: Some(transitions),
            acquire_time: acquired.or_else(|| Some(now.clone())),
            renew_time: Some(now),
            ..self.spec.clone()
        }
    }

    /// The lease without a holder; `None` when it is not ours to give back.
    pub(super) fn released(&self, now: MicroTime) -> Option<LeaseSpec> {
        self.ours().then(|| LeaseSpec { holder_identity: None, renew_time: Some(now), ..self.spec.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "rempart-a";
    const THEM: &str = "rempart-b";

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn time(seconds: i64) -> MicroTime {
        MicroTime(jiff::Timestamp::from_second(seconds).unwrap())
    }

    /// A lease of this version, renewed at this time by its holder's clock.
    fn lease(version: u32, holder: Option<&str>, renewed: i64) -> Lease {
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(12),
            lease_transitions: Some(4),
            renew_time: Some(time(renewed)),
            ..LeaseSpec::default()
        };
        let mut lease = Lease { spec: Some(spec), ..Lease::default() };
        lease.metadata.resource_version = Some(version.to_string());
        lease
    }

    fn seen(lease: Option<Lease>, now: u64) -> LeaseClaim {
        let mut claim = LeaseClaim::new(US.to_owned(), LeaseDuration::default());
        claim.saw(lease, at(now));
        claim
    }

    #[test]
    fn a_lease_is_taken_when_it_is_nobodys_ours_or_over() {
        // Their clock may say anything.
        for renewed in [0, 1_900_000_000, 4_000_000_000] {
            let table = [
                (None, ClaimStep::Hold),
                (Some(""), ClaimStep::Hold),
                (Some(US), ClaimStep::Hold),
                (Some(THEM), ClaimStep::Wait(at(12))),
            ];
            for (holder, expected) in table {
                assert_eq!(seen(Some(lease(1, holder, renewed)), 100).step(at(100)), expected, "{holder:?}");
            }
            let theirs = seen(Some(lease(1, Some(THEM), renewed)), 100);
            assert_eq!(theirs.step(at(111)), ClaimStep::Wait(at(1)));
            assert_eq!(theirs.step(at(112)), ClaimStep::Hold);
        }
        assert_eq!(seen(None, 100).step(at(100)), ClaimStep::Hold, "there is none");
    }

    #[test]
    fn each_renewal_counts_from_when_it_was_seen() {
        let mut claim = seen(Some(lease(1, Some(THEM), 50)), 100);
        claim.saw(Some(lease(1, Some(THEM), 50)), at(105));
        assert_eq!(claim.step(at(105)), ClaimStep::Wait(at(7)), "nothing was renewed");
        claim.saw(Some(lease(2, Some(THEM), 52)), at(106));
        assert_eq!(claim.step(at(106)), ClaimStep::Wait(at(12)));
        // Somebody labels it: a new version, not a renewal.
        claim.saw(Some(lease(3, Some(THEM), 52)), at(110));
        assert_eq!((claim.step(at(110)), claim.version().as_deref()), (ClaimStep::Wait(at(8)), Some("3")));
        claim.saw(Some(lease(4, None, 53)), at(111));
        assert_eq!(claim.step(at(111)), ClaimStep::Hold, "it was given back");
    }

    #[test]
    fn a_lease_that_is_removed_is_its_holders_until_it_would_have_ended() {
        let mut claim = seen(Some(lease(1, Some(THEM), 50)), 100);
        claim.saw(None, at(104));
        assert_eq!(claim.step(at(104)), ClaimStep::Wait(at(8)));
        assert_eq!((claim.step(at(112)), claim.version()), (ClaimStep::Hold, None), "made anew");
    }

    #[test]
    fn the_duration_is_the_holders() {
        let mut longer = lease(1, Some(THEM), 50);
        longer.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
        assert_eq!(seen(Some(longer.clone()), 100).step(at(100)), ClaimStep::Wait(at(60)));
        longer.spec.as_mut().unwrap().lease_duration_seconds = None;
        assert_eq!(seen(Some(longer), 100).step(at(100)), ClaimStep::Wait(at(120)), "it does not say");
        let ours = LeaseClaim::new(US.to_owned(), LeaseDuration::from_secs(30).unwrap());
        assert_eq!(ours.held(time(100)).lease_duration_seconds, Some(30));
        assert_eq!([11, 121].map(LeaseDuration::from_secs), [None, None]);
    }

    #[test]
    fn the_holder_renews_without_looking_until_somebody_else_has_written() {
        let mut claim = seen(Some(lease(1, None, 50)), 100);
        assert!(!claim.ours());
        let held = claim.held(time(100));
        assert_eq!((held.holder_identity.as_deref(), held.lease_transitions), (Some(US), Some(5)));
        assert_eq!((held.acquire_time.clone(), held.renew_time.clone()), (Some(time(100)), Some(time(100))));
        let mut written = lease(2, None, 0);
        written.spec = Some(held);
        claim.wrote(written, at(100));
        assert!(claim.ours());
        // However long it was away.
        assert_eq!(claim.step(at(1_000)), ClaimStep::Hold);
        let again = claim.held(time(102));
        assert_eq!((again.lease_transitions, again.acquire_time), (Some(5), Some(time(100))));
        assert_eq!(again.renew_time, Some(time(102)));
        claim.doubt();
        assert!(!claim.ours() && claim.released(time(103)).is_none());
        claim.saw(Some(lease(3, Some(THEM), 103)), at(103));
        assert_eq!(claim.step(at(103)), ClaimStep::Wait(at(12)));
        assert_eq!(claim.released(time(103)), None, "not ours to give back");
    }

    #[test]
    fn what_is_given_back_has_no_holder_and_keeps_its_count() {
        let given = seen(Some(lease(1, Some(US), 50)), 100).released(time(100)).unwrap();
        assert_eq!((given.holder_identity, given.lease_transitions), (None, Some(4)));
    }
}
