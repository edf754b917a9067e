//! Summary of a chaos run, for a person: faults, load, binds, removals, availability, recovery and breaches.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{availability::AvailabilityOutcome, daemon_sets::CoverageOutcome, settings::ChaosSettings};
use rempart_audit::{AuditFindings, AuditTolerance, LeaderGap};

/// Breaches printed in full.
const TOLD: usize = 20;

/// Summary of a run.
#[derive(Clone, Debug, Default)]
pub struct ChaosSummary {
    pub(super) settings: Option<ChaosSettings>,
    pub(super) faults: BTreeMap<&'static str, usize>,
    pub(super) acts: usize,
    pub(super) workloads: usize,
    pub(super) approvals: usize,
    /// Restarts of components that ended by themselves.
    pub(super) restarts: usize,
    /// The longest leader gap, by reason.
    pub(super) unattended: BTreeMap<String, Duration>,
    pub(super) unattended_in_all: Duration,
    /// When Rempart was uninstalled.
    pub(super) uninstalled: Vec<LeaderGap>,
    pub(super) ready: AvailabilityOutcome,
    pub(super) coverage: CoverageOutcome,
    /// Notes of moves that owners took out of their templates again.
    pub(super) reverted: usize,
    pub(super) kept: usize,
    /// Records that say what is the case.
    pub(super) records: usize,
    /// Time from the last fault until every invariant held.
    pub(super) recovered: Duration,
    pub(super) findings: AuditFindings,
    pub(super) breaches: Vec<String>,
}

impl fmt::Display for ChaosSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ChaosSettings { seed, length, .. }) = self.settings {
            writeln!(f, "{} s of chaos with the seed {seed}", length.as_secs())?;
        }
        let faults: usize = self.faults.values().sum();
        let by_kind: Vec<_> = self.faults.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
        writeln!(f, "  faults       {faults}: {}", by_kind.join(", "))?;
        writeln!(
            f,
            "  load         {} acts, {} workloads at the end, none lost unless said below",
            self.acts, self.workloads
        )?;
        let AuditFindings { binds, demanding, late, latest, evictions, refused, unbound_deleted, unreadable, .. } =
            &self.findings;
        writeln!(
            f,
            "  binds        {binds} checked, {demanding} of them with demands; {late} came after a fact had changed, the \
             latest {:.2} s ({:.0} s are tolerated)",
            latest.as_secs_f64(),
            AuditTolerance::default().stamps.as_secs_f64()
        )?;
        writeln!(
            f,
            "  removals     {evictions} evictions by the operator, {refused} that a budget or webhook forbade, \
             {unbound_deleted} waiting pods replaced; {} moves approved, {} notes of moves taken back by owners",
            self.approvals, self.reverted
        )?;
        let AvailabilityOutcome { looks, lost, pardons, .. } = &self.ready;
        writeln!(
            f,
            "  ready pods   {looks} looks at workloads that had reached their floor; {lost} pods on nodes that were cut off, for \
             which {pardons} workloads were pardoned"
        )?;
        let CoverageOutcome { looks, longest, of, .. } = &self.coverage;
        writeln!(
            f,
            "  DaemonSets   {looks} looks; the longest that a node was without a pod that it may have: {:.0} s{of}",
            longest.as_secs_f64()
        )?;
        let in_all = self.unattended_in_all.as_secs_f64();
        writeln!(f, "  unattended   {in_all:.1} s in all, during which nothing could follow")?;
        for (why, length) in &self.unattended {
            writeln!(f, "  recovery     {:5.1} s at most after: {why}", length.as_secs_f64())?;
        }
        if self.restarts > 0 {
            writeln!(f, "  restarts     {} of schedulers and controllers that ended by themselves", self.restarts)?;
        }
        writeln!(
            f,
            "  in the end   all as it should be after {:.1} s unless said below, {} pods kept, since nothing else could take \
             them, only their owner may move them or a budget holds them, {} records right",
            self.recovered.as_secs_f64(),
            self.kept,
            self.records
        )?;
        if *unreadable > 0 {
            writeln!(f, "  audit log    {unreadable} torn lines")?;
        }
        if self.breaches.is_empty() {
            return write!(f, "  breaches     none");
        }
        write!(f, "  breaches     {}", self.breaches.len())?;
        for breach in self.breaches.iter().take(TOLD) {
            write!(f, "\n    {breach}")?;
        }
        if self.breaches.len() > TOLD {
            write!(f, "\n    and {} more", self.breaches.len() - TOLD)?;
        }
        Ok(())
    }
}
