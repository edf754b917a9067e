//! Topology spread: on which nodes a pod may be without being too many with its like in one place.
//!
//! Takes constraints that say `DoNotSchedule`, of pods themselves and of levels, and gives for each pod the domains that
//! are open to it, counted as kube-scheduler counts them. Constraints that say `ScheduleAnyway` keep no pod off anything.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    clearance::ClearanceInput,
    cluster_objects::{NodeView, Pod, tolerates},
    keys,
    pod_requirements::{LevelRef, PodRequirements},
    scheduling::REVISION_LABELS,
    selector::{LabelSource as _, Labels, Selector, SelectorOperator},
};

/// A constraint that a pod carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpreadConstraint {
    /// The label of nodes by which they are of one domain.
    pub topology_key: Box<str>,
    /// By how many more a domain may have than the one with the fewest.
    pub max_skew: u32,
    /// With fewer domains than these, the one with the fewest counts as empty.
    pub min_domains: Option<u32>,
    /// The pods of the same namespace that are counted.
    pub peers: Selector,
    /// Whether only nodes that the pod's selector and affinity ask for are domains.
    pub honours_affinity: bool,
    /// Whether only nodes whose taints the pod tolerates are.
    pub honours_taints: bool,
}

/// What the level demands of the spread of its pods, as one with `labels` is given it by admission: among those of its
/// revision, or with all of the same labels where no label tells that, as in a template.
fn demanded_by(world: &ClearanceInput, level: LevelRef<'_>, labels: &Labels) -> Option<SpreadConstraint> {
    let policy = world.policies.get(level.policy)?;
    let spread = policy.levels.at(level.rank)?.scheduling.spread.filter(|spread| spread.is_required)?;
    let revision = REVISION_LABELS.into_iter().find_map(|label| labels.get_key_value(label));
    let counted = revision.into_iter().chain(labels.iter().filter(|_| revision.is_none()));
    let terms = counted.map(|(key, value)| (key.clone(), SelectorOperator::In([value.clone()].into())));
    Some(SpreadConstraint {
        topology_key: spread.across.key().into(),
        max_skew: spread.max_skew.into(),
        min_domains: spread.min_domains.map(u32::from),
        peers: Selector::new(terms.collect()),
        honours_affinity: true,
        honours_taints: true,
    })
}

/// The constraints of a pod with `labels` that carries `own` and `needs` this.
pub(super) fn constraints(
    own: &[SpreadConstraint],
    labels: &Labels,
    needs: &PodRequirements<'_>,
    world: &ClearanceInput,
) -> Vec<SpreadConstraint> {
    let demanded = needs.levels().filter_map(|level| demanded_by(world, level, labels));
    own.iter().cloned().chain(demanded).collect()
}

/// A pod, as far as spread looks at it.
pub(super) struct SpreadPod<'p> {
    pub(super) namespace: &'p str,
    pub(super) labels: &'p Labels,
    /// The place of its node among those that there are.
    pub(super) node: usize,
}

/// Pods by namespace, with what of them a constraint counts.
#[derive(Default)]
pub(super) struct SpreadCounts<'p> {
    placed: BTreeMap<&'p str, Vec<(&'p Labels, usize)>>,
    /// How many peers each node has, by namespace and by who are peers; kept once it was asked for.
    counted: BTreeMap<(&'p str, Selector), BTreeMap<usize, u32>>,
}

/// The domains that a constraint leaves open.
pub(super) struct OpenDomains {
    topology_key: Box<str>,
    open: BTreeSet<Box<str>>,
}

impl OpenDomains {
    /// Whether `node` is in one of them.
    pub(super) fn include(&self, node: &NodeView<'_>) -> bool {
        node.labels.label(&self.topology_key).is_some_and(|domain| self.open.contains(domain))
    }
}

impl<'p> SpreadCounts<'p> {
    /// Counts `pod`.
    pub(super) fn add(&mut self, pod: &SpreadPod<'p>) {
        self.placed.entry(pod.namespace).or_default().push((pod.labels, pod.node));
        for ((namespace, peers), nodes) in &mut self.counted {
            if *namespace == pod.namespace && peers.matches(pod.labels) {
                let count = nodes.entry(pod.node).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// The domains of `nodes` that `constraints` leave open to `pod`, one after the other.
    pub(super) fn open(
        &mut self,
        constraints: &[SpreadConstraint],
        (namespace, labels): (&'p str, &Labels),
        (pod, needs): (&Pod, &PodRequirements<'_>),
        nodes: &[NodeView<'_>],
    ) -> Vec<OpenDomains> {
        let own = pod.node_requirements.selecting(|key| keys::policy_asked(key).is_none());
        let keys_of_all: Vec<&str> = constraints.iter().map(|constraint| &*constraint.topology_key).collect();
        let open = constraints.iter().map(|constraint| {
            let counted = self.counted(namespace, &constraint.peers);
            let mut domains: BTreeMap<Box<str>, u32> = BTreeMap::new();
            for (at, node) in nodes.iter().enumerate() {
                let asked = || needs.met_by(node.labels.stamps) && own.accept(node.name, &node.labels);
                let tolerated = || node.schedulable && tolerates(&pod.scheduling.tolerations, node.taints);
                let eligible = keys_of_all.iter().all(|key| node.labels.label(key).is_some())
                    && (!constraint.honours_affinity || asked())
                    && (!constraint.honours_taints || tolerated());
                if let Some(domain) = node.labels.label(&constraint.topology_key).filter(|_| eligible) {
                    let count = domains.entry(domain.into()).or_default();
                    *count = count.saturating_add(counted.get(&at).copied().unwrap_or_default());
                }
            }
            let fewer = constraint.min_domains.is_some_and(|least| domains.len() < usize::try_from(least).unwrap_or(0));
            let fewest = if fewer { 0 } else { domains.values().copied().min().unwrap_or_default() };
            let own = u32::from(constraint.peers.matches(labels));
            let within = |count: u32| count.saturating_add(own).saturating_sub(fewest) <= constraint.max_skew;
            let open = domains.into_iter().filter(|(_, count)| within(*count)).map(|(domain, _)| domain).collect();
            OpenDomains { topology_key: constraint.topology_key.clone(), open }
        });
        open.collect()
    }

    fn counted(&mut self, namespace: &'p str, peers: &Selector) -> &BTreeMap<usize, u32> {
        let placed = self.placed.get(namespace);
        self.counted.entry((namespace, peers.clone())).or_insert_with(|| {
            let mut nodes: BTreeMap<usize, u32> = BTreeMap::new();
            for (_, node) in placed.into_iter().flatten().filter(|(labels, _)| peers.matches(*labels)) {
                let count = nodes.entry(*node).or_default();
                *count = count.saturating_add(1);
            }
            nodes
        })
    }
}
