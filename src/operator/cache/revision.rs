//! Revisions: how often each family of facts in the cache has changed.
//!
//! The cache counts; whoever follows from a family remembers the [`Revision`] that it has acted on and compares. A
//! revision never goes back, so that a change between two looks is never missed, however many there were.

/// How often something has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// Counts a change.
    pub fn bump(&mut self) {
        self.0 = self.0.wrapping_add(1);
    }
}

/// The revision of each family of facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheRevisions {
    /// What providers, pools and policies declare; their annotations and statuses are no facts.
    pub catalogue: Revision,
    /// Providers, pools and policies in any respect.
    pub declared_objects: Revision,
    /// Policies in any respect: an officer approves a move by an annotation.
    pub policies: Revision,
    /// Nodes as far as pods could run on them.
    pub nodes: Revision,
    /// Nodes in any respect: kubelets report often, and nearly always the same.
    pub node_objects: Revision,
    /// Which nodes belong to which pools, those that join and leave included.
    pub pool_membership: Revision,
    /// Pods, their controllers and their volumes.
    pub workloads: Revision,
    /// Namespaces in any respect.
    pub namespaces: Revision,
    /// Records of workloads.
    pub records: Revision,
    /// Admission policies and their bindings.
    pub admission: Revision,
}

/// What somebody has last acted on, to tell whether it has changed since.
#[derive(Clone, Copy, Debug)]
pub struct LastSeen<T>(Option<T>);

impl<T> Default for LastSeen<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> LastSeen<T> {
    /// Whether `now` differs from what was last seen; the first time it does.
    pub fn differs(&self, now: &T) -> bool {
        self.0.as_ref() != Some(now)
    }

    /// Remembers `now`.
    pub fn remember(&mut self, now: T) {
        self.0 = Some(now);
    }

    /// Remembers `now`, and says whether it differed.
    pub fn update(&mut self, now: T) -> bool {
        let differs = self.differs(&now);
        self.remember(now);
        differs
    }

    /// What was last seen.
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Nothing was seen.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}
