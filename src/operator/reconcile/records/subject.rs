//! Record subject: a workload with what is known of its pods, and what one condition of its record says.

use std::collections::BTreeMap;

use crate::operator::reconcile::migration::status::MigrationStatus;
use rempart_core::{
    compliance::{MisplacedPod, PodCounts},
    text::counted,
};

/// A workload, with what is known of its pods.
#[derive(Debug)]
pub struct RecordSubject<'s, 'a> {
    /// How many pods it has.
    pub pods: PodCounts,
    /// How many of its pods are on each node.
    pub nodes: &'s BTreeMap<&'a str, u32>,
    /// Its pods that do not stand where they should.
    pub misplaced: &'s [&'s MisplacedPod<'a>],
    /// How their move goes.
    pub migration: &'s MigrationStatus,
}

/// What one condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionContent {
    /// Whether it holds.
    pub holds: bool,
    /// Why, as a stable word.
    pub reason: &'static str,
    /// Why, as a sentence.
    pub message: String,
}

/// `count` things, as "1 pod" or "2 pods".
pub(super) fn number(count: u32, one: &str, many: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), one, many)
}
