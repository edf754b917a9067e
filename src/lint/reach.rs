//! Lints of policies against the catalogue: levels that nothing serves or one provider alone, and names of nothing.

use std::collections::BTreeSet;

use super::{about, pools::nearest_of};
use crate::{
    api::validate::ResourceKind,
    diagnostic::{Diagnostic, Severity::Warning},
    gather::{self, LocatedInventory, OwnObject, OwnSpec},
};
use rempart_core::{
    law::KNOWN_LAWS,
    name::{Law, ProviderName},
    plan::Plan,
    policy::Policy,
    reason::RequirementSource,
    references::{self, DanglingReference},
};

/// What is to be said of the policies in `located`.
pub(super) fn findings(located: &LocatedInventory<'_>, plan: &Plan<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for policy in located.inventory.world.policies.values() {
        let Some(own) = located.own.get(&(ResourceKind::PlacementPolicy, policy.name.to_string())) else { continue };
        // Without a catalogue nothing is served and everything dangles, which is no news.
        if !located.inventory.world.catalogue.pools.is_empty() {
            found.extend(unserved(own, policy, plan));
        }
        found.extend(control_plane(located, own, policy));
        if !located.inventory.world.catalogue.providers.is_empty() {
            let names = references::dangling(&located.inventory.world, policy);
            found.extend(names.iter().map(|name| dangling(located, own, name)));
        }
    }
    found
}

/// Levels and categories for which no pool is cleared, or pools of one provider alone.
fn unserved(own: &OwnObject<'_>, policy: &Policy, plan: &Plan<'_>) -> Vec<Diagnostic> {
    let levels = policy.levels.iter().enumerate().filter(|(rank, _)| policy.levels.demands_at(*rank));
    let levels = levels.map(|(rank, level)| (RequirementSource::Level(&level.name), rank));
    let categories = policy.categories.iter().filter(|(_, require)| require.is_some());
    let categories = categories.map(|(name, _)| (RequirementSource::Category(name), 0));
    levels
        .chain(categories)
        .filter_map(|(demander, rank)| {
            let path = format!("{}.name", defined(own, demander));
            let cleared = plan.pools.iter().filter(|pool| {
                let clearance = pool.under(&policy.name);
                clearance.is_some_and(|clearance| match demander {
                    RequirementSource::Level(_) => clearance.cleared(rank),
                    RequirementSource::Category(category) => clearance.cleared_category(category),
                })
            });
            let providers: BTreeSet<&ProviderName> =
                cleared.filter_map(|pool| pool.site.ok()).map(|site| &site.provider.name).collect();
            let mut providers = providers.into_iter();
            match (providers.next(), providers.next()) {
                (None, _) => {
                    let count = plan.pools.len();
                    let message = format!("no pool of {count} is cleared for {demander} of policy {}", policy.name);
                    let hint = format!("rempart explain {} --policy {} tells why", target(demander), policy.name);
                    Some(about(own, &path, Warning, "Unserved", message).hint(hint))
                }
                (Some(only), None) => {
                    let message = format!(
                        "{demander} of policy {} can run with provider {only} alone: there is no way out of it",
                        policy.name
                    );
                    let hint = "add a pool of another provider that meets its requirements";
                    Some(about(own, &path, Warning, "SingleProvider", message).hint(hint))
                }
                _ => None,
            }
        })
        .collect()
}

/// Levels and categories that count the control plane in, where nothing says where it runs.
fn control_plane(located: &LocatedInventory<'_>, own: &OwnObject<'_>, policy: &Policy) -> Vec<Diagnostic> {
    let catalogue = &located.inventory.world.catalogue;
    // Policies alone say nothing of a cluster.
    if catalogue.pools.is_empty() || !catalogue.control_plane.is_empty() {
        return Vec::new();
    }
    let levels = policy.levels.iter().map(|level| (RequirementSource::Level(&level.name), level.require.as_ref()));
    let categories = policy.categories.iter();
    let categories = categories.map(|(name, require)| (RequirementSource::Category(name), require.as_ref()));
    let counting = levels.chain(categories).filter(|(_, require)| require.is_some_and(|require| require.control_plane));
    counting
        .map(|(demander, _)| {
            let path = format!("{}.require.controlPlane", defined(own, demander));
            let message = format!(
                "{demander} of policy {} counts the control plane in, and no PlacementPool says where it runs: no pool is cleared",
                policy.name
            );
            let hint = "declare it in a PlacementPool of role ControlPlane, with its provider, offer and zone";
            about(own, &path, Warning, "ControlPlaneUndeclared", message).hint(hint)
        })
        .collect()
}

fn target(demander: RequirementSource<'_>) -> String {
    match demander {
        RequirementSource::Level(level) => format!("level/{level}"),
        RequirementSource::Category(category) => format!("category/{category}"),
    }
}

/// Where a level or category of the policy `own` is defined.
fn defined(own: &OwnObject<'_>, demander: RequirementSource<'_>) -> String {
    let path = match &own.spec {
        OwnSpec::Policy(spec) => gather::demander(spec, demander),
        _ => None,
    };
    path.unwrap_or_else(|| "spec".to_owned())
}

/// A name that nothing bears.
fn dangling(located: &LocatedInventory<'_>, own: &OwnObject<'_>, found: &DanglingReference<'_>) -> Diagnostic {
    let catalogue = &located.inventory.world.catalogue;
    let offers = || catalogue.providers.values().flat_map(|provider| provider.offers.values());
    let (what, known): (_, BTreeSet<&str>) = match found.field {
        "providers.allow" | "providers.deny" => {
            ("there is no such CloudProvider", catalogue.providers.keys().map(ProviderName::as_str).collect())
        }
        "regions.allow" | "regions.deny" => (
            "no zone is in such a region",
            offers().flat_map(|offer| offer.zones.values()).map(|zone| zone.region.as_str()).collect(),
        ),
        "qualifications" | "minimumLevels" => (
            "no offer is qualified by such a scheme",
            offers().flat_map(|offer| &offer.qualifications).map(|found| found.scheme.as_str()).collect(),
        ),
        _ => (
            "no jurisdiction implies such a law and no offer lists it",
            KNOWN_LAWS
                .iter()
                .map(|law| law.name)
                .chain(offers().flat_map(|offer| offer.exposed_to.iter().flatten()).map(Law::as_str))
                .collect(),
        ),
    };
    let message = format!("{:?} in {} of {}: {what}", found.name, found.field, found.demander);
    let hint = nearest_of(found.name, &known.into_iter().collect::<Vec<_>>());
    let path = path_of(own, found);
    Diagnostic { hint, ..about(own, &path, Warning, "ReferenceUnresolved", message) }
}

/// Where a name stands in its list.
fn path_of(own: &OwnObject<'_>, found: &DanglingReference<'_>) -> String {
    let list = format!("{}.require.{}", defined(own, found.demander), found.field);
    let node = own.node.find(&list).node;
    if node.get(found.name).is_some() {
        return format!("{list}.{}", found.name);
    }
    match node.items().iter().position(|node| node.text().ok() == Some(found.name)) {
        Some(index) => format!("{list}[{index}]"),
        None => list,
    }
}
