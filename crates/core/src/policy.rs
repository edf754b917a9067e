//! Policies: what officers demand, as levels from least to most sensitive, and categories beside them.

use alloc::string::String;
use alloc::string::ToString;
use alloc::vec::Vec;

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use super::{
    coverage::{CertificateRequirement, SchemeLevel},
    instant::{CalendarDay, Timestamp},
    jurisdiction::JurisdictionAreas,
    keys::{self, KeySubject},
    move_window::MoveWindows,
    name::{CategoryName, ExceptionName, Law, LevelName, PolicyName, PoolName, ProviderName, RegionName, Scheme},
    scheduling::LevelScheduling,
    selector::Selector,
};

/// What becomes of what the policy does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnforcementMode {
    /// Pods are placed, and what cannot be judged is refused.
    Enforce,
    /// The applying user is warned; nothing is altered.
    Warn,
    /// The API server's audit log has it; nobody else notices.
    Audit,
}

impl core::fmt::Display for EnforcementMode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Enforce => "Enforce",
            Self::Warn => "Warn",
            Self::Audit => "Audit",
        })
    }
}

/// Which data may run where.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// What becomes of what it does not allow.
    pub mode: EnforcementMode,
    /// Whether it is being deleted. Then it governs no namespace any more, as admission has it; its stamps stay until it
    /// is gone, since pods select by them.
    pub terminating: bool,
    /// The namespaces that it governs.
    pub namespaces: Selector,
    /// Whether each of these must say its level by a label.
    pub requires_namespace_level: bool,
    /// Its levels.
    pub levels: PolicyLevels,
    /// Its categories; `None` for one that demands nothing.
    pub categories: BTreeMap<CategoryName, Option<LevelRequirements>>,
    /// Its exceptions. No namespace is in two of them.
    pub exceptions: BTreeMap<ExceptionName, Exception>,
}

/// Namespaces whose pods may, until a day, also run on pools that are not cleared for their level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The namespaces, by name.
    pub namespaces: BTreeSet<String>,
    /// The most sensitive level that it is for: its place in the order, from 0.
    pub rank: usize,
    /// The pools that these pods may use beside the cleared ones.
    pub pools: BTreeSet<PoolName>,
    /// The last day on which it holds.
    pub until: CalendarDay,
    /// Why it was granted.
    pub reason: String,
    /// Who answers for it.
    pub approved_by: String,
}

impl Exception {
    /// Whether it holds at `at`.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        at < self.until.ends()
    }

    /// When it ends; `None` when it has at `at`.
    #[must_use]
    pub fn end(&self, at: Timestamp) -> Option<Timestamp> {
        Some(self.until.ends()).filter(|end| at < *end)
    }
}

/// What becomes of running pods whose pool is no longer cleared for their level.
#[derive(Clone, Debug, Default)]
pub struct OnClearanceLoss {
    /// What is done to them.
    pub action: LossAction,
    /// How long before the end of a certificate they begin to leave.
    pub lead: Duration,
    /// When they may begin to leave ahead of that end.
    pub windows: MoveWindows,
    /// After so long a pod that violates and could run elsewhere goes, past its disruption budget; never where absent.
    pub deadline: Option<Duration>,
}

/// What is done to pods that stand where they may no longer stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossAction {
    /// They are replaced, replacement first.
    #[default]
    Migrate,
    /// They are evicted.
    Evict,
    /// Nothing; the officer is told.
    Report,
}

/// The levels of a policy, least to most sensitive, with a default among them and a minimum that is not above it.
#[derive(Clone, Debug)]
pub struct PolicyLevels {
    ordered: Vec<Level>,
    default: usize,
    minimum: usize,
}

/// One step of sensitivity.
#[derive(Clone, Debug)]
pub struct Level {
    /// Its name.
    pub name: LevelName,
    /// What it demands beyond the levels below; `None` for nothing.
    pub require: Option<LevelRequirements>,
    /// What becomes of running pods whose pool is no longer cleared for it.
    pub on_loss: OnClearanceLoss,
    /// What it wishes of the scheduler beyond that.
    pub scheduling: LevelScheduling,
}

/// Levels that make no order, or a default that is none of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLevels {
    /// Two levels have one name.
    #[error("level {0} is listed twice: keep one of them")]
    Duplicate(LevelName),
    /// The default is not among the levels.
    #[error("defaultLevel is {default:?}, which is none of the levels: write one of {known}")]
    Default {
        /// What the policy says.
        default: String,
        /// The levels that it has.
        known: String,
    },
    /// The minimum is not among the levels.
    #[error("minimumLevel is {minimum:?}, which is none of the levels: write one of {known}")]
    Minimum {
        /// What the policy says.
        minimum: String,
        /// The levels that it has.
        known: String,
    },
    /// The default is below the minimum.
    #[error(
        "defaultLevel {default} is below minimumLevel {minimum}: write {minimum} or a level above it as the default"
    )]
    DefaultBelowMinimum {
        /// The default.
        default: LevelName,
        /// The minimum.
        minimum: LevelName,
    },
}

/// The names of levels, for people.
fn known(levels: &[Level]) -> String {
    super::text::ListDisplay(levels.iter().map(|level| &level.name)).to_string()
}

impl PolicyLevels {
    /// Takes `ordered`, least to most sensitive, and the name of the default among them.
    ///
    /// # Errors
    /// [`InvalidLevels`].
    pub fn new(ordered: Vec<Level>, default: &str) -> Result<Self, InvalidLevels> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = ordered.iter().find(|level| !seen.insert(&level.name)) {
            return Err(InvalidLevels::Duplicate(twice.name.clone()));
        }
        match ordered.iter().position(|level| level.name.as_str() == default) {
            Some(default) => Ok(Self { ordered, default, minimum: 0 }),
            None => Err(InvalidLevels::Default { default: super::name::quoted(default), known: known(&ordered) }),
        }
    }

    /// The same levels, of which none below the one called `minimum` is in effect for anything.
    ///
    /// # Errors
    /// [`InvalidLevels`].
    pub fn with_minimum(self, minimum: &str) -> Result<Self, InvalidLevels> {
        let Some(rank) = self.rank(minimum) else {
            return Err(InvalidLevels::Minimum { minimum: super::name::quoted(minimum), known: known(&self.ordered) });
        };
        match (self.at(self.default), self.at(rank)) {
            (Some(default), Some(minimum)) if self.default < rank => {
                Err(InvalidLevels::DefaultBelowMinimum { default: default.name.clone(), minimum: minimum.name.clone() })
            }
            _ => Ok(Self { minimum: rank, ..self }),
        }
    }

    /// Least to most sensitive.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Level> + DoubleEndedIterator + Clone {
        self.ordered.iter()
    }

    /// How sensitive the default is: its place in the order, from 0.
    #[must_use]
    pub fn default_rank(&self) -> usize {
        self.default
    }

    /// How sensitive everything is at least: its place in the order, from 0. Never above that of the default.
    #[must_use]
    pub fn minimum_rank(&self) -> usize {
        self.minimum
    }

    /// How sensitive `name` is: its place in the order, from 0.
    #[must_use]
    pub fn rank(&self, name: &str) -> Option<usize> {
        self.ordered.iter().position(|level| level.name.as_str() == name)
    }

    /// The level at `rank`.
    #[must_use]
    pub fn at(&self, rank: usize) -> Option<&Level> {
        self.ordered.get(rank)
    }

    /// How long before a certificate ends pods of the level at `rank` begin to leave: the longest of its own lead time
    /// and of those of the levels below.
    #[must_use]
    pub fn lead_at(&self, rank: usize) -> Duration {
        self.ordered.iter().take(rank.saturating_add(1)).map(|level| level.on_loss.lead).max().unwrap_or_default()
    }

    /// The levels, by rank, that have a lead time and a stamp to withdraw.
    pub fn with_lead(&self) -> impl Iterator<Item = usize> {
        (0..self.ordered.len()).filter(|rank| self.demands_at(*rank) && !self.lead_at(*rank).is_zero())
    }

    /// The levels whose demands the control plane must meet too because of what the level at `rank` says: the first that
    /// counts it in brings those of all levels below, and each above that its own. None where nobody counts it in.
    #[must_use]
    pub fn asked_of_control_plane(&self, rank: usize) -> &[Level] {
        let counts = |level: &Level| level.require.as_ref().is_some_and(|require| require.control_plane);
        let from = match self.ordered.iter().position(counts) {
            Some(first) if first == rank => 0,
            Some(first) if first < rank => rank,
            _ => return &[],
        };
        self.ordered.get(from..=rank).unwrap_or_default()
    }

    /// Whether the level at `rank`, or one below it, counts the control plane in.
    #[must_use]
    pub fn counts_control_plane(&self, rank: usize) -> bool {
        !self.asked_of_control_plane(rank).is_empty()
    }

    /// Whether the level at `rank`, or one below it, demands anything: only then is there a stamp for it.
    #[must_use]
    pub fn demands_at(&self, rank: usize) -> bool {
        self.ordered.iter().take(rank.saturating_add(1)).any(|level| level.require.is_some())
    }
}

impl Policy {
    /// Whether it places and refuses, and does not only warn or watch.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        match self.mode {
            EnforcementMode::Enforce => true,
            EnforcementMode::Warn | EnforcementMode::Audit => false,
        }
    }

    /// The key that a pod of the level at `rank` selects by; `None` where nothing is demanded.
    #[must_use]
    pub fn clearance_key(&self, rank: usize) -> Option<String> {
        let level = self.levels.at(rank)?;
        self.levels.demands_at(rank).then(|| keys::clearance(&self.name, &level.name))
    }

    /// The key of the node label that says how good a place is for pods of the level at `rank`; `None` where nothing is
    /// preferred.
    #[must_use]
    pub fn rank_key(&self, rank: usize) -> Option<String> {
        let level = self.levels.at(rank)?;
        (!level.scheduling.prefer.is_empty()).then(|| keys::rank(&self.name, &level.name))
    }

    /// Whether some level wishes anything of the scheduler.
    #[must_use]
    pub fn has_wishes(&self) -> bool {
        self.levels.iter().any(|level| level.scheduling.says_anything())
    }

    /// The exception that is for pods of the level at `rank` in the namespace of this name; `None` as well where nothing is
    /// demanded. Whether it has ended plays no part: what lets pods onto a place is the stamp, and that ends.
    #[must_use]
    pub fn exception_for(&self, namespace: &str, rank: usize) -> Option<&ExceptionName> {
        let applies = |exception: &Exception| rank <= exception.rank && exception.namespaces.contains(namespace);
        let (name, _) = self.exceptions.iter().find(|(_, exception)| applies(exception))?;
        self.levels.demands_at(rank).then_some(name)
    }

    /// The key that the pods of the exception `name` select by; `None` where its level demands nothing or there is none.
    #[must_use]
    pub fn exception_key(&self, name: &str) -> Option<String> {
        let (name, exception) = self.exceptions.get_key_value(name)?;
        self.levels.demands_at(exception.rank).then(|| keys::exception(&self.name, name))
    }

    /// The key that a pod of `category` selects by; `None` where nothing is demanded or the category is unknown.
    #[must_use]
    pub fn category_key(&self, category: &str) -> Option<String> {
        let (name, require) = self.categories.get_key_value(category)?;
        require.as_ref().map(|_| keys::category(&self.name, name))
    }

    /// Whether some pod is given the key of `subject`.
    #[must_use]
    pub fn demands(&self, subject: KeySubject<'_>) -> bool {
        match subject {
            KeySubject::Level(name) => self.levels.rank(name).is_some_and(|rank| self.levels.demands_at(rank)),
            KeySubject::Category(name) => self.category_key(name).is_some(),
            KeySubject::Exception(name) => self.exception_key(name).is_some(),
        }
    }
}

/// What one level or category demands of a place. Absent means: nothing in this respect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LevelRequirements {
    /// Countries that the operator may be bound by.
    pub operator: Option<JurisdictionAreas>,
    /// Countries that the controlling party may be bound by.
    pub controlling_party: Option<JurisdictionAreas>,
    /// Countries that every supplier of technology may be bound by.
    pub technology: Option<JurisdictionAreas>,
    /// Countries in which the data may lie.
    pub data: Option<JurisdictionAreas>,
    /// Laws that must not reach the offer.
    pub not_exposed_to: BTreeSet<Law>,
    /// Certificates that must be in force, all of them.
    pub qualifications: BTreeSet<Scheme>,
    /// Certificates that must be in force at this level or a higher one, all of them.
    pub minimum_levels: BTreeMap<Scheme, SchemeLevel>,
    /// Providers that may, and may not.
    pub providers: NameFilter<ProviderName>,
    /// Regions that may, and may not.
    pub regions: NameFilter<RegionName>,
    /// The highest power usage effectiveness (ratio).
    pub max_pue: Option<f64>,
    /// The highest carbon intensity (gCO2e/kWh).
    pub max_carbon_intensity: Option<f64>,
    /// Whether the cluster's control plane must meet all of it too.
    pub control_plane: bool,
}

impl LevelRequirements {
    /// The certificates that must be in force. Who asks for a level of a scheme asks for the scheme.
    pub fn certificates(&self) -> impl Iterator<Item = CertificateRequirement<'_>> {
        let of_any = self.qualifications.iter().filter(|scheme| !self.minimum_levels.contains_key(*scheme));
        let of_order = self.minimum_levels.iter();
        let of_order = of_order.map(|(scheme, least)| CertificateRequirement { scheme, at_least: Some(*least) });
        of_any.map(CertificateRequirement::from).chain(of_order)
    }
}

/// Names that are allowed (all when `None`), and names that are denied even so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameFilter<T> {
    /// Only these, when given.
    pub allow: Option<BTreeSet<T>>,
    /// Never these.
    pub deny: BTreeSet<T>,
}

impl<T> Default for NameFilter<T> {
    fn default() -> Self {
        Self { allow: None, deny: BTreeSet::new() }
    }
}

/// What a filter makes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterResult<'a, T> {
    /// It may pass.
    Passes,
    /// It is on the list of the denied.
    Denied,
    /// It is not among these, the allowed.
    NotAmong(&'a BTreeSet<T>),
}

impl<T: Ord> NameFilter<T> {
    /// Whether it demands anything.
    #[must_use]
    pub fn says_anything(&self) -> bool {
        self.allow.is_some() || !self.deny.is_empty()
    }

    /// What it makes of `name`.
    pub fn judge(&self, name: &T) -> FilterResult<'_, T> {
        match &self.allow {
            _ if self.deny.contains(name) => FilterResult::Denied,
            Some(allow) if !allow.contains(name) => FilterResult::NotAmong(allow),
            _ => FilterResult::Passes,
        }
    }
}
