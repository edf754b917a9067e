//! Label selectors: which nodes a pool claims, which namespaces a policy governs.

use alloc::string::String;
use alloc::vec::Vec;

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use super::text::{Few, list};

/// Labels of a node or namespace.
pub type Labels = BTreeMap<String, String>;

/// Whatever labels can be looked up in, so that those who keep many need not keep them as maps.
pub trait LabelSource {
    /// The value of the label `key`.
    fn label(&self, key: &str) -> Option<&str>;
}

impl LabelSource for Labels {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// What one key of a selector demands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The label is there, with one of these values.
    In(BTreeSet<String>),
    /// The label is missing, or has none of these values.
    NotIn(BTreeSet<String>),
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
    /// The label is a whole number above this one. Node affinity alone asks so.
    Gt(i64),
    /// The label is a whole number below this one. Node affinity alone asks so.
    Lt(i64),
}

impl Operator {
    /// Reads a demand of a node affinity as Kubernetes writes it. `None` where Kubernetes would not take it.
    #[must_use]
    pub fn of_node_affinity(operator: &str, values: Vec<String>) -> Option<Self> {
        let number = |values: &[String]| values.first()?.parse().ok();
        match operator {
            "In" => Some(Self::In(values.into_iter().collect())),
            "NotIn" => Some(Self::NotIn(values.into_iter().collect())),
            "Exists" => Some(Self::Exists),
            "DoesNotExist" => Some(Self::DoesNotExist),
            "Gt" => Some(Self::Gt(number(&values)?)),
            "Lt" => Some(Self::Lt(number(&values)?)),
            _ => None,
        }
    }

    /// Whether whatever meets this certainly meets `other`, of the same key, too.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::In(mine), Self::In(theirs)) => mine.is_subset(theirs),
            (Self::In(mine), Self::NotIn(theirs)) => mine.is_disjoint(theirs),
            (Self::NotIn(mine), Self::NotIn(theirs)) => theirs.is_subset(mine),
            (Self::In(_) | Self::Gt(_) | Self::Lt(_), Self::Exists) | (Self::DoesNotExist, Self::NotIn(_)) => true,
            (mine, theirs) => mine == theirs,
        }
    }
}

/// A conjunction of demands on labels. Without any it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(Vec<(String, Operator)>);

impl Selector {
    /// A selector that demands all of `terms`.
    #[must_use]
    pub fn new(terms: Vec<(String, Operator)>) -> Self {
        Self(terms)
    }

    /// Whether it demands nothing, and so matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, operator)| matches!(operator, Operator::NotIn(values) if values.is_empty()))
    }

    /// Whether it was written without any term.
    #[must_use]
    pub fn is_without_terms(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether whatever this matches is certainly matched by `other` too.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        other.0.iter().all(|(key, wider)| {
            let narrower = self.0.iter().filter(|(found, _)| found == key).map(|(_, operator)| operator);
            narrower.into_iter().any(|narrow| narrow.implies(wider))
        })
    }

    /// The demands on keys that are `wanted`.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(key, _)| wanted(key)).cloned().collect())
    }

    /// Whether `labels` meet every demand.
    #[must_use]
    pub fn matches<L: LabelSource + ?Sized>(&self, labels: &L) -> bool {
        self.0.iter().all(|(key, operator)| match (operator, labels.label(key)) {
            (Operator::In(values), Some(value)) => values.contains(value),
            (Operator::NotIn(values), Some(value)) => !values.contains(value),
            (Operator::Exists, found) => found.is_some(),
            (Operator::DoesNotExist, found) => found.is_none(),
            (Operator::Gt(least), Some(value)) => value.parse::<i64>().is_ok_and(|number| number > *least),
            (Operator::Lt(most), Some(value)) => value.parse::<i64>().is_ok_and(|number| number < *most),
            (Operator::In(_) | Operator::Gt(_) | Operator::Lt(_), None) => false,
            (Operator::NotIn(_), None) => true,
        })
    }
}

impl fmt::Display for Selector {
    /// As kubectl takes it: `team=lab, tier in (gold, silver), !legacy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.0.iter().map(|(key, operator)| Term { key, operator }))
    }
}

/// One demand of a selector.
struct Term<'a> {
    key: &'a str,
    operator: &'a Operator,
}

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator } = self;
        match operator {
            Operator::In(values) if values.len() == 1 => write!(f, "{key}={}", Few(values.iter())),
            Operator::In(values) => write!(f, "{key} in ({})", Few(values.iter())),
            Operator::NotIn(values) => write!(f, "{key} notin ({})", Few(values.iter())),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Gt(least) => write!(f, "{key}>{least}"),
            Operator::Lt(most) => write!(f, "{key}<{most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    #[test]
    fn operators_read_as_kubernetes_defines_them() {
        let labels: Labels = [("tier".to_owned(), "gold".to_owned()), ("cores".to_owned(), "16".to_owned())].into();
        let values = |values: &[&str]| values.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        for (key, operator, expected) in [
            ("tier", Operator::In(values(&["gold", "silver"])), true),
            ("tier", Operator::In(values(&["silver"])), false),
            ("zone", Operator::In(values(&["gold"])), false),
            ("tier", Operator::NotIn(values(&["silver"])), true),
            ("tier", Operator::NotIn(values(&["gold"])), false),
            ("zone", Operator::NotIn(values(&["gold"])), true),
            ("tier", Operator::Exists, true),
            ("zone", Operator::Exists, false),
            ("tier", Operator::DoesNotExist, false),
            ("zone", Operator::DoesNotExist, true),
            ("cores", Operator::Gt(15), true),
            ("cores", Operator::Gt(16), false),
            ("cores", Operator::Lt(17), true),
            ("cores", Operator::Lt(16), false),
            ("tier", Operator::Gt(0), false),
            ("zone", Operator::Lt(1), false),
        ] {
            let selector = Selector::new(vec![(key.to_owned(), operator)]);
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
        assert!(Selector::default().matches(&labels));
    }

    #[test]
    fn the_narrower_selector_implies_the_wider() {
        let set = |values: &[&str]| values.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let of = |terms: &[(&str, Operator)]| {
            Selector::new(terms.iter().map(|(key, operator)| ((*key).to_owned(), operator.clone())).collect())
        };
        let gold = of(&[("tier", Operator::In(set(&["gold"])))]);
        let metal = of(&[("tier", Operator::In(set(&["gold", "silver"])))]);
        let gold_here = of(&[("tier", Operator::In(set(&["gold"]))), ("zone", Operator::Exists)]);
        let not_lead = of(&[("tier", Operator::NotIn(set(&["lead"])))]);
        for (narrow, wide) in [(&gold, &metal), (&gold_here, &gold), (&gold_here, &metal), (&metal, &not_lead)] {
            assert!(narrow.implies(wide), "{narrow:?} {wide:?}");
            assert!(!wide.implies(narrow), "{wide:?} {narrow:?}");
        }
        assert!(gold.implies(&gold) && gold.implies(&Selector::default()));
        assert!(!of(&[("zone", Operator::Exists)]).implies(&gold));
    }

    #[test]
    fn a_selector_reads_as_kubectl_takes_it() {
        let set = |values: &[&str]| values.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let terms = [
            ("team", Operator::In(set(&["lab"]))),
            ("tier", Operator::In(set(&["gold", "silver"]))),
            ("zone", Operator::NotIn(set(&["a"]))),
            ("kept", Operator::Exists),
            ("legacy", Operator::DoesNotExist),
            ("cores", Operator::Gt(8)),
        ];
        let selector = Selector::new(terms.map(|(key, operator)| (key.to_owned(), operator)).to_vec());
        assert_eq!(selector.to_string(), "team=lab, tier in (gold, silver), zone notin (a), kept, !legacy, cores>8");
    }
}
