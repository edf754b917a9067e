//! The catalogue: all that is recorded of offers and pools. A fact that is not known is absent, and absence never clears anything.

use alloc::string::String;
use alloc::vec::Vec;

use alloc::collections::{BTreeMap, BTreeSet};

use super::{
    coverage::SchemeLevel,
    instant::CalendarDay,
    jurisdiction::Jurisdiction,
    law::laws_of,
    name::{Law, OfferName, PoolName, ProviderName, RegionName, Scheme, ZoneName},
    selector::Selector,
};

/// Everything that officers and platform engineers have recorded.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The providers, by name.
    pub providers: BTreeMap<ProviderName, Provider>,
    /// The pools of nodes, by name.
    pub pools: BTreeMap<PoolName, Pool>,
    /// The places of the cluster's control plane, by the names of the pools that declare them. No pod runs there.
    pub control_plane: BTreeMap<PoolName, Pool>,
    /// The names of pools that cannot be read and that are, or may be, of the control plane.
    pub unread_control_plane: BTreeSet<String>,
}

/// Who operates, or controls who operates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegalParty {
    /// Its legal name.
    pub name: String,
    /// The country whose law binds it; `None` when nobody has said so validly.
    pub jurisdiction: Option<Jurisdiction>,
}

/// A company and what it offers.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// Who operates the offers.
    pub operator: LegalParty,
    /// Who controls the operator; the operator itself when `None`.
    pub controlling_party: Option<LegalParty>,
    /// Its offers, by name.
    pub offers: BTreeMap<OfferName, Offer>,
}

/// What is trusted, or not: one product of a provider.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its name.
    pub name: OfferName,
    /// Who supplies the stack; empty when nobody has said so.
    pub technology: Vec<TechnologyComponent>,
    /// Laws that reach it beyond those that follow from the jurisdictions; `None` when an entry could not be read.
    pub exposed_to: Option<BTreeSet<Law>>,
    /// Where it is to be had, by zone.
    pub zones: BTreeMap<ZoneName, Zone>,
    /// Its certificates.
    pub qualifications: Vec<Qualification>,
}

/// One part of an offer's stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TechnologyComponent {
    /// What it is.
    pub name: String,
    /// Who supplies it.
    pub supplier: String,
    /// The country whose law binds the supplier; `None` when nobody has said so validly.
    pub jurisdiction: Option<Jurisdiction>,
}

/// A place where an offer runs.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name.
    pub name: ZoneName,
    /// The region that it belongs to.
    pub region: RegionName,
    /// The country in which the data lies.
    pub country: Option<Jurisdiction>,
    /// Power usage effectiveness, annual mean (ratio, at least 1).
    pub pue: Option<f64>,
    /// Carbon intensity of the electricity (gCO2e/kWh).
    pub carbon_intensity: Option<f64>,
}

/// A certificate, its term and its scope. Ordered, so that of two that are worth the same always the same one is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Qualification {
    /// The scheme that it belongs to.
    pub scheme: Scheme,
    /// How high it is, where the scheme has an order; `None` when nobody has said so.
    pub level: Option<SchemeLevel>,
    /// The first day in force.
    pub valid_from: CalendarDay,
    /// The last day in force; no end known when `None`.
    pub valid_until: Option<CalendarDay>,
    /// The regions that it covers; the whole offer when `None`.
    pub regions: Option<BTreeSet<RegionName>>,
    /// The certificate's number.
    pub reference: Option<String>,
    /// Where to check it.
    pub source: Option<String>,
}

/// What runs in a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolRole {
    /// Nodes of the cluster, and pods on them.
    #[default]
    Nodes,
    /// The cluster's control plane: API server, etcd, controllers. It has no node and takes no pod.
    ControlPlane,
}

/// Which places are which offer.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// What runs in it.
    pub role: PoolRole,
    /// The provider, as the pool names it.
    pub provider: String,
    /// The offer, as the pool names it.
    pub offer: String,
    /// The zone, as the pool names it.
    pub zone: String,
    /// The labels of its nodes; empty, and of none, where it is of the control plane.
    pub selector: Selector,
    /// How the provider's identifier of its nodes begins.
    pub provider_id_prefix: Option<String>,
    /// What a node costs.
    pub price: Option<Price>,
}

/// What a node costs for an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// How much, in the currency.
    pub amount: f64,
    /// The code of ISO 4217. Amounts of two currencies are never compared.
    pub currency: String,
}

/// A pool with the facts that it stands on.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedPool<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// Its provider.
    pub provider: &'a Provider,
    /// Its offer.
    pub offer: &'a Offer,
    /// Its zone.
    pub zone: &'a Zone,
}

/// Why a pool stands on nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnresolvedReference<'a> {
    /// No provider has the name.
    Provider {
        /// The name that the pool gives.
        named: &'a str,
    },
    /// The provider has no such offer.
    Offer {
        /// The provider.
        provider: &'a ProviderName,
        /// The name that the pool gives.
        named: &'a str,
    },
    /// The offer has no such zone.
    Zone {
        /// The provider.
        provider: &'a ProviderName,
        /// The offer.
        offer: &'a OfferName,
        /// The name that the pool gives.
        named: &'a str,
    },
}

impl Catalogue {
    /// Takes `pool` in among those of its role.
    pub fn add_pool(&mut self, pool: Pool) {
        let pools = match pool.role {
            PoolRole::Nodes => &mut self.pools,
            PoolRole::ControlPlane => &mut self.control_plane,
        };
        pools.insert(pool.name.clone(), pool);
    }

    /// Every pool, of whatever role: those of nodes first, each by name.
    pub fn all_pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values().chain(self.control_plane.values())
    }

    /// The pool called `name`, of whatever role.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.get(name).or_else(|| self.control_plane.get(name))
    }

    /// Finds what `pool` stands on.
    ///
    /// # Errors
    /// [`UnresolvedReference`]: the first of provider, offer and zone that is not recorded.
    pub fn resolve<'a>(&'a self, pool: &'a Pool) -> Result<ResolvedPool<'a>, UnresolvedReference<'a>> {
        let provider = self
            .providers
            .get(pool.provider.as_str())
            .ok_or(UnresolvedReference::Provider { named: &pool.provider })?;
        let offer = provider
            .offers
            .get(pool.offer.as_str())
            .ok_or(UnresolvedReference::Offer { provider: &provider.name, named: &pool.offer })?;
        let zone = offer.zones.get(pool.zone.as_str()).ok_or(UnresolvedReference::Zone {
            provider: &provider.name,
            offer: &offer.name,
            named: &pool.zone,
        })?;
        Ok(ResolvedPool { pool, provider, offer, zone })
    }
}

impl Provider {
    /// Who has the last word: the controlling party, or the operator where none is recorded.
    #[must_use]
    pub fn controller(&self) -> &LegalParty {
        self.controlling_party.as_ref().unwrap_or(&self.operator)
    }

    /// The parties whose jurisdiction makes laws apply.
    fn parties(&self) -> impl Iterator<Item = (PartyRole, &LegalParty)> {
        core::iter::once((PartyRole::Operator, &self.operator))
            .chain(self.controlling_party.iter().map(|party| (PartyRole::ControllingParty, party)))
    }

    /// Every law that reaches `offer`, with how it does. `None` when a fact that decides it is unknown.
    #[must_use]
    pub fn exposure<'a>(&'a self, offer: &'a Offer) -> Option<BTreeMap<&'a str, LawReach<'a>>> {
        let mut laws: BTreeMap<&str, LawReach<'_>> =
            offer.exposed_to.as_ref()?.iter().map(|law| (law.as_str(), LawReach::Listed)).collect();
        for (role, party) in self.parties() {
            for law in laws_of(party.jurisdiction?) {
                laws.entry(law.name).or_insert(LawReach::Through { role, party });
            }
        }
        Some(laws)
    }

    /// Whether `law` reaches `offer`, and how. What is recorded against it counts even where other facts are missing.
    #[must_use]
    pub fn exposure_to<'a>(&'a self, offer: &'a Offer, law: &Law) -> LawExposure<'a> {
        if offer.exposed_to.as_ref().is_some_and(|listed| listed.contains(law)) {
            return LawExposure::Reached(LawReach::Listed);
        }
        let binds = |party: &LegalParty| {
            party.jurisdiction.is_some_and(|country| laws_of(country).any(|known| known.name == law.as_str()))
        };
        match self.parties().find(|(_, party)| binds(party)) {
            Some((role, party)) => LawExposure::Reached(LawReach::Through { role, party }),
            None if offer.exposed_to.is_none() => LawExposure::Unknown(ExposureGap::List),
            None => self
                .parties()
                .find(|(_, party)| party.jurisdiction.is_none())
                .map_or(LawExposure::None, |(role, _)| LawExposure::Unknown(ExposureGap::Country(role))),
        }
    }
}

/// Whether a law reaches an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LawExposure<'a> {
    /// It does.
    Reached(LawReach<'a>),
    /// It does not, by all that is recorded.
    None,
    /// It cannot be told.
    Unknown(ExposureGap),
}

/// The missing fact for want of which exposure cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExposureGap {
    /// An entry of the offer's list could not be read.
    List,
    /// A party's country is not recorded.
    Country(PartyRole),
}

/// What a party is to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartyRole {
    /// It operates the offer.
    Operator,
    /// It controls the operator.
    ControllingParty,
}

impl core::fmt::Display for PartyRole {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator",
            Self::ControllingParty => "controlling party",
        })
    }
}

/// How a law reaches an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LawReach<'a> {
    /// The offer lists it.
    Listed,
    /// It follows from a party's jurisdiction.
    Through {
        /// What the party is to the offer.
        role: PartyRole,
        /// The party.
        party: &'a LegalParty,
    },
}

impl UnresolvedReference<'_> {
    /// A stable word for what is missing.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Provider { .. } => "ProviderNotFound",
            Self::Offer { .. } => "OfferNotFound",
            Self::Zone { .. } => "ZoneNotFound",
        }
    }
}
