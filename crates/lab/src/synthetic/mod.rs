//! Synthetic manifests of an organisation of any size, on which the offline commands are measured.
//!
//! [`SyntheticOrganisation`] takes numbers of pools, namespaces and workloads, and returns files of manifests. The same
//! numbers yield the same bytes on every machine. Sizes are those of a large real organisation; no name, certificate or
//! country in it says anything about anybody.

mod facts;
mod policies;
mod sampling;
mod workloads;

/// Size of the organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntheticOrganisation {
    /// The pools, evenly on the zones of ten providers.
    pub pools: usize,
    /// The namespaces, every fifth of which says something itself.
    pub namespaces: usize,
    /// The workloads, evenly in the namespaces.
    pub workloads: usize,
}

/// A file of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its name.
    pub name: String,
    /// Its YAML.
    pub text: String,
}

impl SyntheticOrganisation {
    /// The one that aims are set for, with so many workloads.
    #[must_use]
    pub const fn of(workloads: usize) -> Self {
        Self { pools: 200, namespaces: 100, workloads }
    }

    /// The manifests of officers and platform engineers: policies, providers, pools and namespaces.
    #[must_use]
    pub fn facts(&self) -> Vec<ManifestFile> {
        let file = |name: &str, text| ManifestFile { name: name.to_owned(), text };
        vec![
            file("policies.yaml", policies::policies()),
            file("providers.yaml", facts::providers()),
            file("pools.yaml", facts::pools(self.pools)),
            file("namespaces.yaml", facts::namespaces(self.namespaces)),
        ]
    }

    /// The manifests of teams: a file for each namespace, as Helm renders it.
    pub fn workloads(&self) -> impl Iterator<Item = ManifestFile> {
        let Self { namespaces, workloads, .. } = *self;
        (0..namespaces).map(move |namespace| {
            let own = (namespace..workloads).step_by(namespaces.max(1));
            let text = own.map(|index| workloads::workload(index, &facts::namespace_name(namespace))).collect();
            ManifestFile { name: format!("{}.yaml", facts::namespace_name(namespace)), text }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use rempart::manifest::read::read;
    use rempart::report::EntryOutcome;
    use rempart::{
        diagnostic::source::SourceMap,
        gather::{GatherSettings, GatheredObjects, LocatedInventory},
    };
    use rempart_core::{
        instant::Timestamp,
        plan::{Plan, PlanAssumptions, plan},
    };

    fn sources(organisation: SyntheticOrganisation) -> SourceMap {
        let mut sources = SourceMap::default();
        for ManifestFile { name, text } in organisation.facts().into_iter().chain(organisation.workloads()) {
            sources.add(name, text);
        }
        sources
    }

    fn settle(sources: &SourceMap) -> LocatedInventory<'_> {
        let mut gathered = GatheredObjects::new("default");
        for file in sources.files() {
            read(file, sources.text(file), &mut |found| gathered.take(file, found));
        }
        gathered.into_inventory(&GatherSettings::default())
    }

    #[test]
    fn it_is_as_large_as_one_likes_and_nothing_is_wrong_with_it() {
        let sources = sources(SyntheticOrganisation::of(1000));
        let located = settle(&sources);
        assert_eq!(located.diagnostics, []);
        let world = &located.inventory.world;
        assert_eq!((world.policies.len(), world.catalogue.providers.len(), world.catalogue.pools.len()), (10, 10, 200));
        assert_eq!((located.inventory.namespaces.len(), located.inventory.workloads.len()), (100, 1000));
        assert!(world.policies.values().all(|policy| policy.levels.iter().len() == 5));
        let kinds: BTreeSet<_> = located.inventory.workloads.iter().map(|workload| workload.identity.kind).collect();
        assert_eq!(kinds.len(), rempart_core::workload::WorkloadKind::ALL.len());
    }

    #[test]
    fn workloads_fare_differently_and_most_have_somewhere_to_run() {
        let sources = sources(SyntheticOrganisation::of(1000));
        let located = settle(&sources);
        let plan: Plan<'_> =
            plan(&located.inventory, Timestamp::from_seconds(1_795_000_000), PlanAssumptions::default());
        let fates = |fate| plan.workloads.iter().filter(|planned| EntryOutcome::of(&planned.outcome) == fate).count();
        assert!(fates(EntryOutcome::Placeable) > 500, "{}", fates(EntryOutcome::Placeable));
        for fate in [EntryOutcome::Unplaceable, EntryOutcome::Refused] {
            assert!((1..300).contains(&fates(fate)), "{fate:?}: {}", fates(fate));
        }
        assert!(plan.demands.len() > 20, "{}", plan.demands.len());
        let numbers: BTreeSet<_> = plan.demands.iter().map(|demand| demand.cleared.len()).collect();
        assert!(numbers.len() > 5, "{numbers:?}");
    }

    #[test]
    fn the_same_numbers_yield_the_same_bytes() {
        let organisation = SyntheticOrganisation::of(300);
        assert_eq!(organisation.facts(), organisation.facts());
        assert!(organisation.workloads().eq(organisation.workloads()));
        let texts: Vec<_> = organisation.workloads().map(|file| file.text).collect();
        let each = texts.iter().map(String::len).sum::<usize>() / 300;
        assert!((900..1300).contains(&each), "{each} bytes a workload");
    }
}
