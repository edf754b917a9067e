//! Names that a policy speaks of and that nothing in the catalogue bears: most often slips of the pen.
//!
//! A misspelt entry of an `allow` or of the required qualifications clears nothing, and is noticed. A misspelt entry of
//! a `deny` denies nothing, and is not. Whoever shows a policy shows these too.

use alloc::vec::Vec;

use alloc::collections::BTreeSet;
use core::fmt;

use super::{
    clearance::ClearanceInput,
    law::KNOWN_LAWS,
    name::{ExceptionName, Law, PoolName, RegionName, Scheme},
    policy::{LevelRequirements, Policy},
    reason::RequirementSource,
};

/// A name that resolves to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DanglingReference<'a> {
    /// Who names it.
    pub demander: RequirementSource<'a>,
    /// The list of demands that it stands in, as the API spells it.
    pub field: &'static str,
    /// The name.
    pub name: &'a str,
}

impl fmt::Display for DanglingReference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {} of {}", self.name, self.field, self.demander)
    }
}

/// The names in `policy` that nothing in `world` bears, in the order of its levels and categories.
#[must_use]
pub fn dangling<'a>(world: &'a ClearanceInput, policy: &'a Policy) -> Vec<DanglingReference<'a>> {
    let known = KnownNames::of(world);
    let levels = policy.levels.iter().map(|level| (RequirementSource::Level(&level.name), &level.require));
    let categories = policy.categories.iter().map(|(name, require)| (RequirementSource::Category(name), require));
    levels
        .chain(categories)
        .filter_map(|(demander, require)| require.as_ref().map(|require| (demander, require)))
        .flat_map(|(demander, require)| {
            known.missing_from(world, require).map(move |(field, name)| DanglingReference { demander, field, name })
        })
        .collect()
}

/// The pools that exceptions of `policy` name and that are no pools of nodes in `world`, in the order of the exceptions' names.
pub fn unknown_pools<'a>(
    world: &'a ClearanceInput,
    policy: &'a Policy,
) -> impl Iterator<Item = (&'a ExceptionName, &'a PoolName)> {
    let named = policy.exceptions.iter().flat_map(|(name, found)| found.pools.iter().map(move |pool| (name, pool)));
    named.filter(|(_, pool)| !world.catalogue.pools.contains_key(*pool))
}

struct KnownNames<'a> {
    regions: BTreeSet<&'a RegionName>,
    schemes: BTreeSet<&'a Scheme>,
    laws: BTreeSet<&'a Law>,
}

impl<'a> KnownNames<'a> {
    fn of(world: &'a ClearanceInput) -> Self {
        let offers = || world.catalogue.providers.values().flat_map(|provider| provider.offers.values());
        Self {
            regions: offers().flat_map(|offer| offer.zones.values()).map(|zone| &zone.region).collect(),
            schemes: offers().flat_map(|offer| &offer.qualifications).map(|found| &found.scheme).collect(),
            laws: offers().flat_map(|offer| offer.exposed_to.iter().flatten()).collect(),
        }
    }

    fn missing_from<'r>(
        &self,
        world: &ClearanceInput,
        require: &'r LevelRequirements,
    ) -> impl Iterator<Item = (&'static str, &'r str)> + use<'r> {
        let mut missing = Vec::new();
        let providers = &world.catalogue.providers;
        for (field, names) in
            [("providers.allow", require.providers.allow.as_ref()), ("providers.deny", Some(&require.providers.deny))]
        {
            let unknown = names.into_iter().flatten().filter(|name| !providers.contains_key(*name));
            missing.extend(unknown.map(|name| (field, name.as_str())));
        }
        for (field, names) in
            [("regions.allow", require.regions.allow.as_ref()), ("regions.deny", Some(&require.regions.deny))]
        {
            let unknown = names.into_iter().flatten().filter(|name| !self.regions.contains(*name));
            missing.extend(unknown.map(|name| (field, name.as_str())));
        }
        for (field, schemes) in [
            ("qualifications", require.qualifications.iter().collect::<Vec<_>>()),
            ("minimumLevels", require.minimum_levels.keys().collect()),
        ] {
            let unknown = schemes.into_iter().filter(|scheme| !self.schemes.contains(*scheme));
            missing.extend(unknown.map(|scheme| (field, scheme.as_str())));
        }
        let laws = require
            .not_exposed_to
            .iter()
            .filter(|law| !self.laws.contains(*law) && !KNOWN_LAWS.iter().any(|known| known.name == law.as_str()));
        missing.extend(laws.map(|law| ("notExposedTo", law.as_str())));
        missing.into_iter()
    }
}
