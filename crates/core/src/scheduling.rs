//! Scheduling: what a level wishes of the scheduler once security is satisfied, and what a pod is given so that it hears it.
//!
//! Takes the wishes of a level and what a pod carries, and returns [`SchedulingHints`], a difference. The twin of the
//! expressions of the mutation `rempart-scheduling`, which runs inside the API server. Nothing here decides where a pod may
//! run: a hint chooses among the places that its selector leaves.

use alloc::{borrow::ToOwned, collections::BTreeSet, string::String, vec::Vec};
use core::{fmt, time::Duration};

use super::keys;

/// What a level wishes beyond what it requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LevelScheduling {
    /// Which figures of a place count, and how much; by none no place is better than another.
    pub prefer: Vec<Preference>,
    /// How the pods of each workload are spread.
    pub spread: Option<Spread>,
    /// How long a pod stays on a node that does not answer.
    pub unreachable_after: Option<Duration>,
}

impl LevelScheduling {
    /// Whether its pods are given anything.
    #[must_use]
    pub fn says_anything(&self) -> bool {
        *self != Self::default()
    }
}

/// A figure of a place of which less is better, and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    /// The figure.
    pub by: Figure,
    /// How much it counts beside the others, 1 to 100.
    pub weight: u8,
}

/// A figure of a place of which less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Power usage effectiveness of the zone (ratio).
    Pue,
    /// Carbon intensity of the zone's electricity (gCO2e/kWh).
    CarbonIntensity,
    /// Price of a node and hour of the pool, in the pool's currency.
    Price,
}

impl Figure {
    /// As policies write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pue => "pue",
            Self::CarbonIntensity => "carbonIntensity",
            Self::Price => "price",
        }
    }
}

/// How the pods of each workload are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Across what.
    pub across: SpreadDomain,
    /// Over how many at least; only of a spread that is required.
    pub min_domains: Option<u16>,
    /// By how many pods two may differ at most.
    pub max_skew: u16,
    /// Whether a pod that would break it waits.
    pub is_required: bool,
}

impl Spread {
    /// What Kubernetes calls it when a pod would break it.
    #[must_use]
    pub fn when_unsatisfiable(&self) -> &'static str {
        if self.is_required { "DoNotSchedule" } else { "ScheduleAnyway" }
    }

    /// Over how many domains pods must be spread.
    #[must_use]
    pub fn needed(&self) -> u16 {
        self.min_domains.filter(|_| self.is_required).unwrap_or(1)
    }

    /// How many of `pods` pods of a workload can run where there are `domains` domains; `None` for all. Below the demanded
    /// number of domains Kubernetes takes the emptiest to hold none, so each takes `max_skew` pods at most.
    #[must_use]
    pub fn most(&self, domains: usize) -> Option<usize> {
        (domains < usize::from(self.needed())).then(|| domains.saturating_mul(self.max_skew.into()))
    }
}

/// What pods are spread across.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpreadDomain {
    /// Providers.
    Provider,
    /// Regions.
    Region,
    /// Zones.
    Zone,
    /// Pools.
    Pool,
}

impl SpreadDomain {
    /// The node label that tells the domain.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Provider => keys::PROVIDER,
            Self::Region => keys::REGION,
            Self::Zone => keys::ZONE,
            Self::Pool => keys::POOL,
        }
    }

    /// As policies write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "Provider",
            Self::Region => "Region",
            Self::Zone => "Zone",
            Self::Pool => "Pool",
        }
    }
}

impl fmt::Display for SpreadDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "provider",
            Self::Region => "region",
            Self::Zone => "zone",
            Self::Pool => "pool",
        })
    }
}

/// The steps of preferred node affinity on a rank, each with its weight: a place is worth the weight of each step that its
/// score is above. Places within ten points of the best are worth the same. Each further band is worth a quarter of the one
/// above it or less: the scheduler scales what places are worth by the best of those that have room, and weighs it against
/// an even use of nodes, so what is to decide must differ by much. Chosen by measurement: docs/benchmarks.md. Together they
/// weigh as much as the strongest wish of a user, 100.
pub const STEPS: [(u8, u8); 5] = [(89, 75), (74, 19), (54, 4), (34, 1), (14, 1)];

/// The labels by which controllers tell the pods of one revision of one workload: of `Deployment`s, of Argo's `Rollout`s, of
/// `StatefulSet`s and of `Job`s.
pub const REVISION_LABELS: [&str; 4] = [
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "controller-revision-hash",
    "batch.kubernetes.io/controller-uid",
];

/// The taints of a node that does not answer.
pub const UNREACHABLE_TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// What a new pod carries of what hints are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodScheduling {
    /// The kind of the owner that controls it.
    pub controller: Option<String>,
    /// The first of [`REVISION_LABELS`] that it has, with its value.
    pub revision: Option<(&'static str, String)>,
    /// The node labels that its preferred node affinity names.
    pub preferred_keys: BTreeSet<String>,
    /// Its topology spread constraints, in their order.
    pub constraints: Vec<SpreadConstraint>,
    /// For how many seconds at most it tolerates each taint of a node that does not answer, where it says so; by the taint's
    /// key.
    pub tolerated: Vec<(String, i64)>,
}

/// A topology spread constraint of a pod, as far as one of a level's can meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadConstraint {
    /// The node label that tells the domain.
    pub key: String,
    /// `DoNotSchedule` or `ScheduleAnyway`.
    pub when_unsatisfiable: String,
    /// By how many pods two domains may differ.
    pub max_skew: i64,
    /// Over how many domains at least.
    pub min_domains: Option<i64>,
}

/// What a pod is given so that the scheduler does what its level wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulingHints {
    /// The key of the rank that steps of preferred node affinity are to be added for.
    pub rank_key: Option<String>,
    /// What becomes of its topology spread constraints.
    pub spread: Option<SpreadHint>,
    /// Tolerations to be put before the others: the key of a taint, and for how many seconds.
    pub tolerations: Vec<(&'static str, u64)>,
}

/// What becomes of the topology spread constraints of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpreadHint {
    /// One is added, over the pods with this label.
    Added {
        /// The level's.
        spread: Spread,
        /// The label of the pods that are counted, with its value.
        counted: (&'static str, String),
    },
    /// The pod's own one at `index`, of the same kind, is as strict as the level's.
    Tightened {
        /// Its place among them.
        index: usize,
        /// What it is to say where it says more.
        max_skew: Option<u16>,
        /// What it is to say where it says less.
        min_domains: Option<u16>,
    },
}

impl SchedulingHints {
    /// Whether nothing is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { rank_key, spread, tolerations } = self;
        rank_key.is_none() && spread.is_none() && tolerations.is_empty()
    }

    /// What a pod that carries `pod` is given by the `wishes` of its level, whose rank is told by `rank_key`. The pods of
    /// `DaemonSet`s have their node already.
    #[must_use]
    pub fn new(wishes: &LevelScheduling, rank_key: &str, pod: &PodScheduling) -> Self {
        if pod.controller.as_deref() == Some("DaemonSet") {
            return Self::default();
        }
        let LevelScheduling { prefer, spread, unreachable_after } = wishes;
        let is_ranked = !prefer.is_empty() && !pod.preferred_keys.contains(rank_key);
        let tolerations = unreachable_after.iter().flat_map(|longest| {
            let seconds = longest.as_secs();
            let is_shorter = move |(key, found): &(String, i64), taint: &str| {
                key == taint && u64::try_from(*found).unwrap_or_default() <= seconds
            };
            let missing = move |taint: &&str| !pod.tolerated.iter().any(|found| is_shorter(found, taint));
            UNREACHABLE_TAINTS.into_iter().filter(missing).map(move |taint| (taint, seconds))
        });
        Self {
            rank_key: is_ranked.then(|| rank_key.to_owned()),
            spread: spread.and_then(|spread| spread_hint(spread, pod)),
            tolerations: tolerations.collect(),
        }
    }
}

fn spread_hint(spread: Spread, pod: &PodScheduling) -> Option<SpreadHint> {
    let is_same = |found: &SpreadConstraint| {
        found.key == spread.across.key() && found.when_unsatisfiable == spread.when_unsatisfiable()
    };
    let Some((index, own)) = pod.constraints.iter().enumerate().find(|(_, found)| is_same(found)) else {
        pod.controller.as_ref()?;
        return pod.revision.clone().map(|counted| SpreadHint::Added { spread, counted });
    };
    let max_skew = Some(spread.max_skew).filter(|most| own.max_skew > i64::from(*most));
    let min_domains = spread.min_domains.filter(|least| own.min_domains.unwrap_or(1) < i64::from(*least));
    (max_skew.is_some() || min_domains.is_some()).then_some(SpreadHint::Tightened { index, max_skew, min_domains })
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    fn wishes() -> LevelScheduling {
        LevelScheduling {
            prefer: vec![Preference { by: Figure::Pue, weight: 1 }],
            spread: Some(Spread {
                across: SpreadDomain::Provider,
                min_domains: Some(2),
                max_skew: 1,
                is_required: true,
            }),
            unreachable_after: Some(Duration::from_mins(1)),
        }
    }

    fn constraint(when: &str, max_skew: i64, min_domains: Option<i64>) -> SpreadConstraint {
        let when_unsatisfiable = when.to_owned();
        SpreadConstraint { key: keys::PROVIDER.to_owned(), when_unsatisfiable, max_skew, min_domains }
    }

    fn pod() -> PodScheduling {
        PodScheduling {
            controller: Some("ReplicaSet".to_owned()),
            revision: Some((REVISION_LABELS[0], "abc".to_owned())),
            tolerated: UNREACHABLE_TAINTS.map(|taint| (taint.to_owned(), 300)).into(),
            ..PodScheduling::default()
        }
    }

    #[test]
    fn a_pod_is_given_what_its_level_wishes_once() {
        let hints = SchedulingHints::new(&wishes(), "rank", &pod());
        assert_eq!(hints.rank_key.as_deref(), Some("rank"));
        assert_eq!(hints.tolerations, UNREACHABLE_TAINTS.map(|taint| (taint, 60)));
        assert!(
            matches!(&hints.spread, Some(SpreadHint::Added { counted: ("pod-template-hash", value), .. }) if value == "abc")
        );
        // Looked at again it has all of it.
        let mut given = pod();
        given.preferred_keys.insert("rank".to_owned());
        given.constraints.push(constraint("DoNotSchedule", 1, Some(2)));
        given.tolerated = UNREACHABLE_TAINTS.map(|taint| (taint.to_owned(), 60)).into();
        assert!(SchedulingHints::new(&wishes(), "rank", &given).is_empty());
        // What stands on its node already has nothing to choose.
        let daemon = PodScheduling { controller: Some("DaemonSet".to_owned()), ..pod() };
        assert!(SchedulingHints::new(&wishes(), "rank", &daemon).is_empty());
    }

    #[test]
    fn the_stricter_holds() {
        let given = |own: SpreadConstraint| {
            let pod = PodScheduling { constraints: vec![constraint("ScheduleAnyway", 9, None), own], ..pod() };
            SchedulingHints::new(&wishes(), "rank", &pod).spread
        };
        let tightened = |max_skew, min_domains| Some(SpreadHint::Tightened { index: 1, max_skew, min_domains });
        assert_eq!(given(constraint("DoNotSchedule", 5, None)), tightened(Some(1), Some(2)));
        assert_eq!(given(constraint("DoNotSchedule", 1, None)), tightened(None, Some(2)));
        assert_eq!(given(constraint("DoNotSchedule", 2, Some(3))), tightened(Some(1), None));
        assert_eq!(given(constraint("DoNotSchedule", 1, Some(3))), None);
        // What is shorter stays, what is longer is not asked for.
        let short = PodScheduling { tolerated: vec![(UNREACHABLE_TAINTS[0].to_owned(), 5)], ..pod() };
        assert_eq!(SchedulingHints::new(&wishes(), "rank", &short).tolerations, [(UNREACHABLE_TAINTS[1], 60)]);
    }

    #[test]
    fn below_the_number_of_domains_each_takes_little() {
        let spread = wishes().spread.unwrap();
        assert_eq!((spread.most(2), spread.most(1), spread.most(0)), (None, Some(1), Some(0)));
        let wish = Spread { is_required: false, ..spread };
        assert_eq!(wish.most(1), None, "a wish keeps nobody waiting");
    }

    #[test]
    fn nobody_s_pods_but_a_controller_s_are_counted() {
        let alone = PodScheduling { controller: None, ..pod() };
        assert_eq!(SchedulingHints::new(&wishes(), "rank", &alone).spread, None);
        let untold = PodScheduling { revision: None, ..pod() };
        assert_eq!(SchedulingHints::new(&wishes(), "rank", &untold).spread, None);
    }
}
