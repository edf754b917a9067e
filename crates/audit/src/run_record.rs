//! Record of a run: what the run knows and the audit log does not, and how late consequences may be.

use std::time::Duration;

use jiff::Timestamp;

use super::leader_gaps::LeaderGap;

/// The run's own record, which the log lacks.
#[derive(Clone, Debug, Default)]
pub struct RunRecord {
    /// When no operator led, or nobody could reach the API server.
    pub leader_gaps: Vec<LeaderGap>,
    /// When admission was uninstalled, until pods were completed again: nobody asked anything of a pod that was made then.
    pub uninstalled: Vec<LeaderGap>,
    /// By how much the operator's clock was ahead, each from an instant on; not at all before the first.
    pub clock: Vec<(Timestamp, Duration)>,
}

/// Tolerated delays from a fact to its consequences.
#[derive(Clone, Copy, Debug)]
pub struct AuditTolerance {
    /// From a fact to the stamps, the scheduler's cache and the last bind that it had decided before.
    pub stamps: Duration,
    /// From the deletion of a pool or provider until it counts: the operator waits, since what is deleted is often made
    /// again at once.
    pub deletion: Duration,
    /// From a policy or a namespace's label to the admission of pods: the operator binds mutations, and validations two seconds
    /// after the last of them, which an edit meanwhile makes anew; API servers take them up once a second, and compile them.
    pub admission: Duration,
}

impl Default for AuditTolerance {
    fn default() -> Self {
        Self { stamps: Duration::from_secs(2), deletion: Duration::from_secs(2), admission: Duration::from_secs(10) }
    }
}
