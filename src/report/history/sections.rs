//! Sections of an answer from the history: first what the log cannot answer, then what it says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    history::{
        answer::{AuditAnswer, ChainOverlap, HistoryAnswer, HistoryGap},
        audit_events::{AuditRequest, TellingRequest},
        entry::{PlacementCompliance, PodPlacement, PoolPlace},
        join::BindingComparison,
        log::{HistoryChain, TimeSpan},
        timeline::SpanEnd,
    },
    terminal::Tone,
};
use rempart_core::text::counted;

/// How many lines of a sort are told one by one.
const LISTED: usize = 50;

/// A row of a table: its cells, each with its tone.
pub(super) type TableRow = Vec<(String, Tone)>;

/// A part of the answer.
#[derive(Debug, Default)]
pub(super) struct AnswerSection {
    /// Its title.
    pub(super) title: String,
    /// Sentences, each with its tone.
    pub(super) lines: Vec<(String, Tone)>,
    /// A table below them: its header and its rows.
    pub(super) table: Option<(Vec<&'static str>, Vec<TableRow>)>,
}

/// Whether the log can be believed, in a sentence.
pub(crate) fn verdict(answer: &HistoryAnswer<'_>) -> String {
    let chains = counted(answer.log.chains.len(), "chain", "chains");
    let entries = counted(answer.found.entries.len(), "entry", "entries");
    if answer.log.chains.is_empty() {
        return "There is no entry of history in what was read: it says nothing of the past".to_owned();
    }
    let broken = answer.log.chains.iter().filter(|chain| !chain.is_whole()).count();
    let unreadable = answer.found.unreadable.len();
    let whole = match (broken, unreadable) {
        (0, 0) => "nothing in them is missing or altered".to_owned(),
        (0, some) => format!("{} of what looks like it cannot be read", counted(some, "line", "lines")),
        (some, _) => format!("{some} of them not whole"),
    };
    let gaps = match (answer.gaps.len(), answer.missed) {
        (0, 0) => "it tells of all of the time that is asked of".to_owned(),
        (0, missed) => format!("it does not tell of {} that came and went at once", pods(missed)),
        (some, _) => {
            format!("it does not tell everything of {} of the time that is asked of", counted(some, "part", "parts"))
        }
    };
    format!("{chains} of {entries}: {whole}; {gaps}")
}

/// An instant, to the second.
pub(super) fn at(instant: jiff::Timestamp) -> String {
    instant.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// All parts that have something to say.
pub(super) fn sections(answer: &HistoryAnswer<'_>) -> Vec<AnswerSection> {
    let mut sections = vec![cannot_answer(answer), chains(answer), placements(answer), violations(answer)];
    sections.extend([exceptions(answer), lowered(answer), changes(answer)]);
    sections.extend(answer.audit.iter().map(|audit| audit_log(answer, audit)));
    sections
}

fn cannot_answer(answer: &HistoryAnswer<'_>) -> AnswerSection {
    let mut lines = Vec::new();
    for chain in &answer.log.chains {
        for problem in chain.problems.iter().take(LISTED) {
            lines.push((format!("chain {}: {problem}", chain.name), Tone::Bad));
        }
        more(&mut lines, chain.problems.len());
    }
    for unreadable in answer.found.unreadable.iter().take(LISTED) {
        let text = format!("{}:{} looks like an entry: {}", unreadable.file, unreadable.line, unreadable.why);
        lines.push((text, Tone::Bad));
    }
    more(&mut lines, answer.found.unreadable.len());
    for HistoryGap { span, partial } in &answer.gaps {
        let TimeSpan { from, until } = span;
        let what = match partial {
            None => "nothing is told: no operator that led has said what ran, or its lines are not here".to_owned(),
            Some(chain) => format!("a part is told: what the missing entries of chain {chain} said is not known"),
        };
        lines.push((format!("from {} until {}, {what}", at(*from), at(*until)), Tone::Warning));
    }
    for ChainOverlap { span, chains: [first, second] } in answer.overlaps.iter().take(LISTED) {
        let text = format!(
            "from {} until {}, chains {first} and {second} both tell: two replicas that both believed to lead, or somebody \
             has added one of them; what either says is told",
            at(span.from),
            at(span.until)
        );
        lines.push((text, Tone::Warning));
    }
    more(&mut lines, answer.overlaps.len());
    if answer.missed > 0 {
        let text = format!("{} that came and went at once, too many to be told one by one", pods(answer.missed));
        lines.push((text, Tone::Warning));
    }
    if lines.is_empty() {
        lines.push(("nothing: the log tells of all of the time that is asked of".to_owned(), Tone::Good));
    }
    AnswerSection { title: "What the log cannot answer".to_owned(), lines, table: None }
}

fn pods(number: u64) -> String {
    counted(usize::try_from(number).unwrap_or(usize::MAX), "pod", "pods")
}

fn more(lines: &mut Vec<(String, Tone)>, all: usize) {
    let left_out = all.saturating_sub(LISTED);
    if left_out > 0 {
        lines.push((format!("and {left_out} more; -o json lists each"), Tone::Faint));
    }
}

fn chains(answer: &HistoryAnswer<'_>) -> AnswerSection {
    let found = answer.found;
    let mut lines = vec![(
        format!("{} read, {} of them something else and passed over", number(found.read, "line"), found.passed_over),
        Tone::Faint,
    )];
    if answer.log.repeated > 0 {
        lines.push((
            format!("{} there more than once, each counted once", number(answer.log.repeated, "entry")),
            Tone::Faint,
        ));
    }
    if answer.log.out_of_order > 0 {
        let text =
            format!("{} out of their order; their places put them right", number(answer.log.out_of_order, "entry"));
        lines.push((text, Tone::Warning));
    }
    let row = |chain: &HistoryChain| {
        let (whole, tone) = if chain.is_whole() { ("yes", Tone::Good) } else { ("no", Tone::Bad) };
        let first = chain.entries.first().map(|entry| at(entry.at)).unwrap_or_default();
        let (seq, hash) = chain.head.as_ref().map_or((0, ""), |(seq, hash)| (*seq, hash.as_str()));
        let plain = |text: String| (text, Tone::Plain);
        vec![
            plain(chain.replica.clone().unwrap_or_else(|| "not known".to_owned())),
            plain(first),
            plain(chain.end().map(at).unwrap_or_default()),
            plain(chain.entries.len().to_string()),
            (whole.to_owned(), tone),
            plain(format!("{seq}: {}", hash.get(..16).unwrap_or(hash))),
        ]
    };
    let rows = answer.log.chains.iter().map(row).collect();
    let header = vec!["replica", "from", "until", "entries", "whole", "last entry"];
    AnswerSection { title: "Chains".to_owned(), lines, table: Some((header, rows)) }
}

fn number(count: u64, what: &str) -> String {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let many = if what == "entry" { "entries".to_owned() } else { format!("{what}s") };
    counted(count, what, &many)
}

/// Where a pod stood, in words.
fn place(pod: &PodPlacement) -> String {
    match &pod.place {
        Some(PoolPlace { pool, provider, offer, region, .. }) => format!("{pool}: {provider}/{offer}, {region}"),
        None => format!("node {} of no pool", pod.node),
    }
}

/// The end of a span, as its cell says it.
fn ended(span: TimeSpan, end: SpanEnd, certain: bool) -> String {
    let until = match end {
        SpanEnd::Untold => format!("{} or later", at(span.until)),
        SpanEnd::Over | SpanEnd::Changed | SpanEnd::Ungoverned => at(span.until),
    };
    if certain { until } else { format!("{until}, not sure") }
}

/// Pods of one workload that stood in one place without a break.
struct WorkloadStay<'a> {
    pods: BTreeSet<&'a str>,
    span: TimeSpan,
    since_before: bool,
    end: SpanEnd,
    certain: bool,
}

fn placements(answer: &HistoryAnswer<'_>) -> AnswerSection {
    let mut stays: BTreeMap<(String, String, String), Vec<WorkloadStay<'_>>> = BTreeMap::new();
    // In the order of their beginnings.
    for held in &answer.placements {
        let pod = &held.what;
        for verdict in pod.policies.iter().filter(|verdict| answer.question.is_of(verdict)) {
            let level = format!("{}: {}", verdict.policy, verdict.level.as_deref().unwrap_or("refused"));
            let key = (level, format!("{}/{}", pod.namespace, pod.workload), place(pod));
            let stays = stays.entry(key).or_default();
            // Where none of them is told to have stood, nothing is joined.
            match stays.last_mut().filter(|stay| held.span.from <= stay.span.until) {
                Some(stay) => {
                    stay.pods.insert(&pod.uid);
                    (stay.span.until, stay.end) = (stay.span.until, stay.end).max((held.span.until, held.end));
                    stay.certain &= held.certain;
                }
                None => stays.push(WorkloadStay {
                    pods: BTreeSet::from([pod.uid.as_str()]),
                    span: held.span,
                    since_before: held.since_before,
                    end: held.end,
                    certain: held.certain,
                }),
            }
        }
    }
    let stays = stays.into_iter().flat_map(|(key, stays)| stays.into_iter().map(move |stay| (key.clone(), stay)));
    let rows = stays.map(|((level, workload, place), stay)| {
        let until = ended(stay.span, stay.end, stay.certain);
        let cells =
            [level, workload, stay.pods.len().to_string(), place, began(stay.span.from, stay.since_before), until];
        cells.map(|text| (text, Tone::Plain)).to_vec()
    });
    let header = vec!["level", "workload", "pods", "where", "from", "until"];
    section("Where pods stood", "no pod stood anywhere, as far as the log tells", header, rows.collect())
}

/// The beginning of a span, as its cell says it.
fn began(from: jiff::Timestamp, since_before: bool) -> String {
    if since_before { format!("before {}", at(from)) } else { at(from) }
}

/// A section with a table, or a sentence where that is empty.
fn section(title: &str, none: &str, header: Vec<&'static str>, rows: Vec<TableRow>) -> AnswerSection {
    let title = title.to_owned();
    if rows.is_empty() {
        return AnswerSection { title, lines: vec![(none.to_owned(), Tone::Faint)], table: None };
    }
    AnswerSection { title, lines: Vec::new(), table: Some((header, rows)) }
}

fn violations(answer: &HistoryAnswer<'_>) -> AnswerSection {
    let rows = answer.violations.iter().map(|violation| {
        let (pod, verdict) = (&violation.pod, &violation.verdict);
        let level = verdict.level.as_deref().unwrap_or("refused");
        let mode = if verdict.in_force { "" } else { " (not enforced)" };
        let known = if verdict.compliance == PlacementCompliance::Unknown { " (not known)" } else { "" };
        let cells = [
            format!("{}: {level}{mode}{known}", verdict.policy),
            format!("{}/{}", pod.what.namespace, pod.what.pod),
            place(&pod.what),
            began(pod.span.from, pod.since_before),
            ended(pod.span, pod.end, pod.certain),
            duration(violation.part.until.duration_since(violation.part.from).as_secs()),
        ];
        cells.map(|text| (text, Tone::Plain)).to_vec()
    });
    let header = vec!["level", "pod", "where", "from", "until", "for"];
    let none = "no pod stood where it was not cleared to be, as far as the log tells";
    section("Where pods stood and were not cleared to be", none, header, rows.collect())
}

/// `2d 3h`, `4m 10s`.
fn duration(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if left >= size {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

fn exceptions(answer: &HistoryAnswer<'_>) -> AnswerSection {
    let rows = answer.exceptions.iter().map(|used| {
        let state = &used.held.what;
        let cells = [
            format!("{}: {}", state.policy, state.name),
            state.level.clone(),
            state.namespaces.join(", "),
            state.pools.join(", "),
            began(used.held.span.from, used.held.since_before),
            ended(used.held.span, used.held.end, used.held.certain),
            used.pods.len().to_string(),
            format!("{} ({}, to {})", state.reason, state.approved_by, state.until),
        ];
        cells.map(|text| (text, Tone::Plain)).to_vec()
    });
    let header = vec!["exception", "level", "namespaces", "pools", "from", "until", "pods", "reason"];
    section("Exceptions that held", "no exception held, as far as the log tells", header, rows.collect())
}

/// Who asked, in words.
fn asker(request: &AuditRequest) -> String {
    match &request.acting {
        Some(acting) => format!("{} (asked by {acting})", request.user),
        None => request.user.clone(),
    }
}

fn lowered(answer: &HistoryAnswer<'_>) -> AnswerSection {
    let rows = answer.lowered.iter().map(|lowered| {
        let workload = &lowered.workload;
        let by = match (&answer.audit, lowered.by.as_slice()) {
            (None, _) => "--audit-log says who".to_owned(),
            (Some(audit), [])
                if !audit.span.is_some_and(|span| span.from <= lowered.at && lowered.at <= span.until) =>
            {
                "not known: what was read of the audit log does not reach to it".to_owned()
            }
            (Some(_), []) => "nobody, by the audit log; an edit of the policy may have done it".to_owned(),
            (Some(_), by) => {
                let told = by.iter().map(|by| format!("{} at {}: {}", asker(&by.request), at(by.request.at), by.words));
                told.collect::<Vec<_>>().join("\n")
            }
        };
        let cells = [
            at(lowered.at),
            format!("{}/{} {}", workload.namespace, workload.workload_kind, workload.workload),
            format!("{}: {} to {}", workload.policy, workload.from, workload.to),
            workload.level_from.clone(),
            by,
        ];
        cells.map(|text| (text, Tone::Plain)).to_vec()
    });
    let header = vec!["seen at", "workload", "level", "said by", "who lowered it"];
    section("Levels that were lowered", "no level was lowered, as far as the log tells", header, rows.collect())
}

fn changes(answer: &HistoryAnswer<'_>) -> AnswerSection {
    let mut rows: Vec<(jiff::Timestamp, [String; 3])> = Vec::new();
    for fact in answer.facts.iter().filter(|fact| !fact.at_beginning) {
        let version = &fact.version;
        let what = match (version.deleted, version.generation) {
            (true, _) => "deleted".to_owned(),
            (false, Some(generation)) => format!("generation {generation}"),
            (false, None) => "changed".to_owned(),
        };
        let digest = version.digest.as_deref().and_then(|digest| digest.get(..16));
        let what = digest.map_or(what.clone(), |digest| format!("{what}, spec {digest}"));
        let by = fact.by.as_ref().map(|by| format!("{} ({})", asker(by), by.verb)).unwrap_or_default();
        rows.push((fact.at, [format!("{} {}", version.object, version.name), what, by]));
    }
    for clearance in &answer.clearances {
        let kind = if clearance.is_level { "level" } else { "category" };
        let part = |verb: &str, pools: &[String]| (!pools.is_empty()).then(|| format!("{verb} {}", pools.join(", ")));
        let parts: Vec<_> =
            [part("gained", &clearance.gained), part("lost", &clearance.lost)].into_iter().flatten().collect();
        let what = format!("PlacementPolicy {}", clearance.policy);
        rows.push((clearance.at, [what, format!("{kind} {} {}", clearance.name, parts.join(", ")), String::new()]));
    }
    for node in &answer.nodes {
        let pool = |pool: &Option<String>| pool.clone().unwrap_or_else(|| "no pool".to_owned());
        let what = format!("from {} to {}", pool(&node.before), pool(&node.pool));
        rows.push((node.at, [format!("Node {}", node.node), what, String::new()]));
    }
    rows.sort();
    let row = |(instant, [object, what, by]): (jiff::Timestamp, [String; 3])| {
        [at(instant), object, what, by].map(|text| (text, Tone::Plain)).to_vec()
    };
    let rows = rows.into_iter().map(row).collect();
    let header = vec!["seen at", "object", "change", "by"];
    section("Facts that changed", "no fact changed, as far as the log tells", header, rows)
}

fn audit_log(answer: &HistoryAnswer<'_>, audit: &AuditAnswer) -> AnswerSection {
    let mut lines = Vec::new();
    let span = audit.span.map_or_else(
        || "there is no event in it".to_owned(),
        |TimeSpan { from, until }| format!("its events are from {} until {}", at(from), at(until)),
    );
    lines.push((format!("{} read; {span}", number(audit.read, "event")), Tone::Faint));
    if audit.unreadable > 0 {
        lines.push((format!("{} of it cannot be read", number(audit.unreadable, "line")), Tone::Warning));
    }
    let outside =
        audit.span.is_none_or(|span| answer.question.span.from < span.from || span.until < answer.question.span.until);
    if outside {
        let text = "it does not cover all of the time that is asked of: who did what then is not known from it";
        lines.push((text.to_owned(), Tone::Warning));
    }
    for TellingRequest { request, words, .. } in audit.others.iter().take(LISTED) {
        let refused = if request.refused { "was refused: " } else { "" };
        let untold = if request.refused { "" } else { "; the history tells of nothing that came of it" };
        lines.push((format!("{}: {} {refused}{words}{untold}", at(request.at), asker(request)), Tone::Plain));
    }
    more(&mut lines, audit.others.len());
    match &audit.bindings {
        None => lines.push(("it has no bindings of pods: placements are not held against it".to_owned(), Tone::Faint)),
        Some(comparison) => compared(comparison, &mut lines),
    }
    AnswerSection { title: "Beside the API server's audit log".to_owned(), lines, table: None }
}

fn compared(comparison: &BindingComparison, lines: &mut Vec<(String, Tone)>) {
    let BindingComparison { agree, differ, only_in_audit_log, only_in_history, in_gaps, elsewhere } = comparison;
    lines.push((format!("{} both logs tell of alike", bindings(*agree)), Tone::Plain));
    for (binding, pod) in differ.iter().take(LISTED) {
        let node = binding.node.as_deref().unwrap_or_default();
        let text = format!("pod {}/{} was bound to {node}, and is told of on {}", pod.namespace, pod.pod, pod.node);
        lines.push((text, Tone::Bad));
    }
    more(lines, differ.len());
    for binding in only_in_audit_log.iter().take(LISTED) {
        let AuditRequest { namespace, name, at: bound, .. } = &binding.request;
        let node = binding.node.as_ref().map(|node| format!(" to {node}")).unwrap_or_default();
        lines
            .push((format!("pod {namespace}/{name} was bound{node} at {}, and is not told of", at(*bound)), Tone::Bad));
    }
    more(lines, only_in_audit_log.len());
    for (pod, seen) in only_in_history.iter().take(LISTED) {
        let text = format!(
            "pod {}/{} is told of on {} from {}, and no binding of it is in the audit log: it may have named its node itself",
            pod.namespace,
            pod.pod,
            pod.node,
            at(*seen)
        );
        lines.push((text, Tone::Warning));
    }
    more(lines, only_in_history.len());
    if *in_gaps > 0 {
        lines.push((
            format!("{} of times of which the history does not tell everything", bindings(*in_gaps)),
            Tone::Faint,
        ));
    }
    if *elsewhere > 0 {
        let text = format!(
            "{} in namespaces of which the history tells nothing, as of those that no policy governs",
            bindings(*elsewhere)
        );
        lines.push((text, Tone::Faint));
    }
}

fn bindings(number: u64) -> String {
    counted(usize::try_from(number).unwrap_or(usize::MAX), "binding", "bindings")
}
