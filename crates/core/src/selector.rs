//! Label selectors: which nodes a pool claims, which namespaces a policy governs.

use alloc::string::String;
use alloc::vec::Vec;

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use super::text::{FewDisplay, list};

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
pub enum SelectorOperator {
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

impl SelectorOperator {
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
pub struct Selector(Vec<(String, SelectorOperator)>);

impl Selector {
    /// A selector that demands all of `terms`.
    #[must_use]
    pub fn new(terms: Vec<(String, SelectorOperator)>) -> Self {
        Self(terms)
    }

    /// Whether it demands nothing, and so matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, operator)| matches!(operator, SelectorOperator::NotIn(values) if values.is_empty()))
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

    /// The keys of the labels that it is about.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The demands on keys that are `wanted`.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(key, _)| wanted(key)).cloned().collect())
    }

    /// Whether something that it matches can have all of `labels`, among others of which nothing is known.
    #[must_use]
    pub fn allows(&self, labels: &Labels) -> bool {
        self.0.iter().filter_map(|(key, operator)| Some((operator, labels.get(key)?))).all(|(operator, value)| {
            let alone: Labels = [(String::new(), value.clone())].into();
            Self(Vec::from([(String::new(), operator.clone())])).matches(&alone)
        })
    }

    /// Whether `labels` meet every demand.
    #[must_use]
    pub fn matches<L: LabelSource + ?Sized>(&self, labels: &L) -> bool {
        self.0.iter().all(|(key, operator)| match (operator, labels.label(key)) {
            (SelectorOperator::In(values), Some(value)) => values.contains(value),
            (SelectorOperator::NotIn(values), Some(value)) => !values.contains(value),
            (SelectorOperator::Exists, found) => found.is_some(),
            (SelectorOperator::DoesNotExist, found) => found.is_none(),
            (SelectorOperator::Gt(least), Some(value)) => value.parse::<i64>().is_ok_and(|number| number > *least),
            (SelectorOperator::Lt(most), Some(value)) => value.parse::<i64>().is_ok_and(|number| number < *most),
            (SelectorOperator::In(_) | SelectorOperator::Gt(_) | SelectorOperator::Lt(_), None) => false,
            (SelectorOperator::NotIn(_), None) => true,
        })
    }
}

impl fmt::Display for Selector {
    /// As kubectl takes it: `team=lab, tier in (gold, silver), !legacy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.0.iter().map(|(key, operator)| SelectorTerm { key, operator }))
    }
}

/// One demand of a selector.
struct SelectorTerm<'a> {
    key: &'a str,
    operator: &'a SelectorOperator,
}

impl fmt::Display for SelectorTerm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator } = self;
        match operator {
            SelectorOperator::In(values) if values.len() == 1 => write!(f, "{key}={}", FewDisplay(values.iter())),
            SelectorOperator::In(values) => write!(f, "{key} in ({})", FewDisplay(values.iter())),
            SelectorOperator::NotIn(values) => write!(f, "{key} notin ({})", FewDisplay(values.iter())),
            SelectorOperator::Exists => f.write_str(key),
            SelectorOperator::DoesNotExist => write!(f, "!{key}"),
            SelectorOperator::Gt(least) => write!(f, "{key}>{least}"),
            SelectorOperator::Lt(most) => write!(f, "{key}<{most}"),
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
            ("tier", SelectorOperator::In(values(&["gold", "silver"])), true),
            ("tier", SelectorOperator::In(values(&["silver"])), false),
            ("zone", SelectorOperator::In(values(&["gold"])), false),
            ("tier", SelectorOperator::NotIn(values(&["silver"])), true),
            ("tier", SelectorOperator::NotIn(values(&["gold"])), false),
            ("zone", SelectorOperator::NotIn(values(&["gold"])), true),
            ("tier", SelectorOperator::Exists, true),
            ("zone", SelectorOperator::Exists, false),
            ("tier", SelectorOperator::DoesNotExist, false),
            ("zone", SelectorOperator::DoesNotExist, true),
            ("cores", SelectorOperator::Gt(15), true),
            ("cores", SelectorOperator::Gt(16), false),
            ("cores", SelectorOperator::Lt(17), true),
            ("cores", SelectorOperator::Lt(16), false),
            ("tier", SelectorOperator::Gt(0), false),
            ("zone", SelectorOperator::Lt(1), false),
        ] {
            let selector = Selector::new(vec![(key.to_owned(), operator)]);
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
        assert!(Selector::default().matches(&labels));
    }

    #[test]
    fn the_narrower_selector_implies_the_wider() {
        let set = |values: &[&str]| values.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let of = |terms: &[(&str, SelectorOperator)]| {
            Selector::new(terms.iter().map(|(key, operator)| ((*key).to_owned(), operator.clone())).collect())
        };
        let gold = of(&[("tier", SelectorOperator::In(set(&["gold"])))]);
        let metal = of(&[("tier", SelectorOperator::In(set(&["gold", "silver"])))]);
        let gold_here = of(&[("tier", SelectorOperator::In(set(&["gold"]))), ("zone", SelectorOperator::Exists)]);
        let not_lead = of(&[("tier", SelectorOperator::NotIn(set(&["lead"])))]);
        for (narrow, wide) in [(&gold, &metal), (&gold_here, &gold), (&gold_here, &metal), (&metal, &not_lead)] {
            assert!(narrow.implies(wide), "{narrow:?} {wide:?}");
            assert!(!wide.implies(narrow), "{wide:?} {narrow:?}");
        }
        assert!(gold.implies(&gold) && gold.implies(&Selector::default()));
        assert!(!of(&[("zone", SelectorOperator::Exists)]).implies(&gold));
    }

    #[test]
    fn a_selector_reads_as_kubectl_takes_it() {
        let set = |values: &[&str]| values.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let terms = [
            ("team", SelectorOperator::In(set(&["lab"]))),
            ("tier", SelectorOperator::In(set(&["gold", "silver"]))),
            ("zone", SelectorOperator::NotIn(set(&["a"]))),
            ("kept", SelectorOperator::Exists),
            ("legacy", SelectorOperator::DoesNotExist),
            ("cores", SelectorOperator::Gt(8)),
        ];
        let selector = Selector::new(terms.map(|(key, operator)| (key.to_owned(), operator)).to_vec());
        assert_eq!(selector.to_string(), "team=lab, tier in (gold, silver), zone notin (a), kept, !legacy, cores>8");
    }
}
