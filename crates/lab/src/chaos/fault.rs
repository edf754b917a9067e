//! Faults: what goes wrong, what of the facts it alters, and what undoes it.
//!
//! A fault is a value. Its remedy is a value of the same kind, and has none itself; what is killed, or comes and goes by
//! itself, has no remedy.

use std::{collections::BTreeSet, fmt, time::Duration};

use super::facts::{FaultState, VAULT};
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
    /// A policy is deleted, or made again.
    Delete(&'static str, bool),
    /// A level has another name in the policies that know it, or its own again.
    Rename(bool),
    /// An exception that stands is removed, or granted again.
    Revoke(bool),
    /// Some nodes of a pool lose the label by which they are of it, or have it again.
    Unlabel(&'static str, bool),
    /// A namespace is relabelled without pause, or left alone.
    Relabel(bool),
    /// Somebody's webhook takes longer over what the operator asks than the operator waits, or is gone.
    SlowWebhook(bool),
    /// Somebody's webhook refuses what the operator asks, or is gone.
    RefusingWebhook(bool),
    /// A provider's nodes are cut off, or are back.
    Partition(&'static str, bool),
    /// The leader is stopped where it stands, or goes on.
    Pause(bool),
    /// The leader is killed; another takes over.
    KillLeader,
    /// All replicas are killed.
    KillAll,
    /// The clock of the leader jumps; another takes over.
    ClockJump,
    /// Rempart is uninstalled and installed again.
    Reinstall,
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
            Self::Delete(_, breaks) => ("policies deleted", breaks),
            Self::Rename(breaks) => ("levels renamed", breaks),
            Self::Revoke(breaks) => ("exceptions removed", breaks),
            Self::Unlabel(_, breaks) => ("node labels dropped", breaks),
            Self::Relabel(breaks) => ("namespaces relabelled without pause", breaks),
            Self::SlowWebhook(breaks) => ("slow webhooks", breaks),
            Self::RefusingWebhook(breaks) => ("refusing webhooks", breaks),
            Self::Partition(_, breaks) => ("providers cut off", breaks),
            Self::Pause(breaks) => ("leaders paused", breaks),
            Self::KillLeader => ("leaders killed", true),
            Self::KillAll => ("all replicas killed", true),
            Self::ClockJump => ("clocks jumped", true),
            Self::Reinstall => ("uninstalled and installed", true),
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
            Self::Delete(name, there) => put(&mut state.deleted, name, there),
            Self::Rename(there) => state.renamed = there,
            Self::Revoke(there) => state.revoked = there,
            Self::Unlabel(name, there) => put(&mut state.unlabelled, name, there),
            Self::Partition(..)
            | Self::Relabel(_)
            | Self::SlowWebhook(_)
            | Self::RefusingWebhook(_)
            | Self::Pause(_)
            | Self::KillLeader
            | Self::KillAll
            | Self::ClockJump
            | Self::Reinstall
            | Self::KillApiServer
            | Self::KillEtcd => {
                return false;
            }
        }
        true
    }

    /// The fault that undoes it, and how long after it. What is killed is started again at once.
    pub(super) fn remedy(self, rng: &mut SeededRng) -> Option<(Duration, Self)> {
        let remedy = match self {
            Self::Expire(VAULT, _)
            | Self::KillLeader
            | Self::KillAll
            | Self::ClockJump
            | Self::Reinstall
            | Self::KillApiServer
            | Self::KillEtcd => {
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
            Self::Delete(name, _) => Self::Delete(name, false),
            Self::Rename(_) => Self::Rename(false),
            Self::Revoke(_) => Self::Revoke(false),
            Self::Unlabel(name, _) => Self::Unlabel(name, false),
            Self::Relabel(_) => Self::Relabel(false),
            Self::SlowWebhook(_) => Self::SlowWebhook(false),
            Self::RefusingWebhook(_) => Self::RefusingWebhook(false),
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
            Self::Delete(name, breaks) => (name, breaks, "is deleted, a policy", "is made again, a policy"),
            Self::Rename(breaks) => ("level internal", breaks, "is renamed", "has its name again"),
            Self::Revoke(breaks) => ("exception standing", breaks, "is removed", "is granted again"),
            Self::Unlabel(name, breaks) => (name, breaks, "nodes lose their label", "nodes have their label again"),
            Self::Relabel(breaks) => ("namespace free", breaks, "is relabelled without pause", "is left alone"),
            Self::SlowWebhook(breaks) => ("somebody's webhook", breaks, "is slow", "is gone"),
            Self::RefusingWebhook(breaks) => ("somebody's webhook", breaks, "refuses", "is gone"),
            Self::Loosen(breaks) => ("policy state", breaks, "asks for less", "asks for what it did"),
            Self::Widen(breaks) => ("policy green", breaks, "governs more namespaces", "governs what it did"),
            Self::Suspend(breaks) => ("policy green", breaks, "only reports", "enforces again"),
            Self::Raise(breaks) => ("namespace claims", breaks, "is labelled restricted", "has no level any more"),
            Self::Pause(breaks) => ("the leader", breaks, "is paused", "wakes up"),
            Self::KillLeader => ("the leader", true, "is killed", ""),
            Self::KillAll => ("every replica", true, "is killed", ""),
            Self::ClockJump => ("the leader's clock", true, "jumps", ""),
            Self::Reinstall => ("Rempart", true, "is uninstalled and installed again", ""),
            Self::KillApiServer => ("the API server", true, "is killed", ""),
            Self::KillEtcd => ("etcd", true, "is killed", ""),
        };
        write!(f, "{name}: {}", if breaks { what } else { again })
    }
}
