//! Objects of one kind as their watch tells of them, complete lists and single changes alike.
//!
//! An [`ObjectStore`] takes one [`WatchChange`] at a time and answers which objects it touched. A list counts when it is
//! complete and not before, and news that is older than what is known is dropped.

use std::collections::{BTreeMap, BTreeSet};

/// A change of one kind of object, as a watch tells it.
#[derive(Clone, Debug)]
pub enum WatchChange<V> {
    /// Everything is about to be listed anew.
    Restarted,
    /// One of the objects listed anew.
    Listed(String, V),
    /// The list is complete: what it did not name is gone.
    Complete,
    /// An object was made or altered.
    Applied(String, V),
    /// An object is gone, as of this resource version.
    Deleted(String, u64),
    /// An object is there, and cannot be read.
    Unreadable(String),
    /// An object is there, and is of no concern, as of this resource version.
    Passed(String, u64),
}

impl<V> WatchChange<V> {
    /// The same of what `with` makes of the object.
    pub fn map<W>(self, mut with: impl FnMut(V) -> W) -> WatchChange<W> {
        match self {
            Self::Restarted => WatchChange::Restarted,
            Self::Listed(name, value) => WatchChange::Listed(name, with(value)),
            Self::Complete => WatchChange::Complete,
            Self::Applied(name, value) => WatchChange::Applied(name, with(value)),
            Self::Deleted(name, version) => WatchChange::Deleted(name, version),
            Self::Unreadable(name) => WatchChange::Unreadable(name),
            Self::Passed(name, version) => WatchChange::Passed(name, version),
        }
    }
}

/// A thing with a resource version.
pub trait ResourceVersioned {
    /// The resource version, as the number that it is; 0 when it is none.
    fn version(&self) -> u64;
}

/// Reads a resource version.
#[must_use]
pub fn version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The objects of one kind.
#[derive(Clone, Debug)]
pub struct ObjectStore<V> {
    live: BTreeMap<String, V>,
    /// What is gone, and since which resource version: an answer that comes late must not bring it back.
    gone: BTreeMap<String, u64>,
    incoming: Option<PendingList<V>>,
    synced: bool,
}

/// A list that is under way.
#[derive(Clone, Debug)]
struct PendingList<V> {
    /// What is new in it.
    news: BTreeMap<String, V>,
    /// Names of what is known as it is: most of it, and no reason to have it in memory twice.
    known: BTreeSet<String>,
}

impl<V> Default for PendingList<V> {
    fn default() -> Self {
        Self { news: BTreeMap::new(), known: BTreeSet::new() }
    }
}

impl<V> Default for ObjectStore<V> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), gone: BTreeMap::new(), incoming: None, synced: false }
    }
}

/// Which objects an observation was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TouchedObjects {
    /// None, as yet.
    Nothing,
    /// The one of this name.
    One(String),
    /// Any of them.
    All,
}

impl<V: ResourceVersioned> ObjectStore<V> {
    /// Takes in `change`.
    ///
    /// A list counts when it is complete and not before; until then what was known stays. News that is older than what
    /// is known (the answer to a write may overtake the watch) is dropped.
    pub fn observe(&mut self, change: WatchChange<V>) -> TouchedObjects {
        match change {
            WatchChange::Restarted => {
                self.incoming = Some(PendingList::default());
                TouchedObjects::Nothing
            }
            WatchChange::Listed(name, value) => {
                let incoming = self.incoming.get_or_insert_default();
                if self.live.get(&name).is_some_and(|known| known.version() >= value.version().max(1)) {
                    incoming.known.insert(name);
                } else {
                    incoming.news.insert(name, value);
                }
                TouchedObjects::Nothing
            }
            WatchChange::Complete => {
                let PendingList { news, known } = self.incoming.take().unwrap_or_default();
                self.live.retain(|name, _| known.contains(name) || news.contains_key(name));
                for (name, value) in news {
                    // The answer to a write may have come while the list was under way.
                    if self.live.get(&name).is_none_or(|known| known.version() <= value.version()) {
                        self.live.insert(name, value);
                    }
                }
                self.synced = true;
                TouchedObjects::All
            }
            WatchChange::Unreadable(name) => {
                // What was known of it is the best that is known.
                if let Some(incoming) = &mut self.incoming {
                    incoming.known.insert(name);
                }
                TouchedObjects::Nothing
            }
            WatchChange::Passed(name, version) => {
                // One that a list passes over is no longer there when it is complete.
                let known = self.live.get(&name).filter(|known| known.version() <= version);
                if self.incoming.is_some() || known.is_none() {
                    return TouchedObjects::Nothing;
                }
                self.live.remove(&name);
                TouchedObjects::One(name)
            }
            WatchChange::Applied(name, value) => {
                let newer = |seen: u64| seen > value.version();
                if self.live.get(&name).is_some_and(|known| newer(known.version()))
                    || self.gone.get(&name).is_some_and(|since| newer(*since) || *since == value.version())
                {
                    return TouchedObjects::Nothing;
                }
                self.gone.remove(&name);
                self.live.insert(name.clone(), value);
                TouchedObjects::One(name)
            }
            WatchChange::Deleted(name, version) => {
                // Made anew since.
                if self.live.get(&name).is_some_and(|known| known.version() > version) {
                    return TouchedObjects::Nothing;
                }
                self.live.remove(&name);
                self.gone.insert(name.clone(), version);
                TouchedObjects::One(name)
            }
        }
    }

    /// Forgets what is gone: no answer that could bring it back is awaited any more.
    pub fn drop_tombstones(&mut self) {
        self.gone.clear();
    }

    /// Whether a list has been complete once.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// All objects, by name.
    pub fn live(&self) -> &BTreeMap<String, V> {
        &self.live
    }

    /// The object `name`.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.live.get(name)
    }

    /// The object `name`, to keep notes on.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.live.get_mut(name)
    }

    /// All objects, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&String, &V)> {
        self.live.iter()
    }

    /// All objects, to keep notes on.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut V)> {
        self.live.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Versioned {
        version: u64,
    }

    impl ResourceVersioned for Versioned {
        fn version(&self) -> u64 {
            self.version
        }
    }

    fn store(names: &[(&str, u64)]) -> ObjectStore<Versioned> {
        let mut store = ObjectStore::default();
        store.observe(WatchChange::Restarted);
        for (name, version) in names {
            store.observe(WatchChange::Listed((*name).to_owned(), Versioned { version: *version }));
        }
        store.observe(WatchChange::Complete);
        store
    }

    #[test]
    fn a_list_counts_when_it_is_complete() {
        let mut store = store(&[("a", 1), ("b", 2)]);
        store.observe(WatchChange::Restarted);
        store.observe(WatchChange::Listed("b".into(), Versioned { version: 2 }));
        assert!(store.get("a").is_some(), "half a list says nothing of what it has not named yet");
        assert_eq!(store.observe(WatchChange::Complete), TouchedObjects::All);
        assert!(store.get("a").is_none() && store.get("b").is_some());
    }

    #[test]
    fn a_list_that_breaks_off_is_forgotten() {
        let mut store = store(&[("a", 1)]);
        store.observe(WatchChange::Restarted);
        store.observe(WatchChange::Listed("ghost".into(), Versioned { version: 2 }));
        store.observe(WatchChange::Restarted);
        store.observe(WatchChange::Listed("a".into(), Versioned { version: 1 }));
        store.observe(WatchChange::Complete);
        assert!(store.get("ghost").is_none() && store.get("a").is_some());
    }

    #[test]
    fn a_list_takes_over_what_is_new_in_it_and_leaves_what_is_known() {
        let mut store = store(&[("same", 1), ("older", 2), ("newer", 9), ("gone", 3)]);
        store.observe(WatchChange::Restarted);
        for (name, version) in [("same", 1), ("older", 5), ("newer", 4), ("new", 6)] {
            store.observe(WatchChange::Listed(name.into(), Versioned { version }));
        }
        store.observe(WatchChange::Complete);
        let known: Vec<_> = store.iter().map(|(name, found)| (name.as_str(), found.version)).collect();
        assert_eq!(known, [("new", 6), ("newer", 9), ("older", 5), ("same", 1)]);
    }

    #[test]
    fn what_comes_to_be_of_no_concern_is_forgotten() {
        let mut store = store(&[("a", 5), ("b", 1)]);
        assert_eq!(store.observe(WatchChange::Passed("a".into(), 4)), TouchedObjects::Nothing, "old news");
        assert_eq!(store.observe(WatchChange::Passed("a".into(), 6)), TouchedObjects::One("a".into()));
        assert_eq!(store.observe(WatchChange::Passed("a".into(), 7)), TouchedObjects::Nothing);
        assert!(store.get("a").is_none());
        store.observe(WatchChange::Restarted);
        store.observe(WatchChange::Passed("b".into(), 8));
        assert!(store.get("b").is_some(), "until the list is complete");
        store.observe(WatchChange::Complete);
        assert!(store.get("b").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_not_gone() {
        let mut store = store(&[("a", 1)]);
        assert_eq!(store.observe(WatchChange::Unreadable("a".into())), TouchedObjects::Nothing);
        assert!(store.get("a").is_some());
        store.observe(WatchChange::Restarted);
        store.observe(WatchChange::Unreadable("a".into()));
        store.observe(WatchChange::Complete);
        assert!(store.get("a").is_some());
    }

    #[test]
    fn old_news_is_dropped() {
        let mut store = store(&[("a", 1)]);
        store.observe(WatchChange::Applied("a".into(), Versioned { version: 9 }));
        assert_eq!(store.observe(WatchChange::Applied("a".into(), Versioned { version: 5 })), TouchedObjects::Nothing);
        assert_eq!(store.get("a").unwrap().version, 9);
    }

    #[test]
    fn a_late_answer_does_not_bring_back_what_is_gone() {
        let mut store = store(&[("a", 1)]);
        store.observe(WatchChange::Deleted("a".into(), 3));
        for late in [2, 3] {
            assert_eq!(
                store.observe(WatchChange::Applied("a".into(), Versioned { version: late })),
                TouchedObjects::Nothing
            );
        }
        store.observe(WatchChange::Applied("a".into(), Versioned { version: 4 }));
        assert!(store.get("a").is_some(), "made anew");
    }

    #[test]
    fn a_late_farewell_does_not_end_what_was_made_anew() {
        let mut store = store(&[("a", 1)]);
        store.observe(WatchChange::Applied("a".into(), Versioned { version: 9 }));
        assert_eq!(store.observe(WatchChange::Deleted("a".into(), 5)), TouchedObjects::Nothing);
        assert!(store.get("a").is_some());
        store.observe(WatchChange::Deleted("a".into(), 10));
        assert!(store.get("a").is_none());
    }
}
