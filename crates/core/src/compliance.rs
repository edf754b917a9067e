//! Compliance: whether each pod that runs stands on a node that has what it would need if it were created now.
//!
//! Takes what runs and the facts, and gives a [`ComplianceReport`]: pods by what makes them, those that do not stand where
//! they should, and counts by level. Pods that stand right are only counted, so that fifty thousand of them cost little.
//! Whoever tells something of running pods (records, statuses, metrics, the circuit breaker, migration) tells it from one
//! report.

use alloc::{
    borrow::ToOwned,
    collections::{BTreeMap, BTreeSet},
    format,
    rc::Rc,
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::iter;

use super::{
    clearance::ClearanceInput,
    cluster_objects::{ClusterObjects, Controller, NodeView, ObjectUid, OwnerRef, Pod, PodPhase, split},
    keys,
    name::{PolicyName, PoolName},
    namespace::NamespaceFacts,
    pod_requirements::{LevelRef, PodRequirements, PolicyRequirement, RequirementsResolver},
    selector::Labels,
    sensitivity::{ControllerStatements, PodSensitivity, SensitivityStatement, TemplateStatements},
    workload::{NodeRequirements, WorkloadKind},
};

/// What compliance is assessed against, beside what runs.
#[derive(Clone, Copy, Debug)]
pub struct PlacementFacts<'a> {
    /// The policies and the catalogue.
    pub world: &'a ClearanceInput,
    /// The policies whose admission every API server acts on by now: only what is admitted anew by them may be moved for
    /// them.
    pub propagated: &'a BTreeSet<PolicyName>,
    /// The policies of which mutations of the past may still act: what they added to a template comes back when it is taken
    /// away.
    pub lingering: &'a BTreeSet<PolicyName>,
    /// Namespaces that no policy governs.
    pub exempt: &'a BTreeSet<String>,
    /// The nodes, sorted by name.
    pub nodes: &'a [NodeView<'a>],
    /// What verdicts grant to the nodes of each pool, whether it has any or not.
    pub pools: &'a BTreeMap<PoolName, Arc<Labels>>,
    /// What is on the move, by the identifiers of what makes the pods: told of to its end, whoever governs it.
    pub moving: &'a BTreeSet<ObjectUid>,
}

impl<'a> PlacementFacts<'a> {
    /// The node `name`.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&'a NodeView<'a>> {
        self.nodes.get(self.node_index(name)?)
    }

    /// The place of the node `name` among [`Self::nodes`].
    #[must_use]
    pub fn node_index(&self, name: &str) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.name.cmp(name)).ok()
    }
}

/// How a pod stands under one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compliance {
    /// Its node has what it needs, or it has none yet.
    Compliant,
    /// Its node is cleared for it, and is withdrawn ahead of the end of a certificate.
    Expiring,
    /// Its node is not cleared for it, or nobody can say what it needs.
    Violating,
}

impl PolicyRequirement<'_> {
    /// How a pod stands where verdicts grant these stamps, and would grant these if no pool were withdrawn ahead of time.
    #[must_use]
    pub fn compliance(&self, granted: &Labels, retained: &Labels) -> Compliance {
        let Ok(need) = &self.need else { return Compliance::Violating };
        match (need.met_by(granted), need.met_by(retained)) {
            (true, _) => Compliance::Compliant,
            (false, true) => Compliance::Expiring,
            (false, false) => Compliance::Violating,
        }
    }
}

/// A pod that does not stand where it should.
#[derive(Clone, Debug)]
pub struct MisplacedPod<'a> {
    /// Its name, with its namespace.
    pub key: &'a str,
    /// The pod.
    pub pod: &'a Pod,
    /// What it needs.
    pub requirements: Rc<PodRequirements<'a>>,
    /// How it stands under each policy, in their order.
    pub compliance: Rc<[Compliance]>,
    /// Whether its own annotations say all that is said of it now.
    pub revision: PodRevision,
}

/// By which template a pod was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodRevision {
    /// By one that says all that is said now.
    Current,
    /// By one that says less.
    Former,
}

impl<'a> MisplacedPod<'a> {
    /// The policies in force that it does not satisfy, with how it stands.
    pub fn unsatisfied(&self) -> impl Iterator<Item = (&PolicyRequirement<'a>, Compliance)> {
        let all = self.requirements.policies.iter().zip(self.compliance.iter().copied());
        all.filter(|(required, compliance)| required.in_force && *compliance != Compliance::Compliant)
    }

    /// The policies, in force or not, for which its node is not cleared.
    pub fn violated(&self) -> impl Iterator<Item = &PolicyRequirement<'a>> {
        let all = self.requirements.policies.iter().zip(self.compliance.iter());
        all.filter(|(_, compliance)| **compliance == Compliance::Violating).map(|(required, _)| required)
    }

    /// How it stands under the policy in force that it satisfies least; compliant where none is in force.
    #[must_use]
    pub fn worst(&self) -> Compliance {
        self.unsatisfied().map(|(_, compliance)| compliance).max().unwrap_or(Compliance::Compliant)
    }
}

/// A pod that waits for a node by a selector that it would not be given now.
#[derive(Clone, Debug)]
pub struct StalePod<'a> {
    /// Its name, with its namespace.
    pub key: &'a str,
    /// The pod.
    pub pod: &'a Pod,
    /// Entries of its selector that it would not be given, sorted.
    pub surplus: Vec<&'a str>,
    /// Entries that it would be given and lacks.
    pub missing: Vec<String>,
}

impl StalePod<'_> {
    /// All that is wrong, as one text.
    #[must_use]
    pub fn keys(&self) -> String {
        let missing = self.missing.iter().map(|key| format!("without {key}"));
        self.surplus.iter().map(|key| (*key).to_owned()).chain(missing).collect::<Vec<_>>().join(", ")
    }
}

/// A pod of which the scheduler has said that there is no node for it.
#[derive(Clone, Debug)]
pub struct UnscheduledPod<'a> {
    /// Its name, with its namespace.
    pub key: &'a str,
    /// The pod.
    pub pod: &'a Pod,
    /// What it needs.
    pub requirements: Rc<PodRequirements<'a>>,
}

/// How many pods a workload, or a level, has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodCounts {
    /// All but those that have ended: one that is being deleted counts where it stands until it is gone.
    pub total: u32,
    /// Those with a node.
    pub placed: u32,
    /// Those that are ready and stay.
    pub ready: u32,
    /// Those that are being deleted.
    pub terminating: u32,
    /// Those whose node is not cleared for them.
    pub violating: u32,
    /// Those whose node is about to be no longer cleared for them.
    pub expiring: u32,
}

impl PodCounts {
    /// One pod, which stands so.
    #[must_use]
    pub fn of(pod: &Pod, compliance: Compliance) -> Self {
        Self {
            total: 1,
            placed: u32::from(pod.node.is_some()),
            ready: u32::from(pod.is_ready()),
            terminating: u32::from(pod.terminating),
            violating: u32::from(compliance == Compliance::Violating),
            expiring: u32::from(compliance == Compliance::Expiring),
        }
    }

    /// Counts those of `other` as well.
    pub fn add(&mut self, other: &Self) {
        let Self { total, placed, ready, terminating, violating, expiring } = other;
        self.total = self.total.saturating_add(*total);
        self.placed = self.placed.saturating_add(*placed);
        self.ready = self.ready.saturating_add(*ready);
        self.terminating = self.terminating.saturating_add(*terminating);
        self.violating = self.violating.saturating_add(*violating);
        self.expiring = self.expiring.saturating_add(*expiring);
    }

    /// Those that are not being deleted.
    #[must_use]
    pub fn staying(&self) -> u32 {
        self.total.saturating_sub(self.terminating)
    }
}

/// What makes pods anew.
#[derive(Clone, Copy, Debug)]
pub enum PodOwner<'a> {
    /// A controller of a kind that Rempart knows, with its name.
    Known(&'a str, &'a Controller),
    /// A controller of another kind, or one that is not there.
    Unknown(&'a OwnerRef),
    /// Nothing: a pod of its own, with its name.
    None(&'a str, &'a Pod),
}

impl<'a> PodOwner<'a> {
    /// Its kind as it is written.
    #[must_use]
    pub fn kind_said(&self) -> &'a str {
        match *self {
            Self::Unknown(owner) => &owner.kind_said,
            Self::Known(_, controller) => controller.spec.kind().as_str(),
            Self::None(..) => WorkloadKind::Pod.as_str(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match *self {
            Self::Known(name, _) | Self::None(name, _) => name,
            Self::Unknown(owner) => &owner.name,
        }
    }
}

/// Pods that are moved together, since one controller makes them.
#[derive(Debug)]
pub struct OwnedPods<'a> {
    /// The identifier of the controller, or of the pod that has none.
    pub uid: ObjectUid,
    /// Its namespace.
    pub namespace: &'a str,
    /// What makes its pods.
    pub owner: PodOwner<'a>,
    /// What its next pod needs, by all that is said of it now.
    pub requirements: Rc<PodRequirements<'a>>,
    /// Whether its template says less than that: a pod that is made from it is admitted below its level, so that none may
    /// be replaced before the template is completed.
    pub template_behind: bool,
    /// How many pods it has.
    pub pods: PodCounts,
    /// Pods that do not stand where they should, in the order of their names; under policies not in force as well, and
    /// those that are being deleted.
    pub misplaced: Vec<MisplacedPod<'a>>,
    /// Pods that wait by a selector of yesterday, in the order of their names.
    pub stale: Vec<StalePod<'a>>,
    /// Pods of which the scheduler has said that there is no node for them, in the order of their names.
    pub unscheduled: Vec<UnscheduledPod<'a>>,
    /// Entries of its template's selector that its next pod would not be given.
    pub surplus: Vec<&'a str>,
    /// Whether admission leaves one of these to its next pod, since it is of no policy in force here.
    pub surplus_stays: bool,
    /// How many of its pods are on each node.
    pub nodes: BTreeMap<&'a str, u32>,
}

impl<'a> OwnedPods<'a> {
    /// Those of `owner`, which has none yet.
    #[must_use]
    pub fn new(uid: ObjectUid, namespace: &'a str, owner: PodOwner<'a>, requirements: Rc<PodRequirements<'a>>) -> Self {
        Self {
            uid,
            namespace,
            owner,
            requirements,
            template_behind: false,
            pods: PodCounts::default(),
            misplaced: Vec::new(),
            stale: Vec::new(),
            unscheduled: Vec::new(),
            surplus: Vec::new(),
            surplus_stays: false,
            nodes: BTreeMap::new(),
        }
    }

    /// What a pod needs that takes the place of `pod`, where that is made by the present template whatever `pod` was made by:
    /// what `pod` says by its own annotations goes with it.
    fn next_of(&self, pod: &Pod) -> Option<Rc<PodRequirements<'a>>> {
        let is_its = pod.owner.as_ref().is_some_and(|owner| owner.uid == self.uid);
        (self.kind() == Some(WorkloadKind::StatefulSet) && is_its).then(|| Rc::clone(&self.requirements))
    }

    /// Its kind, where Rempart knows it.
    #[must_use]
    pub fn kind(&self) -> Option<WorkloadKind> {
        match self.owner {
            PodOwner::Known(_, controller) => Some(controller.spec.kind()),
            PodOwner::Unknown(_) => None,
            PodOwner::None(..) => Some(WorkloadKind::Pod),
        }
    }

    /// Its kind as it is written.
    #[must_use]
    pub fn kind_said(&self) -> &'a str {
        self.owner.kind_said()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.owner.name()
    }
}

/// A pod that has a node, under the policies that govern it.
#[derive(Clone, Debug)]
pub struct PlacedPod<'a> {
    /// Its name, with its namespace.
    pub key: &'a str,
    /// The pod.
    pub pod: &'a Pod,
    /// What makes it anew.
    pub owner: PodOwner<'a>,
    /// Its node, where that is known.
    pub node: Option<&'a NodeView<'a>>,
    /// What it needs; never nothing.
    pub requirements: Rc<PodRequirements<'a>>,
    /// How it stands under each policy, in their order; empty where its node is not known.
    pub compliance: Rc<[Compliance]>,
}

/// How everything that runs stands.
#[derive(Debug, Default)]
pub struct ComplianceReport<'a> {
    /// The workloads that some policy governs, by the identifier of what makes their pods; and those that select by what
    /// nobody demands any more, or are on the move.
    pub workloads: BTreeMap<ObjectUid, OwnedPods<'a>>,
    /// Pods by level, of every policy that governs them.
    pub levels: BTreeMap<LevelRef<'a>, PodCounts>,
    /// Pods of which a policy refuses what is said, by the policy: a level or category that it does not know.
    pub unjudged: BTreeMap<&'a PolicyName, PodCounts>,
    /// The pods that have a node, where they were asked for: see [`assess_listing`].
    pub placed: Vec<PlacedPod<'a>>,
    /// Of the pods that are gone, likewise.
    pub departed: Vec<PlacedPod<'a>>,
}

/// Assesses all of `objects`.
#[must_use]
pub fn assess<'a>(objects: &ClusterObjects<'a>, facts: &PlacementFacts<'a>) -> ComplianceReport<'a> {
    assessed(objects, facts, None)
}

/// Assesses all of `objects`, and lists each pod that has a node; those of `gone` too, which had one and are not there any
/// more: by their names, judged as if they were, and counted nowhere.
#[must_use]
pub fn assess_listing<'a>(
    objects: &ClusterObjects<'a>,
    facts: &PlacementFacts<'a>,
    gone: &'a [(String, Pod)],
) -> ComplianceReport<'a> {
    assessed(objects, facts, Some(gone))
}

fn assessed<'a>(
    objects: &ClusterObjects<'a>,
    facts: &PlacementFacts<'a>,
    listed: Option<&'a [(String, Pod)]>,
) -> ComplianceReport<'a> {
    let mut assessor = Assessor {
        objects,
        facts,
        lists: listed.is_some(),
        resolver: RequirementsResolver::new(facts.world, false),
        verdicts: BTreeMap::new(),
        last: None,
    };
    let mut report = ComplianceReport::default();
    assessor.controllers(&mut report);
    for (key, pod) in objects.pods {
        if pod.phase != PodPhase::Done {
            assessor.pod(key, pod, &mut report);
        }
    }
    for (key, pod) in listed.into_iter().flatten() {
        report.departed.extend(assessor.departed(key, pod));
    }
    report
}

impl<'a> ClusterObjects<'a> {
    /// What is said of a pod of `owner` in `namespace`, which says `statement`: by its controllers as they are now, and by
    /// `pod`, where there is one.
    #[must_use]
    pub fn sensitivity(
        &self,
        namespace: &str,
        statement: &'a SensitivityStatement,
        owner: Option<&OwnerRef>,
        pod: Option<&'a TemplateStatements>,
    ) -> PodSensitivity<'a> {
        let controller = owner.and_then(|owner| self.controller(namespace, owner));
        PodSensitivity::new(statement, self.statements(namespace, controller), pod)
    }

    /// What makes `pod`, called `name` in `namespace`, anew.
    fn pod_owner(&self, namespace: &str, name: &'a str, pod: &'a Pod) -> PodOwner<'a> {
        match pod.owner.as_deref() {
            Some(owner) => self
                .maker(namespace, owner)
                .map_or(PodOwner::Unknown(owner), |(name, found)| PodOwner::Known(name, found)),
            None => PodOwner::None(name, pod),
        }
    }

    /// What makes the pods of `owner` in `namespace` anew, with its name: a Deployment, of a `ReplicaSet` that is its.
    fn maker(&self, namespace: &str, owner: &'a OwnerRef) -> Option<(&'a str, &'a Controller)> {
        let found = self.controller(namespace, owner)?;
        let above = found.owner.as_deref().filter(|_| owner.kind == Some(WorkloadKind::ReplicaSet));
        let above = above.and_then(|above| Some((&*above.name, self.controller(namespace, above)?)));
        Some(above.unwrap_or((&owner.name, found)))
    }

    /// What `controller` and what controls it say of their pods.
    fn statements(
        &self,
        namespace: &str,
        controller: Option<&'a Controller>,
    ) -> impl Iterator<Item = ControllerStatements<'a>> {
        let above = controller.and_then(|found| self.controller(namespace, found.owner.as_deref()?));
        [controller, above].into_iter().flatten().map(Controller::statements)
    }
}

impl Controller {
    /// What it says of its pods.
    #[must_use]
    pub fn statements(&self) -> ControllerStatements<'_> {
        let controlled_by = self.owner.as_deref().map(|owner| &*owner.kind_said);
        let own = self.spec.kind().speaks_for_pods(controlled_by).then_some(&self.statement);
        ControllerStatements { own, template: &self.template_statements }
    }
}

/// The last pod's answers: the next one is most often of the same workload.
struct LastPod<'a> {
    namespace: &'a str,
    owner: Option<&'a Arc<OwnerRef>>,
    said: &'a Arc<TemplateStatements>,
    requirements: Rc<PodRequirements<'a>>,
    uid: Option<ObjectUid>,
}

struct Assessor<'s, 'a> {
    objects: &'s ClusterObjects<'a>,
    facts: &'s PlacementFacts<'a>,
    /// Whether pods that have a node are listed.
    lists: bool,
    resolver: RequirementsResolver<'a>,
    /// By requirements and pool.
    verdicts: BTreeMap<(usize, Option<&'a PoolName>), Rc<[Compliance]>>,
    last: Option<LastPod<'a>>,
}

impl<'a> Assessor<'_, 'a> {
    fn namespace(&self, name: &str) -> NamespaceFacts<'a> {
        NamespaceFacts::of_cluster(self.objects.namespaces, self.facts.exempt, name)
    }

    fn requirements(
        &mut self,
        namespace: &'a str,
        said: impl FnOnce(&'a SensitivityStatement) -> PodSensitivity<'a>,
    ) -> Rc<PodRequirements<'a>> {
        let (objects, facts) = (self.objects, self.facts);
        let look = || NamespaceFacts::of_cluster(objects.namespaces, facts.exempt, namespace);
        self.resolver.requirements(namespace, look, said)
    }

    /// Whether selectors of what is in `namespace` are looked at: not of one that is not there.
    fn is_looked_at(&self, namespace: &str) -> bool {
        match self.namespace(namespace) {
            NamespaceFacts::Known(_) | NamespaceFacts::Exempt { known: true } => true,
            NamespaceFacts::Exempt { known: false } | NamespaceFacts::Unread | NamespaceFacts::Absent => false,
        }
    }

    /// Every controller is a workload, with pods or without.
    fn controllers(&mut self, report: &mut ComplianceReport<'a>) {
        let objects = self.objects;
        for kind in WorkloadKind::ALL {
            for (key, controller) in objects.controllers.of(kind).into_iter().flatten() {
                let (namespace, name) = split(key);
                let above = controller.owner.as_deref().and_then(|owner| objects.controller(namespace, owner));
                // What a Deployment controls is moved by way of the Deployment.
                if !self.is_looked_at(namespace) || (kind == WorkloadKind::ReplicaSet && above.is_some()) {
                    continue;
                }
                let required = self.requirements(namespace, |statement| {
                    PodSensitivity::new(statement, objects.statements(namespace, Some(controller)), None)
                });
                let surplus = self.surplus(namespace, &controller.node_requirements, &required);
                let is_moving = self.facts.moving.contains(&controller.uid);
                if required.is_ungoverned() && surplus.is_empty() && !is_moving {
                    continue;
                }
                let admitted = self.requirements(namespace, |statement| {
                    PodSensitivity::new(statement, [], Some(&controller.template_statements))
                });
                let template_behind = !Rc::ptr_eq(&admitted, &required) && !required.covered_by(&admitted);
                let is_taken =
                    |key: &&str| required.in_force().any(|required| keys::asks_of(&required.policy.name, key));
                let surplus_stays = !surplus.iter().all(is_taken);
                let owner = PodOwner::Known(name, controller);
                let pods = OwnedPods::new(controller.uid, namespace, owner, required);
                report.workloads.insert(controller.uid, OwnedPods { template_behind, surplus, surplus_stays, ..pods });
            }
        }
    }

    fn pod(&mut self, key: &'a str, pod: &'a Pod, report: &mut ComplianceReport<'a>) {
        let (namespace, name) = split(key);
        let (required, uid) = self.whose(namespace, pod);
        let uid = uid.unwrap_or(pod.uid);
        let waits = pod.phase == PodPhase::Unschedulable && !pod.terminating && self.is_looked_at(namespace);
        let next = report.workloads.get(&uid).and_then(|owned| owned.next_of(pod));
        let stale = waits.then(|| self.stale(key, pod, next.as_ref().unwrap_or(&required))).flatten();
        // What is told of is told of whole: how many of its pods stand decides how it is moved.
        if required.is_ungoverned() && stale.is_none() && !report.workloads.contains_key(&uid) {
            return;
        }
        let objects = self.objects;
        let owned = report.workloads.entry(uid).or_insert_with(|| {
            OwnedPods::new(uid, namespace, objects.pod_owner(namespace, name, pod), Rc::clone(&required))
        });
        let node = pod.node.as_deref().and_then(|node| self.facts.node(node));
        let verdicts = node.map_or_else(|| Rc::from([]), |node| verdicts(&mut self.verdicts, &required, node));
        let all = required.policies.iter().zip(verdicts.iter().copied().chain(iter::repeat(Compliance::Compliant)));
        for (required, compliance) in all {
            let counts = match required.level() {
                Some(level) => report.levels.entry(level).or_default(),
                None => report.unjudged.entry(&required.policy.name).or_default(),
            };
            counts.add(&PodCounts::of(pod, compliance));
        }
        if let Some(node) = node {
            let count = owned.nodes.entry(node.name).or_default();
            *count = count.saturating_add(1);
        }
        if self.lists && pod.node.is_some() && !required.is_ungoverned() {
            let (requirements, compliance) = (Rc::clone(&required), Rc::clone(&verdicts));
            report.placed.push(PlacedPod { key, pod, owner: owned.owner, node, requirements, compliance });
        }
        let worst = verdicts.iter().copied().max().unwrap_or(Compliance::Compliant);
        owned.pods.add(&PodCounts::of(pod, worst));
        owned.stale.extend(stale);
        if waits {
            owned.unscheduled.push(UnscheduledPod { key, pod, requirements: Rc::clone(&required) });
        }
        if worst != Compliance::Compliant {
            let admitted =
                self.requirements(namespace, |statement| PodSensitivity::new(statement, [], Some(&pod.statements)));
            let revision = if required.covered_by(&admitted) { PodRevision::Current } else { PodRevision::Former };
            let misplaced = MisplacedPod { key, pod, requirements: required, compliance: verdicts, revision };
            if let Some(owned) = report.workloads.get_mut(&uid) {
                owned.misplaced.push(misplaced);
            }
        }
    }

    /// Where a pod stood that is gone. By its controllers as they are now, which may be gone too, and by itself.
    fn departed(&mut self, key: &'a str, pod: &'a Pod) -> Option<PlacedPod<'a>> {
        let (namespace, name) = split(key);
        let (requirements, _) = self.whose(namespace, pod);
        if requirements.is_ungoverned() {
            return None;
        }
        let node = self.facts.node(pod.node.as_deref()?);
        let compliance = node.map_or_else(|| Rc::from([]), |node| verdicts(&mut self.verdicts, &requirements, node));
        let owner = self.objects.pod_owner(namespace, name, pod);
        Some(PlacedPod { key, pod, owner, node, requirements, compliance })
    }

    /// What `pod` needs, and who makes it anew: nobody where that is `None`.
    fn whose(&mut self, namespace: &'a str, pod: &'a Pod) -> (Rc<PodRequirements<'a>>, Option<ObjectUid>) {
        if let Some(last) = &self.last {
            let same_owner = match (last.owner, &pod.owner) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if last.namespace == namespace && same_owner && Arc::ptr_eq(last.said, &pod.statements) {
                return (Rc::clone(&last.requirements), last.uid);
            }
        }
        let objects = self.objects;
        let required = self.requirements(namespace, |statement| {
            objects.sensitivity(namespace, statement, pod.owner.as_deref(), Some(&pod.statements))
        });
        let uid = pod.owner.as_ref();
        let uid = uid.map(|owner| objects.maker(namespace, owner).map_or(owner.uid, |(_, maker)| maker.uid));
        let requirements = Rc::clone(&required);
        self.last = Some(LastPod { namespace, owner: pod.owner.as_ref(), said: &pod.statements, requirements, uid });
        (required, uid)
    }

    /// The entries of the selector in `namespace` that a pod with these requirements would not be given now.
    fn surplus(&self, namespace: &str, node: &'a NodeRequirements, required: &PodRequirements<'_>) -> Vec<&'a str> {
        let PlacementFacts { world, propagated, .. } = self.facts;
        let is_exempt = self.namespace(namespace).is_exempt();
        let of = |policy: &str| required.policies.iter().find(|required| required.policy.name.as_str() == policy);
        let is_surplus = |key: &&String| {
            let Some(policy) = keys::policy_asked(key) else { return false };
            match of(policy) {
                // What admission acts on, and what nobody demands any more; nothing else.
                Some(PolicyRequirement { in_force: true, need: Ok(need), policy, .. }) => {
                    propagated.contains(&policy.name) && !need.keys.contains(*key)
                }
                Some(PolicyRequirement { in_force: true, need: Err(_), .. }) => false,
                Some(PolicyRequirement { in_force: false, .. }) => world.is_retired(key),
                None => {
                    // It may be somebody's own wish, but where admission has put it there while the policy governed.
                    let is_completed = node.completed_for.contains(policy);
                    let governs_elsewhere = || world.policies.get(policy).is_some_and(|policy| !policy.terminating);
                    (is_completed || !is_exempt) && (world.is_retired(key) || is_completed && governs_elsewhere())
                }
            }
        };
        node.selector.keys().filter(is_surplus).map(String::as_str).collect()
    }

    /// What of the selector of `pod` it would be given differently now.
    fn stale(&self, key: &'a str, pod: &'a Pod, required: &PodRequirements<'a>) -> Option<StalePod<'a>> {
        let surplus = self.surplus(split(key).0, &pod.node_requirements, required);
        let acted_on = |required: &&PolicyRequirement<'_>| self.facts.propagated.contains(&required.policy.name);
        let needs = required.in_force().filter(acted_on).filter_map(|required| required.need.as_ref().ok());
        let lacks = |key: &&String| !keys::grants(&pod.node_requirements.selector, key);
        let missing: Vec<_> = needs.flat_map(|need| need.keys.iter()).filter(lacks).cloned().collect();
        (!surplus.is_empty() || !missing.is_empty()).then_some(StalePod { key, pod, surplus, missing })
    }
}

/// How a pod with these requirements stands on `node`, policy by policy.
fn verdicts<'a>(
    known: &mut BTreeMap<(usize, Option<&'a PoolName>), Rc<[Compliance]>>,
    required: &Rc<PodRequirements<'a>>,
    node: &NodeView<'a>,
) -> Rc<[Compliance]> {
    // The address tells requirements apart for as long as the resolver holds them, which it does to its end.
    let address = core::ptr::from_ref::<PodRequirements<'_>>(required).addr();
    let compliance = |required: &PolicyRequirement<'_>| required.compliance(node.granted, node.retained);
    let judged =
        known.entry((address, node.pool)).or_insert_with(|| required.policies.iter().map(compliance).collect());
    Rc::clone(judged)
}
