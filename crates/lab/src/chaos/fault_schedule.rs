//! Fault schedule: what goes wrong when.
//!
//! It takes the seed and the length of the run and returns faults with their due times; it is a pure function. Every
//! fault but a kill has a remedy later in the schedule, and every run has each kind of fault that it must have at least
//! once, a long one all.

use std::time::Duration;

use super::{
    facts::{SHAKEN, VAULT},
    fault::InjectedFault,
};
use crate::rng::SeededRng;

/// A run that has the time for every kind of fault.
const LONG: Duration = Duration::from_mins(5);
/// The policies that faults delete.
const DELETED: [&str; 2] = ["state", "green"];

/// The faults that every run has, however short it is, and those that every run has that has the time.
fn certain(rng: &mut SeededRng, length: Duration) -> Vec<InjectedFault> {
    let mut provider = || rng.pick(&SHAKEN).unwrap_or(VAULT);
    let mut faults = vec![
        InjectedFault::Expire(provider(), true),
        InjectedFault::Expire(VAULT, true),
        InjectedFault::Deny(provider(), true),
        InjectedFault::Partition(provider(), true),
        InjectedFault::Lose(provider(), true),
        InjectedFault::Widen(true),
        InjectedFault::Raise(true),
        InjectedFault::Rename(true),
        InjectedFault::Unlabel(provider(), true),
        InjectedFault::Relabel(true),
        InjectedFault::KillLeader,
        InjectedFault::KillApiServer,
        InjectedFault::KillEtcd,
    ];
    if length >= LONG {
        faults.extend([
            InjectedFault::Delete("state", true),
            InjectedFault::Delete("green", true),
            InjectedFault::Revoke(true),
            InjectedFault::SlowWebhook(true),
            InjectedFault::RefusingWebhook(true),
            InjectedFault::ClockJump,
            InjectedFault::Reinstall,
        ]);
    }
    rng.shuffle(&mut faults);
    faults
}

fn any(rng: &mut SeededRng) -> InjectedFault {
    let provider = rng.pick(&SHAKEN).unwrap_or(VAULT);
    match rng.below(72) {
        0..=7 => InjectedFault::Expire(provider, true),
        8..=12 => InjectedFault::Sell(provider, true),
        13..=15 => InjectedFault::Heat(provider, true),
        16..=20 => InjectedFault::Deny(provider, true),
        21..=23 => InjectedFault::Lose(provider, true),
        24..=27 => InjectedFault::Except(provider, true),
        28..=30 => InjectedFault::Loosen(true),
        31..=34 => InjectedFault::Widen(true),
        35..=37 => InjectedFault::Suspend(true),
        38..=40 => InjectedFault::Raise(true),
        41..=44 => InjectedFault::Partition(provider, true),
        45..=46 => InjectedFault::Delete(rng.pick(&DELETED).unwrap_or("green"), true),
        47..=49 => InjectedFault::Rename(true),
        50..=53 => InjectedFault::Revoke(true),
        54..=57 => InjectedFault::Unlabel(provider, true),
        58..=60 => InjectedFault::Relabel(true),
        61..=63 => InjectedFault::SlowWebhook(true),
        64..=66 => InjectedFault::RefusingWebhook(true),
        // Seldom: while somebody takes over, nothing else can be held to the second.
        67 => rng.pick(&[InjectedFault::ClockJump, InjectedFault::Reinstall]).unwrap_or(InjectedFault::Reinstall),
        68 => InjectedFault::Pause(true),
        69 => InjectedFault::KillLeader,
        70 => rng.pick(&[InjectedFault::KillLeader, InjectedFault::KillAll]).unwrap_or(InjectedFault::KillAll),
        _ => rng.pick(&[InjectedFault::KillApiServer, InjectedFault::KillEtcd]).unwrap_or(InjectedFault::KillEtcd),
    }
}

/// The faults of a run, each with the instant before which it does not come, counted from the beginning.
pub(super) fn faults(seed: u64, length: Duration) -> Vec<(Duration, InjectedFault)> {
    let mut rng = SeededRng::new(seed);
    let mut certain = certain(&mut rng, length);
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
    use std::collections::BTreeSet;

    use super::*;
    use crate::chaos::facts::FaultState;

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
                let always = [
                    "certificates expired",
                    "policies tightened",
                    "policies widened",
                    "providers cut off",
                    "providers deleted",
                    "namespaces raised",
                    "levels renamed",
                    "node labels dropped",
                    "namespaces relabelled without pause",
                    "leaders killed",
                    "API servers killed",
                    "etcd killed",
                ];
                let if_long = [
                    "policies deleted",
                    "exceptions removed",
                    "slow webhooks",
                    "refusing webhooks",
                    "clocks jumped",
                    "uninstalled and installed",
                ];
                for kind in always.iter().chain(if_long.iter().filter(|_| length >= LONG)) {
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
