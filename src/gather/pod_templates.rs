//! Pod templates of other kinds: which kinds of other projects make pods, and where in them the template is.
//!
//! Takes the list that the chart carries and what a user adds to it, and returns for a kind the ways to its templates. The
//! list is the only one: whoever asks whether a kind has pods asks here.

use std::sync::LazyLock;

use super::kind::group_of;
use crate::{
    api,
    diagnostic::source::SourceMap,
    manifest::{
        node::{ManifestNode, NodeContent},
        read::read,
    },
};
use rempart_core::{
    name::quoted,
    workload::{TemplatedKind, WorkloadKind},
};

/// The list of the chart.
const LISTED: &str = include_str!("../../charts/rempart/files/pod-templates.yaml");

static KNOWN: LazyLock<PodTemplateKinds> = LazyLock::new(|| PodTemplateKinds::leak(listed(LISTED)));

/// Kinds that make pods from templates.
#[derive(Clone, Copy, Debug)]
pub struct PodTemplateKinds {
    /// In the order of groups and kinds.
    kinds: &'static [TemplatedKind],
}

impl Default for PodTemplateKinds {
    fn default() -> Self {
        *KNOWN
    }
}

impl PodTemplateKinds {
    /// The kinds of the chart, and `more`, each written `GROUP/KIND=PATH`, or `KIND=PATH` of the core group. What is said of
    /// a kind here replaces what the chart says of it.
    ///
    /// They stay in memory for as long as the process: they are what it was started with.
    ///
    /// # Errors
    /// What is not written so.
    pub fn with(more: &[String]) -> Result<Self, String> {
        if more.is_empty() {
            return Ok(Self::default());
        }
        let more = more.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
        let same = |one: &TemplatedKind, other: &TemplatedKind| (&one.group, &one.kind) == (&other.group, &other.kind);
        let mut all: Vec<_> =
            KNOWN.kinds.iter().filter(|known| !more.iter().any(|new| same(new, known))).cloned().collect();
        all.extend(more);
        Ok(Self::leak(all))
    }

    fn leak(mut kinds: Vec<TemplatedKind>) -> Self {
        kinds.sort();
        kinds.dedup();
        let several: Vec<bool> = kinds
            .iter()
            .map(|one| {
                let same = |other: &&TemplatedKind| (&one.group, &one.kind) == (&other.group, &other.kind);
                one.template.contains(EACH) || kinds.iter().filter(same).count() > 1
            })
            .collect();
        for (kind, several) in kinds.iter_mut().zip(several) {
            kind.is_one_of_several = several;
        }
        Self { kinds: kinds.leak() }
    }

    /// The templates of `kind` in `group`; none where it has none.
    #[must_use]
    pub fn of(&self, group: &str, kind: &str) -> &'static [TemplatedKind] {
        let before = self.kinds.partition_point(|known| (known.group.as_str(), known.kind.as_str()) < (group, kind));
        let rest = self.kinds.get(before..).unwrap_or_default();
        let end = rest.partition_point(|known| (known.group.as_str(), known.kind.as_str()) <= (group, kind));
        rest.get(..end).unwrap_or_default()
    }

    /// Whether the command line gave `template`: nobody has tried it before.
    pub(super) fn is_added(template: &TemplatedKind) -> bool {
        let same = |known: &TemplatedKind| {
            (&known.group, &known.kind, &known.template) == (&template.group, &template.kind, &template.template)
        };
        !KNOWN.kinds.iter().any(same)
    }

    /// The kinds among those that the command line gave of which `is_judged` knows no object: most often one is misspelt.
    pub fn unused(&self, is_judged: impl Fn(&TemplatedKind) -> bool) -> Vec<&'static TemplatedKind> {
        self.kinds.iter().filter(|kind| Self::is_added(kind) && !is_judged(kind)).collect()
    }

    /// Every template of every kind.
    pub fn iter(&self) -> impl Iterator<Item = &'static TemplatedKind> + use<> {
        self.kinds.iter()
    }
}

/// What stands for each entry of a list or map.
const EACH: &str = "[*]";

fn listed(text: &'static str) -> Vec<TemplatedKind> {
    let mut kinds = Vec::new();
    let file = SourceMap::default().add("", String::new());
    read(file, text, &mut |found| {
        let Ok(list) = found else { return };
        for entry in list.items() {
            let text = |key: &str| entry.get(key).and_then(|value| value.text().ok()).unwrap_or_default().to_owned();
            let templates = entry.get("templates").map(ManifestNode::items).unwrap_or_default();
            kinds.extend(templates.iter().filter_map(|template| template.text().ok()).map(|template| TemplatedKind {
                group: text("group"),
                kind: text("kind"),
                template: template.to_owned(),
                is_one_of_several: false,
            }));
        }
    });
    kinds
}

fn parse(text: &str) -> Result<TemplatedKind, String> {
    let wrong = |why: &str| {
        let text = quoted(text);
        format!("{text:?}: {why}; write GROUP/KIND=PATH, as example.org/Worker=spec.workers[*].template")
    };
    let (kind, template) = text.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
    let (group, kind) = kind.rsplit_once('/').unwrap_or(("", kind));
    let is_word = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric());
    if !kind.starts_with(|first: char| first.is_ascii_uppercase()) || !is_word(kind) {
        return Err(wrong("a kind is a word that begins with a capital, as Worker"));
    }
    let is_label = |label: &str| {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(good)
    };
    if !group.is_empty() && !group.split('.').all(is_label) {
        return Err(wrong("a group is a name like example.org, without a version"));
    }
    let known = WorkloadKind::ALL.into_iter().any(|known| (group_of(known), known.as_str()) == (group, kind));
    if known || group == api::GROUP || (group.is_empty() && matches!(kind, "Namespace" | "Node")) {
        return Err(wrong(&format!("where the pods of {kind} are is known")));
    }
    let is_step = |step: &str| {
        let field = step.strip_suffix(EACH).unwrap_or(step);
        !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if let Some(step) = template.split('.').find(|step| !is_step(step)) {
        let why = if step.is_empty() {
            "a step of the path is empty".to_owned()
        } else {
            format!("{step:?} is no step of a path: a step is a field, or a field and [*] for each entry of it")
        };
        return Err(wrong(&why));
    }
    let (group, kind, template) = (group.to_owned(), kind.to_owned(), template.to_owned());
    Ok(TemplatedKind { group, kind, template, is_one_of_several: false })
}

/// A pod template within an object.
pub(super) struct TemplatePlace<'n, 't> {
    /// The way to it.
    pub(super) path: String,
    /// It, if it is there.
    pub(super) node: Option<&'n ManifestNode<'t>>,
}

/// The places of the template at `path` of `root`: one, or one for each entry that `[*]` stands for. An entry whose template
/// is not there has one that says nothing: pods are made of it all the same.
pub(super) fn places<'n, 't>(root: &'n ManifestNode<'t>, path: &str) -> Vec<TemplatePlace<'n, 't>> {
    let mut places = vec![TemplatePlace { path: String::new(), node: Some(root) }];
    for step in path.split('.') {
        let (key, each) = step.strip_suffix(EACH).map_or((step, false), |key| (key, true));
        places = places
            .into_iter()
            .flat_map(|TemplatePlace { path, node }| {
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                let node = node.and_then(|node| node.get(key));
                if each { entries(&path, node) } else { vec![TemplatePlace { path, node }] }
            })
            .collect();
    }
    places
}

fn entries<'n, 't>(path: &str, node: Option<&'n ManifestNode<'t>>) -> Vec<TemplatePlace<'n, 't>> {
    let place = |name: &str, node| TemplatePlace { path: format!("{path}[{name}]"), node: Some(node) };
    match node.map(|node| &node.content) {
        Some(NodeContent::List(items)) => {
            items.iter().enumerate().map(|(i, node)| place(&i.to_string(), node)).collect()
        }
        Some(NodeContent::Map(entries)) => entries.iter().map(|entry| place(&entry.key, &entry.value)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_whole() {
        let known = PodTemplateKinds::default();
        let named = LISTED.lines().filter(|line| line.starts_with("- {")).count();
        let mut kinds: Vec<_> = known.iter().map(|kind| (&kind.group, &kind.kind)).collect();
        kinds.dedup();
        assert_eq!(kinds.len(), named);
        assert!(known.iter().all(|kind| !kind.kind.is_empty() && kind.template.starts_with("spec.")));
    }

    #[test]
    fn a_user_adds_kinds_and_corrects_them() {
        let more =
            ["example.org/Worker=spec.workers[*].template".to_owned(), "argoproj.io/Rollout=spec.pods".to_owned()];
        let kinds = PodTemplateKinds::with(&more).unwrap();
        let paths = |group, kind| kinds.of(group, kind).iter().map(|it| it.template.as_str()).collect::<Vec<_>>();
        assert_eq!(paths("example.org", "Worker"), ["spec.workers[*].template"]);
        assert_eq!(paths("argoproj.io", "Rollout"), ["spec.pods"]);
        assert_eq!(paths("apps.kruise.io", "CloneSet"), ["spec.template"]);
        assert_eq!(paths("apps", "CloneSet"), [""; 0]);
        for (wrong, why) in [
            ("Worker", "there is no `=`"),
            ("=spec.template", "a kind is a word that begins with a capital"),
            ("a/b=spec.template", "a kind is a word that begins with a capital"),
            ("a/v1/B=spec.template", "a group is a name like example.org, without a version"),
            ("a/B=", "a step of the path is empty"),
            ("a/B=spec..template", "a step of the path is empty"),
            ("a/B=.spec.template", "a step of the path is empty"),
            ("a/B=spec.workers[0].template", r#""workers[0]" is no step of a path"#),
            ("a/B=spec.[*]", r#""[*]" is no step of a path"#),
            ("a/B=spec.a[*][*]", r#""a[*][*]" is no step of a path"#),
            ("apps/Deployment=spec.pods", "where the pods of Deployment are is known"),
            ("Pod=spec", "where the pods of Pod are is known"),
        ] {
            let told = PodTemplateKinds::with(&[wrong.to_owned()]).unwrap_err();
            assert!(told.starts_with(&format!("{wrong:?}: {why}")), "{told}");
        }
    }
}
