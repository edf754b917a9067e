//! Admission decisions: what a policy asks of a pod, from what is said about it. The twin of the expressions that run inside
//! the API server.
//!
//! The operator never calls this for admission itself. Commands that answer offline do, and a table of cases that runs
//! against both keeps them one.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use alloc::collections::BTreeSet;
use core::fmt;

use super::{
    keys,
    name::{CategoryName, ExceptionName, LevelName, quoted},
    policy::Policy,
    selector::Labels,
    sensitivity::{PodSensitivity, SensitivityStatement},
    text::{ListDisplay, QuotedDisplay},
    workload::WorkloadKind,
};

pub use super::sensitivity::SensitivitySource;

/// The longest annotation that is looked into, in characters.
pub const LONGEST_ANNOTATION: usize = 1024;

/// What a policy makes of what is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyNeed<'a> {
    /// The effective level.
    pub level: &'a LevelName,
    /// Its place in the policy's order, from 0.
    pub rank: usize,
    /// Who said so.
    pub source: SensitivitySource,
    /// The exception that it is under, whose key stands for that of its level.
    pub exception: Option<&'a ExceptionName>,
    /// The categories.
    pub categories: BTreeSet<&'a CategoryName>,
    /// The keys that a pod's `nodeSelector` must hold, with the value [`keys::GRANTED`].
    pub keys: BTreeSet<String>,
}

/// Something about a pod that a policy does not let pass. Displays as the API server says it of the pod itself.
#[derive(Clone, Debug)]
pub enum AdmissionRefusal<'a> {
    /// Longer than [`LONGEST_ANNOTATION`].
    TooLong {
        /// Who says it.
        source: SensitivitySource,
        /// Whether it is about categories.
        categories: bool,
        /// How long it is, in characters.
        length: usize,
    },
    /// No such level.
    UnknownLevel {
        /// The policy that does not know it.
        policy: &'a Policy,
        /// Who says it.
        source: SensitivitySource,
        /// What they say, in part.
        value: String,
    },
    /// No such category.
    UnknownCategory {
        /// The policy that does not know it.
        policy: &'a Policy,
        /// Who says it.
        source: SensitivitySource,
        /// What they say, in part.
        value: String,
    },
    /// Said where it reaches no pod.
    Misplaced {
        /// The annotations.
        keys: Vec<&'static str>,
    },
    /// Of a namespace that says no level, where the policy demands one.
    NamespaceSilent {
        /// The policy that demands it.
        policy: &'a Policy,
    },
    /// Placed by its author, past the scheduler.
    NodeName {
        /// The policy that asks for a cleared node.
        policy: &'a Policy,
        /// The node that is named, in part.
        node: String,
        /// What asks for a cleared node: a level, categories, or both.
        demand: String,
    },
}

impl AdmissionRefusal<'_> {
    /// The order in which the API server looks for faults: of several, it tells the first.
    fn order(&self) -> u8 {
        match self {
            Self::TooLong { categories, .. } => u8::from(*categories),
            Self::UnknownLevel { .. } => 2,
            Self::UnknownCategory { .. } => 3,
            Self::Misplaced { .. } => 4,
            Self::NodeName { .. } => 5,
            Self::NamespaceSilent { .. } => 6,
        }
    }

    /// Who said what is refused; nobody where it is no statement.
    #[must_use]
    pub fn source(&self) -> Option<SensitivitySource> {
        match self {
            Self::TooLong { source, .. } | Self::UnknownLevel { source, .. } | Self::UnknownCategory { source, .. } => {
                Some(*source)
            }
            Self::Misplaced { .. } | Self::NamespaceSilent { .. } | Self::NodeName { .. } => None,
        }
    }

    /// The key of the annotation or label that is refused; nothing where it is a field, or is not there.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::TooLong { categories: false, .. } | Self::UnknownLevel { .. } => Some(keys::SENSITIVITY),
            Self::TooLong { categories: true, .. } | Self::UnknownCategory { .. } => Some(keys::CATEGORIES),
            Self::Misplaced { keys } => keys.first().copied(),
            Self::NamespaceSilent { .. } | Self::NodeName { .. } => None,
        }
    }

    /// A stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "AnnotationTooLong",
            Self::UnknownLevel { .. } => "LevelUnknown",
            Self::UnknownCategory { .. } => "CategoryUnknown",
            Self::Misplaced { .. } => "AnnotationMisplaced",
            Self::NamespaceSilent { .. } => "NamespaceLevelMissing",
            Self::NodeName { .. } => "NodeNameSet",
        }
    }

    /// What was probably meant, where that can be guessed.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (value, known): (_, Vec<&str>) = match self {
            Self::UnknownLevel { policy, value, .. } => {
                (value, policy.levels.iter().map(|level| level.name.as_str()).collect())
            }
            Self::UnknownCategory { policy, value, .. } => {
                (value, policy.categories.keys().map(CategoryName::as_str).collect())
            }
            Self::TooLong { .. } | Self::Misplaced { .. } | Self::NamespaceSilent { .. } | Self::NodeName { .. } => {
                return None;
            }
        };
        if value.trim() != value && known.contains(&value.trim()) {
            return Some(format!("write {} without the space", value.trim()));
        }
        let likeness = |known: &str| strsim::jaro_winkler(known, &value.trim().to_lowercase());
        let best = known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(best) > 0.85).then(|| format!("perhaps {best} is meant"))
    }

    /// The refusal in the words that the author of an object of `kind` reads.
    #[must_use]
    pub fn told_of(&self, kind: WorkloadKind) -> impl fmt::Display {
        RefusalDisplay { refusal: self, reader: RefusalReader::Of(kind) }
    }

    /// The refusal in the words that the author of the namespace reads.
    #[must_use]
    pub fn told_of_namespace(&self) -> impl fmt::Display {
        RefusalDisplay { refusal: self, reader: RefusalReader::OfNamespace }
    }
}

impl fmt::Display for AdmissionRefusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told_of(WorkloadKind::Pod).fmt(f)
    }
}

struct RefusalDisplay<'a> {
    refusal: &'a AdmissionRefusal<'a>,
    reader: RefusalReader,
}

/// What the reader of a refusal has written.
#[derive(Clone, Copy)]
enum RefusalReader {
    Of(WorkloadKind),
    OfNamespace,
}

/// Where a statement stands, for the reader of an object of a kind.
struct StatementPlace {
    source: SensitivitySource,
    key: &'static str,
    reader: RefusalReader,
}

impl fmt::Display for StatementPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, key, reader } = self;
        match (source, reader) {
            (SensitivitySource::Namespace, RefusalReader::OfNamespace) => write!(f, "label {key}"),
            (SensitivitySource::Namespace, RefusalReader::Of(_)) => write!(f, "label {key} of the namespace"),
            (SensitivitySource::Workload, RefusalReader::Of(WorkloadKind::Pod)) => {
                write!(f, "annotation {key} of the workload")
            }
            (SensitivitySource::Pod, RefusalReader::Of(kind)) => match kind.template_at() {
                Some(template) => write!(f, "annotation {key} of {template}"),
                None => write!(f, "annotation {key}"),
            },
            _ => write!(f, "annotation {key}"),
        }
    }
}

impl fmt::Display for RefusalDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refusal, reader } = *self;
        let standing = |source: &SensitivitySource, key| StatementPlace { source: *source, key, reader };
        match refusal {
            AdmissionRefusal::TooLong { source, categories, length } => {
                let key = if *categories { keys::CATEGORIES } else { keys::SENSITIVITY };
                let place = standing(source, key);
                write!(f, "{place} has {length} characters; at most {LONGEST_ANNOTATION} are allowed")
            }
            AdmissionRefusal::UnknownLevel { policy, source, value } => write!(
                f,
                "{} is {}: no such level in PlacementPolicy {}; levels, least to most sensitive: {}",
                standing(source, keys::SENSITIVITY),
                QuotedDisplay(value),
                policy.name,
                ListDisplay(policy.levels.iter().map(|level| &level.name))
            ),
            AdmissionRefusal::UnknownCategory { policy, source, value } => write!(
                f,
                "{} has {}: no such category in PlacementPolicy {}; categories: {}",
                standing(source, keys::CATEGORIES),
                QuotedDisplay(value),
                policy.name,
                ListDisplay(policy.categories.keys())
            ),
            AdmissionRefusal::Misplaced { keys } => write!(
                f,
                "annotation {} of spec.jobTemplate would reach the Job but never its pods; put it on the CronJob's \
                 metadata or on spec.jobTemplate.spec.template.metadata",
                ListDisplay(keys.iter())
            ),
            AdmissionRefusal::NamespaceSilent { policy } => write!(
                f,
                "has no label {}, by which PlacementPolicy {} has each of its namespaces say its level; levels, least to \
                 most sensitive: {}",
                keys::SENSITIVITY,
                policy.name,
                ListDisplay(policy.levels.iter().map(|level| &level.name))
            ),
            AdmissionRefusal::NodeName { policy, node, demand } => write!(
                f,
                "spec.nodeName is {}, but {demand} of PlacementPolicy {} is placed by kube-scheduler on cleared nodes; \
                 remove spec.nodeName",
                QuotedDisplay(node),
                policy.name
            ),
        }
    }
}

impl PolicyNeed<'_> {
    /// Whether `stamps` hold all that it asks for.
    #[must_use]
    pub fn met_by(&self, stamps: &Labels) -> bool {
        self.keys.iter().all(|key| keys::grants(stamps, key))
    }

    /// What of it asks for a cleared place, in words: `level restricted, category health`. Empty where nothing does.
    #[must_use]
    pub fn demand(&self, policy: &Policy) -> String {
        let level = policy.levels.demands_at(self.rank).then(|| format!("level {}", self.level));
        let asking =
            policy.categories.iter().filter(|(name, require)| require.is_some() && self.categories.contains(name));
        level.into_iter().chain(asking.map(|(name, _)| format!("category {name}"))).collect::<Vec<_>>().join(", ")
    }
}

impl Policy {
    /// What is refused of a namespace when it is made, or comes under this policy, and says no more than `statement`.
    #[must_use]
    pub fn refused_of_silent_namespace(&self, statement: &SensitivityStatement) -> Option<AdmissionRefusal<'_>> {
        let is_silent = self.requires_namespace_level && statement.sensitivity.is_none();
        is_silent.then_some(AdmissionRefusal::NamespaceSilent { policy: self })
    }

    /// What a pod needs of which `said` is said in the namespace of this name, whether or not the policy governs that.
    ///
    /// # Errors
    /// Every statement that this policy cannot judge.
    pub fn need(
        &self,
        namespace: &str,
        said: &PodSensitivity<'_>,
    ) -> Result<PolicyNeed<'_>, Vec<AdmissionRefusal<'_>>> {
        let mut refusals = Vec::new();
        let mut effective: Option<(usize, SensitivitySource)> = None;
        let mut categories = BTreeSet::new();
        for (source, statement) in said.statements() {
            if let Some(value) = statement.sensitivity.as_deref() {
                match self.rank_said(source, value) {
                    Ok(rank) if effective.is_none_or(|(highest, _)| rank > highest) => effective = Some((rank, source)),
                    Ok(_) => {}
                    Err(refusal) => refusals.push(refusal),
                }
            }
            if let Some(joined) = statement.categories.as_deref() {
                match self.categories_said(source, joined) {
                    Ok(said) => categories.extend(said),
                    Err(refusal) => refusals.push(refusal),
                }
            }
        }
        refusals.sort_by_key(AdmissionRefusal::order);
        let (rank, source) = effective.unwrap_or((self.levels.default_rank(), SensitivitySource::Default));
        let minimum = self.levels.minimum_rank();
        let (rank, source) = if rank < minimum { (minimum, SensitivitySource::Minimum) } else { (rank, source) };
        let level = match self.levels.at(rank) {
            Some(level) if refusals.is_empty() => &level.name,
            _ => return Err(refusals),
        };
        let exception = self.exception_for(namespace, rank);
        let of_level = exception.map_or_else(|| self.clearance_key(rank), |name| self.exception_key(name.as_str()));
        let keys = of_level
            .into_iter()
            .chain(categories.iter().filter_map(|category| self.category_key(category.as_str())))
            .collect();
        Ok(PolicyNeed { level, rank, source, exception, categories, keys })
    }

    fn rank_said(&self, source: SensitivitySource, value: &str) -> Result<usize, AdmissionRefusal<'_>> {
        let length = value.chars().count();
        if length > LONGEST_ANNOTATION {
            return Err(AdmissionRefusal::TooLong { source, categories: false, length });
        }
        self.levels.rank(value).ok_or_else(|| AdmissionRefusal::UnknownLevel {
            policy: self,
            source,
            value: quoted(value),
        })
    }

    fn categories_said(
        &self,
        source: SensitivitySource,
        joined: &str,
    ) -> Result<Vec<&CategoryName>, AdmissionRefusal<'_>> {
        let length = joined.chars().count();
        if length > LONGEST_ANNOTATION {
            return Err(AdmissionRefusal::TooLong { source, categories: true, length });
        }
        // A label's value cannot hold a comma.
        let separator = if source == SensitivitySource::Namespace { '.' } else { ',' };
        joined
            .split(separator)
            .map(|name| match self.categories.get_key_value(name) {
                Some((known, _)) => Ok(known),
                None => Err(AdmissionRefusal::UnknownCategory { policy: self, source, value: quoted(name) }),
            })
            .collect()
    }
}
