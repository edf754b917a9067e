//! Completion: what one policy's admission adds to a pod, or to the template that it is made from, and takes away.
//!
//! Takes what is said, and what the pod or template carries, and gives a [`Completion`], a difference. The twin of the
//! expressions of the mutations, which run inside the API server.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec::Vec};

use super::{
    admission::PolicyNeed,
    keys,
    policy::Policy,
    scheduling::{PodScheduling, SchedulingHints},
    selector::Labels,
    sensitivity::{ControllerStatements, PodSensitivity, SensitivitySource, SensitivityStatement, TemplateStatements},
};

/// Characters of a policy's identifier in a mark: a policy that is made again is another.
pub const IDENTIFIER: usize = 8;

/// End of a mark: nobody says a level but the namespace.
pub const BY_NAMESPACE: &str = "_namespace";
/// End of a mark: nobody says a level.
pub const BY_DEFAULT: &str = "_default";
/// End of a mark: the level asks nothing of a node.
pub const KEYLESS: &str = "_keyless";

/// Changes of a map of texts, by key: the value to set, or nothing for one that goes.
pub type MapChanges = BTreeMap<String, Option<String>>;

/// What a policy changes of a pod or of a pod template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Of its annotations: the mirror of the workload's own.
    pub annotations: MapChanges,
    /// Of its labels: the mark.
    pub labels: MapChanges,
    /// Of its `nodeSelector`.
    pub selector: MapChanges,
    /// Of what the scheduler chooses by; of pods alone, so that what a level wishes is what it wishes now.
    pub scheduling: SchedulingHints,
}

/// What a pod template carries.
#[derive(Clone, Copy, Debug)]
pub struct TemplateFields<'a> {
    /// Its annotations.
    pub annotations: &'a Labels,
    /// Its labels.
    pub labels: &'a Labels,
    /// Its `nodeSelector`.
    pub selector: &'a Labels,
}

/// Whose word a mark tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkedBy {
    /// The workload's or the template's.
    Said,
    /// The namespace's alone.
    Namespace,
    /// Nobody's.
    Default,
}

impl Completion {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { annotations, labels, selector, scheduling } = self;
        annotations.is_empty() && labels.is_empty() && selector.is_empty() && scheduling.is_empty()
    }
}

/// The changes that make `current` say `wanted` under `key`.
fn change(current: &Labels, key: &str, wanted: Option<&str>) -> Option<(String, Option<String>)> {
    (current.get(key).map(String::as_str) != wanted).then(|| (key.to_owned(), wanted.map(str::to_owned)))
}

impl Policy {
    /// What a new pod in the namespace of this name is given, which has these `annotations`, this `selector` and this of
    /// `scheduling`, where `spoken` is said of the namespace. Nothing where what is said is not understood: the pod is refused.
    #[must_use]
    pub fn completion_of_pod(
        &self,
        namespace: &str,
        spoken: &SensitivityStatement,
        (annotations, selector): (&Labels, &Labels),
        scheduling: &PodScheduling,
    ) -> Completion {
        let statements = TemplateStatements::of(annotations);
        let said = PodSensitivity::new(spoken, [], Some(&statements));
        let Ok(need) = self.need(namespace, &said) else { return Completion::default() };
        Completion {
            selector: self.selector_changes(&need, selector),
            scheduling: self.hints(&need, scheduling),
            ..Completion::default()
        }
    }

    /// What a pod with this `need` is given for the scheduler, which carries `scheduling`.
    fn hints(&self, need: &PolicyNeed<'_>, scheduling: &PodScheduling) -> SchedulingHints {
        let Some(level) = self.levels.at(need.rank) else { return SchedulingHints::default() };
        SchedulingHints::new(&level.scheduling, &keys::rank(&self.name, &level.name), scheduling)
    }

    /// What a pod template is given of a workload in the namespace of this name, where `spoken` is said of the namespace
    /// and the workload has annotations that say `own`. `uid` is the identifier of the policy.
    #[must_use]
    pub fn completion_of_template(
        &self,
        uid: Option<&str>,
        namespace: &str,
        spoken: &SensitivityStatement,
        own: &SensitivityStatement,
        template: TemplateFields<'_>,
    ) -> Completion {
        // The mirror is about to be put right: what it says now counts for nothing.
        let statements = TemplateStatements {
            workload: SensitivityStatement::default(),
            pod: SensitivityStatement::of(template.annotations),
        };
        let controller = ControllerStatements { own: Some(own), template: &statements };
        let said = PodSensitivity::new(spoken, [controller], None);
        let need = self.need(namespace, &said).ok();
        let mirror = [
            (keys::WORKLOAD_SENSITIVITY, own.sensitivity.as_deref()),
            (keys::WORKLOAD_CATEGORIES, own.categories.as_deref()),
        ];
        let mark = need.as_ref().and_then(|need| self.mark(uid?, namespace, &said, need));
        Completion {
            annotations: mirror
                .into_iter()
                .filter_map(|(key, value)| change(template.annotations, key, value))
                .collect(),
            labels: change(template.labels, &self.mark_key(), mark.as_deref()).into_iter().collect(),
            selector: need.map(|need| self.selector_changes(&need, template.selector)).unwrap_or_default(),
            scheduling: SchedulingHints::default(),
        }
    }

    fn selector_changes(&self, need: &PolicyNeed<'_>, selector: &Labels) -> MapChanges {
        let surplus = selector.keys().filter(|key| keys::asks_of(&self.name, key) && !need.keys.contains(*key));
        let missing = need.keys.iter().filter_map(|key| change(selector, key, Some(keys::GRANTED)));
        surplus.map(|key| (key.clone(), None)).chain(missing).collect()
    }

    /// `selector`, a pod's `nodeSelector`, with the keys that it needs and without those of this policy that it does not.
    #[must_use]
    pub fn complete(&self, need: &PolicyNeed<'_>, selector: &Labels) -> Labels {
        let mut complete = selector.clone();
        for (key, value) in self.selector_changes(need, selector) {
            match value {
                Some(value) => complete.insert(key, value),
                None => complete.remove(&key),
            };
        }
        complete
    }

    /// The label of this policy's marks.
    #[must_use]
    pub fn mark_key(&self) -> String {
        format!("{}{}", keys::COMPLETED, self.name)
    }

    /// The mark of what is complete for the level of this rank by the word of `by`; none where the identifier `uid` is none.
    #[must_use]
    pub fn mark_at(&self, uid: &str, rank: usize, by: MarkedBy) -> Option<String> {
        let (identifier, level) = (uid.get(..IDENTIFIER)?, &self.levels.at(rank)?.name);
        let end = match by {
            MarkedBy::Said => "",
            MarkedBy::Namespace => BY_NAMESPACE,
            MarkedBy::Default => BY_DEFAULT,
        };
        let keyless = if self.levels.demands_at(rank) { "" } else { KEYLESS };
        Some(format!("{identifier}.{level}{end}{keyless}"))
    }

    /// The mark of a template with this `need`. There is none where a category is said, where an exception may apply, or
    /// where a level is said that does not decide: then more than a level tells what its pods need.
    fn mark(&self, uid: &str, namespace: &str, said: &PodSensitivity<'_>, need: &PolicyNeed<'_>) -> Option<String> {
        let statements: Vec<_> = said.statements().collect();
        let is_excepted = self.exceptions.values().any(|exception| exception.namespaces.contains(namespace));
        if is_excepted || statements.iter().any(|(_, statement)| statement.categories.is_some()) {
            return None;
        }
        let levels = |of_namespace: bool| {
            let by =
                statements.iter().filter(move |(source, _)| (*source == SensitivitySource::Namespace) == of_namespace);
            by.filter_map(|(_, statement)| statement.sensitivity.as_deref())
        };
        let by = match (levels(false).next(), levels(true).next()) {
            (Some(_), _) => MarkedBy::Said,
            (None, Some(_)) => MarkedBy::Namespace,
            (None, None) => MarkedBy::Default,
        };
        levels(false).all(|level| level == need.level.as_str()).then(|| self.mark_at(uid, need.rank, by))?
    }
}
