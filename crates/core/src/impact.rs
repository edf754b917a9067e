//! Impact: the differences of two plans, which an edit, or time, makes.

use alloc::string::String;
use alloc::vec::Vec;

use alloc::collections::{BTreeMap, BTreeSet};

use super::{
    admission::AdmissionRefusal,
    keys,
    name::{CategoryName, LevelName, PolicyName, PoolName},
    plan::{PlacementOutcome, Plan, PlannedWorkload, PolicyRefusal, RefusedNamespace, refused},
    reason::RequirementSource,
    workload::{Workload, WorkloadIdentity, WorkloadKind},
};

/// The difference between two plans.
#[derive(Debug, Default)]
pub struct PlanImpact<'a> {
    /// Pools gained and lost, by policy, levels before categories, least to most sensitive. Only those that differ.
    pub standings: Vec<ClearanceChange<'a>>,
    /// `DaemonSet`s whose pods Kubernetes ends at once: no wave and no budget applies to them.
    pub ended: Vec<EndedDaemonSet<'a>>,
    /// `DaemonSet`s whose templates are completed anew, since their pods would not be given a key of theirs any more: they
    /// restart by their own strategy.
    pub restarted: Vec<&'a Workload>,
    /// Namespaces whose labels were understood and would be refused: nothing starts in them.
    pub namespaces: Vec<RefusedNamespace<'a>>,
    /// Namespaces that would say no level to a policy in force, and did not before: what is silent in them has its default.
    pub silent_namespaces: Vec<&'a str>,
    /// Workloads that were admitted and would be refused, so that their pods do not come back.
    pub refused: Vec<NewlyRefused<'a>>,
    /// Workloads whose places were restricted and would be no more: they may run anywhere.
    pub freed: Vec<&'a Workload>,
    /// Workloads that lose places and keep others.
    pub moved: Vec<MovedWorkload<'a>>,
    /// Workloads that had somewhere to run and would have nowhere.
    pub stranded: Vec<StrandedWorkload<'a>>,
}

/// What becomes of one level or category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearanceChange<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// The level or category.
    pub demander: RequirementSource<'a>,
    /// Whether it is there before and after.
    pub presence: SourcePresence,
    /// Pools that become cleared.
    pub gained: Vec<&'a PoolName>,
    /// Pools that cease to be cleared.
    pub lost: Vec<&'a PoolName>,
}

/// Whether a level or category is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourcePresence {
    /// Before and after.
    Kept,
    /// After alone.
    Added,
    /// Before alone.
    Removed,
}

/// A `DaemonSet` that loses pods at once.
#[derive(Clone, Debug)]
pub struct EndedDaemonSet<'a> {
    /// The `DaemonSet`.
    pub workload: &'a Workload,
    /// The nodes on which its pods end; empty where no node is known.
    pub nodes: Vec<&'a str>,
    /// The pools that cease to be cleared for it.
    pub pools: Vec<&'a PoolName>,
}

/// A workload that would be refused.
#[derive(Clone, Debug)]
pub struct NewlyRefused<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// Why.
    pub refusals: Vec<PolicyRefusal<'a>>,
}

/// A workload that would move.
#[derive(Clone, Debug)]
pub struct MovedWorkload<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// The pools that it loses; empty where it was free to run anywhere.
    pub lost: Vec<&'a PoolName>,
    /// The pools that it keeps or gains.
    pub left: Vec<&'a PoolName>,
    /// How many of its pods stand where they may no longer; `None` where nobody has looked.
    pub pods: Option<usize>,
}

/// A workload that would have nowhere to go.
#[derive(Clone, Debug)]
pub struct StrandedWorkload<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// What becomes of it.
    pub outcome: PlacementOutcome,
    /// The pools that it loses; empty where it was free to run anywhere.
    pub lost: Vec<&'a PoolName>,
}

impl PlanImpact<'_> {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { standings, ended, restarted, namespaces, silent_namespaces, refused, freed, moved, stranded } = self;
        standings.is_empty()
            && silent_namespaces.is_empty()
            && freed.is_empty()
            && ended.is_empty()
            && restarted.is_empty()
            && namespaces.is_empty()
            && refused.is_empty()
            && moved.is_empty()
            && stranded.is_empty()
    }
}

impl NewlyRefused<'_> {
    /// Why, in the words that its author reads.
    #[must_use]
    pub fn message(&self) -> String {
        refused(self.workload.identity.kind, &self.refusals)
    }
}

/// What `new` changes of `old`. Workloads that are in one of them alone are no part of it.
#[must_use]
pub fn impact<'a>(old: &Plan<'a>, new: &Plan<'a>) -> PlanImpact<'a> {
    let mut impact = PlanImpact {
        standings: standings(old, new),
        namespaces: namespaces(old, new),
        silent_namespaces: new.silent_namespaces.difference(&old.silent_namespaces).copied().collect(),
        ..PlanImpact::default()
    };
    // One that is given twice is compared with itself, each time with its like.
    let before: BTreeMap<(&WorkloadIdentity, usize), &PlannedWorkload<'a>> = numbered(old).collect();
    for (key, after) in numbered(new) {
        if let Some(before) = before.get(&key) {
            PlanComparison { old, new, before, after }.report(&mut impact);
        }
    }
    impact.freed.sort_by_key(|workload| &workload.identity);
    impact.ended.sort_by_key(|ended| &ended.workload.identity);
    impact.restarted.sort_by_key(|workload| &workload.identity);
    impact.refused.sort_by_key(|refusing| &refusing.workload.identity);
    impact.moved.sort_by_key(|moved| &moved.workload.identity);
    impact.stranded.sort_by_key(|stranded| &stranded.workload.identity);
    impact
}

/// The workloads of `plan`, each with how many of the same identity came before it.
fn numbered<'p, 'a>(
    plan: &'p Plan<'a>,
) -> impl Iterator<Item = ((&'a WorkloadIdentity, usize), &'p PlannedWorkload<'a>)> {
    let mut seen: BTreeMap<&WorkloadIdentity, usize> = BTreeMap::new();
    plan.workloads.iter().map(move |planned| {
        let workload: &'a Workload = planned.workload;
        let count = seen.entry(&workload.identity).or_insert(0);
        *count = count.saturating_add(1);
        ((&workload.identity, *count), planned)
    })
}

/// The namespaces whose labels `new` refuses and `old`, which knows them too, does not.
fn namespaces<'a>(old: &Plan<'a>, new: &Plan<'a>) -> Vec<RefusedNamespace<'a>> {
    let before: BTreeSet<&str> =
        old.namespaces.iter().filter(|refused| refused.in_force()).map(|refused| refused.name).collect();
    let newly = |refused: &RefusedNamespace<'_>| {
        refused.in_force() && !before.contains(refused.name) && old.inventory.namespaces.contains_key(refused.name)
    };
    // One that is there already may go on saying nothing.
    let said = |refusal: &PolicyRefusal<'_>| !matches!(refusal.refusal, AdmissionRefusal::NamespaceSilent { .. });
    let of_labels = new.namespaces.iter().map(|refused| RefusedNamespace {
        name: refused.name,
        refusals: refused.refusals.iter().filter(|refusal| said(refusal)).cloned().collect(),
    });
    of_labels.filter(newly).collect()
}

/// One workload, before and after.
struct PlanComparison<'a, 'p> {
    old: &'p Plan<'a>,
    new: &'p Plan<'a>,
    before: &'p PlannedWorkload<'a>,
    after: &'p PlannedWorkload<'a>,
}

/// The places where a workload may run.
enum Places<'a> {
    Anywhere,
    Pools(BTreeSet<&'a PoolName>),
}

fn places<'a>(plan: &Plan<'a>, planned: &PlannedWorkload<'_>) -> Places<'a> {
    match &planned.outcome {
        PlacementOutcome::Unrestricted(_) => Places::Anywhere,
        PlacementOutcome::Placeable(pools) => {
            Places::Pools(pools.iter().filter_map(|index| plan.pool(*index)).map(|pool| &pool.name).collect())
        }
        PlacementOutcome::Refused | PlacementOutcome::Unplaceable(_) => Places::Pools(BTreeSet::new()),
    }
}

impl<'a> PlanComparison<'a, '_> {
    fn report(&self, impact: &mut PlanImpact<'a>) {
        let Self { old, new, before, after } = self;
        let workload = after.workload;
        if after.outcome == PlacementOutcome::Refused && before.outcome != PlacementOutcome::Refused {
            let refusals = after.judgement.refusals.iter().filter(|refused| refused.in_force).cloned().collect();
            impact.refused.push(NewlyRefused { workload, refusals });
        }
        let is_freed = || {
            let (needed, governing) = (keys_of(new, after), &after.judgement.policies);
            let is_taken = |key: &String| {
                let of =
                    |policy: &str| governing.iter().any(|found| found.in_force && found.policy.name.as_str() == policy);
                new.inventory.world.is_retired(key) || keys::policy_asked(key).is_some_and(of)
            };
            keys_of(old, before).difference(&needed).any(is_taken)
        };
        // What is refused is not touched: its pods would not come back.
        let is_touched = after.outcome != PlacementOutcome::Refused;
        if workload.identity.kind == WorkloadKind::DaemonSet && is_touched && is_freed() {
            impact.restarted.push(workload);
        }
        let (lost, left) = match (places(old, before), places(new, after)) {
            (Places::Pools(_), Places::Anywhere) if before.outcome != PlacementOutcome::Refused => {
                impact.freed.push(workload);
                return;
            }
            (_, Places::Anywhere) => return,
            (Places::Anywhere, Places::Pools(_)) if new.everywhere(after) => return,
            (Places::Anywhere, Places::Pools(left)) => (Vec::new(), left),
            (Places::Pools(had), Places::Pools(left)) => {
                let lost: Vec<_> = had.difference(&left).copied().collect();
                if lost.is_empty() {
                    return;
                }
                (lost, left)
            }
        };
        self.end(impact, &lost);
        if left.is_empty() {
            impact.stranded.push(StrandedWorkload { workload, outcome: after.outcome.clone(), lost });
            return;
        }
        let pods = (!workload.runs_on.is_empty()).then(|| {
            let displaced = |node: &&alloc::sync::Arc<str>| old.allows(before, node) && !new.allows(after, node);
            workload.runs_on.iter().filter(displaced).count()
        });
        if pods != Some(0) {
            impact.moved.push(MovedWorkload { workload, lost, left: left.into_iter().collect(), pods });
        }
    }

    /// Tells what ends of a `DaemonSet`.
    fn end(&self, impact: &mut PlanImpact<'a>, lost: &[&'a PoolName]) {
        let Self { old, new, before, after } = self;
        if after.workload.identity.kind != WorkloadKind::DaemonSet {
            return;
        }
        let stood: Option<BTreeSet<_>> = old.reach(before).map(|reach| reach.cleared.into_iter().collect());
        let gone = if after.outcome == PlacementOutcome::Refused {
            if matches!(before.outcome, PlacementOutcome::Unrestricted(_)) {
                // Its template stays as it is, and asks for nothing that a node could lose.
                return;
            }
            // Its template asks for what it asked for; the stamps of keys that nobody demands any more stay.
            let asked = keys_of(old, before);
            let demanded: Vec<_> = asked.iter().filter(|key| !new.inventory.world.is_retired(key)).collect();
            let ends = |node: &&str| {
                let stamps = new.stamps_of(node);
                demanded.iter().any(|key| stamps.as_ref().is_none_or(|stamps| !keys::grants(stamps, key)))
            };
            match stood {
                Some(nodes) => Some(nodes.into_iter().filter(ends).collect::<Vec<_>>()),
                None if demanded.is_empty() => return,
                None => None,
            }
        } else {
            let stood = |node: &&str| stood.as_ref().is_none_or(|cleared| cleared.contains(node));
            new.reach(after).map(|reach| reach.lost.into_iter().filter(stood).collect())
        };
        if gone.as_ref().is_none_or(|nodes| !nodes.is_empty()) {
            let nodes = gone.unwrap_or_default();
            impact.ended.push(EndedDaemonSet { workload: after.workload, nodes, pools: lost.to_vec() });
        }
    }
}

/// The keys that the pods of `planned` select by.
fn keys_of(plan: &Plan<'_>, planned: &PlannedWorkload<'_>) -> BTreeSet<String> {
    let asks = plan.demand(planned).into_iter().flat_map(|demand| &demand.asks);
    let keys = asks.filter_map(|ask| {
        let policy = plan.inventory.world.policies.get(ask.policy)?;
        let level = match (ask.exception, ask.level) {
            (Some(exception), Some(_)) => policy.exception_key(exception.as_str()),
            (None, Some((rank, _))) => policy.clearance_key(rank),
            (_, None) => None,
        };
        let categories = ask.categories.iter().filter_map(|category| policy.category_key(category.as_str()));
        Some(level.into_iter().chain(categories))
    });
    keys.flatten().collect()
}

/// Who demands, as an order: by policy, levels by rank, then categories.
type Demanding<'a> = (&'a PolicyName, Rank<'a>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    Level(&'a LevelName),
    Category(&'a CategoryName),
}

/// The pools that are cleared, by who demands; `None` where nothing is demanded, so that every place will do.
fn cleared<'a>(plan: &Plan<'a>) -> BTreeMap<Demanding<'a>, Option<BTreeSet<&'a PoolName>>> {
    let mut found: BTreeMap<Demanding<'a>, Option<BTreeSet<&'a PoolName>>> = BTreeMap::new();
    for policy in plan.inventory.world.policies.values() {
        let levels = policy.levels.iter().enumerate();
        let levels = levels.map(|(rank, level)| (Rank::Level(&level.name), policy.levels.demands_at(rank)));
        let categories = policy.categories.iter().map(|(name, require)| (Rank::Category(name), require.is_some()));
        let all = levels.chain(categories);
        found.extend(all.map(|(rank, demands)| ((&policy.name, rank), demands.then(BTreeSet::new))));
    }
    for pool in &plan.pools {
        for clearance in &pool.policies {
            let policy = clearance.policy();
            let levels = policy.levels.iter().enumerate().filter(|(rank, _)| clearance.cleared(*rank));
            let levels = levels.map(|(_, level)| Rank::Level(&level.name));
            let categories = policy.categories.keys().filter(|category| clearance.cleared_category(category));
            for rank in levels.chain(categories.map(Rank::Category)) {
                if let Some(Some(pools)) = found.get_mut(&(&policy.name, rank)) {
                    pools.insert(&pool.pool.name);
                }
            }
        }
    }
    found
}

/// The pools of `plan` that stand on something.
fn resolved<'a>(plan: &Plan<'a>) -> BTreeSet<&'a PoolName> {
    plan.pools.iter().filter(|pool| pool.site.is_ok()).map(|pool| &pool.pool.name).collect()
}

fn standings<'a>(old: &Plan<'a>, new: &Plan<'a>) -> Vec<ClearanceChange<'a>> {
    let (before, after) = (cleared(old), cleared(new));
    let (all_before, all_after) = (resolved(old), resolved(new));
    let nothing = BTreeSet::new();
    let all: BTreeSet<&Demanding<'a>> = before.keys().chain(after.keys()).collect();
    let mut standings: Vec<ClearanceChange<'a>> = all
        .into_iter()
        .filter_map(|key| {
            let (presence, had, has) = match (before.get(key), after.get(key)) {
                (None, has) => (SourcePresence::Added, &nothing, has.and_then(Option::as_ref).unwrap_or(&nothing)),
                (had, None) => (SourcePresence::Removed, had.and_then(Option::as_ref).unwrap_or(&nothing), &nothing),
                // Where nothing is demanded, no pool is won or lost.
                (Some(None), Some(None)) => return None,
                (Some(had), Some(has)) => {
                    (SourcePresence::Kept, had.as_ref().unwrap_or(&all_before), has.as_ref().unwrap_or(&all_after))
                }
            };
            let (gained, lost): (Vec<_>, Vec<_>) =
                (has.difference(had).copied().collect(), had.difference(has).copied().collect());
            let differs = presence != SourcePresence::Kept || !gained.is_empty() || !lost.is_empty();
            let demander = match key.1 {
                Rank::Level(level) => RequirementSource::Level(level),
                Rank::Category(category) => RequirementSource::Category(category),
            };
            differs.then_some(ClearanceChange { policy: key.0, demander, presence, gained, lost })
        })
        .collect();
    standings.sort_by_key(|standing| (standing.policy, place(old, new, standing)));
    standings
}

/// Where a level or category stands within its policy: levels as the policy orders them, then categories by name.
fn place<'a>(old: &Plan<'a>, new: &Plan<'a>, standing: &ClearanceChange<'a>) -> (usize, &'a str) {
    match standing.demander {
        RequirementSource::Level(level) => {
            let rank =
                |plan: &Plan<'_>| plan.inventory.world.policies.get(standing.policy)?.levels.rank(level.as_str());
            (rank(new).or_else(|| rank(old)).unwrap_or(usize::MAX), level.as_str())
        }
        RequirementSource::Category(category) => (usize::MAX, category.as_str()),
    }
}
