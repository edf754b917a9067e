//! The control plane in a judgement: whether its places meet what levels and categories demand that count it in.
//!
//! Takes the places that the catalogue declares for the cluster's control plane and the demands of a policy, and returns what
//! speaks against them. Every pod of the cluster hands its data to the control plane, wherever it runs; so what is found here
//! holds for every pool alike. All places count: one that falls short, that stands on nothing or that cannot be read clears
//! nothing, nor does a cluster that declares none.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    catalogue::{Catalogue, Pool, ResolvedPool, UnresolvedReference},
    check::{CheckResult, OfferRequirement, RequirementEvidence},
    clearance::Judge,
    instant::Timestamp,
    name::CategoryName,
    policy::{Level, LevelRequirements, Policy},
    reason::Cause,
    validity::ClearanceEnd,
};

/// A place of the control plane.
#[derive(Clone, Copy, Debug)]
pub struct ControlPlanePlace<'a> {
    /// The pool that declares it.
    pub pool: &'a Pool,
    /// What it stands on, or why on nothing.
    pub site: Result<ResolvedPool<'a>, UnresolvedReference<'a>>,
}

/// What one level or category brings to bear on the control plane.
#[derive(Clone, Copy, Debug, Default)]
pub struct ControlPlaneDemand<'a> {
    levels: &'a [Level],
    category: Option<&'a LevelRequirements>,
    /// Whether no level below counts the control plane in: what all of them ask first is told of this one alone.
    is_first: bool,
}

impl<'a> ControlPlaneDemand<'a> {
    /// Of the level at `rank` of `policy`, beyond what the levels below bring to bear.
    #[must_use]
    pub fn of_level(policy: &'a Policy, rank: usize) -> Self {
        let counted_below = rank.checked_sub(1).is_some_and(|below| policy.levels.counts_control_plane(below));
        Self { levels: policy.levels.asked_of_control_plane(rank), category: None, is_first: !counted_below }
    }

    /// Of a category that requires this.
    #[must_use]
    pub fn of_category(require: Option<&'a LevelRequirements>) -> Self {
        Self { levels: &[], category: require.filter(|require| require.control_plane), is_first: true }
    }

    fn requirements(&self) -> impl Iterator<Item = &'a LevelRequirements> + Clone + use<'a> {
        self.levels.iter().filter_map(|level| level.require.as_ref()).chain(self.category)
    }

    fn says_anything(&self) -> bool {
        !self.levels.is_empty() || self.category.is_some()
    }
}

/// What speaks against the control plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlPlaneCause<'a> {
    /// The place that falls short; none where no place is known.
    pub(super) place: Option<ControlPlanePlace<'a>>,
    pub(super) cause: Cause<'a>,
}

/// How the control plane fares under one policy.
#[derive(Clone, Debug, Default)]
pub(super) struct ControlPlaneClearance<'a> {
    /// What speaks against it by what each level brings to bear, in the order of the levels; none where there is no level.
    levels: Vec<Vec<ControlPlaneCause<'a>>>,
    categories: BTreeMap<&'a CategoryName, Vec<ControlPlaneCause<'a>>>,
    /// When the first of its places ceases to meet what is demanded up to each level, in the order of the levels.
    ends: Vec<Option<ClearanceEnd<'a>>>,
}

impl<'a> ControlPlaneClearance<'a> {
    /// What speaks against it by what the level at `rank` brings to bear, without those below.
    pub(super) fn level(&self, rank: usize) -> &[ControlPlaneCause<'a>] {
        self.levels.get(rank).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether nothing speaks against it up to the level at `rank`.
    pub(super) fn meets(&self, rank: usize) -> bool {
        (0..=rank).all(|rank| self.level(rank).is_empty())
    }

    /// What speaks against it by what `category` brings to bear.
    pub(super) fn category(&self, category: &CategoryName) -> &[ControlPlaneCause<'a>] {
        self.categories.get(category).map(Vec::as_slice).unwrap_or_default()
    }

    /// When it ceases to meet what is demanded up to the level at `rank`.
    pub(super) fn end(&self, rank: usize) -> Option<ClearanceEnd<'a>> {
        self.ends.get(rank).copied().flatten()
    }
}

impl<'a> Judge<'a> {
    /// How the control plane fares at `at` under `policy`.
    pub(super) fn control_plane_under(&self, policy: &'a Policy, at: Timestamp) -> ControlPlaneClearance<'a> {
        let against = |demand: ControlPlaneDemand<'a>| {
            let mut causes = Vec::new();
            self.examine_control_plane(&demand, at, |place, _, finding| {
                causes.extend(finding.err().map(|cause| ControlPlaneCause { place, cause }));
            });
            causes
        };
        let ranks = 0..policy.levels.iter().len();
        let sites: Vec<ResolvedPool<'a>> =
            self.world().catalogue.control_plane.values().filter_map(|pool| self.resolve(pool).ok()).collect();
        let end = |rank: usize| {
            let counted = sites.iter().filter(|_| policy.levels.counts_control_plane(rank));
            let ends = counted
                .filter_map(|site| Some(ClearanceEnd { control_plane: Some(*site), ..policy.end(rank, *site, at)? }));
            ends.min()
        };
        let categories = policy.categories.iter();
        ControlPlaneClearance {
            levels: ranks.clone().map(|rank| against(ControlPlaneDemand::of_level(policy, rank))).collect(),
            categories: categories
                .map(|(name, require)| (name, against(ControlPlaneDemand::of_category(require.as_ref()))))
                .collect(),
            ends: ranks.map(end).collect(),
        }
    }

    /// Holds every place of the control plane against `demand`, and tells each finding to `tell`.
    pub(super) fn examine_control_plane(
        &self,
        demand: &ControlPlaneDemand<'a>,
        at: Timestamp,
        mut tell: impl FnMut(Option<ControlPlanePlace<'a>>, OfferRequirement<'a>, CheckResult<'a>),
    ) {
        if !demand.says_anything() {
            return;
        }
        let Catalogue { control_plane, unread_control_plane, .. } = &self.world().catalogue;
        if demand.is_first {
            for name in unread_control_plane {
                tell(None, OfferRequirement::ControlPlane, Err(Cause::ControlPlaneUnread(name)));
            }
            if control_plane.is_empty() && unread_control_plane.is_empty() {
                tell(None, OfferRequirement::ControlPlane, Err(Cause::ControlPlaneUndeclared));
            }
        }
        for pool in control_plane.values() {
            let place = ControlPlanePlace { pool, site: self.resolve(pool) };
            match place.site {
                Err(unresolved) if demand.is_first => {
                    tell(Some(place), OfferRequirement::Recorded, Err(Cause::Unresolved(unresolved)));
                }
                Err(_) => {}
                Ok(site) => {
                    if demand.is_first {
                        tell(Some(place), OfferRequirement::ControlPlane, Ok(RequirementEvidence::ControlPlane));
                    }
                    let requirements = demand.requirements();
                    for (i, require) in requirements.clone().enumerate() {
                        self.examine(require, site, at, |wanted, finding| {
                            // What levels below ask as well is told once: it is this one that asks it of the control plane.
                            let mut before = requirements.clone().take(i).flat_map(LevelRequirements::wanted);
                            if !before.any(|asked| asked == wanted) {
                                tell(Some(place), wanted, finding);
                            }
                        });
                    }
                }
            }
        }
    }
}
