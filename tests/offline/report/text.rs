//! Text reports: what people read, whole.

use insta::assert_snapshot;
use rempart::report::{
    IgnoredKinds,
    text::{self, ReportDetail},
};
use rempart::terminal::TextLayout;
use rempart_core::impact::{PlanImpact, impact};

use super::world::{after, before, ignored, many, not_judged, planned};

const NARROW: TextLayout = TextLayout { width: 80, colour: false };
const WIDE: TextLayout = TextLayout { width: 120, colour: false };

fn lines_fit(text: &str, width: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= width, "{} columns: {line}", line.chars().count());
        assert_eq!(line, line.trim_end());
    }
}

#[test]
fn a_plan_at_80_columns() {
    let world = before();
    let text = text::plan(&planned(&world), &ignored(), NARROW, ReportDetail::Brief);
    lines_fit(&text, 80);
    assert_snapshot!(text);
}

#[test]
fn a_plan_at_120_columns_with_every_reason() {
    let world = before();
    let text = text::plan(&planned(&world), &ignored(), WIDE, ReportDetail::Full);
    lines_fit(&text, 120);
    assert_snapshot!(text);
}

#[test]
fn an_impact_at_80_and_120_columns() {
    let (old, new) = (before(), after());
    let (old, new) = (planned(&old), planned(&new));
    let found = impact(&old, &new);
    for (name, look) in [("impact_80", NARROW), ("impact_120", WIDE)] {
        let text = text::impact(&found, &old, &new, &ignored(), look);
        lines_fit(&text, look.width);
        assert_snapshot!(name, text);
    }
}

#[test]
fn a_daemon_set_whose_level_is_gone_keeps_the_pods_that_it_has() {
    let (old, new) = (before(), after());
    let (one, other) = (planned(&old), planned(&new));
    let found = impact(&one, &other);
    let ended: Vec<_> = found.ended.iter().map(|ended| (&*ended.workload.identity.name, &ended.nodes[..])).collect();
    // What `agent` selects by nobody demands any more, so that it stays on its nodes.
    assert!(found.refused.iter().any(|refusing| &*refusing.workload.identity.name == "agent"));
    assert_eq!(ended, [("logs", &["n-std"][..])]);

    // Refused where nothing was asked before: its pods select nothing, and stay.
    let mut free = before();
    free.world.policies.clear();
    let found = impact(&planned(&free), &other);
    let ended: Vec<_> = found.ended.iter().map(|ended| &*ended.workload.identity.name).collect();
    assert!(found.refused.iter().any(|refusing| &*refusing.workload.identity.name == "agent"));
    assert_eq!(ended, ["logs"]);
}

#[test]
fn a_namespace_whose_label_is_no_longer_understood_is_named() {
    let (old, new) = (before(), after());
    let (old, new) = (planned(&old), planned(&new));
    let names =
        |found: &PlanImpact<'_>| found.namespaces.iter().map(|refused| refused.name.to_owned()).collect::<Vec<_>>();
    // `broken` was refused before.
    assert_eq!(names(&impact(&old, &new)), ["shop"]);
    assert_eq!(names(&impact(&new, &old)), [""; 0]);
}

#[test]
fn where_nothing_changes_it_says_so() {
    let world = before();
    let plan = planned(&world);
    let said = |ignored: &IgnoredKinds| text::impact(&impact(&plan, &plan), &plan, &plan, ignored, NARROW);
    assert_eq!(said(&IgnoredKinds::default()), "Nothing changes.\n");
    assert_snapshot!(said(&not_judged()), @r#"
    Not judged
    ────────────────────────────────────────────────────────────────────────────────
      · Application claims/api (restricted, health)
      · Deployment claims/old
      · charts/api: a Helm chart that was not rendered

    Nothing changes for what was judged.
    "#);
}

#[test]
fn colours_change_nothing_but_colours() {
    let (old, new) = (before(), after());
    let (old, new) = (planned(&old), planned(&new));
    let found = impact(&old, &new);
    let of = |colour| {
        let look = TextLayout { colour, ..NARROW };
        text::plan(&old, &ignored(), look, ReportDetail::Full) + &text::impact(&found, &old, &new, &ignored(), look)
    };
    let coloured = of(true);
    assert!(coloured.contains("\u{1b}["), "nothing is coloured");
    assert!(!of(false).contains('\u{1b}'));
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((text, sequence)) = rest.split_once('\u{1b}') {
        stripped.push_str(text);
        rest = sequence.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    let trimmed: Vec<&str> = stripped.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, of(false).lines().collect::<Vec<_>>());
}

#[test]
fn ten_thousand_workloads_are_grouped() {
    for (namespaces, each, rows) in [(10, 1000, 40), (1000, 10, 4)] {
        let world = many(namespaces, each);
        let text = text::plan(&planned(&world), &IgnoredKinds::default(), NARROW, ReportDetail::Brief);
        lines_fit(&text, 80);
        assert!(text.lines().count() < 200, "{} lines", text.lines().count());
        assert!(text.contains("10000 workloads, those that fare alike in one row; -o json lists each."), "{text}");
        let table = text.split("Workloads\n").nth(1).unwrap().split("What is asked").next().unwrap();
        assert_eq!(table.matches(" workloads  ").count(), rows, "{table}");
    }
}
