//! Clearance validity: how long a cleared pool stays cleared, and whether it is withdrawn before its end, by the lead time
//! of a level.
//!
//! What ends within the lead time is *expiring*. It is *withdrawn* from new pods while another pool, one with a node in
//! it, is cleared for the level and outlasts it; otherwise it is kept to its end. So of the pools that are cleared for a
//! level the last to end is always kept: never are all of them withdrawn. Where the control plane counts, its end is that of
//! every pool, and nothing is withdrawn for it: nothing outlasts it. Clearance itself is not touched by any of this.

use alloc::vec::Vec;

use core::{cmp::Ordering, time::Duration};

use super::{
    catalogue::{Qualification, ResolvedPool},
    coverage::Coverage,
    instant::{CalendarDay, Timestamp},
    policy::{LevelRequirements, LossAction, Policy, PolicyLevels},
};

/// How a pool that is cleared for a level stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClearanceValidity<'a> {
    /// No end is known, or none within the lead time.
    Open,
    /// It ends within the lead time, and is kept until then.
    Expiring(ClearanceEnd<'a>, RetainReason),
    /// It ends within the lead time, and new pods go elsewhere.
    Withdrawn(ClearanceEnd<'a>),
}

/// The end of a clearance.
#[derive(Clone, Copy, Debug)]
pub struct ClearanceEnd<'a> {
    /// The first instant at which the pool will not be cleared, by what is recorded.
    pub at: Timestamp,
    /// The certificate that ends then.
    pub by: &'a Qualification,
    /// The place of the control plane whose certificate it is; the pool's own where `None`.
    pub control_plane: Option<ResolvedPool<'a>>,
}

impl ClearanceEnd<'_> {
    /// The earliest first; of one instant and certificate that of the control plane, which no other pool outlasts.
    fn order(&self) -> impl Ord {
        (self.at, self.by, self.control_plane.is_none(), self.control_plane.map(|site| &site.pool.name))
    }
}

impl PartialEq for ClearanceEnd<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ClearanceEnd<'_> {}

impl PartialOrd for ClearanceEnd<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ClearanceEnd<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// Why a pool that ends is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainReason {
    /// No other pool with a place in it outlasts it.
    Last,
    /// The level only wants to be told.
    Report,
    /// It is the control plane that ends, and every pool with it.
    ControlPlane,
}

impl<'a> ClearanceValidity<'a> {
    /// The end, where it is within the lead time.
    #[must_use]
    pub fn end(&self) -> Option<ClearanceEnd<'a>> {
        match self {
            Self::Open => None,
            Self::Expiring(end, _) | Self::Withdrawn(end) => Some(*end),
        }
    }
}

impl ClearanceEnd<'_> {
    /// The last day on which the pool is cleared.
    #[must_use]
    pub fn last_day(&self) -> CalendarDay {
        CalendarDay::ending_at(self.at)
    }
}

impl Policy {
    /// The first end of a certificate that the levels up to `rank` ask `site` for, successors counted. Of a site that
    /// is cleared for that level at `at`.
    pub(super) fn end<'a>(&'a self, rank: usize, site: ResolvedPool<'a>, at: Timestamp) -> Option<ClearanceEnd<'a>> {
        let ResolvedPool { offer, zone, .. } = site;
        let levels = self.levels.iter().take(rank.saturating_add(1));
        let required = levels.flat_map(|level| &level.require).flat_map(LevelRequirements::certificates);
        let ends = required.filter_map(|required| {
            let Coverage::InForce { until: Some(until), by } = offer.coverage(required, Some(&zone.region), at) else {
                return None;
            };
            let enough = offer.qualifications.iter().filter(|q| required.is_met_by(q));
            let in_scope = enough.filter(|q| q.covers(Some(&zone.region)));
            // Of a chain of successors the one is named that nothing succeeds.
            let last = in_scope.filter(|q| q.ends() == Some(until)).max();
            Some(ClearanceEnd { at: until, by: last.unwrap_or(by), control_plane: None })
        });
        ends.min()
    }
}

impl PolicyLevels {
    /// How each of the pools that are cleared for the level at `rank` stands at `at`, in the order in which their ends
    /// (`None`: no end is known) are given, each with whether the pool has a place in it.
    pub(super) fn validities<'a>(
        &self,
        rank: usize,
        cleared: &[(Option<ClearanceEnd<'a>>, bool)],
        at: Timestamp,
    ) -> Vec<ClearanceValidity<'a>> {
        let lead = self.lead_at(rank);
        let report = self.at(rank).is_some_and(|level| level.on_loss.action == LossAction::Report);
        // What outlasts everything else, of the pools that pods can go to. No end sorts after every end.
        let lasting = |end: Option<ClearanceEnd<'_>>| (end.is_none(), end.map(|end| end.at));
        let longest = cleared.iter().filter(|(_, has_nodes)| *has_nodes).map(|(end, _)| lasting(*end)).max();
        let validity = |(end, _): &(Option<ClearanceEnd<'a>>, bool)| match end {
            Some(end) if ends_within(*end, lead, at) => {
                if report {
                    ClearanceValidity::Expiring(*end, RetainReason::Report)
                } else if end.control_plane.is_some() {
                    ClearanceValidity::Expiring(*end, RetainReason::ControlPlane)
                } else if longest > Some(lasting(Some(*end))) {
                    ClearanceValidity::Withdrawn(*end)
                } else {
                    ClearanceValidity::Expiring(*end, RetainReason::Last)
                }
            }
            _ => ClearanceValidity::Open,
        };
        cleared.iter().map(validity).collect()
    }
}

fn ends_within(end: ClearanceEnd<'_>, lead: Duration, at: Timestamp) -> bool {
    !lead.is_zero() && end.at.before(lead) <= at
}
