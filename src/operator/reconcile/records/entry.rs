//! Record entries: the workloads of which there is to be a record, with what is known of their pods.
//!
//! Takes what runs and the report of it, and returns an entry for each workload that some policy governs, by the record's
//! name.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    iter,
};

use super::{
    content,
    counts::{LevelCounts, PolicyLevelCounts, UNJUDGED},
};
use crate::api::limits;
use crate::operator::{
    cache::ObjectStore,
    evaluate::Evaluation,
    reconcile::migration::status::{MigrationStatus, MigrationStatuses},
    watch::record::RecordDigest,
};
use rempart_core::{
    cluster_objects::{ClusterObjects, Controller, ObjectUid, Pod, PodPhase, split},
    compliance::{Compliance, ComplianceReport, MisplacedPod, OwnedPods, PodCounts, PodOwner},
    keys,
    name::PolicyName,
    pod_requirements::LevelRef,
    policy::Policy,
    workload::{Workload, WorkloadIdentity, WorkloadKind},
};

/// A workload of which there is to be a record.
pub(super) struct RecordEntry<'s, 'a> {
    /// Which one.
    pub(super) identity: WorkloadIdentity,
    /// Its identifier.
    pub(super) uid: ObjectUid,
    /// What it is.
    pub(super) of: EntrySource<'s, 'a>,
}

/// What a workload is.
pub(super) enum EntrySource<'s, 'a> {
    /// What makes pods, by itself or, as a `CronJob`, by way of these too.
    Controller(&'a Controller, Vec<&'s OwnedPods<'a>>),
    /// A pod, found by this name, that nothing known makes, of this unit.
    Pod(&'a str, &'a Pod, &'s OwnedPods<'a>),
}

impl<'s, 'a> RecordEntry<'s, 'a> {
    /// It, to be judged.
    pub(super) fn workload(&self) -> Workload {
        let (own, template, node_requirements) = match &self.of {
            EntrySource::Controller(controller, _) => {
                (controller.statements().own, &controller.template_statements, &controller.node_requirements)
            }
            EntrySource::Pod(_, pod, _) => (None, &pod.statements, &pod.node_requirements),
        };
        Workload {
            identity: self.identity.clone(),
            own: own.cloned(),
            template: (**template).clone(),
            misplaced: Vec::new(),
            node_name: None,
            node_requirements: (**node_requirements).clone(),
            runs_on: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// Whether its template, or the pod that it is, selects by a key of `policy`.
    fn selects_by(&self, policy: &PolicyName) -> bool {
        let node_requirements = match &self.of {
            EntrySource::Controller(controller, _) => &controller.node_requirements,
            EntrySource::Pod(_, pod, _) => &pod.node_requirements,
        };
        node_requirements.selector.keys().any(|key| keys::asks_of(policy, key))
    }

    /// How the migration of its pods stands: of a `CronJob` that of its jobs, and of a pod what is said of it among those of
    /// its owner.
    pub(super) fn migration<'m>(&self, statuses: &'m MigrationStatuses) -> Cow<'m, MigrationStatus> {
        let of = |uid: &ObjectUid| statuses.workloads.get(uid);
        let found: Vec<&MigrationStatus> = match &self.of {
            EntrySource::Controller(_, units) => {
                let others = units.iter().map(|unit| &unit.uid).filter(|uid| **uid != self.uid);
                iter::once(&self.uid).chain(others).filter_map(of).collect()
            }
            EntrySource::Pod(_, _, unit) => of(&unit.uid).into_iter().collect(),
        };
        let status = match (found.as_slice(), &self.of) {
            ([], _) => return Cow::Owned(MigrationStatus::default()),
            ([one], EntrySource::Controller(..)) => Cow::Borrowed(*one),
            ([one, ..], EntrySource::Pod(key, ..)) => {
                let name = split(key).1;
                return Cow::Owned(one.of_pod(name, self.units().flat_map(wrong).any(|found| found == name)));
            }
            (all, EntrySource::Controller(..)) => Cow::Owned(MigrationStatus::joined(all)),
        };
        // It was looked at what moves a moment ago: what has gone or stands right since is told of no more.
        if status.kept.is_empty() {
            return status;
        }
        let wrong: BTreeSet<&str> = self.units().flat_map(wrong).collect();
        if status.kept.keys().all(|name| wrong.contains(name.as_str())) {
            return status;
        }
        let mut status = status.into_owned();
        status.kept.retain(|name, _| wrong.contains(name.as_str()));
        Cow::Owned(status)
    }

    /// What it has of pods that are moved together.
    fn units(&self) -> impl Iterator<Item = &'s OwnedPods<'a>> {
        let (units, unit) = match &self.of {
            EntrySource::Controller(_, units) => (units.as_slice(), None),
            EntrySource::Pod(_, _, unit) => (Default::default(), Some(*unit)),
        };
        units.iter().copied().chain(unit)
    }

    /// How many pods it has, how many are on each node, and which do not stand where they should.
    pub(super) fn pods(&self) -> (PodCounts, BTreeMap<&'a str, u32>, Vec<&'s MisplacedPod<'a>>) {
        let (mut tally, mut nodes, mut misplaced) = (PodCounts::default(), BTreeMap::<&str, u32>::new(), Vec::new());
        match &self.of {
            EntrySource::Controller(_, units) => {
                for unit in units {
                    tally.add(&unit.pods);
                    for (node, pods) in &unit.nodes {
                        let count = nodes.entry(node).or_default();
                        *count = count.saturating_add(*pods);
                    }
                    misplaced.extend(&unit.misplaced);
                }
            }
            EntrySource::Pod(key, pod, unit) => {
                let found = unit.misplaced.binary_search_by(|found| found.key.cmp(key)).ok();
                let found = found.and_then(|at| unit.misplaced.get(at));
                let worst =
                    found.and_then(|found| found.compliance.iter().copied().max()).unwrap_or(Compliance::Compliant);
                tally = PodCounts::of(pod, worst);
                nodes.extend(pod.node.as_deref().map(|node| (node, 1)));
                misplaced.extend(found);
            }
        }
        (tally, nodes, misplaced)
    }
}

/// The names of the pods of `unit` of which it can be told why they stay.
fn wrong<'u>(unit: &'u OwnedPods<'_>) -> impl Iterator<Item = &'u str> {
    let misplaced = unit.misplaced.iter().map(|pod| pod.key);
    let others = unit.stale.iter().map(|pod| pod.key).chain(unit.unscheduled.iter().map(|pod| pod.key));
    misplaced.chain(others).map(|key| split(key).1)
}

/// The records that there are to be, by namespace and name.
pub(super) fn entries<'s, 'a>(
    objects: &ClusterObjects<'a>,
    report: &'s ComplianceReport<'a>,
) -> BTreeMap<String, RecordEntry<'s, 'a>> {
    let mut entries: BTreeMap<String, RecordEntry<'s, 'a>> = BTreeMap::new();
    let mut foreign: BTreeMap<ObjectUid, &'s OwnedPods<'a>> = BTreeMap::new();
    let governed = report.workloads.values().filter(|unit| !unit.requirements.is_ungoverned());
    for unit in governed {
        match unit.owner {
            PodOwner::Known(name, controller) => {
                // The jobs of a CronJob come and go: what there is to say of them is said of it.
                let above = controller.owner.as_deref().filter(|_| controller.spec.kind() == WorkloadKind::Job);
                let above = above.and_then(|above| Some((above, objects.controller(unit.namespace, above)?)));
                let above = above.filter(|(_, top)| top.spec.kind() == WorkloadKind::CronJob);
                let (name, top) = above.map_or((name, controller), |(above, top)| (&*above.name, top));
                let kind = top.spec.kind();
                let identity = WorkloadIdentity { namespace: unit.namespace.into(), kind, name: name.into() };
                let entry = entries.entry(key(&identity)).or_insert_with(|| RecordEntry {
                    identity,
                    uid: top.uid,
                    of: EntrySource::Controller(top, Vec::new()),
                });
                if let EntrySource::Controller(_, units) = &mut entry.of {
                    units.push(unit);
                }
            }
            PodOwner::Unknown(_) | PodOwner::None(..) => drop(foreign.insert(unit.uid, unit)),
        }
    }
    if foreign.is_empty() {
        return entries;
    }
    for (path, pod) in objects.pods.iter().filter(|(_, pod)| pod.phase != PodPhase::Done) {
        let owner = pod.owner.as_ref().map_or(pod.uid, |owner| owner.uid);
        let Some(unit) = foreign.get(&owner) else { continue };
        let (namespace, name) = split(path);
        let identity = WorkloadIdentity { namespace: namespace.into(), kind: WorkloadKind::Pod, name: name.into() };
        entries.insert(key(&identity), RecordEntry { identity, uid: pod.uid, of: EntrySource::Pod(path, pod, unit) });
    }
    entries
}

fn key(identity: &WorkloadIdentity) -> String {
    format!("{}/{}", identity.namespace, content::name(identity))
}

/// What runs of the levels of each policy, with what the records so far say of violations.
pub(super) fn levels(
    report: &ComplianceReport<'_>,
    entries: &BTreeMap<String, RecordEntry<'_, '_>>,
    evaluation: &Evaluation,
    records: &ObjectStore<RecordDigest>,
) -> PolicyLevelCounts {
    let of_policy = |policy: &Policy| {
        let names = policy.levels.iter().map(|level| level.name.to_string());
        names.map(|level| (level, LevelCounts::default())).collect::<BTreeMap<_, _>>()
    };
    let policies = evaluation.world.policies.iter();
    let mut levels: PolicyLevelCounts = policies.map(|(name, policy)| (name.to_string(), of_policy(policy))).collect();
    let mut add = |policy: &PolicyName, level: Option<LevelRef<'_>>, running: LevelCounts| {
        let Some(found) = levels.get_mut(policy.as_str()) else { return };
        let found = found.entry(level.map_or(UNJUDGED.to_owned(), |level| level.level.to_string())).or_default();
        found.workloads = found.workloads.saturating_add(running.workloads);
        found.violating = found.violating.saturating_add(running.violating);
        found.unplaceable = found.unplaceable.saturating_add(running.unplaceable);
        found.keeping = found.keeping.saturating_add(running.keeping);
        found.violating_since = [found.violating_since, running.violating_since].into_iter().flatten().min();
    };
    let judged = report.levels.iter().map(|(level, pods)| (level.policy, Some(*level), pods));
    let unjudged = report.unjudged.iter().map(|(policy, pods)| (*policy, None, pods));
    for (policy, level, pods) in judged.chain(unjudged) {
        let violating = i32::try_from(pods.violating).unwrap_or(i32::MAX);
        add(policy, level, LevelCounts { violating, ..LevelCounts::default() });
    }
    for (name, entry) in entries {
        let unit = match &entry.of {
            // Of a CronJob itself, and not of one of its jobs.
            EntrySource::Controller(_, units) => {
                units.iter().find(|unit| unit.uid == entry.uid).or(units.first()).copied()
            }
            EntrySource::Pod(_, _, unit) => Some(*unit),
        };
        let record = records.get(name);
        let unplaceable = if record.is_some_and(RecordDigest::is_unplaceable) { waiting(entry) } else { 0 };
        for asked in unit.into_iter().flat_map(|unit| &unit.requirements.policies) {
            let keeping = i32::from(!asked.in_force && entry.selects_by(&asked.policy.name));
            let running = LevelCounts { workloads: 1, unplaceable, keeping, ..LevelCounts::default() };
            add(&asked.policy.name, asked.level(), running);
        }
        let Some(since) = record.and_then(RecordDigest::violating_since) else { continue };
        for asked in entry.pods().2.iter().flat_map(|pod| pod.violated()) {
            let running = LevelCounts { violating_since: Some(since), ..LevelCounts::default() };
            add(&asked.policy.name, asked.level(), running);
        }
    }
    levels
}

/// How many pods of `entry` have no node.
fn waiting(entry: &RecordEntry<'_, '_>) -> i32 {
    let (PodCounts { total, placed, .. }, ..) = entry.pods();
    i32::try_from(total.saturating_sub(placed)).unwrap_or(i32::MAX)
}

/// Whether the workload of the record `name` may be there still, as what `owner` identifies. Of a pod nobody knows: one
/// that has ended is there, and not followed.
pub(super) fn exists(objects: &ClusterObjects<'_>, name: &str, owner: ObjectUid) -> bool {
    let (namespace, name) = split(name);
    if name.len() >= limits::OBJECT_NAME {
        // It may be cut: the identifier tells.
        let of_namespace = |(key, found): (&String, &Controller)| split(key).0 == namespace && found.uid == owner;
        return name.starts_with("pod-")
            || WorkloadKind::ALL
                .iter()
                .any(|kind| objects.controllers.of(*kind).into_iter().flatten().any(of_namespace));
    }
    WorkloadKind::ALL.iter().any(|kind| {
        let Some(rest) = name.strip_prefix(&format!("{}-", kind.as_str().to_ascii_lowercase())) else { return false };
        let path = format!("{namespace}/{rest}");
        let found = match objects.controllers.of(*kind) {
            Some(controllers) => controllers.get(&path).map(|found| found.uid),
            None => Some(owner),
        };
        found == Some(owner)
    })
}
