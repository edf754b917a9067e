//! Interner: values that many objects share, in memory once.
//!
//! A [`ValueInterner`] takes a value and returns the shared copy of its equals; [`SharedValues`] does so for all that nodes,
//! pods and controllers have in common. What nobody shares any more is forgotten.

use std::{borrow::Borrow, collections::BTreeSet, sync::Arc};

use crate::operator::watch::fields::LabelEntries;
use rempart_core::{
    cluster_objects::{Controller, ExtendedResources, OwnerRef, Pod, SchedulingConstraints},
    sensitivity::TemplateStatements,
    volume::Claim,
    workload::NodeRequirements,
};

/// Values that many objects share, kept once.
#[derive(Debug)]
pub struct ValueInterner<T: ?Sized> {
    known: BTreeSet<Arc<T>>,
    /// How many were known after the last sweep.
    swept: usize,
}

impl<T: ?Sized + Ord> Default for ValueInterner<T> {
    fn default() -> Self {
        Self { known: BTreeSet::new(), swept: 0 }
    }
}

/// So many values are kept without a look at whether anybody shares them.
const UNSWEPT: usize = 4096;

impl<T: ?Sized + Ord> ValueInterner<T> {
    /// The shared copy of `value`.
    pub fn intern<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        // Objects come and go, and each has names that no other has.
        if self.known.len() > self.swept.saturating_mul(2).max(UNSWEPT) {
            self.sweep();
        }
        let new: Arc<T> = value.into();
        self.known.insert(Arc::clone(&new));
        new
    }

    /// Has `value` shared with its equals.
    pub fn share(&mut self, value: &mut Arc<T>) {
        *value = self.intern(Arc::clone(value));
    }

    /// Forgets the values that nobody shares any more.
    pub fn sweep(&mut self) {
        self.known.retain(|value| Arc::strong_count(value) > 1);
        self.swept = self.known.len();
    }
}

/// What nodes, pods and their controllers share.
#[derive(Debug, Default)]
pub struct SharedValues {
    /// Texts: keys and values of labels, names.
    pub texts: ValueInterner<str>,
    owners: ValueInterner<OwnerRef>,
    said: ValueInterner<TemplateStatements>,
    node_requirements: ValueInterner<NodeRequirements>,
    terms: ValueInterner<SchedulingConstraints>,
    others: ValueInterner<ExtendedResources>,
    entries: ValueInterner<LabelEntries>,
    claims: ValueInterner<[Arc<str>]>,
}

impl SharedValues {
    /// Has `pod` share what others have too.
    pub fn pod(&mut self, pod: &mut Pod) {
        self.owner(&mut pod.owner);
        self.said.share(&mut pod.statements);
        self.node_requirements.share(&mut pod.node_requirements);
        self.terms.share(&mut pod.scheduling);
        self.claims.share(&mut pod.claims);
        if let Some(node) = &mut pod.node {
            self.texts.share(node);
        }
    }

    /// What others have too of `others`.
    pub fn others(&mut self, others: ExtendedResources) -> Arc<ExtendedResources> {
        self.others.intern(others)
    }

    /// What others have too of the labels `entries`.
    pub fn entries(&mut self, entries: Vec<(Arc<str>, Arc<str>)>) -> Arc<LabelEntries> {
        self.entries.intern(entries)
    }

    /// Has `controller` share what others have too.
    pub fn controller(&mut self, controller: &mut Controller) {
        self.owner(&mut controller.owner);
        self.said.share(&mut controller.template_statements);
        self.node_requirements.share(&mut controller.node_requirements);
    }

    /// Has `claim` share what others have too.
    pub fn claim(&mut self, claim: &mut Claim) {
        if let Some(volume) = &mut claim.volume {
            self.texts.share(volume);
        }
    }

    /// Forgets what nobody shares any more.
    pub fn sweep(&mut self) {
        self.owners.sweep();
        self.said.sweep();
        self.node_requirements.sweep();
        self.terms.sweep();
        self.others.sweep();
        self.entries.sweep();
        self.claims.sweep();
        self.texts.sweep();
    }

    fn owner(&mut self, owner: &mut Option<Arc<OwnerRef>>) {
        let Some(owner) = owner else { return };
        if let Some(fresh) = Arc::get_mut(owner) {
            self.texts.share(&mut fresh.kind_said);
            self.texts.share(&mut fresh.name);
        }
        self.owners.share(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_objects_that_are_gone_are_forgotten() {
        let mut interner = ValueInterner::<str>::default();
        let shared = interner.intern("shared");
        for i in 0..UNSWEPT * 10 {
            interner.intern(format!("node-{i}").as_str());
        }
        assert!(interner.known.len() <= UNSWEPT + 1);
        assert!(Arc::ptr_eq(&shared, &interner.intern("shared")));
    }

    #[test]
    fn equals_become_one() {
        let mut interner = ValueInterner::<NodeRequirements>::default();
        let node_requirements = || {
            Arc::new(NodeRequirements {
                selector: [("a".to_owned(), "b".to_owned())].into(),
                affinity: None,
                ..NodeRequirements::default()
            })
        };
        let (mut one, mut other) = (node_requirements(), node_requirements());
        interner.share(&mut one);
        interner.share(&mut other);
        assert!(Arc::ptr_eq(&one, &other));
    }
}
