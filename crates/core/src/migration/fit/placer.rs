//! Pod placer: a node for each of many pods that look for one at the same time.
//!
//! Takes a pod with its requirements and gives, of the nodes that fit, the one that would have the largest share left, as
//! kube-scheduler prefers it by default; or the demand at which the best node fails. What is given is taken: the next pod
//! finds it gone. A node fits here when it fits for a migration.

use alloc::{
    borrow::ToOwned,
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    vec::Vec,
};
use core::cmp::Reverse;

use super::{
    FitChecker, FitFailure, FitRequirement, NoFit, NodeSearch, PodClass, RemainingCapacity, TopologyDomain, asked,
    class, domains, left, stop, taken,
};
use crate::{
    cluster_objects::{
        ClusterObjects, ComputeResources, ExtendedResources, NodeView, ObjectUid, Pod, split, tolerates,
    },
    compliance::PlacementFacts,
    pod_requirements::PodRequirements,
};

/// Why a pod was given no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// The demand at which the best node fails.
    pub no_fit: NoFit,
    /// Where it is room: the resource of which most of the nodes that would accept it have too little.
    pub lacking: Option<Box<str>>,
    /// Where no cleared node accepts it: at what.
    pub refusal: Option<NodeRefusal>,
    /// Whether a node has room for it and its spread alone keeps it off.
    pub by_spread: bool,
}

/// At what cleared nodes fail that do not accept a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeRefusal {
    /// None of them is one that its node selector and affinity ask for.
    OwnRequirements,
    /// Those that it asks for have taints that it does not tolerate.
    Taints,
    /// Those that it asks for are cordoned or not ready.
    Closed,
}

impl From<NoFit> for Unplaced {
    fn from(no_fit: NoFit) -> Self {
        Self { no_fit, lacking: None, refusal: None, by_spread: false }
    }
}

/// The nodes that would accept a class of pods if they were empty.
struct CandidateNodes {
    nodes: Vec<usize>,
    /// How far the best of the others got.
    furthest: FitFailure,
}

/// Gives pods nodes, one after the other.
pub struct PodPlacer<'s, 'a> {
    fit: FitChecker<'s, 'a>,
    left: Vec<RemainingCapacity>,
    candidates: BTreeMap<PodClass, Rc<CandidateNodes>>,
    /// Labels of the nodes where pods of an owner are that must be apart.
    taken: BTreeMap<ObjectUid, BTreeSet<TopologyDomain>>,
}

impl<'s, 'a> PodPlacer<'s, 'a> {
    /// On the nodes of `facts`, beside what `objects` has on them.
    #[must_use]
    pub fn new(objects: &'s ClusterObjects<'a>, facts: &'s PlacementFacts<'a>) -> Self {
        Self {
            fit: FitChecker::new(objects, facts),
            left: left(objects, facts),
            candidates: BTreeMap::new(),
            taken: BTreeMap::new(),
        }
    }

    /// Gives `pod`, found under `key`, a node among those that it is allowed, by its place among the nodes, and takes its room.
    ///
    /// # Errors
    /// The demand that no node meets, where the best of them fails.
    pub fn place(
        &mut self,
        key: &str,
        pod: &Pod,
        needs: &PodRequirements<'_>,
        allows: impl Fn(usize) -> bool,
    ) -> Result<usize, Unplaced> {
        let (namespace, _) = split(key);
        if let Some(ending) = pod.claims.iter().find_map(|claim| self.fit.ending(namespace, claim)) {
            return Err(ending.into());
        }
        if pod.scheduling.claims_devices {
            return Err(NoFit::Devices.into());
        }
        let candidates = self.candidates(namespace, pod, needs);
        let (objects, facts) = (self.fit.objects, self.fit.facts);
        let apart = pod.owner.as_ref().filter(|_| !pod.scheduling.anti_affinity_keys.is_empty());
        let apart = apart.map(|owner| &*self.taken.entry(owner.uid).or_insert_with(|| taken(objects, facts, key, pod)));
        let (mut best, mut furthest, mut by_spread) = (None, candidates.furthest, false);
        for at in candidates.nodes.iter().copied() {
            let (Some(node), Some(left)) = (facts.nodes.get(at), self.left.get(at)) else { continue };
            if apart.is_some_and(|taken| domains(pod, node).any(|domain| taken.contains(&domain))) {
                furthest = furthest.max(FitFailure::AntiAffinity);
            } else if !left.has_room_for(pod, node) {
                furthest = furthest.max(FitFailure::Full);
            } else if !allows(at) {
                by_spread = true;
            } else {
                best = best.max(Some((share_left(left, pod, node), Reverse(at))));
            }
        }
        let Some((_, Reverse(at))) = best else {
            return Err(self.unplaced(namespace, pod, needs, &candidates, furthest, by_spread));
        };
        if let (Some(node), Some(left)) = (facts.nodes.get(at), self.left.get_mut(at)) {
            left.take(pod, node);
            if let Some(taken) = pod.owner.as_ref().and_then(|owner| self.taken.get_mut(&owner.uid)) {
                taken.extend(domains(pod, node));
            }
        }
        Ok(at)
    }

    /// The nodes that would accept `pod` if they were empty; its claims are its own, and others of its class have others.
    fn candidates(&mut self, namespace: &str, pod: &Pod, needs: &PodRequirements<'_>) -> Rc<CandidateNodes> {
        let class = class(pod, needs, FitRequirement::Room);
        if let Some(known) = self.candidates.get(&class).filter(|_| pod.claims.is_empty()) {
            return Rc::clone(known);
        }
        let reaches: Vec<_> = pod.claims.iter().filter_map(|claim| self.fit.reach(namespace, claim)).collect();
        let search = NodeSearch::of(pod, needs);
        let mut found = CandidateNodes { nodes: Vec::new(), furthest: search.furthest };
        for (at, node) in self.fit.facts.nodes.iter().enumerate() {
            match stop(node, pod, needs, (&search, None), None, &reaches) {
                // Who must be apart is asked with what was given since.
                None | Some(FitFailure::AntiAffinity | FitFailure::Full) => found.nodes.push(at),
                Some(failure) => found.furthest = found.furthest.max(failure),
            }
        }
        let found = Rc::new(found);
        if pod.claims.is_empty() {
            self.candidates.insert(class, Rc::clone(&found));
        }
        found
    }

    fn unplaced(
        &self,
        namespace: &str,
        pod: &Pod,
        needs: &PodRequirements<'_>,
        candidates: &CandidateNodes,
        furthest: FitFailure,
        by_spread: bool,
    ) -> Unplaced {
        let reaches: Vec<_> = pod.claims.iter().filter_map(|claim| self.fit.reach(namespace, claim)).collect();
        let nodes = &self.fit.facts.nodes;
        let lacking = match furthest {
            FitFailure::TooSmall => {
                let search = NodeSearch::of(pod, needs);
                let small = |node: &&NodeView<'_>| {
                    stop(node, pod, needs, (&search, None), None, &reaches) == Some(FitFailure::TooSmall)
                };
                most_lacking(nodes.iter().filter(small).map(|node| (node.allocatable, node.extended_resources)), pod)
            }
            FitFailure::Full => {
                let left = candidates.nodes.iter().filter_map(|at| {
                    let (node, left) = (nodes.get(*at)?, self.left.get(*at)?);
                    Some((left.common, left.others.as_ref().unwrap_or(node.extended_resources)))
                });
                most_lacking(left, pod)
            }
            FitFailure::NotCleared
            | FitFailure::Unschedulable
            | FitFailure::OutOfReach(_)
            | FitFailure::AntiAffinity => None,
        };
        let no_fit = self.fit.no_fit(furthest, needs, &reaches);
        let refusal = (no_fit == NoFit::NoNode).then(|| self.refusal(pod, needs));
        Unplaced { no_fit, lacking, refusal, by_spread }
    }

    fn refusal(&self, pod: &Pod, needs: &PodRequirements<'_>) -> NodeRefusal {
        let own = NodeSearch::of(pod, needs).node_requirements;
        let cleared = self.fit.facts.nodes.iter().filter(|node| needs.met_by(node.labels.stamps));
        let mut wanted = cleared.filter(|node| own.accept(node.name, &node.labels)).peekable();
        if wanted.peek().is_none() {
            return NodeRefusal::OwnRequirements;
        }
        let tainted = |node: &NodeView<'_>| node.schedulable && !tolerates(&pod.scheduling.tolerations, node.taints);
        if wanted.any(tainted) { NodeRefusal::Taints } else { NodeRefusal::Closed }
    }
}

/// The shares of processors and memory of `node` that would be left with `pod` on it, in thousandths; then of pods.
fn share_left(left: &RemainingCapacity, pod: &Pod, node: &NodeView<'_>) -> (u64, u64) {
    let after = left.common.without(&asked(pod));
    let share = |left: u64, of: u64| left.saturating_mul(1000).checked_div(of).unwrap_or_default();
    let ComputeResources { cpu_milli, memory, pods } = node.allocatable;
    let computing = share(after.cpu_milli, cpu_milli).saturating_add(share(after.memory, memory));
    (computing, share(after.pods.into(), pods.into()))
}

/// The resource of which the most of these places have less than `pod` asks for.
fn most_lacking<'p>(
    places: impl Iterator<Item = (ComputeResources, &'p ExtendedResources)>,
    pod: &Pod,
) -> Option<Box<str>> {
    let mut lacking: BTreeMap<&str, usize> = BTreeMap::new();
    let ComputeResources { cpu_milli, memory, pods } = asked(pod);
    for (common, others) in places {
        let standard =
            [("cpu", common.cpu_milli < cpu_milli), ("memory", common.memory < memory), ("pods", common.pods < pods)];
        let asked = pod.scheduling.extended_resources.iter();
        let other = asked.map(|(name, amount)| (&**name, others.get(name).is_none_or(|left| left < amount)));
        for (name, _) in standard.into_iter().chain(other).filter(|(_, lacks)| *lacks) {
            let count = lacking.entry(name).or_default();
            *count = count.saturating_add(1);
        }
    }
    let most = lacking.into_iter().max_by_key(|(name, count)| (*count, Reverse(*name)));
    most.map(|(name, _)| name.to_owned().into_boxed_str())
}

/// Fresh nodes like one that is there, into which pods are packed: as few as hold them.
pub struct EmptyNodes<'n, 'a> {
    node: &'n NodeView<'a>,
    /// What one of them has when only what runs on every node runs on it.
    fresh: ComputeResources,
    opened: Vec<(RemainingCapacity, BTreeSet<ObjectUid>)>,
}

impl<'n, 'a> EmptyNodes<'n, 'a> {
    /// Like `node`, on each of which as much is `taken` as runs on every node.
    #[must_use]
    pub fn like(node: &'n NodeView<'a>, taken: &ComputeResources) -> Self {
        Self { node, fresh: node.allocatable.without(taken), opened: Vec::new() }
    }

    /// Packs `pod` into the first of them that has room, or into one more. Whether that holds it.
    pub fn pack(&mut self, pod: &Pod, needs: &PodRequirements<'_>) -> bool {
        let search = NodeSearch::of(pod, needs);
        let fresh = || RemainingCapacity { common: self.fresh, others: None };
        if stop(self.node, pod, needs, (&search, None), Some(&fresh()), &[]).is_some() {
            return false;
        }
        let apart = pod.owner.as_ref().filter(|_| !pod.scheduling.anti_affinity_keys.is_empty());
        let free = |(left, owners): &(RemainingCapacity, BTreeSet<ObjectUid>)| {
            left.has_room_for(pod, self.node) && apart.is_none_or(|owner| !owners.contains(&owner.uid))
        };
        let at = self.opened.iter().position(free);
        let at = at.unwrap_or_else(|| {
            self.opened.push((RemainingCapacity { common: self.fresh, others: None }, BTreeSet::new()));
            self.opened.len().saturating_sub(1)
        });
        if let Some((left, owners)) = self.opened.get_mut(at) {
            left.take(pod, self.node);
            owners.extend(apart.map(|owner| owner.uid));
        }
        true
    }

    /// How many of them hold what was packed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.opened.len()
    }

    /// Whether nothing was packed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty()
    }
}
