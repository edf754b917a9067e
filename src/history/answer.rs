//! Answers from the history: which pods stood where, which where they were not cleared, which exceptions held, what was lowered, and
//! which facts changed; first what the log cannot answer.
//!
//! Takes a [`HistoryLog`], a [`HistoryQuestion`] and, where there is one, the API server's audit log, and gives a
//! [`HistoryAnswer`]. What the question asks of is narrowed here; whether the log is whole is told of all of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    audit_events::{AuditEvents, AuditRequest, TellingRequest},
    entry::{ExceptionState, FactVersion, HistoryEvent, LoweredWorkload, PodPlacement, PolicyVerdict},
    join::{BindingComparison, bindings, who_changed, who_lowered},
    lines::FoundLines,
    log::{HistoryChain, HistoryLog, TimeSpan},
    timeline::{HeldSpan, Timeline},
};

/// How far the clocks of two replicas that lead one after the other may differ.
const CLOCKS: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuestion {
    /// Of what time.
    pub span: TimeSpan,
    /// Of what one policy governs.
    pub policy: Option<String>,
    /// Of one level.
    pub level: Option<String>,
    /// Of one namespace.
    pub namespace: Option<String>,
}

impl HistoryQuestion {
    /// Whether `at` is within the time.
    #[must_use]
    pub fn covers(&self, at: jiff::Timestamp) -> bool {
        self.span.from <= at && at < self.span.until
    }

    /// Whether it is about `namespace`.
    #[must_use]
    pub fn is_of_namespace(&self, namespace: &str) -> bool {
        self.namespace.as_ref().is_none_or(|asked| asked == namespace)
    }

    fn is_of_policy(&self, policy: &str) -> bool {
        self.policy.as_ref().is_none_or(|asked| asked == policy)
    }

    /// Whether it is about what `verdict` is about.
    #[must_use]
    pub fn is_of(&self, verdict: &PolicyVerdict) -> bool {
        let is_of_level = self.level.as_ref().is_none_or(|asked| verdict.level.as_ref() == Some(asked));
        is_of_level && self.is_of_policy(&verdict.policy)
    }

    /// The part of `span` that is asked of; nothing where it is none.
    fn part(&self, span: TimeSpan) -> Option<TimeSpan> {
        let part = TimeSpan { from: span.from.max(self.span.from), until: span.until.min(self.span.until) };
        let touches = part.from < part.until || (span.from == span.until && self.covers(span.from));
        touches.then_some(part)
    }
}

/// A time of which the log does not tell everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryGap {
    /// The time.
    pub span: TimeSpan,
    /// The chain that tells of a part of it; nothing is told where there is none.
    pub partial: Option<String>,
}

/// A time of which two chains tell: at most one replica leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainOverlap {
    /// The time.
    pub span: TimeSpan,
    /// The names of the chains, the one that began first before the other.
    pub chains: [String; 2],
}

/// A pod that stood where it was not cleared to be, or where nobody can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViolationSpan {
    /// The pod.
    pub pod: HeldSpan<PodPlacement>,
    /// The verdict that says so.
    pub verdict: PolicyVerdict,
    /// The part of it that is asked of.
    pub part: TimeSpan,
}

/// An exception that held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionUse {
    /// From when until when.
    pub held: HeldSpan<ExceptionState>,
    /// The pods that were under it, by namespace and name, each once.
    pub pods: BTreeSet<(String, String)>,
}

/// A level that fell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoweredAnswer {
    /// When it was seen.
    pub at: jiff::Timestamp,
    /// What fell.
    pub workload: LoweredWorkload,
    /// Who may have asked for it, where there is an audit log.
    pub by: Vec<TellingRequest>,
}

/// A provider, pool or policy as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactAnswer {
    /// When it was seen.
    pub at: jiff::Timestamp,
    /// Its version.
    pub version: FactVersion,
    /// Whether it was there at the beginning of a chain, and not changed then.
    pub at_beginning: bool,
    /// Who asked for it last before that, where there is an audit log that says so.
    pub by: Option<AuditRequest>,
}

/// Other pools for a level or category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearanceAnswer {
    /// When it was seen.
    pub at: jiff::Timestamp,
    /// The policy.
    pub policy: String,
    /// Whether it is a level; otherwise it is a category.
    pub is_level: bool,
    /// The name of the level or category.
    pub name: String,
    /// The pools that it gained.
    pub gained: Vec<String>,
    /// The pools that it lost.
    pub lost: Vec<String>,
}

/// A node that changed its pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAnswer {
    /// When it was seen.
    pub at: jiff::Timestamp,
    /// The node.
    pub node: String,
    /// Its pool before.
    pub before: Option<String>,
    /// Its pool from then on.
    pub pool: Option<String>,
}

/// What the API server's audit log adds.
#[derive(Debug, Default)]
pub struct AuditAnswer {
    /// How many events were read.
    pub read: u64,
    /// How many lines could not be.
    pub unreadable: u64,
    /// From when until when there are events.
    pub span: Option<TimeSpan>,
    /// What lowered or changed something, or tried to, and is told beside no entry of the history.
    pub others: Vec<TellingRequest>,
    /// How bindings compare; nothing where it has none.
    pub bindings: Option<BindingComparison>,
}

/// The answer.
#[derive(Debug)]
pub struct HistoryAnswer<'a> {
    /// What was asked.
    pub question: HistoryQuestion,
    /// What was read.
    pub found: &'a FoundLines,
    /// The chains.
    pub log: &'a HistoryLog,
    /// Of what of the time the log does not tell everything.
    pub gaps: Vec<HistoryGap>,
    /// Of what of the time two chains tell.
    pub overlaps: Vec<ChainOverlap>,
    /// Pods that came and went untold, too many at once.
    pub missed: u64,
    /// Where pods stood.
    pub placements: Vec<HeldSpan<PodPlacement>>,
    /// Where they stood and were not cleared to be, or where nobody can say.
    pub violations: Vec<ViolationSpan>,
    /// Which exceptions held.
    pub exceptions: Vec<ExceptionUse>,
    /// What was lowered.
    pub lowered: Vec<LoweredAnswer>,
    /// Which facts there were, and which changed.
    pub facts: Vec<FactAnswer>,
    /// Which clearances changed.
    pub clearances: Vec<ClearanceAnswer>,
    /// Which nodes changed their pools.
    pub nodes: Vec<NodeAnswer>,
    /// What the audit log adds, where there is one.
    pub audit: Option<AuditAnswer>,
}

impl HistoryAnswer<'_> {
    /// Whether everything that the log holds is as it was written, with nothing missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.log.is_whole() && self.found.unreadable.is_empty()
    }
}

/// All the time of which the log tells anything.
#[must_use]
pub fn told_span(log: &HistoryLog) -> Option<TimeSpan> {
    let from = log.chains.iter().filter_map(|chain| chain.entries.first().map(|entry| entry.at)).min()?;
    let until = log.chains.iter().filter_map(HistoryChain::end).max()?.max(from);
    // What was seen at the last instant is within it.
    Some(TimeSpan { from, until: until.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(until) })
}

/// Answers `question` from `log`, which was made of `found`.
#[must_use]
pub fn answer<'a>(
    found: &'a FoundLines,
    log: &'a HistoryLog,
    audit: Option<&AuditEvents>,
    question: HistoryQuestion,
) -> HistoryAnswer<'a> {
    let Timeline { placements: all, exceptions } = Timeline::replay(log);
    let bindings = audit.map(|audit| bindings(audit, &all, log, &question));
    let is_asked = |held: &HeldSpan<PodPlacement>| {
        question.part(held.span).is_some()
            && question.is_of_namespace(&held.what.namespace)
            && held.what.policies.iter().any(|verdict| question.is_of(verdict))
    };
    let placements: Vec<_> = all.into_iter().filter(is_asked).collect();
    let mut answer = HistoryAnswer {
        gaps: gaps(log, question.span),
        overlaps: overlaps(log, question.span),
        missed: 0,
        violations: violations(&placements, &question),
        exceptions: exception_uses(exceptions, &placements, &question),
        placements,
        lowered: Vec::new(),
        facts: Vec::new(),
        clearances: Vec::new(),
        nodes: Vec::new(),
        audit: None,
        question,
        found,
        log,
    };
    answer.take_changes(audit);
    if let Some(audit) = audit {
        let told: BTreeSet<&TellingRequest> = answer.lowered.iter().flat_map(|lowered| &lowered.by).collect();
        let question = &answer.question;
        let others = audit.telling.iter().filter(|telling| {
            let request = &telling.request;
            let namespace = if request.resource == "namespaces" { &request.name } else { &request.namespace };
            !told.contains(*telling)
                && question.covers(request.at)
                && question.is_of_policy(&telling.policy)
                && (namespace.is_empty() || question.is_of_namespace(namespace))
        });
        answer.audit = Some(AuditAnswer {
            read: audit.read,
            unreadable: audit.unreadable,
            span: audit.span.map(|(from, until)| TimeSpan { from, until }),
            others: others.cloned().collect(),
            bindings: bindings.flatten(),
        });
    }
    answer
}

impl HistoryAnswer<'_> {
    /// Takes from the chains what changed within the time.
    fn take_changes(&mut self, audit: Option<&AuditEvents>) {
        for chain in &self.log.chains {
            let completed = chain.completed_at();
            let begins = chain.entries.first().map(|entry| entry.at);
            // What was asked for while nobody looked is seen when somebody does.
            let others = self.log.chains.iter().filter_map(HistoryChain::end);
            let looked_before = others.filter(|end| begins.is_some_and(|begins| *end <= begins)).max();
            let begins_whole = chain.entries.first().is_some_and(|entry| entry.seq == 0);
            let mut cleared: BTreeMap<(&str, bool, &str), &Vec<String>> = BTreeMap::new();
            for entry in &chain.entries {
                let (at, is_asked) = (entry.at, self.question.covers(entry.at));
                let at_beginning = completed.map_or(begins_whole, |completed| entry.seq < completed);
                match &entry.event {
                    HistoryEvent::PodsMissed { pods } if is_asked => self.missed = self.missed.saturating_add(*pods),
                    HistoryEvent::LevelLowered(workload) if is_asked => {
                        let question = &self.question;
                        let of_level = question
                            .level
                            .as_ref()
                            .is_none_or(|level| *level == workload.from || *level == workload.to);
                        if of_level
                            && question.is_of_policy(&workload.policy)
                            && question.is_of_namespace(&workload.namespace)
                        {
                            let gap = begins.zip(looked_before).map(|(until, from)| TimeSpan { from, until });
                            let by = audit.into_iter().flat_map(|audit| who_lowered(audit, workload, at, gap));
                            let by = by.cloned().collect();
                            self.lowered.push(LoweredAnswer { at, workload: workload.clone(), by });
                        }
                    }
                    HistoryEvent::FactChanged(version) if is_asked => {
                        let by = audit.filter(|_| !at_beginning).and_then(|audit| who_changed(audit, version, at));
                        let (version, by) = (version.clone(), by.cloned());
                        self.facts.push(FactAnswer { at, version, at_beginning, by });
                    }
                    HistoryEvent::NodeChanged { node, pool, before } if is_asked && !at_beginning => {
                        let (node, pool, before) = (node.clone(), pool.clone(), before.clone());
                        self.nodes.push(NodeAnswer { at, node, before, pool });
                    }
                    HistoryEvent::ClearanceChanged { policy, level, category, cleared: now, .. } => {
                        let (is_level, name) = (level.is_some(), level.as_ref().or(category.as_ref()));
                        let name = name.map(String::as_str).unwrap_or_default();
                        let before = cleared.insert((policy, is_level, name), now);
                        let asked = self.question.level.as_ref().is_none_or(|asked| is_level && asked == name);
                        if !is_asked || at_beginning || !asked || !self.question.is_of_policy(policy) {
                            continue;
                        }
                        let only = |here: &[String], there: &[String]| -> Vec<String> {
                            here.iter().filter(|pool| !there.contains(pool)).cloned().collect()
                        };
                        let before = before.map(Vec::as_slice).unwrap_or_default();
                        let (gained, lost) = (only(now, before), only(before, now));
                        if !gained.is_empty() || !lost.is_empty() {
                            let (policy, name) = (policy.clone(), name.to_owned());
                            self.clearances.push(ClearanceAnswer { at, policy, is_level, name, gained, lost });
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Of what of `span` the log does not tell everything.
fn gaps(log: &HistoryLog, span: TimeSpan) -> Vec<HistoryGap> {
    let mut covered: Vec<TimeSpan> = log.chains.iter().flat_map(|chain| chain.whole.iter().copied()).collect();
    covered.sort();
    let mut gaps = Vec::new();
    let mut from = span.from;
    for whole in covered.into_iter().chain([TimeSpan { from: span.until, until: span.until }]) {
        let until = whole.from.min(span.until);
        if from < until {
            split(log, TimeSpan { from, until }, &mut gaps);
        }
        from = from.max(whole.until);
    }
    gaps
}

/// Of what of `span` two chains tell, the one that tells longest and each that begins before it ends.
fn overlaps(log: &HistoryLog, span: TimeSpan) -> Vec<ChainOverlap> {
    let told = |chain: &HistoryChain| {
        let from = chain.entries.first()?.at;
        Some((TimeSpan { from, until: chain.end()? }, chain.name.clone()))
    };
    let mut told: Vec<_> = log.chains.iter().filter_map(told).collect();
    told.sort();
    let mut overlaps = Vec::new();
    let mut longest: Option<(TimeSpan, String)> = None;
    for (this, name) in told {
        if let Some((before, first)) = &longest {
            let common =
                TimeSpan { from: this.from.max(span.from), until: this.until.min(before.until).min(span.until) };
            if common.until.duration_since(common.from) > CLOCKS {
                overlaps.push(ChainOverlap { span: common, chains: [first.clone(), name.clone()] });
            }
        }
        if longest.as_ref().is_none_or(|(before, _)| before.until < this.until) {
            longest = Some((this, name));
        }
    }
    overlaps
}

/// Tells of `gap` where a chain tells a part of it, and where none does.
fn split(log: &HistoryLog, gap: TimeSpan, gaps: &mut Vec<HistoryGap>) {
    let mut partial: Vec<(TimeSpan, &str)> = log
        .chains
        .iter()
        .filter_map(|chain| chain.partial.map(|partial| (partial, chain.name.as_str())))
        .filter(|(partial, _)| partial.from < gap.until && gap.from < partial.until)
        .collect();
    partial.sort();
    let mut push = |from: jiff::Timestamp, until: jiff::Timestamp, partial: Option<&str>| {
        // Up to the last entry: that instant itself is one of which it tells.
        if until.duration_since(from) >= jiff::SignedDuration::from_micros(1) {
            gaps.push(HistoryGap { span: TimeSpan { from, until }, partial: partial.map(str::to_owned) });
        }
    };
    let mut from = gap.from;
    for (part, chain) in partial {
        let (begin, end) = (part.from.max(from), part.until.min(gap.until));
        push(from, begin, None);
        if begin < end {
            push(begin, end, Some(chain));
            from = end;
        }
    }
    push(from, gap.until, None);
}

/// The pods that stood where they were not cleared to be, an entry for each policy.
fn violations(placements: &[HeldSpan<PodPlacement>], question: &HistoryQuestion) -> Vec<ViolationSpan> {
    let mut violations = Vec::new();
    for held in placements {
        let wrong =
            held.what.policies.iter().filter(|verdict| !verdict.compliance.is_cleared() && question.is_of(verdict));
        let Some(part) = question.part(held.span) else { continue };
        violations.extend(wrong.map(|verdict| ViolationSpan { pod: held.clone(), verdict: verdict.clone(), part }));
    }
    violations
}

/// The exceptions that held, with the pods under them.
fn exception_uses(
    exceptions: Vec<HeldSpan<ExceptionState>>,
    placements: &[HeldSpan<PodPlacement>],
    question: &HistoryQuestion,
) -> Vec<ExceptionUse> {
    let asked = exceptions.into_iter().filter(|held| {
        let state = &held.what;
        let of_namespace = question.namespace.as_ref().is_none_or(|asked| state.namespaces.contains(asked));
        question.part(held.span).is_some() && question.is_of_policy(&state.policy) && of_namespace
    });
    let used = |held: HeldSpan<ExceptionState>| {
        let is_under = |pod: &&HeldSpan<PodPlacement>| {
            let overlaps = pod.span.from < held.span.until && held.span.from <= pod.span.until;
            let of = |verdict: &PolicyVerdict| {
                verdict.policy == held.what.policy && verdict.exception.as_deref() == Some(&held.what.name)
            };
            overlaps && pod.what.policies.iter().any(of)
        };
        let pods = placements.iter().filter(is_under);
        let pods = pods.map(|pod| (pod.what.namespace.clone(), pod.what.pod.clone())).collect();
        ExceptionUse { held, pods }
    };
    asked.map(used).collect()
}
