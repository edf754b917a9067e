//! Settings of the operator that reconcilers follow: exempt namespaces, concurrency and limits of migration.

/// What the operator is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespaces that no policy governs, the operator's own among them.
    pub exempt: Vec<String>,
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
