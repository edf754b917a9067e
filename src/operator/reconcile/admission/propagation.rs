//! Propagation: the policies on whose admission every API server acts by now, and what others lack.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{admission::AdmissionKind, operator::cache::Revision};

/// How far admission follows the policies.
#[derive(Debug, Default)]
pub struct Propagation {
    /// By name, the policies whose objects are as they must be, and have been long enough for every API server.
    pub policies: BTreeSet<String>,
    /// By name, the policies of which mutations of the past, as of a wider scope, may still act: what they added and somebody
    /// takes away comes back.
    pub lingering: BTreeSet<String>,
    /// The objects that are missing or other than they must be, by policy.
    pub lacking: BTreeMap<String, Vec<AdmissionFault>>,
    /// Those of the chart, and those that pass for Rempart's.
    pub chart: Vec<AdmissionFault>,
    /// The policies that admission has objects of, while there is no policy at all and nobody was seen to delete them: facts
    /// are missing, as after the loss of the definitions.
    pub orphaned: BTreeSet<String>,
    /// How often [`Self::policies`] and [`Self::lingering`] have changed.
    pub acting: Revision,
    /// How often anything of it has changed but [`Self::lingering`], which nobody is told of: while a policy is made or edited,
    /// with each of its objects.
    pub revision: Revision,
}

/// An admission policy or binding that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionFault {
    /// Its kind.
    pub kind: AdmissionKind,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub fault: AdmissionFaultKind,
}

/// What is wrong with an admission policy or binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionFaultKind {
    /// There is none.
    Missing,
    /// It says something else.
    Altered,
    /// It is of a policy that is not there, and nobody was seen to delete it.
    Orphaned,
    /// It is labelled as Rempart's, or binds what is Rempart's, and Rempart has not made it.
    Foreign,
}

impl AdmissionFaultKind {
    /// As a label of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Orphaned => "orphaned",
            Self::Foreign => "foreign",
        }
    }
}

impl fmt::Display for AdmissionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.kind.as_str(), self.name, self.fault.as_str())
    }
}
