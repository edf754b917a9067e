//! Propagation: the policies on whose bindings every API server acts by now.

use std::collections::BTreeSet;

use crate::operator::cache::Revision;

/// The policies whose bindings every API server acts on.
#[derive(Debug, Default)]
pub struct Propagation {
    /// By name, the policies whose bindings are as they must be, and have been long enough for every API server.
    pub policies: BTreeSet<String>,
    /// How often they have changed.
    pub revision: Revision,
}
