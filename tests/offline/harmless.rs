//! Names with controls in them, through every text that a command prints.

use rempart::{
    diagnostic::source::SourceMap,
    explain::{ExplainQuestion, ExplainTarget, explain},
    gather::{GatherSettings, GatheredObjects, LocatedInventory, PodTemplateKinds},
    lint::lint,
    manifest::read::read,
    report::{IgnoredKinds, text},
    terminal::{TextLayout, harmless},
};
use rempart_core::{
    impact::impact,
    plan::{PlanAssumptions, plan},
};

use crate::facts::at;

/// Turns the direction of writing, hides, moves the cursor, colours, rings, and breaks the line.
const MISCHIEF: &str = "\u{202e}\u{2066}\u{200b}\u{ad}\u{1b}[31m\u{9b}2J\u{7}\u{2028}\r";

const MANIFESTS: &str = r#"
apiVersion: rempart.dev/v1alpha1
kind: CloudProvider
metadata: {name: acme}
spec:
  displayName: "Acme MISCHIEF"
  operator: {name: "SelectorOperator MISCHIEF", jurisdiction: US}
  controllingParty: {name: "Parent MISCHIEF", jurisdiction: CN}
  offers:
  - name: iaas
    technology: [{name: "Stack MISCHIEF", supplier: "Supplier MISCHIEF", jurisdiction: US}]
    zones: [{name: a, region: r, country: FR}]
    qualifications:
    - {scheme: hds, validFrom: "2024-01-01", validUntil: "2027-01-31", reference: "Reference MISCHIEF"}
---
apiVersion: rempart.dev/v1alpha1
kind: PlacementPool
metadata: {name: pool}
spec: {provider: acme, offer: iaas, zone: a, nodeSelector: {matchLabels: {pool: acme}}}
---
apiVersion: rempart.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: state}
spec:
  mode: Enforce
  defaultLevel: low
  levels:
  - name: low
    require: {qualifications: [hds]}
  - name: high
    require: {jurisdictions: {operator: [EU], controllingParty: [EU], technology: [EU]}}
  exceptions:
  - {name: old, namespaces: [claims], level: low, pools: [pool], until: "2027-03-31", reason: "Reason MISCHIEF", approvedBy: "Officer MISCHIEF"}
---
apiVersion: v1
kind: Namespace
metadata: {name: claims}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: claims, annotations: {rempart.dev/sensitivity: high}}
spec: {template: {spec: {containers: [], nodeSelector: {"MISCHIEF": "MISCHIEF"}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: batch, namespace: claims, annotations: {rempart.dev/sensitivity: low}}
spec: {template: {spec: {containers: []}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: wrong, namespace: claims, annotations: {rempart.dev/sensitivity: "high MISCHIEF", rempart.dev/sensitivty: "MISCHIEF"}}
spec: {template: {spec: {containers: []}}}
---
apiVersion: v1
kind: "Pod MISCHIEF"
metadata: {name: other}
"#;

fn located(sources: &SourceMap) -> LocatedInventory<'_> {
    let mut gathered = GatheredObjects::new("default");
    for file in sources.files() {
        read(file, sources.text(file), &mut |found| gathered.take(file, found));
    }
    gathered.into_inventory(&GatherSettings::default())
}

/// Every text that a command prints of what is called by such names, each with what it is.
fn texts(layout: TextLayout) -> Vec<(&'static str, String)> {
    // As JSON writes it, which YAML reads in double quotes.
    let escape = |text: String, c: char| format!("{text}\\u{:04x}", u32::from(c));
    let escaped = MISCHIEF.chars().fold(String::new(), escape);
    let mut sources = SourceMap::default();
    sources.add(format!("file {MISCHIEF}.yaml"), MANIFESTS.replace("MISCHIEF", &escaped));
    // YAML takes some of it unescaped: these stand in the lines that diagnostics show.
    sources.add(format!("broken {MISCHIEF}.yaml"), "a: [\u{202e}\u{2066}\u{200b}\u{ad}\u{200e}, b\nc: d".to_owned());
    let located = located(&sources);
    let (now, later) = (at("2026-11-22T10:00:00Z"), at("2027-04-01T10:00:00Z"));
    let of = |instant| plan(&located.inventory, instant, PlanAssumptions::default());
    let (before, after) = (of(now), of(later));
    let ignored = IgnoredKinds::from(located.ignored.clone());
    let mut texts = vec![
        ("plan", text::plan(&before, &ignored, layout, text::ReportDetail::Full)),
        ("impact", text::impact(&impact(&before, &after), &before, &after, &ignored, layout)),
    ];
    let targets = ["deploy/api", "deploy/batch", "deploy/wrong", "level/low", "level/high"];
    for (target, pool) in targets.into_iter().flat_map(|target| [(target, None), (target, Some("pool"))]) {
        let target = ExplainTarget::parse(target, "claims", &PodTemplateKinds::default()).unwrap();
        let question = ExplainQuestion { target, pool, policy: None, at: now };
        texts.push(("explain", explain(&located, &sources, &question, layout).unwrap().text));
    }
    for diagnostic in lint(&located, now) {
        texts.push(("lint", diagnostic.render(&sources, layout)));
        texts.push(("lint -o line", diagnostic.one_line(&sources)));
    }
    texts
}

#[test]
fn no_name_commands_a_terminal() {
    let plain = texts(TextLayout { width: 100, colour: false });
    for (what, text) in &plain {
        let obeyed: Vec<char> = text.chars().filter(|c| *c != '\n' && harmless(*c) != *c).collect();
        assert!(obeyed.is_empty(), "{what}: {obeyed:?} in {text}");
    }
    // It was there, and is shown.
    for what in ["plan", "explain", "lint"] {
        assert!(plain.iter().any(|(of, text)| *of == what && text.contains('\u{fffd}')), "{what}");
    }
    assert!(plain.iter().any(|(_, text)| text.contains("Supplier \u{fffd}")), "the supplier is named");
}

#[test]
fn colours_are_all_that_a_terminal_is_told() {
    for (what, text) in texts(TextLayout { width: 100, colour: true }) {
        let mut rest = text.as_str();
        let mut shown = String::new();
        while let Some((before, sequence)) = rest.split_once("\u{1b}[") {
            shown.push_str(before);
            let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap();
            assert_eq!(sequence.as_bytes()[end], b'm', "{what}: {text:?}");
            rest = &sequence[end + 1..];
        }
        shown.push_str(rest);
        let obeyed: Vec<char> = shown.chars().filter(|c| *c != '\n' && harmless(*c) != *c).collect();
        assert!(obeyed.is_empty(), "{what}: {obeyed:?} in {text:?}");
    }
}
