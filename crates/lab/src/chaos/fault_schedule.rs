//! Fault schedule: what goes wrong, and when.
//!
//! It takes the seed and the length of the run and returns faults with their due times; it is a pure function. Every
//! fault but a kill has a remedy later in the schedule, and every run has each kind of fault at least once.

use std::{collections::BTreeSet, fmt, time::Duration};

use super::facts::{FaultState, SHAKEN, VAULT};
use crate::rng::SeededRng;

/// Something that goes wrong, or is put right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum InjectedFault {
    /// Certificates of a provider end, or are renewed.
    Expire(&'static str, bool),
    /// A provider is bought, or bought back.
    Sell(&'static str, bool),
    /// A provider's power usage grows, or shrinks.
    Heat(&'static str, bool),
    /// The officer denies a provider to a level, or allows it again.
    Deny(&'static str, bool),
    /// A `CloudProvider` is deleted, or recorded again.
    Lose(&'static str, bool),
    /// An exception lends a pool to a namespace, or ends.
    Except(&'static str, bool),
    /// A level asks for less, or for what it did.
    Loosen(bool),
    /// A policy governs more namespaces, or as few as it did.
    Widen(bool),
    /// A policy only reports, or enforces again.
    Suspend(bool),
    /// A namespace is labelled with a level, or no more.
    Raise(bool),
    /// A provider's nodes are cut off, or are back.
    Partition(&'static str, bool),
    /// The leader is stopped where it stands, or goes on.
    Pause(bool),
    /// The leader is killed; another takes over.
    KillLeader,
    /// All replicas are killed.
    KillAll,
    /// The API server is killed.
    KillApiServer,
    /// etcd is killed.
    KillEtcd,
}

impl InjectedFault {
    /// The kind of fault, for counting; `None` for a remedy.
    pub(super) fn kind(self) -> Option<&'static str> {
        let (kind, breaks) = match self {
            Self::Expire(_, breaks) => ("certificates expired", breaks),
            Self::Sell(_, breaks) => ("companies bought", breaks),
            Self::Heat(_, breaks) => ("figures worsened", breaks),
            Self::Deny(_, breaks) => ("policies tightened", breaks),
            Self::Lose(_, breaks) => ("providers deleted", breaks),
            Self::Except(_, breaks) => ("exceptions granted", breaks),
            Self::Loosen(breaks) => ("policies loosened", breaks),
            Self::Widen(breaks) => ("policies widened", breaks),
            Self::Suspend(breaks) => ("policies suspended", breaks),
            Self::Raise(breaks) => ("namespaces raised", breaks),
            Self::Partition(_, breaks) => ("providers cut off", breaks),
            Self::Pause(breaks) => ("leaders paused", breaks),
            Self::KillLeader => ("leaders killed", true),
            Self::KillAll => ("all replicas killed", true),
            Self::KillApiServer => ("API servers killed", true),
            Self::KillEtcd => ("etcd killed", true),
        };
        breaks.then_some(kind)
    }

    /// Applies it to the facts; `false` when it concerns processes or nodes.
    pub(super) fn alter(self, state: &mut FaultState) -> bool {
        let put = |set: &mut BTreeSet<&'static str>, name, there| {
            if there {
                set.insert(name)
            } else {
                set.remove(name)
            };
        };
        match self {
            Self::Expire(name, there) => put(&mut state.expired, name, there),
            Self::Sell(name, there) => put(&mut state.sold, name, there),
            Self::Heat(name, there) => put(&mut state.hot, name, there),
            Self::Deny(name, there) => put(&mut state.denied, name, there),
            Self::Lose(name, there) => put(&mut state.lost, name, there),
            Self::Except(name, there) => put(&mut state.excepted, name, there),
            Self::Loosen(there) => state.loose = there,
            Self::Widen(there) => state.wide = there,
            Self::Suspend(there) => state.suspended = there,
            Self::Raise(there) => state.raised = there,
            Self::Partition(..)
            | Self::Pause(_)
            | Self::KillLeader
            | Self::KillAll
            | Self::KillApiServer
            | Self::KillEtcd => {
                return false;
            }
        }
        true
    }

    /// The fault that undoes it, and how long after it. What is killed is started again at once.
    fn remedy(self, rng: &mut SeededRng) -> Option<(Duration, Self)> {
        let remedy = match self {
            Self::Expire(VAULT, _) | Self::KillLeader | Self::KillAll | Self::KillApiServer | Self::KillEtcd => {
                return None;
            }
            Self::Expire(name, _) => Self::Expire(name, false),
            Self::Sell(name, _) => Self::Sell(name, false),
            Self::Heat(name, _) => Self::Heat(name, false),
            Self::Deny(name, _) => Self::Deny(name, false),
            Self::Lose(name, _) => Self::Lose(name, false),
            Self::Except(name, _) => Self::Except(name, false),
            Self::Loosen(_) => Self::Loosen(false),
            Self::Widen(_) => Self::Widen(false),
            Self::Suspend(_) => Self::Suspend(false),
            Self::Raise(_) => Self::Raise(false),
            Self::Partition(name, _) => Self::Partition(name, false),
            Self::Pause(_) => Self::Pause(false),
        };
        // Longer than a lease, so that another leads when it wakes up.
        let least = if matches!(self, Self::Pause(_)) { 17 } else { 5 };
        Some((rng.between(Duration::from_secs(least), Duration::from_secs(least + 10)), remedy))
    }
}

impl fmt::Display for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, breaks, what, again) = match *self {
            Self::Expire(name, breaks) => (name, breaks, "certificates end", "certificates are renewed"),
            Self::Sell(name, breaks) => (name, breaks, "is bought from abroad", "is bought back"),
            Self::Heat(name, breaks) => (name, breaks, "uses more power", "uses less power again"),
            Self::Deny(name, breaks) => (name, breaks, "is denied to a level", "is denied to nobody any more"),
            Self::Lose(name, breaks) => (name, breaks, "is deleted from the catalogue", "is recorded again"),
            Self::Except(name, breaks) => (name, breaks, "is lent by an exception", "is lent no more"),
            Self::Partition(name, breaks) => (name, breaks, "is cut off with all its nodes", "is back"),
            Self::Loosen(breaks) => ("policy state", breaks, "asks for less", "asks for what it did"),
            Self::Widen(breaks) => ("policy green", breaks, "governs more namespaces", "governs what it did"),
            Self::Suspend(breaks) => ("policy green", breaks, "only reports", "enforces again"),
            Self::Raise(breaks) => ("namespace claims", breaks, "is labelled restricted", "has no level any more"),
            Self::Pause(breaks) => ("the leader", breaks, "is paused", "wakes up"),
            Self::KillLeader => ("the leader", true, "is killed", ""),
            Self::KillAll => ("every replica", true, "is killed", ""),
            Self::KillApiServer => ("the API server", true, "is killed", ""),
            Self::KillEtcd => ("etcd", true, "is killed", ""),
        };
        write!(f, "{name}: {}", if breaks { what } else { again })
    }
}

/// The faults that every run has, however short it is.
fn certain(rng: &mut SeededRng) -> Vec<InjectedFault> {
    let mut provider = || rng.pick(&SHAKEN).unwrap_or(VAULT);
    let mut faults = vec![
        InjectedFault::Expire(provider(), true),
        InjectedFault::Expire(VAULT, true),
        InjectedFault::Deny(provider(), true),
        InjectedFault::Partition(provider(), true),
        InjectedFault::Lose(provider(), true),
        InjectedFault::Widen(true),
        InjectedFault::Raise(true),
        InjectedFault::KillLeader,
        InjectedFault::KillApiServer,
        InjectedFault::KillEtcd,
    ];
    rng.shuffle(&mut faults);
    faults
}

fn any(rng: &mut SeededRng) -> InjectedFault {
    let provider = rng.pick(&SHAKEN).unwrap_or(VAULT);
    match rng.below(38) {
        0..=5 => InjectedFault::Expire(provider, true),
        6..=9 => InjectedFault::Sell(provider, true),
        10..=11 => InjectedFault::Heat(provider, true),
        12..=15 => InjectedFault::Deny(provider, true),
        16..=17 => InjectedFault::Lose(provider, true),
        18..=20 => InjectedFault::Except(provider, true),
        21..=22 => InjectedFault::Loosen(true),
        23..=25 => InjectedFault::Widen(true),
        26..=27 => InjectedFault::Suspend(true),
        28..=29 => InjectedFault::Raise(true),
        30..=33 => InjectedFault::Partition(provider, true),
        // Seldom: while somebody takes over, nothing else can be held to the second.
        34 => InjectedFault::Pause(true),
        35 => InjectedFault::KillLeader,
        36 => rng.pick(&[InjectedFault::KillLeader, InjectedFault::KillAll]).unwrap_or(InjectedFault::KillAll),
        _ => rng.pick(&[InjectedFault::KillApiServer, InjectedFault::KillEtcd]).unwrap_or(InjectedFault::KillEtcd),
    }
}

/// The faults of a run, each with the instant before which it does not come, counted from the beginning.
pub(super) fn faults(seed: u64, length: Duration) -> Vec<(Duration, InjectedFault)> {
    let mut rng = SeededRng::new(seed);
    let mut certain = certain(&mut rng);
    // All of them must fit into a short run, spread out over a long one.
    let spread = length / u32::try_from(certain.len() + 1).unwrap_or(1);
    let mut due = spread / 2;
    let mut at = Duration::from_secs(1);
    let mut plan = Vec::new();
    while at < length {
        let fault = if at >= due && !certain.is_empty() {
            due += spread;
            certain.pop()
        } else {
            Some(any(&mut rng)).filter(|_| !spread.is_zero())
        };
        if let Some(fault) = fault {
            plan.push((at, fault));
            if let Some((after, remedy)) = fault.remedy(&mut rng) {
                plan.push((at + after, remedy));
            }
        }
        at += rng.between(Duration::from_millis(1500), Duration::from_millis(4500));
    }
    plan.retain(|(at, _)| *at < length);
    plan.sort_by_key(|(at, _)| *at);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_the_plan() {
        for length in [Duration::from_mins(1), Duration::from_mins(10)] {
            assert_eq!(faults(1, length), faults(1, length));
            assert_ne!(faults(1, length), faults(2, length));
        }
    }

    #[test]
    fn every_run_has_what_it_must_have_and_no_more_than_it_has_time_for() {
        for seed in 0..200 {
            for seconds in [60, 120, 600] {
                let length = Duration::from_secs(seconds);
                let plan = faults(seed, length);
                let kinds: BTreeSet<_> = plan.iter().filter_map(|(_, fault)| fault.kind()).collect();
                for kind in [
                    "certificates expired",
                    "policies tightened",
                    "policies widened",
                    "providers cut off",
                    "providers deleted",
                    "namespaces raised",
                    "leaders killed",
                    "API servers killed",
                    "etcd killed",
                ] {
                    assert!(kinds.contains(kind), "seed {seed}, {seconds} s: no {kind}");
                }
                assert!(plan.iter().any(|(_, fault)| *fault == InjectedFault::Expire(VAULT, true)));
                assert!(plan.iter().all(|(at, _)| *at < length) && plan.len() <= usize::try_from(seconds).unwrap());
            }
        }
    }

    #[test]
    fn what_a_fault_did_its_remedy_undoes() {
        let mut rng = SeededRng::new(3);
        for _ in 0..500 {
            let fault = any(&mut rng);
            let mut state = FaultState::default();
            fault.alter(&mut state);
            if let Some((_, remedy)) = fault.remedy(&mut rng) {
                assert!(remedy.kind().is_none(), "{remedy}");
                remedy.alter(&mut state);
            }
            assert_eq!(state, FaultState::default(), "{fault}");
        }
    }
}
