//! Removed places: the providers, regions, zones and pools that a drill takes away.
//!
//! Takes them as they are named, and gives the pools and nodes that go with them. A name that nobody bears is an error: a
//! drill without anything would say that everything fits.

use alloc::{borrow::ToOwned, collections::BTreeSet, string::String, vec::Vec};
use core::{fmt, str::FromStr};

use crate::{
    catalogue::{Catalogue, Pool},
    inventory::PlanInventory,
    name::{PoolName, ProviderName, quoted},
    pool_membership::{NodeIdentity, claims},
    text::FewDisplay,
};

/// What kind of place is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlaceKind {
    /// All that a provider operates.
    Provider,
    /// A region, of whatever provider.
    Region,
    /// A zone, of whatever provider.
    Zone,
    /// One pool.
    Pool,
}

impl PlaceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Provider, Self::Region, Self::Zone, Self::Pool];

    /// As people type it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Region => "region",
            Self::Zone => "zone",
            Self::Pool => "pool",
        }
    }
}

impl fmt::Display for PlaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place that is taken away, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemovedPlace {
    /// Its kind.
    pub kind: PlaceKind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for RemovedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, quoted(&self.name))
    }
}

/// A text that names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write provider=NAME, region=NAME, zone=NAME or pool=NAME")]
pub struct InvalidPlace;

impl FromStr for RemovedPlace {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let (kind, name) = text.split_once('=').ok_or(InvalidPlace)?;
        let kind = PlaceKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(InvalidPlace)?;
        if name.is_empty() { Err(InvalidPlace) } else { Ok(Self { kind, name: name.to_owned() }) }
    }
}

/// A place that nobody has recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPlace {
    /// As it was named.
    pub place: RemovedPlace,
    /// The names of those of its kind that there are.
    pub known: Vec<String>,
}

impl fmt::Display for UnknownPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place: RemovedPlace { kind, name }, known } = self;
        write!(f, "there is no {kind} {:?}", quoted(name))?;
        match known.as_slice() {
            [] => write!(f, ": no {kind} is recorded"),
            known => write!(f, ": the {kind}s are {}", FewDisplay(known.iter())),
        }
    }
}

impl core::error::Error for UnknownPlace {}

/// The pools of `catalogue` that go with `places`, those of the control plane among them.
///
/// # Errors
/// The first of them that nobody has recorded.
pub(super) fn removed_pools<'a>(
    catalogue: &'a Catalogue,
    places: &[RemovedPlace],
) -> Result<BTreeSet<&'a PoolName>, UnknownPlace> {
    let mut removed = BTreeSet::new();
    for place in places {
        let known = known(catalogue, place.kind);
        if !known.contains(place.name.as_str()) {
            let known = known.into_iter().map(ToOwned::to_owned).collect();
            return Err(UnknownPlace { place: place.clone(), known });
        }
        let goes = |pool: &&Pool| match place.kind {
            PlaceKind::Provider => pool.provider == place.name,
            PlaceKind::Zone => pool.zone == place.name,
            PlaceKind::Pool => pool.name.as_str() == place.name,
            PlaceKind::Region => {
                catalogue.resolve(pool).is_ok_and(|resolved| resolved.zone.region.as_str() == place.name)
            }
        };
        removed.extend(catalogue.all_pools().filter(goes).map(|pool| &pool.name));
    }
    Ok(removed)
}

fn known(catalogue: &Catalogue, kind: PlaceKind) -> BTreeSet<&str> {
    let zones = || catalogue.providers.values().flat_map(|it| it.offers.values()).flat_map(|it| it.zones.values());
    let pools = catalogue.all_pools();
    match kind {
        PlaceKind::Provider => {
            let recorded = catalogue.providers.keys().map(ProviderName::as_str);
            recorded.chain(pools.map(|pool| pool.provider.as_str())).collect()
        }
        PlaceKind::Region => zones().map(|zone| zone.region.as_str()).collect(),
        PlaceKind::Zone => zones().map(|zone| zone.name.as_str()).chain(pools.map(|pool| pool.zone.as_str())).collect(),
        PlaceKind::Pool => pools.map(|pool| pool.name.as_str()).collect(),
    }
}

/// The nodes of `inventory` that go with the pools `removed`: those that one of these claims, also where others claim them.
pub(super) fn removed_nodes<'a>(inventory: &'a PlanInventory, removed: &BTreeSet<&PoolName>) -> BTreeSet<&'a str> {
    let goes = |node: &crate::inventory::Node| {
        let identity = NodeIdentity { labels: &node.labels, provider_id: node.provider_id.as_deref() };
        claims(&inventory.world.catalogue.pools, identity).by.iter().any(|pool| removed.contains(pool))
    };
    inventory.nodes.iter().filter(|(_, node)| goes(node)).map(|(name, _)| &**name).collect()
}
