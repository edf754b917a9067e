//! History document: `rempart.dev/audit/v1`.
//!
//! Takes an answer, and borrows it until it is written.

use schemars::JsonSchema;
use serde::Serialize;

use super::sections::verdict;
use crate::history::{
    answer::{AuditAnswer, HistoryAnswer},
    audit_events::{AuditRequest, BindingRequest, TellingRequest},
    entry::{ExceptionState, FactVersion, LoweredWorkload, PodPlacement},
    log::{HistoryChain, TimeSpan},
    timeline::HeldSpan,
};

/// What ran where between two instants, as the history tells it; and what it cannot tell.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "rempart audit")]
pub struct HistoryReport<'a> {
    /// What this document is, with its version.
    #[schemars(extend("const" = "rempart.dev/audit/v1"))]
    api_version: &'static str,
    /// The time that is asked of.
    span: SpanRow,
    /// The policy that is asked of; null where it is every one.
    policy: Option<&'a str>,
    /// The level that is asked of; likewise.
    level: Option<&'a str>,
    /// The namespace that is asked of; likewise.
    namespace: Option<&'a str>,
    /// What it comes to, for people. Its words may change.
    verdict: String,
    /// Whether nothing that was read is missing, altered or unreadable.
    whole: bool,
    /// Lines that were read.
    lines_read: u64,
    /// Lines that are no entries.
    passed_over: u64,
    /// Lines that look like entries and cannot be read as one.
    unreadable: Vec<UnreadableRow<'a>>,
    /// Entries that were there more than once.
    repeated: u64,
    /// Entries that stood after later ones of their chain.
    out_of_order: u64,
    /// The chains, in the order of their beginnings.
    chains: Vec<ChainRow<'a>>,
    /// The parts of the time of which the log does not tell everything.
    gaps: Vec<GapRow<'a>>,
    /// The parts of the time of which two chains tell: two replicas that both believed to lead, or a chain that somebody added.
    overlaps: Vec<OverlapRow<'a>>,
    /// Pods that came and went, too many at once to be told one by one.
    missed_pods: u64,
    /// Pods on their nodes.
    placements: Vec<PlacementRow<'a>>,
    /// Pods on nodes that were not cleared for them, or of which nobody can say, an entry for each policy.
    violations: Vec<ViolationRow<'a>>,
    /// Exceptions that held.
    exceptions: Vec<ExceptionRow<'a>>,
    /// Levels that were lowered.
    lowered: Vec<LoweredRow<'a>>,
    /// Providers, pools and policies: those that were there at the beginning of a chain, and those that changed.
    facts: Vec<FactRow<'a>>,
    /// Levels and categories for which other pools are cleared than before.
    clearances: Vec<ClearanceRow<'a>>,
    /// Nodes that changed their pools.
    nodes: Vec<NodeRow<'a>>,
    /// What the API server's audit log adds; null without one.
    audit_log: Option<AuditRow<'a>>,
}

/// From an instant until another (UTC), the latter not included.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TimeSpan")]
struct SpanRow {
    /// Where it begins.
    #[schemars(extend("format" = "date-time"))]
    from: String,
    /// Where it ends.
    #[schemars(extend("format" = "date-time"))]
    until: String,
}

/// A line that looks like an entry.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UnreadableLine")]
struct UnreadableRow<'a> {
    /// The file.
    file: &'a str,
    /// The line, from 1.
    line: u64,
    /// Why it cannot be read.
    why: &'a str,
}

/// A chain of entries.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HistoryChain")]
struct ChainRow<'a> {
    /// Its name.
    name: &'a str,
    /// The replica that wrote it; null where its first entry is missing.
    replica: Option<&'a str>,
    /// The version of the operator; likewise.
    version: Option<&'a str>,
    /// How many entries of it are believed.
    entries: usize,
    /// Whether nothing of it is missing or altered.
    whole: bool,
    /// What is wrong with it, for people.
    problems: Vec<String>,
    /// The place of its last entry.
    last_seq: Option<u64>,
    /// The hash of its last entry.
    last_hash: Option<&'a str>,
    /// The times of which it tells everything.
    tells_all: Vec<SpanRow>,
    /// The time of which it tells a part: since something is missing.
    tells_part: Option<SpanRow>,
}

/// A time of which not everything is told.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HistoryGap")]
struct GapRow<'a> {
    /// The time.
    #[serde(flatten)]
    span: SpanRow,
    /// The chain that tells a part of it; null where nothing is told.
    partly_told_by: Option<&'a str>,
}

/// A time of which two chains tell.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ChainOverlap")]
struct OverlapRow<'a> {
    /// The time.
    #[serde(flatten)]
    span: SpanRow,
    /// The two chains, the one that began first before the other.
    chains: [&'a str; 2],
}

/// A pod on a node for a while.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Placement")]
struct PlacementRow<'a> {
    /// The pod.
    #[serde(flatten)]
    pod: &'a PodPlacement,
    /// The time, as far as it was told.
    #[serde(flatten)]
    span: SpanRow,
    /// Whether it held before already.
    since_before: bool,
    /// Why it ends: `Over`, `Changed`, `Ungoverned`, or `Untold`, where it may have gone on.
    end: &'static str,
    /// Whether no missing entry could tell otherwise.
    certain: bool,
}

/// A pod where it was not cleared to be, or where nobody can say.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Violation")]
struct ViolationRow<'a> {
    /// The pod.
    #[serde(flatten)]
    pod: PlacementRow<'a>,
    /// The policy that it was not cleared by.
    policy: &'a str,
    /// Its level under that policy; null where the policy refuses what is said of it.
    level: Option<&'a str>,
    /// Whether the policy was enforced.
    in_force: bool,
    /// `Violating`, or `Unknown` where the operator did not know the node.
    compliance: &'static str,
    /// How long of the time that is asked of, in seconds.
    seconds: i64,
}

/// An exception that held.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExceptionUse")]
#[serde(rename_all = "camelCase")]
struct ExceptionRow<'a> {
    /// The exception.
    exception: &'a ExceptionState,
    /// The time, as far as it was told.
    #[serde(flatten)]
    span: SpanRow,
    /// Whether it held before already.
    since_before: bool,
    /// Why it ends, as of a placement.
    end: &'static str,
    /// Whether no missing entry could tell otherwise.
    certain: bool,
    /// The pods that were under it, as `namespace/name`.
    pods: Vec<String>,
}

/// A level that was lowered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LoweredLevel")]
struct LoweredRow<'a> {
    /// When the operator saw it.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// What was lowered.
    #[serde(flatten)]
    workload: &'a LoweredWorkload,
    /// The requests of the audit log that may have done it.
    by: Vec<TellingRow<'a>>,
}

/// A request of the API server's audit log.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuditRequest")]
struct RequestRow<'a> {
    /// When it was answered.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// The user.
    user: &'a str,
    /// Who acted as that user.
    acting: Option<&'a str>,
    /// The verb.
    verb: &'a str,
    /// Whether it was refused.
    refused: bool,
    /// The identifier of the event.
    audit_id: &'a str,
    /// The resource.
    resource: &'a str,
    /// The namespace; empty where the object has none.
    namespace: &'a str,
    /// The name.
    name: &'a str,
}

/// A request that a validation told of.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TellingRequest")]
struct TellingRow<'a> {
    /// The request.
    #[serde(flatten)]
    request: RequestRow<'a>,
    /// The policy whose validation told of it.
    policy: &'a str,
    /// What it told.
    words: &'a str,
}

/// A version of a provider, pool or policy.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FactChange")]
struct FactRow<'a> {
    /// When the operator saw it.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// The version.
    #[serde(flatten)]
    version: &'a FactVersion,
    /// Whether it was there at the beginning of a chain, and not changed then.
    at_beginning: bool,
    /// The request of the audit log that did it.
    by: Option<RequestRow<'a>>,
}

/// Other pools for a level or category.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ClearanceChange")]
struct ClearanceRow<'a> {
    /// When the operator saw it.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// The policy.
    policy: &'a str,
    /// The level; null where it is about a category.
    level: Option<&'a str>,
    /// The category; null where it is about a level.
    category: Option<&'a str>,
    /// The pools that it gained.
    gained: &'a [String],
    /// The pools that it lost.
    lost: &'a [String],
}

/// A node that changed its pool.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NodeChange")]
struct NodeRow<'a> {
    /// When the operator saw it.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// The node.
    node: &'a str,
    /// Its pool before.
    before: Option<&'a str>,
    /// Its pool from then on.
    pool: Option<&'a str>,
}

/// What the API server's audit log adds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuditLog")]
struct AuditRow<'a> {
    /// Events that were read.
    read: u64,
    /// Lines that could not be.
    unreadable: u64,
    /// From when until when there are events.
    span: Option<SpanRow>,
    /// What lowered or changed something, or tried to, and is told beside no entry of the history.
    others: Vec<TellingRow<'a>>,
    /// How bindings compare; null where it has none.
    bindings: Option<BindingsRow<'a>>,
}

/// How placements compare with bindings.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BindingComparison")]
struct BindingsRow<'a> {
    /// In both, on one node.
    agree: u64,
    /// In both, on different nodes.
    differ: Vec<BindingRow<'a>>,
    /// In the audit log alone, while the operator told everything of their namespaces.
    only_in_audit_log: Vec<BindingRow<'a>>,
    /// In the history alone.
    only_in_history: Vec<&'a PodPlacement>,
    /// Bindings of times of which the history does not tell everything.
    in_gaps: u64,
    /// Bindings in namespaces of which the history tells nothing.
    elsewhere: u64,
}

/// A binding of a pod.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Binding")]
struct BindingRow<'a> {
    /// The request.
    #[serde(flatten)]
    request: RequestRow<'a>,
    /// The node that it was bound to, where the audit log says it.
    bound_to: Option<&'a str>,
    /// The node that the history tells of, where that is another.
    told_on: Option<&'a str>,
}

impl From<TimeSpan> for SpanRow {
    fn from(TimeSpan { from, until }: TimeSpan) -> Self {
        Self { from: from.to_string(), until: until.to_string() }
    }
}

impl<'a> PlacementRow<'a> {
    fn of(held: &'a HeldSpan<PodPlacement>) -> Self {
        let HeldSpan { what: pod, span, since_before, end, certain } = held;
        Self { pod, span: (*span).into(), since_before: *since_before, end: end.as_str(), certain: *certain }
    }
}

impl<'a> RequestRow<'a> {
    fn of(request: &'a AuditRequest) -> Self {
        let AuditRequest { at, user, acting, verb, refused, audit_id, resource, namespace, name, generation: _ } =
            request;
        let (at, acting) = (at.to_string(), acting.as_deref());
        Self { at, user, acting, verb, refused: *refused, audit_id, resource, namespace, name }
    }
}

impl<'a> TellingRow<'a> {
    fn of(telling: &'a TellingRequest) -> Self {
        let TellingRequest { request, policy, words, lowers: _ } = telling;
        Self { request: RequestRow::of(request), policy, words }
    }
}

impl<'a> BindingRow<'a> {
    fn of(binding: &'a BindingRequest, told_on: Option<&'a str>) -> Self {
        Self { request: RequestRow::of(&binding.request), bound_to: binding.node.as_deref(), told_on }
    }
}

impl<'a> ChainRow<'a> {
    fn of(chain: &'a HistoryChain) -> Self {
        Self {
            name: &chain.name,
            replica: chain.replica.as_deref(),
            version: chain.version.as_deref(),
            entries: chain.entries.len(),
            whole: chain.is_whole(),
            problems: chain.problems.iter().map(ToString::to_string).collect(),
            last_seq: chain.head.as_ref().map(|(seq, _)| *seq),
            last_hash: chain.head.as_ref().map(|(_, hash)| hash.as_str()),
            tells_all: chain.whole.iter().copied().map(Into::into).collect(),
            tells_part: chain.partial.map(Into::into),
        }
    }
}

impl<'a> AuditRow<'a> {
    fn of(audit: &'a AuditAnswer) -> Self {
        let bindings = audit.bindings.as_ref().map(|bindings| BindingsRow {
            agree: bindings.agree,
            differ: bindings.differ.iter().map(|(binding, pod)| BindingRow::of(binding, Some(&pod.node))).collect(),
            only_in_audit_log: bindings.only_in_audit_log.iter().map(|binding| BindingRow::of(binding, None)).collect(),
            only_in_history: bindings.only_in_history.iter().map(|(pod, _)| pod).collect(),
            in_gaps: bindings.in_gaps,
            elsewhere: bindings.elsewhere,
        });
        Self {
            read: audit.read,
            unreadable: audit.unreadable,
            span: audit.span.map(Into::into),
            others: audit.others.iter().map(TellingRow::of).collect(),
            bindings,
        }
    }
}

impl<'a> HistoryReport<'a> {
    /// Of `answer`.
    #[must_use]
    pub fn new(answer: &'a HistoryAnswer<'a>) -> Self {
        let question = &answer.question;
        let violations = answer.violations.iter().map(|found| ViolationRow {
            pod: PlacementRow::of(&found.pod),
            policy: &found.verdict.policy,
            level: found.verdict.level.as_deref(),
            in_force: found.verdict.in_force,
            compliance: found.verdict.compliance.as_str(),
            seconds: found.part.until.duration_since(found.part.from).as_secs(),
        });
        let overlaps = answer
            .overlaps
            .iter()
            .map(|overlap| OverlapRow { span: overlap.span.into(), chains: [&overlap.chains[0], &overlap.chains[1]] });
        let exceptions = answer.exceptions.iter().map(|used| ExceptionRow {
            exception: &used.held.what,
            span: used.held.span.into(),
            since_before: used.held.since_before,
            end: used.held.end.as_str(),
            certain: used.held.certain,
            pods: used.pods.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect(),
        });
        let lowered = answer.lowered.iter().map(|lowered| LoweredRow {
            at: lowered.at.to_string(),
            workload: &lowered.workload,
            by: lowered.by.iter().map(TellingRow::of).collect(),
        });
        let facts = answer.facts.iter().map(|fact| FactRow {
            at: fact.at.to_string(),
            version: &fact.version,
            at_beginning: fact.at_beginning,
            by: fact.by.as_ref().map(RequestRow::of),
        });
        let clearances = answer.clearances.iter().map(|changed| ClearanceRow {
            at: changed.at.to_string(),
            policy: &changed.policy,
            level: changed.is_level.then_some(changed.name.as_str()),
            category: (!changed.is_level).then_some(changed.name.as_str()),
            gained: &changed.gained,
            lost: &changed.lost,
        });
        let nodes = answer.nodes.iter().map(|changed| NodeRow {
            at: changed.at.to_string(),
            node: &changed.node,
            before: changed.before.as_deref(),
            pool: changed.pool.as_deref(),
        });
        let gaps = answer.gaps.iter();
        let unreadable = answer.found.unreadable.iter();
        Self {
            api_version: "rempart.dev/audit/v1",
            span: question.span.into(),
            policy: question.policy.as_deref(),
            level: question.level.as_deref(),
            namespace: question.namespace.as_deref(),
            verdict: verdict(answer),
            whole: answer.is_whole(),
            lines_read: answer.found.read,
            passed_over: answer.found.passed_over,
            unreadable: unreadable.map(|it| UnreadableRow { file: &it.file, line: it.line, why: &it.why }).collect(),
            repeated: answer.log.repeated,
            out_of_order: answer.log.out_of_order,
            chains: answer.log.chains.iter().map(ChainRow::of).collect(),
            gaps: gaps.map(|gap| GapRow { span: gap.span.into(), partly_told_by: gap.partial.as_deref() }).collect(),
            overlaps: overlaps.collect(),
            missed_pods: answer.missed,
            placements: answer.placements.iter().map(PlacementRow::of).collect(),
            violations: violations.collect(),
            exceptions: exceptions.collect(),
            lowered: lowered.collect(),
            facts: facts.collect(),
            clearances: clearances.collect(),
            nodes: nodes.collect(),
            audit_log: answer.audit.as_ref().map(AuditRow::of),
        }
    }
}
