//! Passed-over input of a command: told in a line on standard error, and named in the reports.
//!
//! Takes texts that were named and what they came to, and returns what reports say of it.

use std::collections::BTreeSet;

use super::{
    input::{NamedTexts, location},
    output,
};
use crate::{
    diagnostic::source::{SourceMap, SourceSpan},
    gather::{LocatedInventory, UnjudgedObject},
    manifest::files::{self, LeftOut},
    report::{IgnoredKinds, UnjudgedName, UnreadPath},
};
use rempart_core::{
    name::quoted,
    text::{FewDisplay, ListDisplay, counted},
};

/// Tells in one line what was left out of directories.
pub(super) fn tell_left_out(named: &[&NamedTexts], located: &LocatedInventory<'_>, sources: &SourceMap) {
    let sum = |of: fn(&LeftOut) -> usize| named.iter().map(|texts| of(&texts.left_out)).sum::<usize>();
    let mut parts = Vec::new();
    let files = named.iter().flat_map(|texts| &texts.left_out.without_kind).map(|path| path.display().to_string());
    let documents = located.not_objects.iter().map(|file| sources.name(*file).to_owned());
    let (mut in_files, mut count) = (BTreeSet::new(), 0_usize);
    for name in files.chain(documents) {
        count = count.saturating_add(1);
        in_files.insert(name);
    }
    if count > 0 {
        let what = counted(count, "document that is no Kubernetes object", "documents that are no Kubernetes objects");
        parts.push(format!("{what} ({})", FewDisplay(in_files.iter())));
    }
    let paths = |count: usize, why: &str| (count > 0).then(|| format!("{} {why}", counted(count, "path", "paths")));
    parts.extend(paths(sum(|left| left.ignored), "by .gitignore"));
    parts.extend(paths(sum(|left| left.excluded), "by --exclude"));
    if !parts.is_empty() {
        output::note(&format!("passed over {}", ListDisplay(parts.iter())));
    }
    let plain = sum(|left| left.plain_kustomizations);
    if plain > 0 {
        let what = counted(plain, "kustomization alters", "kustomizations alter");
        output::note(&format!(
            "{what} nothing that decides where pods run: what is listed there is judged as it stands"
        ));
    }
}

/// What of `located`, which is what `named` came to, is not judged, for a report: each thing once.
pub(super) fn ignored(named: &[&NamedTexts], located: &[&LocatedInventory<'_>], sources: &SourceMap) -> IgnoredKinds {
    let mut unread: BTreeSet<UnreadPath> = named.iter().flat_map(|texts| texts.not_read.iter().cloned()).collect();
    let mut unjudged: Vec<UnjudgedName> = Vec::new();
    let mut known = BTreeSet::new();
    for located in located {
        let templates = located.diagnostics.iter().filter(|found| found.code == files::NOT_RENDERED);
        unread.extend(templates.filter_map(|found| {
            let path = sources.name(found.place?.file).to_owned();
            Some(UnreadPath { path, reason: "a template that was not rendered".to_owned() })
        }));
        for object in located.unjudged.iter().map(|object| unjudged_name(object, sources)) {
            // Both sides of a comparison hold most of it.
            if known.insert((object.to_string(), object.says.clone())) {
                unjudged.push(object);
            }
        }
    }
    // A broken kustomization says more of itself than that it is a template.
    let mut said = BTreeSet::new();
    let unread = unread.into_iter().filter(|unread| said.insert(unread.path.clone())).collect();
    let kinds = located.last().map(|located| located.ignored.clone()).unwrap_or_default();
    IgnoredKinds { kinds, unjudged, unread }
}

fn unjudged_name(object: &UnjudgedObject, sources: &SourceMap) -> UnjudgedName {
    let mut says = Vec::new();
    for said in &object.statements {
        let texts = [&said.statement.sensitivity, &said.statement.categories];
        let within = said.within.map(|(key, _)| key.to_owned());
        says.extend(texts.into_iter().flatten().map(|text| match (&within, &**text) {
            (Some(key), "") => key.clone(),
            (_, text) => quoted(text),
        }));
    }
    says.dedup();
    let place = object.first().and_then(|(_, span, _)| location(sources, SourceSpan { file: object.file, span }));
    let namespace = object.namespace.as_deref().map(quoted).unwrap_or_default();
    let (kind, name) = match &object.kind {
        Some(kind) => (quoted(kind), quoted(&object.name)),
        None => ("document".to_owned(), sources.name(object.file).to_owned()),
    };
    UnjudgedName { kind, namespace, name, place, says }
}
