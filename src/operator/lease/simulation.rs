//! Lease simulation: replicas that are paused, cut off and answered late, on machines whose clocks agree on nothing.
//!
//! Time goes by in steps of a tenth of a second; each replica acts as a [`LeaseCandidate`](super::LeaseCandidate) does, and
//! never do two write.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use proptest::prelude::*;

use super::{
    DEADLINE, LOOK, LeaseDuration, RENEW, RETRY, WRITE_DEADLINE,
    claim::{ClaimStep, LeaseClaim},
    leadership::Leadership,
};
use crate::property_runner::properties;

fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis() / 100).unwrap()
}

/// The API server's one lease.
#[derive(Default)]
struct SimulatedServer {
    version: u64,
    spec: Option<LeaseSpec>,
}

impl SimulatedServer {
    fn lease(&self) -> Option<Lease> {
        let mut lease = Lease { spec: Some(self.spec.clone()?), ..Lease::default() };
        lease.metadata.resource_version = Some(self.version.to_string());
        Some(lease)
    }

    /// Takes it if it follows from the version that there is.
    fn put(&mut self, spec: LeaseSpec, from: Option<&str>) -> Option<Lease> {
        let there = self.spec.is_some().then(|| self.version.to_string());
        if there.as_deref() != from {
            return None;
        }
        (self.version, self.spec) = (self.version + 1, Some(spec));
        self.lease()
    }
}

enum SimulatedRequest {
    Look,
    Put(LeaseSpec, Option<String>),
}

enum SimulatedAnswer {
    Found(Option<Lease>),
    Written(Lease),
    Conflict,
}

struct RequestInFlight {
    sent: u64,
    arrives: u64,
    returns: u64,
    request: SimulatedRequest,
    answer: Option<SimulatedAnswer>,
}

struct SimulatedReplica {
    /// How long its machine was up when the simulation began.
    booted: Duration,
    lease: LeaseDuration,
    claim: LeaseClaim,
    leadership: Leadership,
    next: u64,
    flight: Option<RequestInFlight>,
    /// Requests that it has given up, and that may arrive all the same.
    strays: Vec<RequestInFlight>,
    wrote: Option<u64>,
}

impl SimulatedReplica {
    fn uptime(&self, now: u64) -> Duration {
        self.booted + Duration::from_millis(now * 100)
    }

    fn send(&mut self, request: SimulatedRequest, now: u64, (to, back): (u64, u64)) {
        let arrives = now + to;
        self.flight = Some(RequestInFlight { sent: now, arrives, returns: arrives + back, request, answer: None });
    }

    /// What it does at `now`, if it is not paused.
    fn act(&mut self, now: u64, delays: (u64, u64)) {
        match self.flight.take() {
            Some(flight) if flight.returns <= now && flight.answer.is_some() => self.take_in(flight, now, delays),
            Some(flight) if now >= flight.sent + ticks(DEADLINE) => {
                self.strays.push(flight);
                self.next = now + ticks(RETRY);
            }
            None if self.next <= now && self.claim.ours() => self.follow_up(now, delays),
            None if self.next <= now => self.send(SimulatedRequest::Look, now, delays),
            flight => self.flight = flight,
        }
    }

    fn take_in(&mut self, flight: RequestInFlight, now: u64, delays: (u64, u64)) {
        match flight.answer {
            Some(SimulatedAnswer::Found(found)) => {
                self.claim.saw(found, self.uptime(now));
                self.follow_up(now, delays);
            }
            Some(SimulatedAnswer::Written(lease)) => {
                let sent = self.uptime(flight.sent);
                self.claim.wrote(lease, sent);
                self.leadership.confirm(sent, self.lease);
                self.next = now + ticks(RENEW);
            }
            Some(SimulatedAnswer::Conflict) | None => {
                self.claim.doubt();
                self.next = now + 1;
            }
        }
    }

    fn follow_up(&mut self, now: u64, delays: (u64, u64)) {
        match self.claim.step(self.uptime(now)) {
            ClaimStep::Hold => {
                // Its wall clock is as wrong as its uptime.
                let time = MicroTime(Timestamp::UNIX_EPOCH + self.uptime(now));
                self.send(SimulatedRequest::Put(self.claim.held(time), self.claim.version()), now, delays);
            }
            ClaimStep::Wait(left) => {
                self.leadership.resign();
                self.next = now + ticks(left.min(LOOK)).max(1);
            }
        }
    }
}

/// What befalls one replica: pauses and times without a network, as (wait, length), and delays of requests and answers,
/// in ticks, used in turn.
#[derive(Clone, Debug)]
struct ReplicaFate {
    booted: u64,
    /// Replicas of two releases may have leases of two lengths.
    lease: u64,
    pauses: Vec<(u64, u64)>,
    cuts: Vec<(u64, u64)>,
    delays: Vec<(u64, u64)>,
}

fn fate() -> impl Strategy<Value = ReplicaFate> {
    // Mostly prompt, at times later than anybody waits.
    let delay = prop_oneof![6 => 0..3_u64, 2 => 3..20_u64, 1 => 20..150_u64];
    let delays = proptest::collection::vec((delay.clone(), delay), 1..40);
    let times = || proptest::collection::vec((0..300_u64, prop_oneof![1..30_u64, 60..200_u64]), 0..6);
    let all = (0..10_000_000_u64, 12..20_u64, times(), times(), delays);
    all.prop_map(|(booted, lease, pauses, cuts, delays)| ReplicaFate { booted, lease, pauses, cuts, delays })
}

impl ReplicaFate {
    fn paused(&self, now: u64) -> bool {
        within(&self.pauses, now)
    }

    /// How long a request that is sent at `now`, the `n`th of all, and its answer take.
    fn delays(&self, n: usize, now: u64) -> (u64, u64) {
        match now {
            TROUBLE.. => (0, 0),
            _ if within(&self.cuts, now) => (LOST, 0),
            _ => self.delays[n % self.delays.len()],
        }
    }
}

fn within(times: &[(u64, u64)], now: u64) -> bool {
    let mut begins = 0;
    times.iter().any(|(wait, length)| {
        begins += wait;
        let within = (begins..begins + length).contains(&now);
        begins += length;
        within
    })
}

/// Longer than all of it takes.
const LOST: u64 = 1_000_000;

/// After this all is well.
const TROUBLE: u64 = 2_000;
/// Long enough for a lease to end, and for the next holder to take it.
const QUIET: u64 = 400;

fn simulate(fates: &[ReplicaFate]) -> Result<(), TestCaseError> {
    let mut server = SimulatedServer::default();
    let replicas = fates.iter().enumerate().map(|(i, fate)| SimulatedReplica {
        booted: Duration::from_secs(fate.booted),
        lease: LeaseDuration::from_secs(fate.lease).unwrap(),
        claim: LeaseClaim::new(format!("replica-{i}"), LeaseDuration::from_secs(fate.lease).unwrap()),
        leadership: Leadership::default(),
        next: 0,
        flight: None,
        strays: Vec::new(),
        wrote: None,
    });
    let mut replicas: Vec<_> = replicas.collect();
    let mut sent = 0;
    for now in 0..TROUBLE + QUIET {
        for replica in &mut replicas {
            // What has left a replica arrives, paused or not.
            for flight in replica.flight.iter_mut().chain(&mut replica.strays) {
                if flight.answer.is_none() && flight.arrives <= now {
                    flight.answer = Some(match &flight.request {
                        SimulatedRequest::Look => SimulatedAnswer::Found(server.lease()),
                        SimulatedRequest::Put(spec, from) => server
                            .put(spec.clone(), from.as_deref())
                            .map_or(SimulatedAnswer::Conflict, SimulatedAnswer::Written),
                    });
                }
            }
        }
        for (i, fate) in fates.iter().enumerate() {
            if now < TROUBLE && fate.paused(now) {
                continue;
            }
            sent += 1;
            let delays = fate.delays(sent, now);
            // Whoever wakes up may write before it has looked at anything.
            if replicas[i].leadership.may_write(replicas[i].uptime(now)) {
                let others = replicas.iter().enumerate().filter(|(other, _)| *other != i);
                for (other, wrote) in others.filter_map(|(other, replica)| Some((other, replica.wrote?))) {
                    prop_assert!(
                        now > wrote + ticks(WRITE_DEADLINE),
                        "{i} writes at {now}, while a write of {other} from {wrote} may be under way"
                    );
                }
                replicas[i].wrote = Some(now);
            }
            replicas[i].act(now, delays);
        }
    }
    let now = TROUBLE + QUIET;
    let leading = replicas.iter().filter(|replica| replica.leadership.may_write(replica.uptime(now))).count();
    prop_assert_eq!(leading, 1, "one leads when all is well");
    Ok(())
}

properties! {
    cases: 300;

    #[test]
    fn whatever_befalls_them_no_two_replicas_write_at_a_time(fates in proptest::collection::vec(fate(), 2..5)) {
        simulate(&fates)?;
    }
}
