//! Locations of what a report is about, as far as whoever has read the files can tell.
//!
//! A trait that a command implements. What was read from no file has no location.

use std::{collections::BTreeMap, fmt};

pub use crate::manifest::files::UnreadPath;
use rempart_core::{admission::SensitivitySource, text::ListDisplay};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileLocation {
    /// The file, as it was named to the command.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The character within the line, from 1: a Unicode scalar value, not a byte.
    pub column: u32,
}

impl fmt::Display for FileLocation {
    /// As editors take it: `claims.yaml:12:5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column } = self;
        write!(f, "{file}:{line}:{column}")
    }
}

/// What of a workload is pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LocationTarget {
    /// The object as a whole.
    Object,
    /// The annotation of this key, where this source says it: on the workload, or on the pod's template. Never asked
    /// for a namespace: that is [`LocationLookup::of_namespace`].
    Said(SensitivitySource, &'static str),
    /// The annotation of this key, where it reaches no pod: on the `jobTemplate` of a `CronJob`.
    Misplaced(&'static str),
    /// This field of the pod's `spec`, or of its template's, as `nodeName`.
    Field(&'static str),
}

/// Where workloads and namespaces stand.
pub trait LocationLookup {
    /// Where what is `pointed` at of the workload at `index` of [`Plan::workloads`](rempart_core::plan::Plan::workloads)
    /// stands. `None` where that is not known: whoever asks then asks for the object.
    fn of(&self, index: usize, pointed: LocationTarget) -> Option<FileLocation>;

    /// Where the label `key` of the namespace `name` stands.
    fn of_namespace(&self, name: &str, key: &'static str) -> Option<FileLocation>;
}

/// Nothing stands in a file, as when all of it comes from a cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLocations;

impl LocationLookup for NoLocations {
    fn of(&self, _: usize, _: LocationTarget) -> Option<FileLocation> {
        None
    }

    fn of_namespace(&self, _: &str, _: &'static str) -> Option<FileLocation> {
        None
    }
}

/// What was read and not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredKinds {
    /// How many objects of other kinds were passed over, by kind.
    pub kinds: BTreeMap<String, usize>,
    /// Those of them that say a level or categories, or would have pods.
    pub unjudged: Vec<UnjudgedName>,
    /// Files and directories that may hold manifests and were not read.
    pub unread: Vec<UnreadPath>,
}

/// An object that says a level or categories, or would have pods, and of which no pod is judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnjudgedName {
    /// Its kind; `document` of what is no Kubernetes object.
    pub kind: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its name; of what is no Kubernetes object, the name of its file.
    pub name: String,
    /// Where it stands, as far as that is known.
    pub place: Option<FileLocation>,
    /// What it says, as `restricted` or `health`; several in the order in which they stand.
    pub says: Vec<String>,
}

impl fmt::Display for UnjudgedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name, .. } = self;
        match namespace.as_str() {
            "" => write!(f, "{kind} {name}"),
            namespace => write!(f, "{kind} {namespace}/{name}"),
        }
    }
}

impl UnjudgedName {
    /// That no pod of it is judged, with what it says.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.says.as_slice() {
            [] => "no pod of it is judged here".to_owned(),
            says => format!("it says {}, and no pod of it is judged here", ListDisplay(says.iter())),
        }
    }
}

impl IgnoredKinds {
    /// Whether all that was read was judged, but for objects that have no say in where pods run.
    #[must_use]
    pub fn is_all_judged(&self) -> bool {
        self.unjudged.is_empty() && self.unread.is_empty()
    }

    /// How many of all kinds.
    #[must_use]
    pub fn total(&self) -> usize {
        self.kinds.values().sum()
    }
}

impl From<BTreeMap<String, usize>> for IgnoredKinds {
    fn from(kinds: BTreeMap<String, usize>) -> Self {
        Self { kinds, ..Self::default() }
    }
}
