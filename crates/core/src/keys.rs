//! The keys that Rempart reads and writes on objects of others. One place, because admission, the operator and the
//! commands must agree on every character.

use alloc::format;
use alloc::string::String;

use super::name::{CategoryName, ExceptionName, LevelName, PolicyName};
use super::selector::Labels;

/// Annotation (workload, template, pod) and namespace label: the sensitivity level.
pub const SENSITIVITY: &str = "rempart.dev/sensitivity";
/// Annotation (`a,b`) and namespace label (`a.b`): the categories of data.
pub const CATEGORIES: &str = "rempart.dev/categories";
/// Annotation of a template: the workload's own sensitivity, kept by admission.
pub const WORKLOAD_SENSITIVITY: &str = "rempart.dev/workload-sensitivity";
/// Annotation of a template: the workload's own categories, kept by admission.
pub const WORKLOAD_CATEGORIES: &str = "rempart.dev/workload-categories";
/// Annotation of a template: when the operator last moved its pods. Its change is what rolls them.
pub const MIGRATION: &str = "rempart.dev/migration";
/// Annotation of a pod, by way of its template: an instant before which it is not to be moved.
pub const NOT_BEFORE: &str = "rempart.dev/not-before";

/// What begins the label of a completion mark on pod templates and their pods; the name of the policy whose admission has
/// completed it follows.
pub const COMPLETED: &str = "completed.rempart.dev/";

/// The domain of the stamps. No kubelet may set labels under `node-restriction.kubernetes.io`.
pub const STAMP_DOMAIN: &str = "rempart.node-restriction.kubernetes.io";
/// Node label: the pool that the node belongs to.
pub const POOL: &str = "rempart.node-restriction.kubernetes.io/pool";
/// Node label: the provider of the pool.
pub const PROVIDER: &str = "rempart.node-restriction.kubernetes.io/provider";
/// Node label: the region of the pool's zone.
pub const REGION: &str = "rempart.node-restriction.kubernetes.io/region";
/// Node label: the pool's zone.
pub const ZONE: &str = "rempart.node-restriction.kubernetes.io/zone";

const CLEARANCE: &str = "clearance.rempart.node-restriction.kubernetes.io/";
const CATEGORY: &str = "category.rempart.node-restriction.kubernetes.io/";
const EXCEPTION: &str = "exception.rempart.node-restriction.kubernetes.io/";
const RANK: &str = "rank.rempart.node-restriction.kubernetes.io/";

/// The value of clearance, category and exception stamps, and of the selectors that ask for them.
pub const GRANTED: &str = "true";

/// Whether `labels`, the stamps of a place or a pod's `nodeSelector`, hold `key` as granted.
#[must_use]
pub fn grants(labels: &Labels, key: &str) -> bool {
    labels.get(key).is_some_and(|value| value == GRANTED)
}

/// The key that says: cleared for this level of this policy.
#[must_use]
pub fn clearance(policy: &PolicyName, level: &LevelName) -> String {
    format!("{CLEARANCE}{policy}.{level}")
}

/// The key that says: cleared for this category of this policy.
#[must_use]
pub fn category(policy: &PolicyName, category: &CategoryName) -> String {
    format!("{CATEGORY}{policy}.{category}")
}

/// The key that says: may be used by the pods of this exception of this policy.
#[must_use]
pub fn exception(policy: &PolicyName, exception: &ExceptionName) -> String {
    format!("{EXCEPTION}{policy}.{exception}")
}

/// The key whose value, 0 to 100, says how good a place is for this level of this policy.
#[must_use]
pub fn rank(policy: &PolicyName, level: &LevelName) -> String {
    format!("{RANK}{policy}.{level}")
}

/// Whether `key` is a label that the operator alone writes.
#[must_use]
pub fn is_stamp(key: &str) -> bool {
    key.split_once('/').is_some_and(|(prefix, _)| {
        prefix.strip_suffix(STAMP_DOMAIN).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    })
}

/// What a key of a policy stands for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeySubject<'a> {
    /// A level.
    Level(&'a str),
    /// A category.
    Category(&'a str),
    /// An exception.
    Exception(&'a str),
}

/// The name of the policy whose key `key` is, and what it stands for; `None` for any other label.
#[must_use]
pub fn parse(key: &str) -> Option<(&str, KeySubject<'_>)> {
    // A policy's name holds no dot.
    let of = |domain: &str| key.strip_prefix(domain)?.split_once('.');
    let level = || of(CLEARANCE).map(|(policy, name)| (policy, KeySubject::Level(name)));
    let category = || of(CATEGORY).map(|(policy, name)| (policy, KeySubject::Category(name)));
    let exception = || of(EXCEPTION).map(|(policy, name)| (policy, KeySubject::Exception(name)));
    level().or_else(category).or_else(exception)
}

/// The name of the policy of whose clearances, categories or exceptions `key`, in a pod's `nodeSelector`, asks for one.
#[must_use]
pub fn policy_asked(key: &str) -> Option<&str> {
    parse(key).map(|(policy, _)| policy)
}

/// Whether `key`, in a pod's `nodeSelector`, asks for a clearance, category or exception of `policy`.
#[must_use]
pub fn asks_of(policy: &PolicyName, key: &str) -> bool {
    policy_asked(key) == Some(policy.as_str())
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    #[test]
    fn the_longest_names_make_a_key_that_a_label_can_have() {
        let long = "x".repeat(28);
        let key = clearance(&PolicyName::parse(&long).unwrap(), &LevelName::parse(&long).unwrap());
        let (prefix, name) = key.split_once('/').unwrap();
        assert!(prefix.len() <= 253 && name.len() <= 63, "{key}");
    }

    #[test]
    fn stamps_are_told_from_other_labels() {
        for stamp in [
            POOL,
            ZONE,
            "clearance.rempart.node-restriction.kubernetes.io/a.b",
            "new.rempart.node-restriction.kubernetes.io/x",
        ] {
            assert!(is_stamp(stamp), "{stamp}");
        }
        for other in [
            "pool",
            "node-restriction.kubernetes.io/pool",
            "xrempart.node-restriction.kubernetes.io/pool",
            "rempart.node-restriction.kubernetes.io",
        ] {
            assert!(!is_stamp(other), "{other}");
        }
    }

    #[test]
    fn a_policy_owns_its_keys_and_not_those_of_a_namesake() {
        let state = PolicyName::parse("state").unwrap();
        assert!(asks_of(&state, "clearance.rempart.node-restriction.kubernetes.io/state.secret"));
        assert!(asks_of(&state, "category.rempart.node-restriction.kubernetes.io/state.health"));
        assert!(!asks_of(&state, "clearance.rempart.node-restriction.kubernetes.io/state-2.secret"));
        assert!(!asks_of(&state, "example.org/state.secret"));
        assert!(!asks_of(&state, POOL));
    }
}
