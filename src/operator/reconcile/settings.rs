//! Settings of the operator that reconcilers follow: what admission is told, concurrency and limits of migration.

use crate::admission::AdmissionSettings;

/// What the operator is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What admission is told; the operator's own namespace is among the exempt ones.
    pub admission: AdmissionSettings,
    /// How many nodes are written to at a time.
    pub concurrency: usize,
    /// How much may move at a time.
    pub limits: MoveLimits,
}

/// How much may move at a time, in percent of a level's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveLimits {
    /// So many are on the move together; one workload may always be.
    pub wave: u8,
    /// When more than so many would move within a minute because recorded facts changed, none does until an officer says so.
    pub breaker: u8,
}

impl Default for MoveLimits {
    fn default() -> Self {
        Self { wave: 10, breaker: 50 }
    }
}
