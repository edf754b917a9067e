//! Whether there is a node that could take a pod if it were created now.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::core::{
    fleet::{Fleet, Pod, Resources, Spot, Stage, bears, split},
    keys,
    standing::{Ground, Needs},
    workload::{NodeTerm, Wants},
};

/// Why no node could take a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoRoom {
    /// No pool has all that it needs.
    NoPool,
    /// Cleared pools have no node that is ready, open, and borne by the pod's own selector, affinity and tolerations.
    NoNode,
    /// Its volume can be reached from no such node.
    Volume {
        /// The claim.
        claim: Arc<str>,
        /// The volume.
        volume: Arc<str>,
    },
    /// All such nodes are full.
    Full,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPool => f.write_str("no pool is cleared for it"),
            Self::NoNode => f.write_str(
                "no cleared pool has a node that is ready, open and accepted by its own selector, affinity and tolerations",
            ),
            Self::Volume { claim, volume } => {
                write!(f, "its claim {claim} is bound to volume {volume}, which no cleared node can reach")
            }
            Self::Full => f.write_str("the cleared nodes that could take it are full"),
        }
    }
}

/// So many pods that wait for a node are reckoned with; a cluster with more of them has no room to speak of.
const AWAITED: usize = 128;

/// What a place must have left for `pod`.
fn asked(pod: &Pod) -> Resources {
    Resources { pods: 1, ..pod.requests }
}

/// Whether the node `spot` takes new pods, and `pod`, which `wants` that, among them.
fn lets_in(spot: &Spot<'_>, pod: &Pod, wants: &Wants) -> bool {
    spot.open && bears(&pod.tolerations, spot.taints) && wants.accept(spot.name, &spot.labels)
}

/// The places that there are.
pub struct Rooms<'s, 'a> {
    fleet: &'s Fleet<'a>,
    ground: &'s Ground<'a>,
    /// What is left on each node; worked out when it is first asked for.
    left: Option<BTreeMap<&'a str, Resources>>,
}

impl<'s, 'a> Rooms<'s, 'a> {
    /// The places of `ground`.
    #[must_use]
    pub fn new(fleet: &'s Fleet<'a>, ground: &'s Ground<'a>) -> Self {
        Self { fleet, ground, left: None }
    }

    /// Whether some node could take `pod`, found under `key`, if it were created now with what it `needs`. With `firm`,
    /// it is gone before its successor comes: then the room that it needs counts as well.
    ///
    /// # Errors
    /// The first demand that no node meets.
    pub fn for_pod(&mut self, key: &str, pod: &Pod, needs: &Needs<'_>, firm: bool) -> Result<(), NoRoom> {
        self.find(key, pod, needs, firm).map(drop)
    }

    /// The same of a pod that is about to go: the room that its successor will need is not there for others.
    ///
    /// # Errors
    /// The first demand that no node meets.
    pub fn take(&mut self, key: &str, pod: &Pod, needs: &Needs<'_>) -> Result<(), NoRoom> {
        let found = self.find(key, pod, needs, true)?;
        if let Some(left) = self.left.as_mut().and_then(|left| left.get_mut(found)) {
            *left = left.without(&asked(pod));
        }
        Ok(())
    }

    /// Whether any open node has what `needs` ask for.
    ///
    /// # Errors
    /// That none has.
    pub fn anywhere(&self, needs: &Needs<'_>) -> Result<(), NoRoom> {
        let cleared = |spot: &&Spot<'_>| needs.met_by(spot.labels.stamps);
        let mut found = Err(NoRoom::NoPool);
        for spot in self.ground.spots.iter().filter(cleared) {
            if spot.open {
                return Ok(());
            }
            found = Err(NoRoom::NoNode);
        }
        found
    }

    /// The first node that will do.
    fn find(&mut self, key: &str, pod: &Pod, needs: &Needs<'_>, firm: bool) -> Result<&'a str, NoRoom> {
        let spots = self.ground.spots;
        let cleared = |spot: &&Spot<'_>| needs.met_by(spot.labels.stamps);
        if needs.keys().next().is_some() && !spots.iter().filter(|spot| spot.pool.is_some()).any(|spot| cleared(&spot))
        {
            return Err(NoRoom::NoPool);
        }
        // Admission gives the next pod its selector anew.
        let wants = pod.wants.selecting(|key| keys::policy_asked(key).is_none());
        // Looked at one by one: of thousands of nodes, one of the first will nearly always do.
        let mut open = spots.iter().filter(|spot| cleared(spot) && lets_in(spot, pod, &wants)).peekable();
        if open.peek().is_none() {
            return Err(NoRoom::NoNode);
        }
        let (namespace, _) = split(key);
        let reaches: Vec<_> =
            pod.claims.iter().filter_map(|claim| Some((claim, self.reach(namespace, claim)?))).collect();
        let asked = asked(pod);
        let left = firm.then(|| self.left());
        // How many of the claims, in their order, the best of the nodes can reach.
        let mut furthest = 0;
        for spot in open {
            let within = |(_, (_, reach)): &&(_, (_, &[NodeTerm]))| {
                reach.iter().any(|term| term.accepts(spot.name, &spot.labels))
            };
            let claims = reaches.iter().take_while(within).count();
            let has_room =
                |left: &BTreeMap<&str, Resources>| left.get(spot.name).is_some_and(|left| left.has_room_for(&asked));
            if claims == reaches.len() && left.is_none_or(has_room) {
                return Ok(spot.name);
            }
            furthest = furthest.max(claims);
        }
        match reaches.into_iter().nth(furthest) {
            Some((claim, (volume, _))) => Err(NoRoom::Volume { claim: Arc::clone(claim), volume }),
            None => Err(NoRoom::Full),
        }
    }

    /// The volume of `claim`, with the nodes that can reach it, where these are limited.
    fn reach(&self, namespace: &str, claim: &str) -> Option<(Arc<str>, &'a [NodeTerm])> {
        let volume = self.fleet.claims.get(&format!("{namespace}/{claim}"))?.volume.as_ref()?;
        let reach = self.fleet.volumes.get(&**volume)?.reach.as_deref()?;
        Some((Arc::clone(volume), reach))
    }

    fn left(&mut self) -> &BTreeMap<&'a str, Resources> {
        let (fleet, ground) = (self.fleet, self.ground);
        self.left.get_or_insert_with(|| {
            let mut left: BTreeMap<&str, Resources> =
                ground.spots.iter().map(|spot| (spot.name, spot.allocatable)).collect();
            for pod in fleet.pods.values().filter(|pod| pod.stage != Stage::Done) {
                if let Some(left) = pod.node.as_deref().and_then(|node| left.get_mut(node)) {
                    *left = left.without(&asked(pod));
                }
            }
            // Who waits for a node, as a successor of what was moved a moment ago does, is about to have one.
            let waits = |pod: &&Pod| pod.counts() && pod.node.is_none() && pod.stage != Stage::Gated;
            for pod in fleet.pods.values().filter(waits).take(AWAITED) {
                let has_room =
                    |spot: &&Spot<'_>| left.get(spot.name).is_some_and(|left| left.has_room_for(&asked(pod)));
                let found = ground.spots.iter().filter(|spot| lets_in(spot, pod, &pod.wants)).find(has_room);
                if let Some(left) = found.and_then(|spot| left.get_mut(spot.name)) {
                    *left = left.without(&asked(pod));
                }
            }
            left
        })
    }
}
