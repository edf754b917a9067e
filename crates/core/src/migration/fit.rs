//! Fit checks: whether there is a node that could take a pod if it were created now.
//!
//! Takes a pod with its requirements and gives a node, or the demand at which the best node fails. What the scheduler asks
//! of a node is asked here too, as far as it can make a move end with nowhere to go: its labels, taints and resources, the
//! reach of volumes, and distance from a pod's own like. Not asked are affinity to other pods, distance from other
//! workloads and topology spread.

mod capacity;
mod placer;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use core::{cell::OnceCell, fmt};

use self::capacity::{RemainingCapacity, asked, left};
use crate::{
    cluster_objects::{ClusterObjects, ComputeResources, NodeView, ObjectUid, Pod, has_others, split, tolerates},
    compliance::PlacementFacts,
    keys,
    name::PoolName,
    pod_requirements::PodRequirements,
    selector::LabelSource as _,
    text::FewDisplay,
    volume::VolumeReach,
    workload::NodeRequirements,
};

pub use self::placer::{EmptyNodes, NodeRefusal, PodPlacer, Unplaced};

/// Why no node could take a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoFit {
    /// No pool has all that it needs.
    NoPool,
    /// Cleared pools have no node at all: that of which, in words.
    EmptyPool(String),
    /// Cleared pools have no node that is ready, open, and borne by the pod's own selector, affinity and tolerations.
    NoNode,
    /// Such nodes could not take it if they were empty.
    TooSmall,
    /// Its volume can be reached from no such node.
    Volume {
        /// The claim.
        claim: Arc<str>,
        /// The volume.
        volume: Arc<str>,
    },
    /// Its claim is for one node at a time, and is in use until its last pod there goes.
    SingleWriter {
        /// The claim.
        claim: Arc<str>,
    },
    /// A claim or a volume of its own is being deleted, and is there for as long as the pod is; or is gone already.
    Ending {
        /// What, by kind and name.
        what: String,
        /// Whether it is gone.
        gone: bool,
    },
    /// It claims devices, of which nobody knows where some are left.
    Devices,
    /// All such nodes have one of its like, from which it must be apart.
    AntiAffinity,
    /// All such nodes are full.
    Full,
}

impl fmt::Display for NoFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPool => f.write_str("no pool is cleared for it"),
            Self::EmptyPool(which) => f.write_str(which),
            Self::NoNode => f.write_str(
                "no cleared pool has a node that is ready, open and accepted by its own selector, affinity and tolerations",
            ),
            Self::TooSmall => {
                f.write_str("the cleared nodes that would accept it have less than it requests even when they are empty")
            }
            Self::Volume { claim, volume } => {
                write!(f, "its claim {claim} is bound to volume {volume}, which no cleared node can reach")
            }
            Self::SingleWriter { claim } => {
                write!(f, "its claim {claim} is for one node at a time, and its successor would wait for it to go first")
            }
            Self::Ending { what, gone: false } => {
                write!(f, "its {what} is being deleted, and what it holds goes with the last pod that has it")
            }
            Self::Ending { what, gone: true } => write!(f, "its {what} is gone, and its successor would wait for it"),
            Self::Devices => f.write_str("it claims devices, and nodes do not say how many of them they have left"),
            Self::AntiAffinity => f.write_str(
                "the cleared nodes that could take it have pods of its own workload, from which its podAntiAffinity or its \
                 hostPort keeps it apart",
            ),
            Self::Full => f.write_str("the cleared nodes that could take it are full"),
        }
    }
}

impl NoFit {
    /// A stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPool => "NoClearedPool",
            Self::EmptyPool(_) | Self::NoNode => "NoClearedNode",
            Self::TooSmall => "NodesTooSmall",
            Self::AntiAffinity => "NodesTaken",
            Self::Volume { .. } => "VolumePinned",
            Self::SingleWriter { .. } => "VolumeInUse",
            Self::Ending { .. } => "ClaimEnding",
            Self::Devices => "DevicesUnknown",
            Self::Full => "NoCapacity",
        }
    }

    /// What ends it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::SingleWriter { .. } => {
                "let its controller end it first: strategy Recreate, or one pod with maxSurge 0 and maxUnavailable 1"
            }
            Self::Ending { gone: false, .. } => "save what it holds, and delete the pod when that may go",
            Self::Ending { gone: true, .. } => "make it anew, or delete the pod when it may be away",
            Self::Devices => "delete the pod when it may be away",
            Self::NoPool
            | Self::EmptyPool(_)
            | Self::NoNode
            | Self::TooSmall
            | Self::Volume { .. }
            | Self::AntiAffinity
            | Self::Full => "it moves when there is a place",
        }
    }
}

/// How sure a place must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FitRequirement {
    /// A node could take it if it were empty: replacements stand before anything goes, and may make an autoscaler add a
    /// node.
    Fits,
    /// There is room for it now: something goes before its successor stands.
    Room,
    /// The same, and its like stay where they are.
    Apart,
}

/// Whether the node `node` takes new pods, and `pod`, which `wants` that, among them.
fn accepts_pod(node: &NodeView<'_>, pod: &Pod, node_requirements: &NodeRequirements) -> bool {
    node.schedulable
        && tolerates(&pod.scheduling.tolerations, node.taints)
        && node_requirements.accept(node.name, &node.labels)
}

/// What tells pods apart that look for a place, but for their claims. Addresses stand for what is shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct PodClass {
    needs: usize,
    node_requirements: usize,
    terms: usize,
    requests: ComputeResources,
    required: FitRequirement,
    /// Which pod it is, where its like matter: it is none of them itself.
    one: Option<ObjectUid>,
}

/// What is known of the places for a class of pods. While pods are planned, places only become fewer: what would not do
/// once is not looked at again.
struct NodeSearch {
    /// What they want, but for stamps, which admission gives them anew.
    node_requirements: NodeRequirements,
    /// Labels of the nodes where their like are.
    taken: BTreeSet<TopologyDomain>,
    /// The first node that may still do.
    from: usize,
    /// How far the best of those before it got.
    furthest: FitFailure,
}

impl NodeSearch {
    /// One that has not looked at any node yet, for a pod that is apart from none.
    fn of(pod: &Pod, needs: &PodRequirements<'_>) -> Self {
        Self {
            node_requirements: pod.node_requirements.selecting(|key| keys::policy_asked(key).is_none()),
            taken: BTreeSet::new(),
            from: 0,
            // A node that needs no clearance is no worse than closed.
            furthest: if needs.keys().next().is_some() { FitFailure::NotCleared } else { FitFailure::Unschedulable },
        }
    }
}

/// At what a node fails, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FitFailure {
    NotCleared,
    Unschedulable,
    TooSmall,
    /// The claim, by its place among those that limit the pod.
    OutOfReach(usize),
    AntiAffinity,
    Full,
}

/// The places that there are.
pub struct FitChecker<'s, 'a> {
    objects: &'s ClusterObjects<'a>,
    facts: &'s PlacementFacts<'a>,
    /// What is left on each node, in the order of the nodes; worked out when it is first asked for.
    left: Option<Vec<RemainingCapacity>>,
    searches: BTreeMap<PodClass, NodeSearch>,
    /// Labels of the nodes that pods of an owner were given, where they must be apart.
    given: BTreeMap<ObjectUid, BTreeSet<TopologyDomain>>,
    /// The pools that have a node; worked out when it is first asked for.
    peopled: OnceCell<BTreeSet<&'a PoolName>>,
}

/// A label of nodes that a pod shares with none of its like.
type TopologyDomain = (Box<str>, String);

impl<'s, 'a> FitChecker<'s, 'a> {
    /// The places of `facts`.
    #[must_use]
    pub fn new(objects: &'s ClusterObjects<'a>, facts: &'s PlacementFacts<'a>) -> Self {
        Self { objects, facts, left: None, searches: BTreeMap::new(), given: BTreeMap::new(), peopled: OnceCell::new() }
    }

    /// Whether some node could take `pod`, found under `key`, if it were created now with what it `needs`.
    ///
    /// # Errors
    /// The demand that no node meets, where the best of them fails.
    pub fn for_pod(
        &mut self,
        key: &str,
        pod: &Pod,
        needs: &PodRequirements<'_>,
        required: FitRequirement,
    ) -> Result<(), NoFit> {
        self.find(key, pod, needs, required).map(drop)
    }

    /// The same of a pod that is about to go: the room that its successor will need is not there for others.
    ///
    /// # Errors
    /// The demand that no node meets, where the best of them fails.
    pub fn take(
        &mut self,
        key: &str,
        pod: &Pod,
        needs: &PodRequirements<'_>,
        required: FitRequirement,
    ) -> Result<(), NoFit> {
        let place = self.find(key, pod, needs, required)?;
        let Some(node) = self.facts.nodes.get(place) else { return Ok(()) };
        if let Some(left) = self.left.as_mut().and_then(|left| left.get_mut(place)) {
            left.take(pod, node);
        }
        if let Some(owner) = pod.owner.as_ref().filter(|_| !pod.scheduling.anti_affinity_keys.is_empty()) {
            self.given.entry(owner.uid).or_default().extend(domains(pod, node));
        }
        Ok(())
    }

    /// Keeps room for the successor of `pod`, which went a while ago and whose successor is not there yet.
    pub fn reserve(&mut self, key: &str, pod: &Pod, needs: &PodRequirements<'_>) {
        // Where there is none, none can be given to others.
        drop(self.take(key, pod, needs, FitRequirement::Room));
    }

    /// A claim of `pod`, found under `key`, that is for one node at a time: any, or where it is `shared` one that another
    /// pod has too.
    #[must_use]
    pub fn single_writer(&self, key: &str, pod: &Pod, shared: bool) -> Option<NoFit> {
        let (namespace, _) = split(key);
        let is_for_one = |claim: &&Arc<str>| {
            self.objects.claims.get(&format!("{namespace}/{claim}")).is_some_and(|claim| claim.single_writer)
        };
        let has_it = |claim: &Arc<str>| {
            let mut neighbours = self.objects.pods_of(namespace);
            neighbours.any(|other| other.uid != pod.uid && other.is_active() && other.claims.contains(claim))
        };
        let found = pod.claims.iter().filter(is_for_one).find(|claim| !shared || has_it(claim))?;
        Some(NoFit::SingleWriter { claim: Arc::clone(found) })
    }

    /// Whether any open node has what `needs` ask for.
    ///
    /// # Errors
    /// That none has.
    pub fn anywhere(&self, needs: &PodRequirements<'_>) -> Result<(), NoFit> {
        let cleared = |node: &&NodeView<'_>| needs.met_by(node.labels.stamps);
        let mut found = Err(self.without_node(needs));
        for node in self.facts.nodes.iter().filter(cleared) {
            if node.schedulable {
                return Ok(());
            }
            found = Err(NoFit::NoNode);
        }
        found
    }

    /// The first node that will do, by its place among the nodes.
    fn find(
        &mut self,
        key: &str,
        pod: &Pod,
        needs: &PodRequirements<'_>,
        required: FitRequirement,
    ) -> Result<usize, NoFit> {
        let (namespace, _) = split(key);
        // Whatever moves it, with it would go what holds its data.
        if let Some(ending) = pod.claims.iter().find_map(|claim| self.ending(namespace, claim)) {
            return Err(ending);
        }
        if required > FitRequirement::Fits && pod.scheduling.claims_devices {
            return Err(NoFit::Devices);
        }
        if required > FitRequirement::Fits && self.left.is_none() {
            self.left = Some(left(self.objects, self.facts));
        }
        let reaches: Vec<_> = pod.claims.iter().filter_map(|claim| self.reach(namespace, claim)).collect();
        let (objects, facts) = (self.objects, self.facts);
        let search = self.searches.entry(class(pod, needs, required)).or_insert_with(|| NodeSearch {
            taken: if required == FitRequirement::Apart { taken(objects, facts, key, pod) } else { BTreeSet::new() },
            ..NodeSearch::of(pod, needs)
        });
        let given = pod.owner.as_ref().and_then(|owner| self.given.get(&owner.uid));
        let mut furthest = search.furthest;
        let (mut at, mut found) = (search.from, None);
        while let Some(node) = facts.nodes.get(at) {
            let left = self.left.as_ref().and_then(|left| left.get(at)).filter(|_| required > FitRequirement::Fits);
            match stop(node, pod, needs, (search, given), left, &reaches) {
                None => {
                    found = Some(at);
                    break;
                }
                Some(stop) => furthest = furthest.max(stop),
            }
            at = at.saturating_add(1);
        }
        // Its claims are its own: others of its class may do where it does not.
        if reaches.is_empty() {
            (search.from, search.furthest) = (at, furthest);
        }
        found.ok_or_else(|| self.no_fit(furthest, needs, &reaches))
    }

    /// That the best node fails there, for a pod that `needs` this and has volumes that can be reached from there.
    fn no_fit(&self, furthest: FitFailure, needs: &PodRequirements<'_>, reaches: &[VolumeReach<'_>]) -> NoFit {
        match furthest {
            FitFailure::NotCleared => self.without_node(needs),
            FitFailure::Unschedulable => NoFit::NoNode,
            FitFailure::TooSmall => NoFit::TooSmall,
            FitFailure::OutOfReach(claim) => match reaches.get(claim) {
                Some(VolumeReach { claim, name, .. }) => {
                    NoFit::Volume { claim: Arc::clone(claim), volume: Arc::clone(name) }
                }
                None => NoFit::NoNode,
            },
            FitFailure::AntiAffinity => NoFit::AntiAffinity,
            FitFailure::Full => NoFit::Full,
        }
    }

    /// The volume of `claim`, with the nodes that can reach it, where these are limited.
    fn reach(&self, namespace: &str, claim: &Arc<str>) -> Option<VolumeReach<'a>> {
        VolumeReach::of(namespace, claim, self.objects.claims, self.objects.volumes)
    }

    /// That `claim`, or its volume, is there for as long as a pod has it, or is gone.
    fn ending(&self, namespace: &str, claim: &Arc<str>) -> Option<NoFit> {
        let Some(found) = self.objects.claims.get(&format!("{namespace}/{claim}")) else {
            return Some(NoFit::Ending { what: format!("claim {claim}"), gone: true });
        };
        if found.terminating {
            return Some(NoFit::Ending { what: format!("claim {claim}"), gone: false });
        }
        let volume = found.volume.as_ref()?;
        match self.objects.volumes.get(&**volume) {
            Some(found) if found.terminating => Some(NoFit::Ending { what: format!("volume {volume}"), gone: false }),
            Some(_) => None,
            None => Some(NoFit::Ending { what: format!("volume {volume}"), gone: true }),
        }
    }

    /// Why no node has what `needs` ask for: no pool does, or those that do have none.
    fn without_node(&self, needs: &PodRequirements<'_>) -> NoFit {
        let peopled = self.peopled.get_or_init(|| self.facts.nodes.iter().filter_map(|node| node.pool).collect());
        let cleared = self.facts.pools.iter().filter(|(_, stamps)| needs.met_by(stamps)).map(|(name, _)| name);
        let empty: Vec<_> = cleared.filter(|name| !peopled.contains(name)).collect();
        match empty.as_slice() {
            [] => NoFit::NoPool,
            [one] => NoFit::EmptyPool(format!("pool {one}, which would do, has no node")),
            many => NoFit::EmptyPool(format!("pools {}, which would do, have no node", FewDisplay(many.iter()))),
        }
    }
}

fn class(pod: &Pod, needs: &PodRequirements<'_>, required: FitRequirement) -> PodClass {
    let apart = required == FitRequirement::Apart && !pod.scheduling.anti_affinity_keys.is_empty();
    PodClass {
        needs: core::ptr::from_ref(needs).addr(),
        node_requirements: Arc::as_ptr(&pod.node_requirements).addr(),
        terms: Arc::as_ptr(&pod.scheduling).addr(),
        requests: pod.requests,
        required,
        one: apart.then_some(pod.uid),
    }
}

/// At what `node` fails, if at anything.
fn stop(
    node: &NodeView<'_>,
    pod: &Pod,
    needs: &PodRequirements<'_>,
    (search, given): (&NodeSearch, Option<&BTreeSet<TopologyDomain>>),
    left: Option<&RemainingCapacity>,
    reaches: &[VolumeReach<'_>],
) -> Option<FitFailure> {
    if !needs.met_by(node.labels.stamps) {
        return Some(FitFailure::NotCleared);
    }
    if !accepts_pod(node, pod, &search.node_requirements) {
        return Some(FitFailure::Unschedulable);
    }
    if !node.allocatable.has_room_for(&asked(pod))
        || !has_others(node.extended_resources, &pod.scheduling.extended_resources)
    {
        return Some(FitFailure::TooSmall);
    }
    let within = |reach: &VolumeReach<'_>| reach.includes(node.name, &node.labels);
    if let Some(claim) = reaches.iter().position(|reach| !within(reach)) {
        return Some(FitFailure::OutOfReach(claim));
    }
    let taken = |domain| search.taken.contains(&domain) || given.is_some_and(|given| given.contains(&domain));
    if domains(pod, node).any(taken) {
        return Some(FitFailure::AntiAffinity);
    }
    (!left.is_none_or(|left| left.has_room_for(pod, node))).then_some(FitFailure::Full)
}

/// The labels of `node` that nodes with the like of `pod` may not have.
fn domains<'p>(pod: &'p Pod, node: &'p NodeView<'_>) -> impl Iterator<Item = TopologyDomain> + 'p {
    pod.scheduling.anti_affinity_keys.iter().filter_map(|key| Some((key.clone(), node.labels.label(key)?.to_owned())))
}

/// The labels of the nodes where the like of `pod` are: pods of the same owner.
fn taken(objects: &ClusterObjects<'_>, facts: &PlacementFacts<'_>, key: &str, pod: &Pod) -> BTreeSet<TopologyDomain> {
    let (namespace, _) = split(key);
    let Some(owner) = pod.owner.as_ref().filter(|_| !pod.scheduling.anti_affinity_keys.is_empty()) else {
        return BTreeSet::new();
    };
    let like = |other: &&Pod| {
        other.uid != pod.uid && other.is_active() && other.owner.as_ref().is_some_and(|other| other.uid == owner.uid)
    };
    let nodes = objects.pods_of(namespace).filter(like).filter_map(|other| facts.node(other.node.as_deref()?));
    nodes.flat_map(|node| domains(pod, node)).collect()
}
