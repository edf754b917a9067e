//! Hold reasons: why something that differs from what should be was not written in a cycle.
//!
//! Reconcilers and the write queue return [`Holds`], by reason what is held. They are data: the cycle's report shows them,
//! and tests compare them. They hold no times, so that a report that says the same is the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Why something is not written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum HoldReason {
    /// Kinds of objects that have not been listed completely yet: until then absence means nothing.
    NotSynced,
    /// Another replica leads.
    NotLeading,
    /// The API server does not answer, or has too much to do.
    ApiServerAbsent,
    /// There is no policy, and admission has objects of some that nobody was seen to delete: facts are missing.
    PoliciesMissing,
    /// API servers need time to act on admission bindings.
    AdmissionPropagating,
    /// By which authority API servers are to know the webhook is not known yet.
    NoAuthority,
    /// Facts have changed a moment ago, and must stay what they are for two seconds before pods are moved.
    FactsSettling,
    /// A clearance is still to be taken from a node, on which a replacement could land.
    StampingFirst,
    /// How many pods of an owner are to be ready stands on no record yet: whoever takes over would not know.
    RecordFirst,
    /// As many pods of the level move already as may at a time, or no node could take the replacement yet.
    ConcurrencyBudget,
    /// So many pods would move at once that an officer is to approve it first.
    CircuitBreaker,
    /// Pods that leave ahead of an end when the next window of their level opens.
    MoveWindow,
    /// Pods that stay although they should not, for the reason that their record gives.
    Blocked,
    /// It was compared a moment ago, and is compared again when it is time.
    Pace,
    /// As many requests of its kind are on their way as may be.
    Concurrency,
    /// A request about it is on its way.
    InFlight,
    /// Writes about it failed, and it is tried again later.
    Backoff,
}

/// What is held for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldWrites {
    /// How many.
    pub count: usize,
    /// The first of them, by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub examples: BTreeSet<String>,
}

/// So many things that are held are named.
const EXAMPLES: usize = 5;

/// By reason, what is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Holds(BTreeMap<HoldReason, HeldWrites>);

impl Holds {
    /// One thing is held for `reason`.
    pub fn add(&mut self, reason: HoldReason, what: impl Into<String>) {
        let held = self.0.entry(reason).or_default();
        held.count = held.count.saturating_add(1);
        if held.examples.len() < EXAMPLES {
            held.examples.insert(what.into());
        }
    }

    /// So many things are held for `reason`.
    pub fn count(&mut self, reason: HoldReason, number: usize) {
        if number > 0 {
            let held = self.0.entry(reason).or_default();
            held.count = held.count.saturating_add(number);
        }
    }

    /// What is held by `other` as well.
    pub fn merge(&mut self, other: &Self) {
        for (reason, found) in &other.0 {
            let held = self.0.entry(*reason).or_default();
            held.count = held.count.saturating_add(found.count);
            held.examples.extend(found.examples.iter().cloned());
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is held for `reason`.
    pub fn has(&self, reason: HoldReason) -> bool {
        self.0.contains_key(&reason)
    }
}
