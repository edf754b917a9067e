//! Where everything that runs stands: what each pod would need if it were created now, and whether its node has it.
//!
//! One pass over a [`Fleet`]. Pods that stand right are only counted, so that fifty thousand of them cost little.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec::Vec;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use super::{
    admission::{Need, Refusal, Statements},
    clearance::World,
    fleet::{Controller, Fleet, Owner, Pod, Said, Spot, Stage, Uid, split},
    keys,
    name::{LevelName, PolicyName, PoolName},
    policy::{Mode, Policy},
    selector::Labels,
    workload::{Kind, Saying},
};

/// What a survey looks at, beside what runs.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The policies and the catalogue.
    pub world: &'a World,
    /// The policies that admission already acts on: only what is admitted anew by them may be moved for them.
    pub settled: &'a BTreeSet<PolicyName>,
    /// Namespaces that no policy governs.
    pub exempt: &'a BTreeSet<String>,
    /// The nodes, sorted by name.
    pub spots: &'a [Spot<'a>],
}

impl<'a> Ground<'a> {
    /// The node `name`.
    #[must_use]
    pub fn spot(&self, name: &str) -> Option<&'a Spot<'a>> {
        self.spots.get(self.place(name)?)
    }

    /// The place of the node `name` among [`Self::spots`].
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.spots.binary_search_by(|spot| spot.name.cmp(name)).ok()
    }
}

/// A level of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// The level's place in the policy's order, from 0.
    pub rank: usize,
    /// The level, by the name that it keeps when others come before it.
    pub level: &'a LevelName,
}

impl Subject<'_> {
    /// It, as a name to remember it by.
    #[must_use]
    pub fn named(&self) -> (String, String) {
        (self.policy.to_string(), self.level.to_string())
    }
}

/// What one policy asks of a pod.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Whether admission acts on it: then pods are moved for it.
    pub in_force: bool,
    /// What it needs, or why nobody can say.
    pub need: Result<Need<'a>, Vec<Refusal<'a>>>,
}

impl<'a> Asked<'a> {
    /// The level.
    #[must_use]
    pub fn subject(&self) -> Option<Subject<'a>> {
        let need = self.need.as_ref().ok()?;
        Some(Subject { policy: &self.policy.name, rank: need.rank, level: need.level })
    }

    /// How a pod stands where these stamps are, and where these would be if no pool were withdrawn ahead of time.
    #[must_use]
    pub fn footing(&self, stamps: &Labels, held: &Labels) -> Footing {
        let Ok(need) = &self.need else { return Footing::Violating };
        match (need.met_by(stamps), need.met_by(held)) {
            (true, _) => Footing::Sound,
            (false, true) => Footing::Leaving,
            (false, false) => Footing::Violating,
        }
    }
}

/// What all policies that govern its namespace ask of a pod.
#[derive(Debug)]
pub struct Needs<'a> {
    /// By policy, in the order of their names; empty where none governs.
    pub asked: Vec<Asked<'a>>,
}

impl<'a> Needs<'a> {
    /// Whether no policy has a say.
    #[must_use]
    pub fn ungoverned(&self) -> bool {
        self.asked.is_empty()
    }

    /// Those of policies in force.
    pub fn in_force(&self) -> impl Iterator<Item = &Asked<'a>> {
        self.asked.iter().filter(|asked| asked.in_force)
    }

    /// The first thing for which a policy in force would refuse the pod if it were created now.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal<'a>> {
        self.in_force().find_map(|asked| asked.need.as_ref().err()?.first())
    }

    /// The keys that policies in force ask of its node.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let needs = self.in_force().filter_map(|asked| asked.need.as_ref().ok());
        needs.flat_map(|need| need.keys.iter().map(String::as_str))
    }

    /// Whether `stamps` hold all that policies in force ask for.
    #[must_use]
    pub fn met_by(&self, stamps: &Labels) -> bool {
        self.keys().all(|key| keys::grants(stamps, key))
    }

    /// The levels of policies in force.
    pub fn subjects(&self) -> impl Iterator<Item = Subject<'a>> {
        self.in_force().filter_map(Asked::subject)
    }
}

/// How a pod stands under one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Footing {
    /// Its node has what it needs, or it has none yet.
    Sound,
    /// Its node is cleared for it, and is withdrawn ahead of the end of a certificate.
    Leaving,
    /// Its node is not cleared for it, or nobody can say what it needs.
    Violating,
}

/// A pod that does not stand where it should.
#[derive(Clone, Debug)]
pub struct Misplaced<'a> {
    /// Its name, with its namespace.
    pub key: &'a str,
    /// The pod.
    pub pod: &'a Pod,
    /// What it needs.
    pub needs: Rc<Needs<'a>>,
    /// How it stands under each policy of its needs.
    pub footings: Rc<[Footing]>,
}

impl<'a> Misplaced<'a> {
    /// The policies in force that it does not satisfy, with how it stands under each.
    pub fn unsatisfied(&self) -> impl Iterator<Item = (&Asked<'a>, Footing)> {
        let all = self.needs.asked.iter().zip(self.footings.iter().copied());
        all.filter(|(asked, footing)| asked.in_force && *footing != Footing::Sound)
    }

    /// The policies, in force or not, for which its node is not cleared.
    pub fn violated(&self) -> impl Iterator<Item = &Asked<'a>> {
        let all = self.needs.asked.iter().zip(self.footings.iter());
        all.filter(|(_, footing)| **footing == Footing::Violating).map(|(asked, _)| asked)
    }

    /// How it stands under the policy in force that it satisfies least; sound where none is in force.
    #[must_use]
    pub fn worst(&self) -> Footing {
        self.unsatisfied().map(|(_, footing)| footing).max().unwrap_or(Footing::Sound)
    }
}

/// A pod that waits for a node by a selector that it would not be given now.
#[derive(Clone, Debug)]
pub struct Stale<'a> {
    /// Its name, with its namespace.
    pub key: &'a str,
    /// The pod.
    pub pod: &'a Pod,
    /// Entries of its selector that it would not be given, sorted.
    pub surplus: Vec<&'a str>,
    /// Entries that it would be given and lacks.
    pub missing: Vec<String>,
}

impl Stale<'_> {
    /// All that is wrong, as one text.
    #[must_use]
    pub fn keys(&self) -> String {
        let missing = self.missing.iter().map(|key| format!("without {key}"));
        self.surplus.iter().map(|key| (*key).to_owned()).chain(missing).collect::<Vec<_>>().join(", ")
    }
}

/// How many pods a workload, or a level, has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// All but those that have ended or are about to.
    pub total: u32,
    /// Those with a node.
    pub placed: u32,
    /// Those that are ready.
    pub ready: u32,
    /// Those whose node is not cleared for them.
    pub violating: u32,
    /// Those whose node is about to be no longer cleared for them.
    pub leaving: u32,
}

impl Tally {
    /// Counts those of `other` as well.
    pub fn add(&mut self, other: &Self) {
        let Self { total, placed, ready, violating, leaving } = other;
        self.total = self.total.saturating_add(*total);
        self.placed = self.placed.saturating_add(*placed);
        self.ready = self.ready.saturating_add(*ready);
        self.violating = self.violating.saturating_add(*violating);
        self.leaving = self.leaving.saturating_add(*leaving);
    }

    /// The same, each of which stands so.
    #[must_use]
    pub fn standing(self, footing: Footing) -> Self {
        Self {
            violating: u32::from(footing == Footing::Violating),
            leaving: u32::from(footing == Footing::Leaving),
            ..self
        }
    }
}

/// What moves pods: what makes them anew.
#[derive(Clone, Copy, Debug)]
pub enum Mover<'a> {
    /// What Rempart knows, with its name.
    Controller(&'a str, &'a Controller),
    /// What Rempart does not know.
    Foreign(&'a Owner),
    /// Nothing: a pod of its own, with its name.
    Nobody(&'a str, &'a Pod),
}

/// Pods that are moved together, since one controller makes them.
#[derive(Debug)]
pub struct Unit<'a> {
    /// The identifier of the controller, or of the pod that has none.
    pub uid: Uid,
    /// Its namespace.
    pub namespace: &'a str,
    /// What makes its pods.
    pub mover: Mover<'a>,
    /// What its next pod needs.
    pub needs: Rc<Needs<'a>>,
    /// How many pods it has.
    pub pods: Tally,
    /// Pods that do not stand where they should, in the order of their names; under policies not in force as well.
    pub misplaced: Vec<Misplaced<'a>>,
    /// Pods that wait by a selector of yesterday, in the order of their names.
    pub stale: Vec<Stale<'a>>,
    /// Entries of its template's selector that its next pod would not be given.
    pub surplus: Vec<&'a str>,
    /// How many of its pods are on each node.
    pub nodes: BTreeMap<&'a str, u32>,
}

impl<'a> Unit<'a> {
    fn new(uid: Uid, namespace: &'a str, mover: Mover<'a>, needs: Rc<Needs<'a>>) -> Self {
        Self {
            uid,
            namespace,
            mover,
            needs,
            pods: Tally::default(),
            misplaced: Vec::new(),
            stale: Vec::new(),
            surplus: Vec::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// Its kind, where Rempart knows it.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.mover {
            Mover::Controller(_, controller) => Some(controller.form.kind()),
            Mover::Foreign(_) => None,
            Mover::Nobody(..) => Some(Kind::Pod),
        }
    }

    /// Its kind as it is written.
    #[must_use]
    pub fn kind_said(&self) -> &'a str {
        match self.mover {
            Mover::Foreign(owner) => &owner.kind_said,
            Mover::Controller(_, controller) => controller.form.kind().as_str(),
            Mover::Nobody(..) => Kind::Pod.as_str(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self.mover {
            Mover::Controller(name, _) | Mover::Nobody(name, _) => name,
            Mover::Foreign(owner) => &owner.name,
        }
    }
}

/// Where everything stands.
#[derive(Debug, Default)]
pub struct Survey<'a> {
    /// The workloads that some policy governs, by the identifier of what makes their pods.
    pub units: BTreeMap<Uid, Unit<'a>>,
    /// Pods by level, of every policy that governs them.
    pub levels: BTreeMap<Subject<'a>, Tally>,
}

/// Looks at all of `fleet`.
#[must_use]
pub fn survey<'a>(fleet: &Fleet<'a>, ground: &Ground<'a>) -> Survey<'a> {
    let mut surveyor = Surveyor { fleet, ground, spaces: BTreeMap::new(), footings: BTreeMap::new(), last: None };
    let mut survey = Survey::default();
    surveyor.controllers(&mut survey);
    for (key, pod) in fleet.pods {
        if pod.counts() {
            surveyor.pod(key, pod, &mut survey);
        }
    }
    survey
}

/// What is known of one namespace.
struct Space<'a> {
    /// The policies that govern it.
    policies: Vec<&'a Policy>,
    labels: Option<&'a Labels>,
    /// By what is said on behalf of the workload, and for the pod itself.
    needs: BTreeMap<(&'a Saying, &'a Saying), Rc<Needs<'a>>>,
}

impl<'a> Space<'a> {
    /// What its policies ask of a pod of which this is said.
    fn judge(&self, namespace: &'a str, settled: &BTreeSet<PolicyName>, workload: &Saying, pod: &Saying) -> Needs<'a> {
        // No policy governs where nothing is known.
        let Some(labels) = self.labels else { return Needs { asked: Vec::new() } };
        let said = Statements::of(labels, workload, pod);
        let asked = self.policies.iter().map(|policy| Asked {
            policy,
            in_force: policy.mode == Mode::Enforce && settled.contains(&policy.name),
            need: policy.need(namespace, &said),
        });
        Needs { asked: asked.collect() }
    }
}

/// The last pod's answers: the next one is most often of the same workload.
struct Last<'a> {
    namespace: &'a str,
    owner: Option<&'a Arc<Owner>>,
    said: &'a Arc<Said>,
    needs: Rc<Needs<'a>>,
    uid: Option<Uid>,
}

struct Surveyor<'s, 'a> {
    fleet: &'s Fleet<'a>,
    ground: &'s Ground<'a>,
    spaces: BTreeMap<&'a str, Space<'a>>,
    /// By needs and pool.
    footings: BTreeMap<(usize, Option<&'a PoolName>), Rc<[Footing]>>,
    last: Option<Last<'a>>,
}

impl<'a> Surveyor<'_, 'a> {
    fn space(&mut self, namespace: &'a str) -> &mut Space<'a> {
        let (fleet, ground) = (self.fleet, self.ground);
        self.spaces.entry(namespace).or_insert_with(|| {
            // One that is not known is about to be, or about to go: nothing is said of it.
            let labels = fleet.namespaces.get(namespace).map(|known| &known.labels);
            let labels = labels.filter(|_| !ground.exempt.contains(namespace));
            let governs = |policy: &&Policy| labels.is_some_and(|labels| policy.governs(labels));
            let policies = ground.world.policies.values().filter(governs).collect();
            Space { policies, labels, needs: BTreeMap::new() }
        })
    }

    fn needs(&mut self, namespace: &'a str, workload: &'a Saying, pod: &'a Saying) -> Rc<Needs<'a>> {
        let settled = self.ground.settled;
        let space = self.space(namespace);
        if let Some(known) = space.needs.get(&(workload, pod)) {
            return Rc::clone(known);
        }
        let needs = Rc::new(space.judge(namespace, settled, workload, pod));
        space.needs.insert((workload, pod), Rc::clone(&needs));
        needs
    }

    /// Every controller is a workload, with pods or without.
    fn controllers(&mut self, survey: &mut Survey<'a>) {
        let (fleet, ground) = (self.fleet, self.ground);
        for kind in Kind::ALL {
            for (key, controller) in fleet.controllers.of(kind).into_iter().flatten() {
                let (namespace, name) = split(key);
                let above = controller.owner.as_deref().and_then(|owner| fleet.controller(namespace, owner));
                let space = self.space(namespace);
                // What a Deployment controls is moved by way of the Deployment.
                if controller.ending || space.labels.is_none() || (kind == Kind::ReplicaSet && above.is_some()) {
                    continue;
                }
                // Its own annotations reach its pods, unless another's template made it.
                let workload = if above.is_some() { &controller.said.workload } else { &controller.saying };
                let needs = self.needs(namespace, workload, &controller.said.pod);
                let surplus = surplus(&controller.wants.selector, &needs, ground.world);
                if needs.ungoverned() && surplus.is_empty() {
                    continue;
                }
                let mover = Mover::Controller(name, controller);
                let unit = Unit::new(controller.uid, namespace, mover, needs);
                survey.units.insert(controller.uid, Unit { surplus, ..unit });
            }
        }
    }

    fn pod(&mut self, key: &'a str, pod: &'a Pod, survey: &mut Survey<'a>) {
        let (namespace, name) = split(key);
        let (needs, uid) = self.whose(namespace, pod);
        let waits = pod.stage == Stage::Unschedulable && self.space(namespace).labels.is_some();
        let stale = waits.then(|| stale(key, pod, &needs, self.ground.world)).flatten();
        if needs.ungoverned() && stale.is_none() {
            return;
        }
        let uid = uid.unwrap_or(pod.uid);
        let unit = survey.units.entry(uid).or_insert_with(|| {
            let mover = pod.owner.as_deref().map_or(Mover::Nobody(name, pod), Mover::Foreign);
            Unit::new(uid, namespace, mover, Rc::clone(&needs))
        });
        let spot = pod.node.as_deref().and_then(|node| self.ground.spot(node));
        let footings = spot.map_or_else(|| Rc::from([]), |spot| footings(&mut self.footings, &needs, spot));
        let tally = Tally {
            total: 1,
            placed: u32::from(pod.node.is_some()),
            ready: u32::from(pod.is_ready()),
            ..Tally::default()
        };
        for (asked, footing) in needs.asked.iter().zip(footings.iter().chain(core::iter::repeat(&Footing::Sound))) {
            if let Some(subject) = asked.subject() {
                survey.levels.entry(subject).or_default().add(&tally.standing(*footing));
            }
        }
        if let Some(spot) = spot {
            let count = unit.nodes.entry(spot.name).or_default();
            *count = count.saturating_add(1);
        }
        let worst = footings.iter().copied().max().unwrap_or(Footing::Sound);
        unit.pods.add(&tally.standing(worst));
        if worst != Footing::Sound {
            unit.misplaced.push(Misplaced { key, pod, needs: Rc::clone(&needs), footings });
        }
        unit.stale.extend(stale);
    }

    /// What `pod` needs, and who makes it anew: nobody where that is `None`.
    fn whose(&mut self, namespace: &'a str, pod: &'a Pod) -> (Rc<Needs<'a>>, Option<Uid>) {
        if let Some(last) = &self.last {
            let same_owner = match (last.owner, &pod.owner) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (a, b) => a.is_none() && b.is_none(),
            };
            if last.namespace == namespace && same_owner && Arc::ptr_eq(last.said, &pod.said) {
                return (Rc::clone(&last.needs), last.uid);
            }
        }
        let needs = self.needs(namespace, &pod.said.workload, &pod.said.pod);
        let uid = pod.owner.as_ref().map(|owner| {
            let above = self.fleet.controller(namespace, owner).filter(|_| owner.kind == Some(Kind::ReplicaSet));
            let above = above.and_then(|found| self.fleet.controller(namespace, found.owner.as_deref()?));
            above.map_or(owner.uid, |above| above.uid)
        });
        let last = Last { namespace, owner: pod.owner.as_ref(), said: &pod.said, needs: Rc::clone(&needs), uid };
        self.last = Some(last);
        (needs, uid)
    }
}

/// How a pod with `needs` stands on `spot`, policy by policy.
fn footings<'a>(
    known: &mut BTreeMap<(usize, Option<&'a PoolName>), Rc<[Footing]>>,
    needs: &Rc<Needs<'a>>,
    spot: &Spot<'a>,
) -> Rc<[Footing]> {
    // The address tells needs apart for as long as the survey holds them, which it does to its end.
    let address = core::ptr::from_ref::<Needs<'_>>(needs).addr();
    let footing = |asked: &Asked<'_>| asked.footing(spot.labels.stamps, spot.held);
    let judged = known.entry((address, spot.pool)).or_insert_with(|| needs.asked.iter().map(footing).collect());
    Rc::clone(judged)
}

/// The entries of `selector` that a pod with `needs` would not be given now.
fn surplus<'a>(selector: &'a Labels, needs: &Needs<'_>, world: &World) -> Vec<&'a str> {
    let judged = |policy: &str| needs.asked.iter().find(|asked| asked.policy.name.as_str() == policy);
    let is_surplus = |key: &&String| {
        let Some(policy) = keys::policy_asked(key) else { return false };
        match judged(policy) {
            Some(Asked { in_force: true, need: Ok(need), .. }) => !need.keys.contains(*key),
            // Admission takes away what it acts on, and what is of a policy that is gone; nothing else.
            Some(_) => false,
            None => !world.policies.contains_key(policy),
        }
    };
    selector.keys().filter(is_surplus).map(String::as_str).collect()
}

/// What of the selector of `pod` it would be given differently now.
fn stale<'a>(key: &'a str, pod: &'a Pod, needs: &Needs<'a>, world: &World) -> Option<Stale<'a>> {
    let surplus = surplus(&pod.wants.selector, needs, world);
    let missing: Vec<_> =
        needs.keys().filter(|key| !keys::grants(&pod.wants.selector, key)).map(str::to_owned).collect();
    (!surplus.is_empty() || !missing.is_empty()).then_some(Stale { key, pod, surplus, missing })
}
