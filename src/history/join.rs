//! Joining of the history with the API server's audit log: who did what the operator saw, and what only one of the two tells.
//!
//! The operator sees what came about, and the audit log who asked for it. A request is taken for the cause of what was seen of the
//! same object, or of its namespace, within [`BEFORE`] after it. What stands in one log alone is told as that.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{
    answer::HistoryQuestion,
    audit_events::{AuditEvents, AuditRequest, BindingRequest, TellingRequest},
    entry::{FactVersion, LoweredWorkload, PodPlacement},
    log::{HistoryLog, TimeSpan},
    timeline::HeldSpan,
};

/// How long before the operator saw something it may have been asked for: it may have waited for its turn to lead.
const BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// How far clocks may differ.
const CLOCKS: SignedDuration = SignedDuration::from_secs(60);

/// How long after it begins to look an operator may see what came about while none did.
const SETTLES: SignedDuration = SignedDuration::from_mins(2);

/// Whether a request at `asked` may be why something was seen at `seen`.
fn may_be(asked: jiff::Timestamp, seen: jiff::Timestamp) -> bool {
    let since = seen.duration_since(asked);
    since <= BEFORE && since >= -CLOCKS
}

/// The requests that may have lowered `workload`, as was seen at `seen`, where nobody looked during `gap` before.
pub(super) fn who_lowered<'e>(
    audit: &'e AuditEvents,
    workload: &LoweredWorkload,
    seen: jiff::Timestamp,
    gap: Option<TimeSpan>,
) -> Vec<&'e TellingRequest> {
    // What came about in the gap is seen soon after it.
    let gap = gap.filter(|gap| seen.duration_since(gap.until) <= SETTLES);
    let is_in_gap = |at: jiff::Timestamp| gap.is_some_and(|gap| gap.from <= at && at <= seen);
    let plural = format!("{}s", workload.workload_kind.to_ascii_lowercase());
    let concerns = |request: &AuditRequest| {
        let of_namespace = request.resource == "namespaces" && request.name == workload.namespace;
        let of_workload = request.namespace == workload.namespace && request.name == workload.workload;
        of_namespace || (of_workload && request.resource == plural)
    };
    let found = audit.telling.iter().filter(|telling| {
        let TellingRequest { request, policy, lowers, .. } = telling;
        let in_time = may_be(request.at, seen) || is_in_gap(request.at);
        *lowers && !request.refused && *policy == workload.policy && in_time && concerns(request)
    });
    found.collect()
}

/// What the operator itself writes of facts: finalizers, which are none.
const OWN_ACCOUNTS: [&str; 2] = [":rempart", ":rempart-admission"];

/// The request that made `fact` what was seen at `seen`: the first one of its generation, where the audit log says that of any,
/// else the last one before, by somebody else than the operator.
pub(super) fn who_changed<'e>(
    audit: &'e AuditEvents,
    fact: &FactVersion,
    seen: jiff::Timestamp,
) -> Option<&'e AuditRequest> {
    let plural = format!("{}s", fact.object.to_ascii_lowercase()).replace("policys", "policies");
    let is_own = |user: &str| {
        user.starts_with("system:serviceaccount:") && OWN_ACCOUNTS.iter().any(|account| user.ends_with(account))
    };
    let candidates = audit.facts.iter().filter(|request| {
        let named = request.name == fact.name || (request.name.is_empty() && request.verb != "patch");
        named && request.resource == plural && !request.refused && !is_own(&request.user) && may_be(request.at, seen)
    });
    let of_generation = candidates.clone().filter(|request| {
        request.generation.is_some() && request.generation == fact.generation && request.verb != "delete"
    });
    let before = candidates.clone().filter(|request| request.at <= seen).max_by_key(|request| request.at);
    of_generation.min_by_key(|request| request.at).or(before).or_else(|| candidates.min_by_key(|request| request.at))
}

/// How the pods that the history tells of compare with those that the audit log says were bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingComparison {
    /// How many are in both, on one node.
    pub agree: u64,
    /// In both, on different nodes.
    pub differ: Vec<(BindingRequest, PodPlacement)>,
    /// Bound while the operator told everything, in a namespace of which it tells, and not told of.
    pub only_in_audit_log: Vec<BindingRequest>,
    /// Told of as placed anew, and bound by nobody whom the audit log knows.
    pub only_in_history: Vec<(PodPlacement, jiff::Timestamp)>,
    /// Bound while the operator told nothing, or not everything: nothing follows from these.
    pub in_gaps: u64,
    /// Bound in namespaces of which the history tells nothing.
    pub elsewhere: u64,
}

/// Compares the bindings of `audit` within what is asked; nothing where it has none.
pub(super) fn bindings(
    audit: &AuditEvents,
    placements: &[HeldSpan<PodPlacement>],
    log: &HistoryLog,
    question: &HistoryQuestion,
) -> Option<BindingComparison> {
    if audit.bindings.is_empty() {
        return None;
    }
    let span = audit.span?;
    let mut comparison = BindingComparison::default();
    let told: BTreeSet<&str> = placements.iter().map(|held| held.what.namespace.as_str()).collect();
    let mut by_uid: BTreeMap<&str, &HeldSpan<PodPlacement>> = BTreeMap::new();
    let mut by_name: BTreeMap<(&str, &str), Vec<&HeldSpan<PodPlacement>>> = BTreeMap::new();
    for held in placements {
        by_uid.entry(&held.what.uid).or_insert(held);
        by_name.entry((&held.what.namespace, &held.what.pod)).or_default().push(held);
    }
    let mut bound: BTreeSet<&str> = BTreeSet::new();
    for binding in &audit.bindings {
        let AuditRequest { at, namespace, name, .. } = &binding.request;
        let named = by_name.get(&(namespace.as_str(), name.as_str())).into_iter().flatten().copied();
        let found = match &binding.uid {
            Some(uid) => by_uid.get(uid.as_str()).copied(),
            // Without an identifier the first of that name that was seen from then on is meant.
            None => named.clone().find(|held| held.span.from >= at.saturating_sub(CLOCKS).unwrap_or(*at)),
        };
        bound.extend(found.map(|held| held.what.uid.as_str()));
        if !question.covers(*at) || !question.is_of_namespace(namespace) {
            continue;
        }
        let is_covered =
            log.chains.iter().flat_map(|chain| &chain.whole).any(|whole| whole.from <= *at && *at < whole.until);
        match found {
            Some(held) if binding.node.as_ref().is_none_or(|node| *node == held.what.node) => {
                comparison.agree = comparison.agree.saturating_add(1);
            }
            Some(held) => comparison.differ.push((binding.clone(), held.what.clone())),
            None if !is_covered => comparison.in_gaps = comparison.in_gaps.saturating_add(1),
            None if told.contains(namespace.as_str()) => comparison.only_in_audit_log.push(binding.clone()),
            None => comparison.elsewhere = comparison.elsewhere.saturating_add(1),
        }
    }
    let within = TimeSpan { from: span.0, until: span.1 };
    let mut seen = BTreeSet::new();
    for held in placements {
        let is_first = seen.insert(held.what.uid.as_str());
        let known = within.from <= held.span.from && held.span.from <= within.until;
        let asked = question.covers(held.span.from) && question.is_of_namespace(&held.what.namespace);
        if is_first && known && asked && !held.since_before && !bound.contains(held.what.uid.as_str()) {
            comparison.only_in_history.push((held.what.clone(), held.span.from));
        }
    }
    Some(comparison)
}
