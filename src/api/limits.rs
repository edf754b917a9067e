//! Size limits: how much an object may hold.
//!
//! The API server estimates the cost of CEL rules, those of the CRDs and those of the admission
//! policies that take a `PlacementPolicy` as their parameter, from these bounds alone. They are far
//! above what a real catalogue needs and low enough that every rule fits the budget. The operator
//! cuts what it writes into a status to the same bounds.

/// Characters of a name that becomes the value of a label: pools, providers, offers, regions, zones.
pub const NAME: usize = 63;

/// Characters of the name of an object, as Kubernetes has it.
pub const OBJECT_NAME: usize = 253;

/// Characters of the name of a policy, level or category. `<policy>.<level>` is the name of a node
/// label, at most 63 characters.
pub const SHORT_NAME: usize = 28;

/// Characters of a line of text for people.
pub const TEXT: usize = 256;

/// Characters of a web address.
pub const URL: usize = 1024;

/// Characters of a message in a status.
pub const MESSAGE: usize = 1024;

/// Levels of a policy.
pub const LEVELS: usize = 16;

/// Figures that a level prefers pools by.
pub const PREFERENCES: usize = 3;

/// Pods of which a record says since when they violate.
pub const VIOLATING_PODS: usize = 64;

/// Windows of a level.
pub const WINDOWS: usize = 4;

/// Categories of a policy.
pub const CATEGORIES: usize = 32;

/// Exceptions of a policy.
pub const EXCEPTIONS: usize = 16;

/// Namespaces of an exception.
pub const EXCEPTION_NAMESPACES: usize = 16;

/// Entries of one demand: countries, schemes, laws, providers or regions.
pub const DEMANDS: usize = 64;

/// Offers of a provider.
pub const OFFERS: usize = 64;

/// Zones of an offer.
pub const ZONES: usize = 64;

/// Technologies of an offer.
pub const TECHNOLOGIES: usize = 32;

/// Qualifications of an offer.
pub const QUALIFICATIONS: usize = 32;

/// Regions in the scope of a qualification.
pub const SCOPE: usize = 16;

/// Laws that an offer lists.
pub const LAWS: usize = 32;

/// Entries of a label selector, of either kind; and the values of one expression.
pub const SELECTOR: usize = 32;

/// Entries of a list in a status.
pub const STATUS_LIST: usize = 1024;

/// Pools in a record of a workload, each of which it may not use.
pub const REJECTED_POOLS: usize = 16;

/// Reasons of one verdict in a status.
pub const REASONS: usize = 64;

/// Conditions in a status.
pub const CONDITIONS: usize = 16;
