//! Propagation: the policies on whose admission every API server acts by now, and what others lack.

use std::collections::{BTreeMap, BTreeSet};

use crate::operator::cache::Revision;

/// How far admission follows the policies.
#[derive(Debug, Default)]
pub struct Propagation {
    /// By name, the policies whose objects are as they must be, and have been long enough for every API server.
    pub policies: BTreeSet<String>,
    /// The objects that are missing or other than they must be, by policy.
    pub lacking: BTreeMap<String, Vec<String>>,
    /// How often that has changed.
    pub revision: Revision,
}
