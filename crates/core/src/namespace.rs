//! Namespaces, as far as policies look at them.
//!
//! Takes what is known of a namespace, from a cluster or from manifests, and tells which policies govern it: the one
//! answer for admission's twin, plans, records and migration.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};

use super::{
    policy::Policy,
    selector::{LabelSource, Labels},
    sensitivity::{SILENT, SensitivityStatement},
};

/// The label that the API server gives every namespace, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// The resource version; 0 where it was not read from a cluster.
    pub version: u64,
    /// Its labels.
    pub labels: Labels,
    /// What they say.
    pub statement: SensitivityStatement,
}

impl Namespace {
    /// A namespace with these labels.
    #[must_use]
    pub fn new(version: u64, labels: Labels) -> Self {
        Self { version, statement: SensitivityStatement::of(&labels), labels }
    }
}

/// What is known of the namespace that something is in.
#[derive(Clone, Copy, Debug)]
pub enum NamespaceFacts<'a> {
    /// No policy governs it, whatever its labels.
    Exempt {
        /// Whether it was read.
        known: bool,
    },
    /// It was read.
    Known(&'a Namespace),
    /// It is in no manifest that was read: taken to have no label but the one with its name, and to say nothing.
    Unread,
    /// A cluster has it not: it is about to be, or about to go, and nothing is said of it.
    Absent,
}

impl<'a> NamespaceFacts<'a> {
    /// What its labels say.
    #[must_use]
    pub fn statement(&self) -> &'a SensitivityStatement {
        match self {
            Self::Known(namespace) => &namespace.statement,
            Self::Exempt { .. } | Self::Unread | Self::Absent => SILENT,
        }
    }

    /// What is known of the namespace `name` of a cluster that has `namespaces`, of which those in `exempt` are governed by
    /// no policy.
    #[must_use]
    pub fn of_cluster(namespaces: &'a BTreeMap<String, Namespace>, exempt: &BTreeSet<String>, name: &str) -> Self {
        match namespaces.get(name) {
            known if exempt.contains(name) => Self::Exempt { known: known.is_some() },
            Some(known) => Self::Known(known),
            None => Self::Absent,
        }
    }

    /// Whether it was read.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self {
            Self::Exempt { known } => *known,
            Self::Known(_) => true,
            Self::Unread | Self::Absent => false,
        }
    }

    /// Whether it was read from a manifest rather than from a cluster.
    #[must_use]
    pub fn is_new(&self) -> bool {
        match self {
            Self::Known(namespace) => namespace.version == 0,
            Self::Exempt { .. } | Self::Unread | Self::Absent => false,
        }
    }

    /// Whether no policy governs it, whatever its labels.
    #[must_use]
    pub fn is_exempt(&self) -> bool {
        match self {
            Self::Exempt { .. } => true,
            Self::Known(_) | Self::Unread | Self::Absent => false,
        }
    }

    /// Whether `policy` governs it, which is called `name`. One that is being deleted governs nothing, as admission has it.
    #[must_use]
    pub fn governed_by(&self, policy: &Policy, name: &str) -> bool {
        match self {
            _ if policy.terminating => false,
            Self::Exempt { .. } | Self::Absent => false,
            Self::Known(namespace) => policy.namespaces.matches(&NamedLabels { labels: Some(&namespace.labels), name }),
            Self::Unread => policy.namespaces.matches(&NamedLabels { labels: None, name }),
        }
    }
}

/// Labels with the one that the API server adds.
struct NamedLabels<'a> {
    labels: Option<&'a Labels>,
    name: &'a str,
}

impl LabelSource for NamedLabels<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        let written = self.labels.and_then(|labels| labels.get(key)).map(String::as_str);
        written.or_else(|| (key == NAMESPACE_NAME).then_some(self.name))
    }
}
