//! List envelope: a list of objects, as `kubectl get -o yaml` prints it.
//!
//! Takes the items one by one, and hands each to the sink as an object; the list is nothing itself.
//!
//! Items are handed over one by one, so that a list of 100 MB never stands in memory as one tree. For that the reader
//! must decide at `items`, and the kind may come later: kubectl itself prints it after. So any `items` list at the top
//! of a document is taken for one of objects, unless a kind that does not end in `List` stands before it. Should such a
//! kind stand after it, the document is handed over as well, without its items.
//!
//! The items of a `PodList` need no kind of their own: it is that of the list, without `List`. Items without a kind are
//! held back until that of the list is known.

use std::borrow::Cow;

use super::{
    entries::MapBuilder,
    node::{ManifestNode, ManifestObject, MapEntry, NodeContent, RepeatedKey},
    scalar::YamlScalar,
};
use crate::diagnostic::{Diagnostic, position::TextSpan};

/// Who takes the objects, and what is wrong with those that cannot be had.
pub(super) type ObjectSink<'s, 't> = &'s mut dyn FnMut(Result<ManifestObject<'t>, Diagnostic>);

pub(super) const ITEMS: &str = "items";
const KIND: &str = "kind";
const VERSION: &str = "apiVersion";

#[derive(Default)]
pub(super) struct ListEnvelope<'t> {
    begun: bool,
    held: Vec<ManifestObject<'t>>,
}

impl<'t> ListEnvelope<'t> {
    /// Whether an `items` list after `entries` may be one of objects.
    pub(super) fn may_begin(&self, entries: &MapBuilder<'t>) -> bool {
        !self.begun && entries.get(KIND).is_none_or(|kind| is_list_kind(&kind.value))
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(super) fn begin(&mut self) {
        self.begun = true;
    }

    /// Takes an item of the list that `entries` stand before.
    pub(super) fn item(&mut self, item: ManifestObject<'t>, entries: &MapBuilder<'t>, sink: ObjectSink<'_, 't>) {
        let kind = entries.get(KIND);
        if kind.is_none() && item.get(KIND).is_none() {
            self.held.push(item);
        } else {
            hand_over(ListItemKind::new(kind, entries.get(VERSION)).complete(item), sink);
        }
    }

    /// Hands over what is left when the document ends. A document that is spoiled is not.
    pub(super) fn finish(self, mut root: ManifestObject<'t>, spoiled: bool, sink: ObjectSink<'_, 't>) {
        if root.is_null() {
            return;
        }
        if !self.begun {
            if !spoiled {
                hand_over(root, sink);
            }
            return;
        }
        let heading = ListItemKind::new(root.entry(KIND), root.entry(VERSION));
        for item in self.held {
            hand_over(heading.complete(item), sink);
        }
        if !spoiled && !root.get(KIND).is_some_and(is_list_kind) {
            if let NodeContent::Map(entries) = &mut root.node.content {
                entries.retain(|entry| entry.key != ITEMS);
            }
            sink(Ok(root));
        }
    }
}

/// What a list says of the kind of its items.
#[derive(Default)]
struct ListItemKind<'t> {
    kind: Option<(Cow<'t, str>, TextSpan)>,
    version: Option<MapEntry<'t>>,
}

impl<'t> ListItemKind<'t> {
    fn new(kind: Option<&MapEntry<'t>>, version: Option<&MapEntry<'t>>) -> Self {
        let item_kind = kind.and_then(|kind| {
            let item = kind.value.text().ok()?.strip_suffix("List").filter(|item| !item.is_empty())?;
            Some((Cow::Owned(item.to_owned()), kind.value.span))
        });
        // Of a plain `List`, the version is that of the list alone.
        let version = version.filter(|_| item_kind.is_some()).cloned();
        Self { kind: item_kind, version }
    }

    fn complete(&self, mut item: ManifestObject<'t>) -> ManifestObject<'t> {
        let missing = |key: &str| item.get(key).is_none();
        let kind = self.kind.as_ref().filter(|_| missing(KIND)).map(|(kind, span)| MapEntry {
            key: Cow::Borrowed(KIND),
            key_span: *span,
            value: ManifestNode { span: *span, content: NodeContent::Scalar(YamlScalar::string(kind.clone())) },
        });
        let version = self.version.clone().filter(|_| missing(VERSION));
        if let NodeContent::Map(entries) = &mut item.node.content {
            entries.extend(version.into_iter().chain(kind));
        }
        item
    }
}

/// What of `repeated` is within the item `at`, by its way there.
fn of_item<'t>(at: usize, repeated: &mut Vec<RepeatedKey<'t>>) -> Vec<RepeatedKey<'t>> {
    let front = format!("{ITEMS}[{at}]");
    let within = |twin: &mut RepeatedKey<'t>| twin.path.starts_with(&front);
    let mut found: Vec<_> = repeated.extract_if(.., within).collect();
    for twin in &mut found {
        twin.path = twin.path.get(front.len()..).unwrap_or_default().trim_start_matches('.').to_owned();
    }
    found
}

fn is_list_kind(kind: &ManifestNode<'_>) -> bool {
    kind.text().is_ok_and(|kind| kind.ends_with("List"))
}

/// Hands over `node`, or its items when it is a list of objects itself.
fn hand_over<'t>(object: ManifestObject<'t>, sink: ObjectSink<'_, 't>) {
    // Go prints an empty list as `null`, too.
    let is_list = |items: &ManifestNode<'_>| matches!(items.content, NodeContent::List(_)) || items.is_null();
    if !object.get(KIND).is_some_and(is_list_kind) || !object.get(ITEMS).is_some_and(is_list) {
        sink(Ok(object));
        return;
    }
    let heading = ListItemKind::new(object.entry(KIND), object.entry(VERSION));
    let ManifestObject { node, mut repeated } = object;
    let NodeContent::Map(mut entries) = node.content else { return };
    let items = entries.drain(..).find(|entry| entry.key == ITEMS).map(|entry| entry.value.content);
    if let Some(NodeContent::List(items)) = items {
        for (i, node) in items.into_iter().enumerate() {
            let repeated = of_item(i, &mut repeated);
            hand_over(heading.complete(ManifestObject { node, repeated }), &mut *sink);
        }
    }
}
