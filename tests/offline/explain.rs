//! Whole answers, from manifests to text: scenarios of `tests/scenarios`, and questions about what there is not.

use std::{fs, path::Path};

use rempart::terminal::TextLayout;
use rempart::{
    diagnostic::source::SourceMap,
    explain::{ExplainAnswer, ExplainError, ExplainQuestion, ExplainTarget, explain},
    gather::{GatherSettings, GatheredObjects, LocatedInventory, PodTemplateKinds},
    manifest::read::read,
};
use unicode_width::UnicodeWidthStr;

use crate::facts::at;

const PLAIN: TextLayout = TextLayout { width: 80, colour: false };

/// A question, as it is typed.
#[derive(Clone, Copy)]
struct Asked<'q> {
    scenario: &'q str,
    target: &'q str,
    namespace: &'q str,
    pool: Option<&'q str>,
    policy: Option<&'q str>,
    style: TextLayout,
}

fn of<'q>(scenario: &'q str, target: &'q str, namespace: &'q str) -> Asked<'q> {
    Asked { scenario, target, namespace, pool: None, policy: None, style: PLAIN }
}

/// The texts of a scenario, in the order of their names.
fn sources(scenario: &str) -> SourceMap {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(scenario);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut sources = SourceMap::default();
    for path in paths {
        sources.add(path.file_name().unwrap().to_str().unwrap(), fs::read_to_string(&path).unwrap());
    }
    sources
}

fn located(sources: &SourceMap) -> LocatedInventory<'_> {
    let mut gathered = GatheredObjects::new("default");
    for file in sources.files() {
        read(file, sources.text(file), &mut |found| gathered.take(file, found));
    }
    let located = gathered.into_inventory(&GatherSettings { exempt: vec!["kube-system".to_owned()] });
    assert!(!located.is_faulty(), "{:?}", located.diagnostics);
    located
}

fn answer(asked: Asked<'_>) -> Result<ExplainAnswer, ExplainError> {
    let Asked { scenario, target, namespace, pool, policy, style } = asked;
    let sources = sources(scenario);
    let located = located(&sources);
    let target = ExplainTarget::parse(target, namespace, &PodTemplateKinds::default()).unwrap();
    let question = ExplainQuestion { target, pool, policy, at: at("2026-11-22T10:00:00Z") };
    explain(&located, &sources, &question, style)
}

/// The answer in full, after `answered`: what it says must be so.
fn told(asked: Asked<'_>, placeable: bool) -> String {
    let ExplainAnswer { text, placeable: found } = answer(asked).unwrap();
    assert_eq!(found, placeable, "{text}");
    text
}

macro_rules! snapshots {
    ($($name:ident: $asked:expr, $placeable:literal;)+) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), told($asked, $placeable));
        }
    )+};
}

snapshots! {
    a_placeable_workload: of("hospital", "deployment/bed-board", "wards"), true;
    a_refused_workload: of("hospital", "deploy/triage", "wards"), false;
    a_workload_of_which_nothing_is_required: of("hospital", "sts/rota", "admissions"), true;
    a_workload_that_no_policy_governs: of("hospital", "deploy/menu", "canteen"), true;
    a_workload_by_a_policy_that_only_warns:
        Asked { policy: Some("research"), ..of("hospital", "deploy/bed-board", "wards") }, true;
    a_workload_and_one_pool:
        Asked { pool: Some("graz"), ..of("hospital", "deploy/bed-board", "wards") }, false;
    an_unplaceable_workload: of("ministry", "deploy/assessor", "revenue"), false;
    a_daemon_set: of("ministry", "ds/collector", "revenue"), true;
    a_workload_with_wishes_of_its_own: of("ministry", "deploy/ocr", "revenue"), true;
    a_level: of("ministry", "level/tax", ""), false;
    a_level_of_one_pool: Asked { pool: Some("oslo"), policy: Some("patients"), ..of("hospital", "level/clinical", "") }, true;
    a_level_of_two_policies: of("hospital", "level/ward", ""), true;
    a_workload_whose_own_wishes_leave_nothing: of("ministry", "deploy/archive", "revenue"), false;
    a_cron_job_that_says_it_in_the_wrong_place: of("ministry", "cj/closing", "revenue"), false;
    a_workload_of_an_exempt_namespace: of("ministry", "ds/network", "kube-system"), true;
    every_way_to_fall_short: of("harbour", "level/dock", ""), false;
    a_law_that_nobody_has_heard_of: Asked { pool: Some("marsh"), ..of("harbour", "level/crane", "") }, false;
    a_category: Asked { policy: Some("patients"), ..of("hospital", "category/health", "") }, true;
}

#[test]
fn whatever_a_pool_lacks_there_is_a_step_or_word_that_there_is_none() {
    let files = sources("harbour");
    let pools: Vec<String> = located(&files).inventory.world.catalogue.pools.keys().map(ToString::to_string).collect();
    let steps = pools.iter().map(|pool| {
        let text = told(Asked { pool: Some(pool), ..of("harbour", "level/dock", "") }, false);
        text.split_once("To have it cleared\n").unwrap().1.to_owned()
    });
    insta::assert_snapshot!("whatever_a_pool_lacks", steps.collect::<String>());
}

#[test]
fn wrong_questions_are_answered_with_what_there_is() {
    let hospital = |target, namespace| of("hospital", target, namespace);
    let table = [
        (
            hospital("deploy/bed-bord", "wards"),
            "there is no deployment wards/bed-bord in what was read; there is deployment wards/bed-board, deployment wards/triage, deployment canteen/menu, statefulset admissions/rota",
        ),
        (
            hospital("sts/bed-board", "wards"),
            "there is no statefulset wards/bed-board in what was read; there is statefulset admissions/rota, deployment wards/bed-board, deployment wards/triage, deployment canteen/menu",
        ),
        (
            hospital("level/clinicel", ""),
            "no policy has a level clinicel; there is level clinical of policy research, level clinical of policy patients, level office of policy trials, level office of policy patients, level office of policy research, level ward of policy patients and 1 more",
        ),
        (
            hospital("category/payroll", ""),
            "no policy has a category payroll; there is category health of policy research, category health of policy patients, category rota of policy patients, category rota of policy research",
        ),
        (
            Asked { policy: Some("trials"), ..hospital("category/health", "") },
            "no policy has a category health; there are no categories at all",
        ),
        (
            Asked { pool: Some("grtz"), ..hospital("level/ward", "") },
            r#"there is no pool "grtz"; there is graz, linz, trondheim, bonn, oslo"#,
        ),
        (
            Asked { policy: Some("patient"), ..hospital("level/ward", "") },
            r#"there is no policy "patient"; there is patients, trials, research"#,
        ),
    ];
    for (asked, expected) in table {
        assert_eq!(answer(asked).unwrap_err().to_string(), expected);
    }
}

#[test]
fn lines_keep_to_the_width_and_colours_change_no_word() {
    let asked = of("hospital", "deploy/bed-board", "wards");
    for width in [40, 60, 80, 120] {
        let text = told(Asked { style: TextLayout { width, colour: false }, ..asked }, true);
        for line in text.lines().filter(|line| line.width() > width) {
            assert_eq!(line.split_whitespace().count(), 1, "{width}: {line}");
        }
        let coloured = told(Asked { style: TextLayout { width, colour: true }, ..asked }, true);
        assert_ne!(coloured, text);
        let mut bare = String::new();
        for part in coloured.split('\u{1b}') {
            bare.push_str(if bare.is_empty() && !coloured.starts_with('\u{1b}') {
                part
            } else {
                part.split_once('m').map_or("", |(_, rest)| rest)
            });
        }
        assert_eq!(bare, text);
    }
}

#[test]
fn what_was_read_from_no_file_has_no_line() {
    let asked = of("ministry", "level/tax", "");
    let files = sources(asked.scenario);
    let mut nameless = SourceMap::default();
    for file in files.files() {
        nameless.add("", files.text(file).to_owned());
    }
    let located = located(&nameless);
    let target = ExplainTarget::parse(asked.target, "", &PodTemplateKinds::default()).unwrap();
    let question = ExplainQuestion { target, pool: None, policy: None, at: at("2026-11-22T10:00:00Z") };
    let text = explain(&located, &nameless, &question, PLAIN).unwrap().text;
    assert!(!text.contains("yaml") && !text.contains("(:") && !text.contains("()"), "{text}");
}
