//! Source locator: from facts and demands that the core found to the lines that somebody wrote.
//!
//! Takes a subject of the core, and returns its file and line.
//!
//! What was read from no file has no place, and what is missing is shown at the nearest thing around it that is there.

use super::paths;
use crate::{
    api::validate::ResourceKind,
    diagnostic::{
        position::TextSpan,
        source::{FileId, SourceMap},
    },
    gather::{LocatedInventory, OwnObject, OwnSpec, WorkloadOrigin},
};
use rempart_core::{
    admission::SensitivitySource,
    catalogue::{Pool, ResolvedPool},
    derivation::{Derivation, Step},
    name::CategoryName,
    policy::Policy,
    reason::RequirementSource,
};

/// Finds places in what was gathered. They display as `catalogue.yaml:12`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceLocator<'a> {
    located: &'a LocatedInventory<'a>,
    sources: &'a SourceMap,
}

impl<'a> SourceLocator<'a> {
    /// A locator in `located`, whose texts are `sources`.
    pub(super) fn new(located: &'a LocatedInventory<'a>, sources: &'a SourceMap) -> Self {
        Self { located, sources }
    }

    /// `span` of `file`, unless that was no file.
    pub(super) fn at(&self, file: FileId, span: TextSpan) -> Option<String> {
        let named = || format!("{}:{}", self.sources.name(file), span.start.line);
        self.sources.is_file(file).then(named)
    }

    /// Where the policy says `path`.
    pub(super) fn policy(&self, policy: &Policy, path: &str) -> Option<String> {
        self.own(ResourceKind::PlacementPolicy, policy.name.as_str()).and_then(|own| self.field(own, path))
    }

    /// Where the pool says `path`.
    pub(super) fn pool(&self, pool: &Pool, path: &str) -> Option<String> {
        self.own(ResourceKind::PlacementPool, pool.name.as_str()).and_then(|own| self.field(own, path))
    }

    /// Where the category is defined.
    pub(super) fn category(&self, policy: &Policy, category: &CategoryName) -> Option<String> {
        self.demander(policy, RequirementSource::Category(category))
    }

    /// Where a level or category is defined.
    pub(super) fn demander(&self, policy: &Policy, demander: RequirementSource<'_>) -> Option<String> {
        let OwnSpec::Policy(spec) = &self.own(ResourceKind::PlacementPolicy, policy.name.as_str())?.spec else {
            return None;
        };
        self.policy(policy, &crate::gather::demander(spec, demander)?)
    }

    /// Where the policy demands what `step` is about.
    pub(super) fn demand(&self, derivation: &Derivation<'_>, step: &Step<'_>) -> Option<String> {
        let policy = derivation.policy;
        let OwnSpec::Policy(spec) = &self.own(ResourceKind::PlacementPolicy, policy.name.as_str())?.spec else {
            return None;
        };
        self.policy(policy, &paths::demand(spec, derivation, step)?)
    }

    /// Where the fact that meets or fails `step` is recorded, or where it would be.
    pub(super) fn fact(&self, derivation: &Derivation<'_>, step: &Step<'_>) -> Option<String> {
        let (pool, site) = derivation.place(step);
        let recorded = site.ok().and_then(|site| {
            let own = self.own(ResourceKind::CloudProvider, site.provider.name.as_str())?;
            let OwnSpec::Provider(spec) = &own.spec else { return None };
            self.field(own, &paths::fact(spec, site, step)?)
        });
        recorded.or_else(|| self.pool(pool, paths::named(step)?))
    }

    /// Where the offer and the zone of the pool are recorded.
    pub(super) fn site(&self, site: ResolvedPool<'_>) -> Option<String> {
        let own = self.own(ResourceKind::CloudProvider, site.provider.name.as_str())?;
        let OwnSpec::Provider(spec) = &own.spec else { return None };
        self.field(own, &paths::zone(spec, site)?)
    }

    /// Where `source` says `key` about a workload of `namespace`; nothing where it does not.
    pub(super) fn said(
        &self,
        origin: &WorkloadOrigin,
        namespace: &str,
        source: SensitivitySource,
        key: &str,
    ) -> Option<String> {
        if source == SensitivitySource::Namespace {
            let namespace = self.located.namespaces.get(namespace)?;
            let (_, span) = namespace.statements.iter().find(|(said, _)| *said == key)?;
            return self.at(namespace.file, *span);
        }
        let (_, _, span) = origin.statements.iter().find(|(who, what, _)| *who == source && *what == key)?;
        self.at(origin.file, *span)
    }

    fn own(&self, kind: ResourceKind, name: &str) -> Option<&'a OwnObject<'a>> {
        self.located.own.get(&(kind, name.to_owned()))
    }

    /// Where `path` stands: the line of its key, or of the item of a list.
    fn field(&self, own: &OwnObject<'_>, path: &str) -> Option<String> {
        let found = own.node.find(path);
        let of_list = path.get(..found.reached).is_some_and(|reached| reached.ends_with(']'));
        let span = found.key.filter(|_| !of_list).unwrap_or(found.node.span);
        self.at(own.file, span)
    }
}
