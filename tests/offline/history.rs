//! History: what is told is what is read back, and nothing of it can be dropped, altered or moved without being noticed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rempart::{
    history::{
        answer::{HistoryAnswer, HistoryQuestion, answer, told_span},
        audit_events::AuditEvents,
        chain::ChainWriter,
        entry::{HistoryEvent, PlacementCompliance, PodPlacement, PolicyVerdict, PoolPlace},
        lines::FoundLines,
        log::{ChainProblem, HistoryLog, TimeSpan},
        timeline::{SpanEnd, Timeline},
    },
    report::history::{csv, markdown, text},
    terminal::{TextLayout, harmless},
};

use crate::property_runner::properties;

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn pod(uid: usize, pool: usize) -> PodPlacement {
    PodPlacement {
        uid: format!("uid-{uid}"),
        namespace: "claims".to_owned(),
        pod: format!("api-{uid}"),
        workload: "Deployment api".to_owned(),
        node: format!("node-{pool}"),
        place: Some(PoolPlace {
            pool: format!("pool-{pool}"),
            provider: "acme".to_owned(),
            offer: "iaas".to_owned(),
            region: "r".to_owned(),
            zone: "z".to_owned(),
        }),
        policies: vec![PolicyVerdict {
            policy: "state".to_owned(),
            level: Some("restricted".to_owned()),
            level_from: Some("Workload".to_owned()),
            categories: Vec::new(),
            exception: None,
            in_force: true,
            compliance: if pool == 0 { PlacementCompliance::Violating } else { PlacementCompliance::Compliant },
            refused: None,
        }],
        facts: "0".to_owned(),
    }
}

fn begun() -> HistoryEvent {
    HistoryEvent::Begun {
        version: "0.1.0".to_owned(),
        replica: "a".to_owned(),
        silence_at_most_seconds: 600,
        late_by_at_most_seconds: 2,
    }
}

/// Something that happens to one of a few pods, so many seconds after what was before.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Placed(usize, usize),
    Left(usize),
}

fn happenings() -> impl Strategy<Value = Vec<(i64, Happening)>> {
    let one = prop_oneof![
        (0..4_usize, 0..3_usize).prop_map(|(uid, pool)| Happening::Placed(uid, pool)),
        (0..4_usize).prop_map(Happening::Left),
    ];
    prop::collection::vec((0..200_i64, one), 1..30)
}

/// The lines that tell of `happenings`, after the beginning; and when the last of them was.
fn told(replica: &str, began: i64, happenings: &[(i64, Happening)]) -> (Vec<String>, i64) {
    let mut chain = ChainWriter::new(replica, after(began));
    let mut lines = vec![chain.line(begun(), after(began)), chain.line(HistoryEvent::Complete, after(began))];
    let mut now = began;
    for (later, happening) in happenings {
        now += later;
        let event = match *happening {
            Happening::Placed(uid, pool) => HistoryEvent::PodPlaced(pod(uid, pool)),
            Happening::Left(uid) => HistoryEvent::PodLeft { uid: format!("uid-{uid}"), ungoverned: false },
        };
        lines.push(chain.line(event, after(now)));
    }
    lines.push(chain.line(HistoryEvent::Ended { told_until: after(now) }, after(now)));
    (lines, now)
}

fn read(lines: &[String]) -> (FoundLines, HistoryLog) {
    let mut found = FoundLines::default();
    found.read("log", lines.join("\n").as_bytes()).unwrap();
    let log = HistoryLog::new(&found);
    (found, log)
}

fn is_whole(lines: &[String]) -> bool {
    let (found, log) = read(lines);
    found.unreadable.is_empty() && log.is_whole() && log.out_of_order == 0
}

properties! {
    cases: 200;

    /// Read back, the placements are those that were told, each from when until when it held.
    #[test]
    fn what_was_told_is_what_is_read(happenings in happenings()) {
        let (lines, end) = told("a", 0, &happenings);
        let (_, log) = read(&lines);
        prop_assert!(log.is_whole());
        // Each pod by itself, without a chain or a replay.
        let mut expected = Vec::new();
        let mut open: BTreeMap<usize, (usize, i64)> = BTreeMap::new();
        let mut now = 0;
        for (later, happening) in &happenings {
            now += later;
            let (uid, end) = match happening {
                Happening::Placed(uid, _) => (*uid, SpanEnd::Changed),
                Happening::Left(uid) => (*uid, SpanEnd::Over),
            };
            if let Some((pool, from)) = open.remove(&uid) {
                expected.push((uid, pool, from, now, end));
            }
            if let Happening::Placed(uid, pool) = happening {
                open.insert(*uid, (*pool, now));
            }
        }
        expected.extend(open.into_iter().map(|(uid, (pool, from))| (uid, pool, from, end, SpanEnd::Untold)));
        let mut expected: Vec<_> =
            expected.into_iter().map(|(uid, pool, from, until, end)| (pod(uid, pool), after(from), after(until), end)).collect();
        let mut found: Vec<_> = Timeline::replay(&log)
            .placements
            .into_iter()
            .map(|held| (held.what, held.span.from, held.span.until, held.end))
            .collect();
        let order = |held: &(PodPlacement, Timestamp, Timestamp, SpanEnd)| {
            (held.0.uid.clone(), held.1, held.2, held.0.node.clone(), held.3)
        };
        expected.sort_by_key(order);
        found.sort_by_key(order);
        prop_assert_eq!(found, expected);
    }

    /// A line that is dropped, altered, moved or put in from elsewhere is noticed; but for the last ones, which nothing follows.
    #[test]
    fn nothing_is_dropped_altered_or_moved_unnoticed(
        happenings in happenings(), at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), digit in 0..10_u8,
    ) {
        let (lines, _) = told("a", 0, &happenings);
        prop_assert!(is_whole(&lines));
        let at = at.index(lines.len());
        let mut dropped = lines.clone();
        dropped.remove(at);
        prop_assert!(!is_whole(&dropped) || at == lines.len() - 1, "dropped {at}");
        let mut altered = lines.clone();
        let position = byte.index(altered[at].len());
        let mut bytes = altered[at].clone().into_bytes();
        let before = bytes[position];
        bytes[position] = b'0' + digit;
        altered[at] = String::from_utf8(bytes).unwrap();
        // What no longer looks like an entry is something else, and missing; of the last one nobody knows that it was there.
        let is_same = before == b'0' + digit;
        let is_lost = at == lines.len() - 1 && !altered[at].contains("rempart.dev/history/");
        prop_assert_eq!(is_whole(&altered), is_same || is_lost, "altered {} of {}", position, at);
        if at + 1 < lines.len() {
            let mut moved = lines.clone();
            moved.swap(at, at + 1);
            prop_assert!(!is_whole(&moved), "moved {at}");
        }
        let (others, _) = told("a", 0, &[(1, Happening::Placed(3, 2)), (1, Happening::Left(3))]);
        if at < others.len() && others[at] != lines[at] {
            let mut put_in = lines.clone();
            put_in[at].clone_from(&others[at]);
            let unnoticed = is_whole(&put_in);
            prop_assert!(!unnoticed || at == lines.len() - 1, "put in {at}");
        }
    }

    /// However a log is cut into files, and in whatever order these are given, the answer is the same.
    #[test]
    fn files_may_be_cut_and_given_in_any_order(happenings in happenings(), cut in any::<prop::sample::Index>()) {
        let (lines, end) = told("a", 0, &happenings);
        let (others, _) = told("b", end + 100, &happenings);
        let all: Vec<String> = lines.into_iter().chain(others).collect();
        let cut = cut.index(all.len());
        let mut one = FoundLines::default();
        one.read("all", all.join("\n").as_bytes()).unwrap();
        let mut pieces = FoundLines::default();
        // A rotated file may overlap the one before.
        pieces.read("second", all[cut.saturating_sub(1)..].join("\n").as_bytes()).unwrap();
        pieces.read("first", all[..cut].join("\n").as_bytes()).unwrap();
        let (one, pieces) = (HistoryLog::new(&one), HistoryLog::new(&pieces));
        prop_assert!(one.is_whole() && pieces.is_whole());
        prop_assert_eq!(Timeline::replay(&one).placements, Timeline::replay(&pieces).placements);
    }

    /// What lies after a hole is never told as sure, and what is told as sure stands in the whole log too.
    #[test]
    fn nothing_is_sure_after_a_hole(happenings in happenings(), at in any::<prop::sample::Index>()) {
        let (lines, _) = told("a", 0, &happenings);
        let whole = Timeline::replay(&read(&lines).1).placements;
        let mut dropped = lines.clone();
        dropped.remove(at.index(lines.len()));
        for held in Timeline::replay(&read(&dropped).1).placements {
            prop_assert!(!held.certain || whole.contains(&held) || held.end == SpanEnd::Untold, "{:?}", held);
        }
    }
}

fn everything(log: &HistoryLog) -> HistoryQuestion {
    HistoryQuestion { span: told_span(log).unwrap(), policy: None, level: None, namespace: None }
}

fn asked<R>(lines: &[String], look: impl FnOnce(&HistoryAnswer<'_>) -> R) -> R {
    let (found, log) = read(lines);
    let question = everything(&log);
    look(&answer(&found, &log, None, question))
}

#[test]
fn a_time_without_an_operator_is_a_gap_and_a_chain_that_follows_at_once_leaves_none() {
    let (mut lines, end) = told("a", 0, &[(10, Happening::Placed(1, 1)), (50, Happening::Placed(2, 0))]);
    let (others, _) = told("b", end, &[(10, Happening::Left(9))]);
    lines.extend(others.clone());
    asked(&lines, |answer| {
        // The last entry alone is at the last instant.
        assert_eq!(
            answer.gaps.iter().filter(|gap| gap.span.until.duration_since(gap.span.from).as_secs() > 0).count(),
            0
        );
        assert_eq!(answer.overlaps, []);
    });
    let (late, _) = told("b", end + 3600, &[(10, Happening::Placed(1, 1))]);
    lines.truncate(lines.len() - others.len());
    lines.extend(late);
    asked(&lines, |answer| {
        let gap = &answer.gaps[0];
        assert_eq!((gap.span, gap.partial.as_ref()), (TimeSpan { from: after(end), until: after(end + 3600) }, None));
        assert!(answer.is_whole(), "a gap is no fault of the log");
        let first = &answer.placements[0];
        assert_eq!((first.span.until, first.end), (after(end), SpanEnd::Untold), "it is not filled in");
        assert_eq!(answer.violations.len(), 1);
    });
}

#[test]
fn a_long_silence_is_a_gap() {
    let mut chain = ChainWriter::new("a", start());
    let lines = [
        chain.line(begun(), start()),
        chain.line(HistoryEvent::Complete, start()),
        chain.line(HistoryEvent::Alive, after(600)),
        chain.line(HistoryEvent::Alive, after(5000)),
        chain.line(HistoryEvent::Alive, after(5600)),
    ];
    asked(&lines, |answer| {
        assert_eq!(answer.gaps[0].span, TimeSpan { from: after(600), until: after(5000) });
    });
}

#[test]
fn what_overlaps_takes_nothing_away_from_what_another_chain_told() {
    let (lines, end) = told("a", 0, &[(60, Happening::Placed(1, 0)), (36_000, Happening::Left(1))]);
    for (began, later) in [(3600, 60), (30, 10)] {
        let mut both = lines.clone();
        let (others, _) = told("b", began, &[(later, Happening::Placed(9, 1))]);
        // As whoever writes a chain of a few lines would say it of the same pod.
        let mut other = ChainWriter::new("c", after(began));
        both.extend([
            other.line(begun(), after(began)),
            other.line(HistoryEvent::PodPlaced(pod(1, 0)), after(began)),
            other.line(HistoryEvent::Complete, after(began)),
            other.line(HistoryEvent::Ended { told_until: after(began + 60) }, after(began + 60)),
        ]);
        both.extend(others);
        asked(&both, |answer| {
            let violation = TimeSpan { from: after(60), until: after(end) };
            assert!(answer.violations.iter().any(|found| found.part == violation), "{:?}", answer.violations);
            // Neither can be told from one that somebody added.
            assert_eq!(answer.overlaps.len(), 2, "{:?}", answer.overlaps);
            assert!(answer.overlaps.iter().all(|found| found.span.from == after(began)), "{:?}", answer.overlaps);
            let said = text(answer, TextLayout { width: 200, colour: false });
            let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("both tell: two replicas that both believed to lead"), "{said}");
        });
    }
}

#[test]
fn a_pod_on_a_node_that_the_operator_did_not_know_is_told_as_one_that_nobody_can_say_of() {
    let mut unknown = pod(1, 1);
    unknown.policies[0].compliance = PlacementCompliance::Unknown;
    let mut chain = ChainWriter::new("a", start());
    let lines = [
        chain.line(begun(), start()),
        chain.line(HistoryEvent::PodPlaced(unknown), start()),
        chain.line(HistoryEvent::Complete, start()),
        chain.line(HistoryEvent::Alive, after(60)),
    ];
    asked(&lines, |answer| {
        assert_eq!(answer.violations.len(), 1, "it is not told as cleared");
        let said = text(answer, TextLayout { width: 200, colour: false });
        assert!(said.contains("state: restricted (not known)"), "{said}");
    });
}

#[test]
fn a_chain_that_goes_on_after_its_end_or_begins_again_is_not_whole() {
    let mut chain = ChainWriter::new("a", start());
    let lines = vec![
        chain.line(begun(), start()),
        chain.line(HistoryEvent::Complete, start()),
        chain.line(HistoryEvent::Ended { told_until: after(60) }, after(60)),
        chain.line(HistoryEvent::PodLeft { uid: "uid-1".to_owned(), ungoverned: false }, after(90)),
    ];
    let (_, log) = read(&lines);
    assert_eq!(log.chains[0].problems, [ChainProblem::AfterEnd { seq: 3 }]);
    let mut chain = ChainWriter::new("a", start());
    let mut lines = vec![chain.line(begun(), start()), chain.line(HistoryEvent::Complete, start())];
    lines.push(chain.line(HistoryEvent::Alive, after(300)));
    lines.push(chain.line(begun(), after(310)));
    let (_, log) = read(&lines);
    assert_eq!(log.chains[0].problems, [ChainProblem::BegunAgain { seq: 3 }]);
    let silent = |silence_at_most_seconds| HistoryEvent::Begun {
        version: "0.1.0".to_owned(),
        replica: "a".to_owned(),
        silence_at_most_seconds,
        late_by_at_most_seconds: 2,
    };
    let mut chain = ChainWriter::new("a", start());
    let lines = [
        chain.line(silent(u64::MAX), start()),
        chain.line(HistoryEvent::Complete, start()),
        chain.line(HistoryEvent::Alive, after(100_000)),
    ];
    asked(&lines, |answer| assert!(!answer.gaps.is_empty(), "no chain says for how long it may be silent"));
}

#[test]
fn a_log_that_begins_within_a_chain_tells_a_part() {
    let (lines, end) =
        told("a", 0, &[(10, Happening::Placed(1, 1)), (10, Happening::Placed(2, 1)), (10, Happening::Left(2))]);
    let (found, log) = read(&lines[3..]);
    assert_eq!(log.chains[0].problems, [ChainProblem::Missing { from: 0, to: 2 }]);
    let question = HistoryQuestion { span: TimeSpan { from: start(), until: after(end) }, ..everything(&log) };
    let answer = answer(&found, &log, None, question);
    assert_eq!(answer.gaps.iter().map(|gap| gap.partial.is_some()).collect::<Vec<_>>(), [false, true]);
    assert!(answer.placements.iter().all(|held| !held.certain));
}

#[test]
fn no_name_commands_a_terminal_a_page_or_a_spreadsheet() {
    let mischief = "=cmd|'/c calc'!A1 \u{202e}\u{1b}[31m<script>\r\n| **b** [x](y)";
    let mut wrong = pod(1, 0);
    wrong.namespace = mischief.to_owned();
    wrong.workload = mischief.to_owned();
    wrong.policies[0].categories = vec![mischief.to_owned()];
    let mut chain = ChainWriter::new(mischief, start());
    let lines = [
        chain.line(begun(), start()),
        chain.line(HistoryEvent::PodPlaced(wrong), start()),
        chain.line(HistoryEvent::Complete, after(1)),
    ];
    let (told, page, table) = asked(&lines, |answer| {
        let mut table = Vec::new();
        csv(answer, &mut table).unwrap();
        let layout = TextLayout { width: 100, colour: false };
        (text(answer, layout), markdown(answer), String::from_utf8(table).unwrap())
    });
    for (what, text) in [("text", &told), ("markdown", &page), ("csv", &table.replace("\r\n", "\n"))] {
        let obeyed: Vec<char> = text.chars().filter(|c| *c != '\n' && harmless(*c) != *c).collect();
        assert!(obeyed.is_empty(), "{what}: {obeyed:?} in {text}");
    }
    assert!(!page.contains("<script>") && !page.contains("**b**"), "{page}");
    assert!(table.contains("\"'=cmd") && !table.contains("\n=cmd") && !table.contains(",=cmd"), "{table}");
}

#[test]
fn the_audit_log_says_who_lowered_what_and_which_bindings_were_not_told() {
    let mut chain = ChainWriter::new("a", start());
    let lowered = serde_json::from_value(serde_json::json!({
        "kind": "LevelLowered", "namespace": "claims", "workloadKind": "Deployment", "workload": "api", "policy": "state",
        "from": "secret", "to": "restricted", "levelFrom": "Workload",
    }));
    let lines = [
        chain.line(begun(), start()),
        chain.line(HistoryEvent::Complete, start()),
        chain.line(HistoryEvent::PodPlaced(pod(1, 1)), after(10)),
        chain.line(HistoryEvent::PodPlaced(pod(2, 1)), after(11)),
        chain.line(lowered.unwrap(), after(20)),
        chain.line(HistoryEvent::Alive, after(60)),
    ];
    let event = |at: i64, user: &str, verb: &str, object: serde_json::Value, code: u16, rest: serde_json::Value| {
        let mut event = serde_json::json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "auditID": format!("{user}{at}"), "verb": verb,
            "user": {"username": user}, "objectRef": object, "responseStatus": {"code": code},
            "stageTimestamp": after(at).to_string(), "requestReceivedTimestamp": after(at).to_string(),
        });
        json_patch::merge(&mut event, &rest);
        event.to_string()
    };
    let api = serde_json::json!({"resource": "deployments", "namespace": "claims", "name": "api", "apiGroup": "apps"});
    let words = |words: &str| serde_json::json!({"annotations": {"rempart.state.declassify-workloads/lowered": words}});
    let binding = |uid: usize, node: &str| {
        let object = serde_json::json!({"resource": "pods", "subresource": "binding", "namespace": "claims", "name": format!("api-{uid}")});
        let rest =
            serde_json::json!({"requestObject": {"metadata": {"uid": format!("uid-{uid}")}, "target": {"name": node}}});
        (object, rest)
    };
    let bind = |at: i64, uid: usize, node: &str| {
        let (object, rest) = binding(uid, node);
        event(at, "system:kube-scheduler", "create", object, 201, rest)
    };
    let log = [
        event(15, "mallory", "patch", api.clone(), 403, words("tried")),
        event(19, "alice", "patch", api.clone(), 200, words("did")),
        event(19, "alice", "patch", api, 200, words("did")),
        bind(9, 1, "node-1"),
        bind(10, 2, "node-2"),
        bind(30, 3, "node-1"),
        "not json".to_owned(),
    ];
    let mut audit = AuditEvents::default();
    audit.read(log.join("\n").as_bytes()).unwrap();
    let (found, history) = read(&lines);
    let answer = answer(&found, &history, Some(&audit), everything(&history));
    let by: Vec<_> = answer.lowered[0].by.iter().map(|by| (by.request.user.as_str(), by.words.as_str())).collect();
    assert_eq!(by, [("alice", "did")]);
    let told = answer.audit.unwrap();
    let others: Vec<_> = told.others.iter().map(|other| (other.request.user.as_str(), other.request.refused)).collect();
    assert_eq!((others, told.unreadable), (vec![("mallory", true)], 1));
    let bindings = told.bindings.unwrap();
    assert_eq!((bindings.agree, bindings.differ.len(), bindings.only_in_history.len()), (1, 1, 0));
    assert_eq!(bindings.only_in_audit_log[0].request.name, "api-3");
}
