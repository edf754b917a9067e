//! Pod requirements: what the policies that govern its namespace ask of a pod.
//!
//! Takes what is said of a pod and gives, policy by policy, what its node must be cleared for or why nobody can tell.
//! Plans, records, compliance, the circuit breaker and migration all ask here, so that none of them can disagree.

use alloc::{collections::BTreeMap, rc::Rc, string::String, vec::Vec};

use super::{
    admission::{AdmissionRefusal, PolicyNeed},
    clearance::ClearanceInput,
    keys,
    name::{LevelName, PolicyName},
    namespace::NamespaceFacts,
    policy::Policy,
    selector::Labels,
    sensitivity::{PodSensitivity, SensitivityStatement},
};

/// A level of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LevelRef<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// The level's place in the policy's order, from 0.
    pub rank: usize,
    /// The level, by the name that it keeps when others come before it.
    pub level: &'a LevelName,
}

impl LevelRef<'_> {
    /// It, as a name to remember it by.
    #[must_use]
    pub fn named(&self) -> (String, String) {
        use alloc::string::ToString as _;
        (self.policy.to_string(), self.level.to_string())
    }
}

/// What one policy asks of a pod.
#[derive(Clone, Debug)]
pub struct PolicyRequirement<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The policy's place among those of the world, in the order of their names.
    pub index: usize,
    /// Whether it places and refuses; otherwise it only warns or watches.
    pub in_force: bool,
    /// What it asks, or why nobody can say.
    pub need: Result<PolicyNeed<'a>, Vec<AdmissionRefusal<'a>>>,
}

impl<'a> PolicyRequirement<'a> {
    /// The level.
    #[must_use]
    pub fn level(&self) -> Option<LevelRef<'a>> {
        let need = self.need.as_ref().ok()?;
        Some(LevelRef { policy: &self.policy.name, rank: need.rank, level: need.level })
    }
}

/// What all policies that govern its namespace ask of a pod.
#[derive(Clone, Debug, Default)]
pub struct PodRequirements<'a> {
    /// By policy, in the order of their names; empty where none governs.
    pub policies: Vec<PolicyRequirement<'a>>,
}

impl<'a> PodRequirements<'a> {
    /// Whether no policy has a say.
    #[must_use]
    pub fn is_ungoverned(&self) -> bool {
        self.policies.is_empty()
    }

    /// Those of policies in force.
    pub fn in_force(&self) -> impl Iterator<Item = &PolicyRequirement<'a>> {
        self.policies.iter().filter(|required| required.in_force)
    }

    /// The first thing for which a policy in force would refuse the pod if it were created now.
    #[must_use]
    pub fn refusal(&self) -> Option<&AdmissionRefusal<'a>> {
        self.in_force().find_map(|required| required.need.as_ref().err()?.first())
    }

    /// The keys that policies in force ask of its node.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let needs = self.in_force().filter_map(|required| required.need.as_ref().ok());
        needs.flat_map(|need| need.keys.iter().map(String::as_str))
    }

    /// Whether `stamps` hold all that policies in force ask for.
    #[must_use]
    pub fn met_by(&self, stamps: &Labels) -> bool {
        self.keys().all(|key| keys::grants(stamps, key))
    }

    /// Whether a pod of which only `admitted` were asked would be given all that policies in force ask here: also that
    /// somebody refuses it, where it is refused here.
    #[must_use]
    pub fn covered_by(&self, admitted: &Self) -> bool {
        let covers = |required: &PolicyRequirement<'_>| {
            let found = admitted.policies.iter().find(|found| found.policy.name == required.policy.name);
            match (&required.need, found.map(|found| &found.need)) {
                (Ok(need), Some(Ok(admitted))) => need.keys.is_subset(&admitted.keys),
                (_, Some(Err(_))) => true,
                (Err(_), Some(Ok(_))) | (_, None) => false,
            }
        };
        self.in_force().all(covers)
    }

    /// The levels of policies in force.
    pub fn levels(&self) -> impl Iterator<Item = LevelRef<'a>> {
        self.in_force().filter_map(PolicyRequirement::level)
    }
}

/// A namespace with the policies that govern it.
struct GovernedNamespace<'a> {
    facts: NamespaceFacts<'a>,
    /// With their places among those of the world.
    policies: Vec<(usize, &'a Policy)>,
    /// What was worked out before.
    known: BTreeMap<PodSensitivity<'a>, Rc<PodRequirements<'a>>>,
}

/// Works out requirements, once for all pods of which the same is said.
pub struct RequirementsResolver<'a> {
    world: &'a ClearanceInput,
    all_in_force: bool,
    namespaces: BTreeMap<&'a str, GovernedNamespace<'a>>,
}

impl<'a> RequirementsResolver<'a> {
    /// By the policies of `world`; with `all_in_force` as if each of them were in `Enforce`.
    #[must_use]
    pub fn new(world: &'a ClearanceInput, all_in_force: bool) -> Self {
        Self { world, all_in_force, namespaces: BTreeMap::new() }
    }

    /// What is asked in `namespace`, of which `look` tells what is known, of a pod of which `said` is said beside what the
    /// namespace says.
    pub fn requirements(
        &mut self,
        namespace: &'a str,
        look: impl FnOnce() -> NamespaceFacts<'a>,
        said: impl FnOnce(&'a SensitivityStatement) -> PodSensitivity<'a>,
    ) -> Rc<PodRequirements<'a>> {
        let (world, all_in_force) = (self.world, self.all_in_force);
        let governed = self.namespaces.entry(namespace).or_insert_with(|| {
            let facts = look();
            let policies = world.policies.values().enumerate();
            let policies = policies.filter(|(_, policy)| facts.governed_by(policy, namespace)).collect();
            GovernedNamespace { facts, policies, known: BTreeMap::new() }
        });
        let said = said(governed.facts.statement());
        if let Some(known) = governed.known.get(&said) {
            return Rc::clone(known);
        }
        let required = governed.policies.iter().map(|(index, policy)| PolicyRequirement {
            policy,
            index: *index,
            in_force: all_in_force || policy.is_in_force(),
            need: policy.need(namespace, &said),
        });
        let required = Rc::new(PodRequirements { policies: required.collect() });
        governed.known.insert(said, Rc::clone(&required));
        required
    }
}
