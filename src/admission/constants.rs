//! Constants of a policy: what its admission expressions need to know of it, as CEL.
//!
//! Takes a [`Policy`], and returns its names, and literals for expressions. Which key stands for what is the core's to say.

use k8s_openapi::api::admissionregistration::v1::Variable;

use super::cel::{list, string};
use rempart_core::{name::CategoryName, policy::Policy};

/// A variable of an admission policy.
pub(super) fn variable(name: &str, expression: impl Into<String>) -> Variable {
    Variable { name: name.to_owned(), expression: expression.into() }
}

/// The names of the levels, least to most sensitive.
pub(super) fn level_names(policy: &Policy) -> Vec<&str> {
    policy.levels.iter().map(|level| level.name.as_str()).collect()
}

/// The names of the categories.
fn category_names(policy: &Policy) -> Vec<&str> {
    policy.categories.keys().map(CategoryName::as_str).collect()
}

/// The names of the categories, for people.
pub(super) fn categories_in_words(policy: &Policy) -> String {
    let names = category_names(policy);
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The names of the levels, as CEL.
pub(super) fn levels(policy: &Policy) -> String {
    list(level_names(policy))
}

/// The place of each level in the order, by its name.
pub(super) fn ranks(policy: &Policy) -> String {
    let ranks =
        policy.levels.iter().enumerate().map(|(rank, level)| format!("{}: {rank}", string(level.name.as_str())));
    format!("{{{}}}", ranks.collect::<Vec<_>>().join(", "))
}

/// What each level asks of a node: for each, a list of at most one key.
pub(super) fn level_keys(policy: &Policy) -> String {
    let keys = (0..policy.levels.iter().len()).map(|rank| list(policy.clearance_key(rank)));
    format!("[{}]", keys.collect::<Vec<_>>().join(", "))
}

/// The key of the exception that is for a pod of the rank that `rank` computes, as a list of at most one; nothing where
/// the policy has none.
pub(super) fn exception_keys(policy: &Policy, rank: &str) -> Option<String> {
    let cases = policy.exceptions.iter().filter_map(|(name, exception)| {
        let key = policy.exception_key(name.as_str())?;
        let namespaces = list(&exception.namespaces);
        let limit = exception.rank;
        Some(format!("request.namespace in {namespaces} && {rank} <= {limit} ? {} : ", list([key])))
    });
    let cases: String = cases.collect();
    (!cases.is_empty()).then(|| format!("({cases}[])"))
}

/// The names of the categories, as CEL.
pub(super) fn categories(policy: &Policy) -> String {
    list(category_names(policy))
}

/// The keys of the categories that ask something of a node, by the category's name.
pub(super) fn category_keys(policy: &Policy) -> String {
    let keys = policy.categories.keys().filter_map(|name| {
        let key = policy.category_key(name.as_str())?;
        Some(format!("{}: {}", string(name.as_str()), string(&key)))
    });
    format!("{{{}}}", keys.collect::<Vec<_>>().join(", "))
}
