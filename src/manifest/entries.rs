//! Map builder: a map while it is being read, with what merge keys bring along.
//!
//! Takes entries in the order of the file, and returns them without duplicates: of a key that is given twice the last
//! value counts, as kubectl has it, and that it was given twice is told.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use super::node::{ManifestNode, MapEntry};
use crate::diagnostic::position::TextSpan;

/// From how many keys on an index is worth its memory.
const MANY: usize = 16;

#[derive(Default)]
pub(super) struct MapBuilder<'t> {
    list: Vec<MapEntry<'t>>,
    /// Where each key is, once there are many.
    index: Option<HashMap<Cow<'t, str>, usize>>,
    /// Which entries came by a merge key alone: these may be said again.
    merged: BTreeSet<usize>,
}

/// A key that was said before.
#[derive(Debug)]
pub(super) struct DuplicateKey<'t> {
    /// Where it stood before.
    pub(super) first: TextSpan,
    /// Whether its value is another one now.
    pub(super) differs: bool,
    /// Its value before, which counts no more.
    pub(super) dropped: ManifestNode<'t>,
}

impl<'t> MapBuilder<'t> {
    pub(super) fn get(&self, key: &str) -> Option<&MapEntry<'t>> {
        self.position(key).and_then(|at| self.list.get(at))
    }

    /// Adds what the map itself says, and tells whether it said so before.
    pub(super) fn insert(&mut self, entry: MapEntry<'t>) -> Option<DuplicateKey<'t>> {
        let Some(at) = self.position(&entry.key) else {
            self.push(entry);
            return None;
        };
        let differs = self.list.get(at).is_some_and(|before| !before.value.says_the_same(&entry.value));
        let was_merged = self.merged.remove(&at);
        let before = self.replace(at, entry).filter(|_| !was_merged);
        before.map(|before| DuplicateKey { first: before.key_span, differs, dropped: before.value })
    }

    /// Adds what a merge key brings along. It wins over what stands before it, as in kubectl, whatever the
    /// specification of merge keys says.
    pub(super) fn merge(&mut self, entry: MapEntry<'t>) {
        if let Some(at) = self.position(&entry.key) {
            self.replace(at, entry);
        } else {
            self.merged.insert(self.list.len());
            self.push(entry);
        }
    }

    pub(super) fn into_vec(self) -> Vec<MapEntry<'t>> {
        self.list
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.list.iter().position(|entry| entry.key == key),
        }
    }

    fn push(&mut self, entry: MapEntry<'t>) {
        let at = self.list.len();
        if let Some(index) = &mut self.index {
            index.insert(entry.key.clone(), at);
        }
        self.list.push(entry);
        if at == MANY {
            let keys = self.list.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at));
            self.index = Some(keys.collect());
        }
    }

    fn replace(&mut self, at: usize, entry: MapEntry<'t>) -> Option<MapEntry<'t>> {
        self.list.get_mut(at).map(|old| std::mem::replace(old, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diagnostic::position::TextPosition,
        manifest::{
            node::{ManifestNode, NodeContent},
            scalar::YamlScalar,
        },
    };

    fn entry(key: usize) -> MapEntry<'static> {
        let span = TextSpan::at(TextPosition { line: u32::try_from(key).unwrap() + 1, column: 1 });
        let value = ManifestNode { span, content: NodeContent::Scalar(YamlScalar::string("")) };
        MapEntry { key: key.to_string().into(), key_span: span, value }
    }

    #[test]
    fn a_second_key_is_found_among_few_and_many() {
        for count in [1, MANY - 1, MANY, MANY + 1, MANY + 2, 10 * MANY] {
            let mut entries = MapBuilder::default();
            for key in 0..count {
                assert!(entries.insert(entry(key)).is_none());
            }
            for key in 0..count {
                assert_eq!(entries.insert(entry(key)).unwrap().first, entry(key).key_span);
                assert_eq!(entries.get(&key.to_string()), Some(&entry(key)));
            }
            assert_eq!(entries.index.is_some(), count > MANY);
            assert_eq!(entries.into_vec().len(), count);
        }
    }

    #[test]
    fn what_was_merged_may_be_said_once_more() {
        let mut entries = MapBuilder::default();
        entries.merge(entry(0));
        assert!(entries.insert(entry(0)).is_none());
        assert!(entries.insert(entry(0)).is_some());
    }
}
