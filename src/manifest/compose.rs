//! Node composer: from the events of a text, YAML or JSON, to nodes.
//!
//! Takes scalars, lists and maps as they begin and end, and hands each object to the sink.
//!
//! Never deeper than [`DEPTH`] nor larger than [`VALUES`], whatever aliases repeat. What is wrong with one object alone,
//! as a key that is no text, costs that object; the reading goes on. A key that stands twice costs nothing here: whoever
//! knows what the object is for judges that.

use std::borrow::Cow;

use super::{
    anchors::AnchorTable,
    document::{DEPTH, DocumentPart, VALUES},
    entries::{DuplicateKey, MapBuilder},
    envelope::{self, ListEnvelope, ObjectSink},
    node::{ManifestNode, ManifestObject, MapEntry, NodeContent, RepeatedKey},
    path,
    scalar::{self, ShortScalar, YamlScalar},
    syntax,
};
use crate::diagnostic::{
    Diagnostic,
    position::{TextPosition, TextSpan},
};

/// A list or a map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CollectionKind {
    List,
    Map,
}

/// Builds the objects of one part of a file.
pub(super) struct NodeComposer<'t, 's> {
    part: DocumentPart<'t>,
    sink: ObjectSink<'s, 't>,
    stack: Vec<OpenCollection<'t>>,
    root: Option<ManifestNode<'t>>,
    anchors: AnchorTable<'t>,
    envelope: ListEnvelope<'t>,
    /// How many values the object at hand may still have.
    left: usize,
    /// Whether the object at hand is already known to be wrong.
    spoiled: bool,
    /// The keys that stand in the object at hand more than once.
    repeated: Vec<RepeatedKey<'t>>,
}

struct OpenCollection<'t> {
    start: TextPosition,
    /// Where its last value ends.
    end: TextPosition,
    anchor: usize,
    body: CollectionBody<'t>,
}

enum CollectionBody<'t> {
    List(Vec<ManifestNode<'t>>),
    Map(MapBuilder<'t>, PendingValue<'t>),
    /// The items of a list of objects, which are handed over one by one. Whether the rest was spoiled before, and what
    /// was repeated in it.
    Items(bool, Vec<RepeatedKey<'t>>),
}

/// What the next value of a map is for.
enum PendingValue<'t> {
    /// To be a key.
    Nothing,
    /// To be the value of this key.
    Key(Cow<'t, str>, TextSpan),
    /// To be merged into the map.
    Merge,
    /// Nothing: its key cannot be one.
    Skip,
}

impl<'t, 's> NodeComposer<'t, 's> {
    pub(super) fn new(part: DocumentPart<'t>, sink: ObjectSink<'s, 't>) -> Self {
        Self {
            part,
            sink,
            stack: Vec::new(),
            root: None,
            anchors: AnchorTable::default(),
            envelope: ListEnvelope::default(),
            left: VALUES,
            spoiled: false,
            repeated: Vec::new(),
        }
    }

    /// A scalar stands at `span`. Anchor 0 is none.
    pub(super) fn scalar(&mut self, span: TextSpan, scalar: YamlScalar<'t>, anchor: usize) -> Result<(), Diagnostic> {
        self.pay(1, span)?;
        self.complete(ManifestNode { span, content: NodeContent::Scalar(scalar) }, anchor)
    }

    /// A list or map begins at `start`.
    pub(super) fn open(&mut self, shape: CollectionKind, start: TextPosition, anchor: usize) -> Result<(), Diagnostic> {
        let span = TextSpan::at(start);
        if self.stack.len() == DEPTH {
            return Err(self.part.too_deep(span));
        }
        self.pay(1, span)?;
        let body = match shape {
            CollectionKind::List if anchor == 0 && self.begins_items() => {
                self.envelope.begin();
                self.left = VALUES;
                CollectionBody::Items(std::mem::take(&mut self.spoiled), std::mem::take(&mut self.repeated))
            }
            CollectionKind::List => CollectionBody::List(Vec::new()),
            CollectionKind::Map => CollectionBody::Map(MapBuilder::default(), PendingValue::Nothing),
        };
        self.stack.push(OpenCollection { start, end: start, anchor, body });
        Ok(())
    }

    /// The innermost list or map ends, at its bracket if it has one.
    pub(super) fn close(&mut self, bracket: Option<TextPosition>) -> Result<(), Diagnostic> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let span = TextSpan { start: frame.start, end: bracket.unwrap_or(frame.end) };
        let content = match frame.body {
            CollectionBody::List(items) => NodeContent::List(items),
            CollectionBody::Map(entries, _) => NodeContent::Map(entries.into_vec()),
            CollectionBody::Items(spoiled, repeated) => {
                (self.spoiled, self.repeated) = (spoiled, repeated);
                self.left = VALUES;
                NodeContent::List(Vec::new())
            }
        };
        self.complete(ManifestNode { span, content }, frame.anchor)
    }

    /// What was called `anchor` is repeated at `span`.
    pub(super) fn alias(&mut self, anchor: usize, span: TextSpan) -> Result<(), Diagnostic> {
        let Some(named) = self.anchors.get(anchor) else {
            return Err(self.part.error("AliasRecursive", span, "the alias stands within the value that it repeats"));
        };
        if self.stack.len() + named.height > DEPTH {
            return Err(self.part.too_deep(span));
        }
        // Paid before it is made: that is what keeps a few lines from becoming all memory.
        if named.weight > self.left {
            return Err(self.part.too_many(span));
        }
        self.left -= named.weight;
        let node = named.node.clone();
        self.place(node, span);
        Ok(())
    }

    /// The document is complete: hands over what was not handed over yet.
    pub(super) fn finish(&mut self) {
        self.stack.clear();
        self.anchors = AnchorTable::default();
        self.left = VALUES;
        let envelope = std::mem::take(&mut self.envelope);
        let (spoiled, repeated) = (std::mem::take(&mut self.spoiled), std::mem::take(&mut self.repeated));
        if let Some(root) = self.root.take() {
            envelope.finish(ManifestObject { node: root, repeated }, spoiled, self.sink);
        }
    }

    fn pay(&mut self, weight: usize, span: TextSpan) -> Result<(), Diagnostic> {
        self.left = self.left.checked_sub(weight).ok_or_else(|| self.part.too_many(span))?;
        Ok(())
    }

    /// The object at hand is wrong. Said once for each, and the reading goes on.
    pub(super) fn refuse(&mut self, diagnostic: Diagnostic) {
        if !std::mem::replace(&mut self.spoiled, true) {
            (self.sink)(Err(diagnostic));
        }
    }

    fn begins_items(&self) -> bool {
        match self.stack.as_slice() {
            [OpenCollection { body: CollectionBody::Map(entries, PendingValue::Key(key, _)), .. }] => {
                key == envelope::ITEMS && self.envelope.may_begin(entries)
            }
            _ => false,
        }
    }

    fn complete(&mut self, node: ManifestNode<'t>, anchor: usize) -> Result<(), Diagnostic> {
        if anchor != 0 && !self.anchors.set(anchor, &node) {
            return Err(self.part.too_many(node.span));
        }
        let span = node.span;
        self.place(node, span);
        Ok(())
    }

    /// Puts `node`, which stands at `span` or is repeated there, where it belongs.
    fn place(&mut self, node: ManifestNode<'t>, span: TextSpan) {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.end = span.end;
        match &mut frame.body {
            CollectionBody::List(items) => items.push(node),
            CollectionBody::Items(..) => self.item(node),
            CollectionBody::Map(entries, pending) => match std::mem::replace(pending, PendingValue::Nothing) {
                PendingValue::Nothing => self.key(node, span),
                PendingValue::Skip => {}
                PendingValue::Key(key, key_span) => {
                    let twin = entries.insert(MapEntry { key: key.clone(), key_span, value: node });
                    if let Some(twin) = twin {
                        self.repeat(&key, key_span, twin);
                    }
                }
                PendingValue::Merge => {
                    if !merge(entries, node) {
                        self.refuse(self.part.error("MergeMistyped", span, "`<<` takes a map or a list of maps"));
                    }
                }
            },
        }
    }

    /// The key `key` of the innermost map stands there once more.
    fn repeat(&mut self, key: &str, again: TextSpan, twin: DuplicateKey<'t>) {
        // The items of a list were handed over when they were read: another list of them is one too many.
        if self.envelope.has_begun() && self.stack.len() == 1 && twin.differs {
            let line = twin.first.start.line;
            let message = format!("the key `{}` of a list is on line {line} already", ShortScalar(key));
            return self.refuse(self.part.error("DuplicateKey", again, message).hint("remove one of the two"));
        }
        let path = self.path_to(key);
        let DuplicateKey { first, differs, dropped } = twin;
        self.repeated.push(RepeatedKey { path, key: key.to_owned(), first, again, differs, dropped });
    }

    /// The way to `key` of the innermost map within its object.
    fn path_to(&self, key: &str) -> String {
        let items = self.stack.iter().rposition(|frame| matches!(frame.body, CollectionBody::Items(..)));
        let own = self.stack.get(items.map_or(0, |at| at.saturating_add(1))..).unwrap_or_default();
        let mut path = String::new();
        for frame in own {
            match &frame.body {
                CollectionBody::Map(_, PendingValue::Key(key, _)) => path::extend(&mut path, key),
                CollectionBody::List(items) => path.extend(["[", &items.len().to_string(), "]"]),
                CollectionBody::Map(..) | CollectionBody::Items(..) => {}
            }
        }
        path::extend(&mut path, key);
        path
    }

    /// Takes `node` as the key of the next value.
    fn key(&mut self, node: ManifestNode<'t>, span: TextSpan) {
        let Some(frame) = self.stack.last() else { return };
        // `{{ .Values.x }}` is to YAML a map that is the key of a map.
        let inner = TextPosition { column: frame.start.column.saturating_add(1), ..frame.start };
        let template = matches!(node.content, NodeContent::Map(_)) && node.span.start == inner;
        let found = match node.content {
            NodeContent::Scalar(scalar) if scalar.plain && scalar.text == "<<" => Ok(PendingValue::Merge),
            NodeContent::Scalar(scalar) if scalar.as_text().is_some() => Ok(PendingValue::Key(scalar.text, span)),
            NodeContent::Scalar(scalar) => {
                let described = scalar.describe();
                scalar::key(scalar).map(|key| PendingValue::Key(key, span)).ok_or(described)
            }
            _ => Err(node.describe()),
        };
        let pending = found.unwrap_or_else(|found| {
            let diagnostic = self.part.error("KeyNotText", span, format!("a key must be a string, found {found}"));
            self.refuse(diagnostic.hint(if template { syntax::TEMPLATE } else { "put the key in quotes" }));
            PendingValue::Skip
        });
        if let Some(OpenCollection { body: CollectionBody::Map(_, slot), .. }) = self.stack.last_mut() {
            *slot = pending;
        }
    }

    /// Hands over an item of a list of objects.
    fn item(&mut self, node: ManifestNode<'t>) {
        self.left = VALUES;
        let repeated = std::mem::take(&mut self.repeated);
        if std::mem::take(&mut self.spoiled) {
            return;
        }
        if let [OpenCollection { body: CollectionBody::Map(entries, _), .. }, ..] = self.stack.as_slice() {
            self.envelope.item(ManifestObject { node, repeated }, entries, self.sink);
        }
    }
}

/// Merges `node` into `entries`, the first of several over the later ones. Whether it can be merged.
fn merge<'t>(entries: &mut MapBuilder<'t>, node: ManifestNode<'t>) -> bool {
    match node.content {
        NodeContent::Map(brought) => {
            for entry in brought {
                entries.merge(entry);
            }
            true
        }
        NodeContent::List(maps) if maps.iter().all(|map| matches!(map.content, NodeContent::Map(_))) => {
            maps.into_iter().rev().all(|map| merge(entries, map))
        }
        _ => false,
    }
}
