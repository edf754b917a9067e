//! Anchors of YAML: the values that aliases may repeat, and what each costs.
//!
//! Takes values with their anchors, and returns them to aliases. What an alias repeats is paid for like what is
//! written.

use super::{
    document::VALUES,
    node::{ManifestNode, NodeContent},
};

/// A value with a name.
pub(super) struct AnchoredValue<'t> {
    pub(super) node: ManifestNode<'t>,
    /// How deep it is nested: 0 for a scalar.
    pub(super) height: usize,
    /// What a copy of it counts for.
    pub(super) weight: usize,
}

/// The named values of a document, by the number that the parser gives them.
#[derive(Default)]
pub(super) struct AnchorTable<'t> {
    named: Vec<Option<AnchoredValue<'t>>>,
    /// The weight of them all: they are copies too.
    weight: usize,
}

impl<'t> AnchorTable<'t> {
    pub(super) fn get(&self, anchor: usize) -> Option<&AnchoredValue<'t>> {
        self.named.get(anchor)?.as_ref()
    }

    /// Keeps a copy of `node`; whether there is room for it.
    pub(super) fn set(&mut self, anchor: usize, node: &ManifestNode<'t>) -> bool {
        let (height, weight) = measure(node);
        self.weight += weight;
        if self.weight > VALUES {
            return false;
        }
        if self.named.len() <= anchor {
            self.named.resize_with(anchor + 1, || None);
        }
        if let Some(slot) = self.named.get_mut(anchor) {
            *slot = Some(AnchoredValue { node: node.clone(), height, weight });
        }
        true
    }
}

/// So many bytes of text count as one value more.
const LINE: usize = 64;

fn measure(node: &ManifestNode<'_>) -> (usize, usize) {
    let (children, keys): (Vec<&ManifestNode<'_>>, usize) = match &node.content {
        NodeContent::Scalar(scalar) => return (0, 1 + scalar.text.len() / LINE),
        NodeContent::List(items) => (items.iter().collect(), 0),
        NodeContent::Map(entries) => (
            entries.iter().map(|entry| &entry.value).collect(),
            entries.iter().map(|entry| 1 + entry.key.len() / LINE).sum(),
        ),
    };
    children
        .into_iter()
        .map(measure)
        .fold((1, 1 + keys), |(height, weight), (child, load)| (height.max(child + 1), weight + load))
}
