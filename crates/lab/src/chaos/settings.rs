//! Settings of a chaos run.

use std::time::Duration;

use crate::ProgressDisplay;

/// Settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct ChaosSettings {
    /// Seed of the faults and the load.
    pub seed: u64,
    /// For how long things go wrong.
    pub length: Duration,
    /// Display of progress.
    pub progress: ProgressDisplay,
}
