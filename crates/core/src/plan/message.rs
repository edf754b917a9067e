//! Plan messages: what becomes of a workload, as sentences for people.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use core::fmt;

use super::{
    PinnedClaim, PinnedLevel, PlacementDemand, PlacementOutcome, PlanContext, PlannedWorkload, PolicyDemand,
    PolicyRefusal, RefusedNamespace, UnplaceableReason, UnrestrictedReason,
};
use crate::{
    admission::AdmissionRefusal,
    clearance::PoolClearance,
    compliance::PodCounts,
    keys,
    migration::NoFit,
    policy::Exception,
    text::{FewDisplay, ListDisplay, counted, list},
    workload::{NodeRequirements, Workload, WorkloadKind},
};

impl<'a> PlanContext<'_, 'a> {
    /// What becomes of `planned` and why, in a sentence or two. Where it is known how many pods it has, nothing is said of
    /// pods that are not there.
    #[must_use]
    pub fn message(&self, planned: &PlannedWorkload<'a>, pods: Option<&PodCounts>) -> String {
        match &planned.outcome {
            PlacementOutcome::Placeable(pools) => self.placeable(planned, pools),
            PlacementOutcome::Unplaceable(stuck) => self.demand(planned).map_or_else(String::new, |demand| {
                let why = self.stuck(stuck, planned.workload, demand);
                format!("{}: {why}", unplaced(pods))
            }),
            PlacementOutcome::Refused => refusals(planned, true),
            PlacementOutcome::Unrestricted(free) => {
                let message = unrestricted(*free, planned);
                match self.pinned_above(planned) {
                    Some(pinned) => format!("{message}; {pinned}"),
                    None => message,
                }
            }
        }
    }

    fn placeable(&self, planned: &PlannedWorkload<'a>, pools: &[usize]) -> String {
        let names = pools.iter().filter_map(|index| self.pool(*index)).map(|pool| &pool.name);
        let cleared = self.demand(planned).map_or(0, |demand| demand.cleared.len());
        let mut message = if pools.len() == cleared {
            let verb = if pools.len() == 1 { "is" } else { "are" };
            format!(
                "{} of {} {verb} cleared: {}",
                pools.len(),
                counted(self.pools.len(), "pool", "pools"),
                FewDisplay(names)
            )
        } else {
            let cleared = counted(cleared, "cleared pool", "cleared pools");
            format!("{} of {cleared} will do: {}", pools.len(), FewDisplay(names))
        };
        for (ask, exception) in self.exceptions(planned) {
            let used = pools.iter().filter_map(|index| self.pools.get(*index));
            let used = used.filter(|pool| ask.waives(pool)).map(|pool| &pool.pool.name);
            let used: Vec<_> = used.collect();
            if let (false, Some(name)) = (used.is_empty(), ask.exception) {
                let verb = if used.len() == 1 { "is" } else { "are" };
                let (policy, until) = (ask.policy, exception.until);
                let names = FewDisplay(used.iter());
                message =
                    format!("{message}; {names} {verb} so by exception {name} of policy {policy} alone, until {until}");
            }
        }
        let withdrawn = self.demand(planned).map(|demand| &demand.withdrawn[..]).unwrap_or_default();
        if !withdrawn.is_empty() {
            let names = withdrawn.iter().filter_map(|index| self.pool(*index)).map(|pool| &pool.name);
            let verb = if withdrawn.len() == 1 { "is" } else { "are" };
            message = format!("{message}; {} {verb} withdrawn ahead of the end of a certificate", FewDisplay(names));
        }
        if let Some(reach) = self.reach(planned).filter(|reach| !reach.lost.is_empty()) {
            let all = reach.cleared.len().saturating_add(reach.lost.len());
            message = format!(
                "{message}; it runs on {} of {}, and any pod of it on {} ends at once",
                reach.cleared.len(),
                counted(all, "node", "nodes"),
                FewDisplay(reach.lost.iter())
            );
        }
        if let Some(pinned) = self.pinned_above(planned) {
            message = format!("{message}; {pinned}");
        }
        message
    }

    /// By which exceptions pods of `planned` are held to a higher level than their own, as a clause to follow a reason; empty
    /// where by none. All pods of an exception select one key, which its level decides.
    #[must_use]
    pub fn held_higher(&self, planned: &PlannedWorkload<'_>) -> String {
        let higher = self.exceptions(planned).filter_map(|(ask, exception)| {
            let (name, (rank, level)) = (ask.exception?, ask.level?);
            let of = self.cluster.world().policies.get(ask.policy)?.levels.at(exception.rank)?;
            (rank < exception.rank).then(|| {
                let (held, policy) = (&of.name, ask.policy);
                format!(
                    "; its pods, of level {level}, are held to level {held} since exception {name} of policy {policy} is for \
                     that one"
                )
            })
        });
        higher.collect()
    }

    /// What `planned` asks under exceptions.
    fn exceptions(&self, planned: &PlannedWorkload<'_>) -> impl Iterator<Item = (&PolicyDemand<'a>, &'a Exception)> {
        let asks = self.demand(planned).map(|demand| demand.asks.iter()).into_iter().flatten();
        asks.filter_map(|ask| {
            let policy = self.cluster.world().policies.get(ask.policy)?;
            Some((ask, policy.exceptions.get(ask.exception?)?))
        })
    }

    fn stuck(&self, stuck: &UnplaceableReason, workload: &Workload, demand: &PlacementDemand<'a>) -> String {
        let asked = DemandDisplay(demand);
        let cleared = demand.cleared.iter().filter_map(|index| self.pool(*index)).map(|pool| &pool.name);
        match stuck {
            UnplaceableReason::NoPool if self.pools.is_empty() => {
                format!("there is no pool at all, and {asked} asks for a cleared one")
            }
            UnplaceableReason::NoPool => {
                let nearest =
                    demand.nearest.and_then(|nearest| self.pools.get(nearest)).map(|pool| NearestPool { pool, demand });
                let nearest = nearest.map_or_else(String::new, |nearest| format!("; {nearest}"));
                let pools = counted(self.pools.len(), "pool", "pools");
                format!("none of {pools} is cleared for {asked}{nearest}")
            }
            UnplaceableReason::NoNode => format!(
                "no node belongs to what is cleared for {asked} ({}); add nodes, or correct the \
                 pool's nodeSelector or providerIDPrefix",
                FewDisplay(cleared)
            ),
            UnplaceableReason::VolumePinned(PinnedClaim { claim, volume }) => {
                let claim = NoFit::Volume { claim: Arc::clone(claim), volume: Arc::clone(volume) };
                format!("{claim} (cleared for {asked}: {})", FewDisplay(cleared))
            }
            UnplaceableReason::OwnWishes => {
                format!(
                    "{} accepts no node of what is cleared for {asked} ({})",
                    NodeWishesDisplay(&workload.node_requirements),
                    FewDisplay(cleared)
                )
            }
        }
    }
}

impl fmt::Display for PinnedLevel<'_> {
    /// What would come of the level.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, level, claims } = self;
        let bound = claims.iter().map(|PinnedClaim { claim, volume }| format!("{claim} to {volume}"));
        let bound: Vec<_> = bound.collect();
        write!(
            f,
            "at level {level} of policy {policy} its pods would go down one by one and stay pending: {} bound ({}) to what no \
             node cleared for it can reach",
            if claims.len() == 1 { "a claim is" } else { "claims are" },
            FewDisplay(bound.iter())
        )
    }
}

/// Which pods have no place.
fn unplaced(pods: Option<&PodCounts>) -> String {
    match pods.map(|pods| (pods.total.saturating_sub(pods.placed), pods.placed)) {
        None | Some((1.., 0)) => "its pods stay pending".to_owned(),
        // A pod that stands keeps its node whatever becomes of the pool.
        Some((0, _)) => "there is no place for its next pod".to_owned(),
        Some((1, placed)) => format!("1 of its {} pods stays pending", placed.saturating_add(1)),
        Some((pending, placed)) => format!("{pending} of its {} pods stay pending", placed.saturating_add(pending)),
    }
}

/// What the policies refuse (`in_force`), or would refuse if they were in Enforce.
fn refusals(planned: &PlannedWorkload<'_>, in_force: bool) -> String {
    let kind = planned.workload.identity.kind;
    told(&planned.judgement.refusals, in_force, |refusal| refusal.told_of(kind).to_string())
}

/// The refusals of the policies that are `in_force`, or of the others. Several policies may say the same of what none of
/// them can judge: each sentence stands once.
fn told(refusals: &[PolicyRefusal<'_>], in_force: bool, tell: impl Fn(&AdmissionRefusal<'_>) -> String) -> String {
    let mut said: Vec<String> = Vec::new();
    for refused in refusals.iter().filter(|refused| refused.in_force == in_force) {
        let sentence = tell(&refused.refusal);
        if !said.contains(&sentence) {
            said.push(sentence);
        }
    }
    said.join("; ")
}

/// What the policies in force refuse of an object of `kind`, as one sentence.
pub(crate) fn refused(kind: WorkloadKind, refusals: &[PolicyRefusal<'_>]) -> String {
    told(refusals, true, |refusal| refusal.told_of(kind).to_string())
}

impl RefusedNamespace<'_> {
    /// Whether any policy that is in force refuses its labels.
    #[must_use]
    pub fn in_force(&self) -> bool {
        self.refusals.iter().any(|refused| refused.in_force)
    }

    /// What the policies in force refuse of its labels, in the words that its author reads; empty where none does.
    #[must_use]
    pub fn message(&self) -> String {
        told(&self.refusals, true, |refusal| refusal.told_of_namespace().to_string())
    }
}

fn unrestricted(free: UnrestrictedReason, planned: &PlannedWorkload<'_>) -> String {
    let PlannedWorkload { workload, judgement, .. } = planned;
    let namespace = &workload.identity.namespace;
    let unheard = if workload.is_silent() { "" } else { ", so that its annotations have no effect" };
    match free {
        UnrestrictedReason::Exempt => format!("namespace {namespace} is exempt from every policy{unheard}"),
        UnrestrictedReason::Ungoverned => format!("no policy governs namespace {namespace}{unheard}"),
        UnrestrictedReason::NotEnforced => {
            let modes = judgement.policies.iter().map(|levelled| levelled.policy);
            let modes = modes.chain(judgement.refusals.iter().map(|refused| refused.policy));
            let mut modes: Vec<_> =
                modes.map(|policy| format!("policy {} is in {}", policy.name, policy.mode)).collect();
            modes.sort();
            modes.dedup();
            let refused = refusals(planned, false);
            let refused = if refused.is_empty() { refused } else { format!("; in Enforce it would refuse: {refused}") };
            format!("{}, which places and refuses nothing{refused}", ListDisplay(modes.iter()))
        }
        UnrestrictedReason::NothingRequired => {
            let levels = judgement.policies.iter().filter(|levelled| levelled.in_force);
            let levels: Vec<_> =
                levels.map(|levelled| format!("level {} of policy {}", levelled.level, levelled.policy.name)).collect();
            let verb = if levels.len() == 1 { "requires" } else { "require" };
            format!("{} {verb} nothing", ListDisplay(levels.iter()))
        }
    }
}

/// What a demand asks, policy by policy.
struct DemandDisplay<'a, 'd>(&'d PlacementDemand<'a>);

impl fmt::Display for DemandDisplay<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.0.asks)
    }
}

/// The pool that lacks least, and what it lacks.
struct NearestPool<'a, 'd> {
    pool: &'d PoolClearance<'a>,
    demand: &'d PlacementDemand<'a>,
}

impl fmt::Display for NearestPool<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = self.demand.reasons(self.pool);
        let Some(first) = reasons.first() else { return Ok(()) };
        write!(f, "nearest is {}: {first}", self.pool.pool.name)?;
        match reasons.len() {
            1 => Ok(()),
            more => write!(f, " (and {})", counted(more.saturating_sub(1), "reason more", "reasons more")),
        }
    }
}

/// What a workload wants of nodes itself, by name of the field.
pub struct NodeWishesDisplay<'a>(pub &'a NodeRequirements);

impl fmt::Display for NodeWishesDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NodeRequirements { selector, affinity, completed_for: _ } = self.0;
        // Keys of policies are admission's, unless there is nothing else that it could be.
        let own = selector.iter().filter(|(key, _)| keys::policy_asked(key).is_none());
        let own: Vec<_> = own.map(|(key, value)| format!("{key}={value}")).collect();
        let labels = if own.is_empty() && affinity.is_none() {
            selector.iter().map(|(key, value)| format!("{key}={value}")).collect()
        } else {
            own
        };
        match (labels.is_empty(), affinity) {
            (false, None) => write!(f, "its own nodeSelector ({})", FewDisplay(labels.iter())),
            (false, Some(_)) => write!(f, "its own nodeSelector ({}) and node affinity", FewDisplay(labels.iter())),
            (true, _) => f.write_str("its own node affinity"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;
    use crate::selector::Labels;

    #[test]
    fn what_admission_has_added_is_no_wish_of_its_own() {
        let said = |keys: &[&str]| {
            let selector: Labels = keys.iter().map(|key| ((*key).to_owned(), "true".to_owned())).collect();
            NodeWishesDisplay(&NodeRequirements { selector, ..NodeRequirements::default() }).to_string()
        };
        let stamp = "clearance.rempart.node-restriction.kubernetes.io/state.secret";
        let pool = "rempart.node-restriction.kubernetes.io/pool";
        assert_eq!(said(&[stamp, "disk"]), "its own nodeSelector (disk=true)");
        assert_eq!(said(&[stamp, pool]), format!("its own nodeSelector ({pool}=true)"), "admission adds no pool");
        assert_eq!(said(&[stamp]), format!("its own nodeSelector ({stamp}=true)"), "somebody else has put it there");
    }
}
