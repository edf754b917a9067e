//! Gathered inventories: the odd manifests that clusters and charts really hold, and what they are taken for.

use rempart::{
    diagnostic::source::SourceMap,
    gather::{GatherSettings, GatheredObjects, LocatedInventory, PodTemplateKinds, UnjudgedObject},
    lint::lint,
    manifest::read::read,
};
use rempart_core::{
    impact::impact,
    instant::{CalendarDay, Timestamp},
    plan::{PlacementOutcome, PlanAssumptions, UnplaceableReason, plan},
};

const WORLD: &str = r#"
apiVersion: rempart.dev/v1alpha1
kind: CloudProvider
metadata: {name: isar}
spec:
  operator: {name: Isar GmbH, jurisdiction: DE}
  offers:
  - name: vm
    zones: [{name: a, region: muc, country: DE}]
    qualifications:
    - {scheme: c5, validFrom: "2025-01-01", validUntil: "2026-12-10", source: "https://isar.example/1"}
    - {scheme: c5, validFrom: "2026-12-15", source: "https://isar.example/2"}
---
apiVersion: rempart.dev/v1alpha1
kind: PlacementPool
metadata: {name: isar}
spec: {provider: isar, offer: vm, zone: a, nodeSelector: {matchLabels: {pool: isar}}}
---
{apiVersion: v1, kind: Node, metadata: {name: i1, labels: {pool: isar}}}
---
{apiVersion: v1, kind: Node, metadata: {name: x1, labels: {}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
"#;

const POLICY: &str = r"
apiVersion: rempart.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: till}
spec:
  mode: Enforce
  defaultLevel: card
  levels: [{name: open}, {name: card, require: {qualifications: [c5]}}]
---
";

fn with<R>(manifests: &[&str], judge: impl FnOnce(&LocatedInventory<'_>) -> R) -> R {
    let mut sources = SourceMap::default();
    let file = sources.add("world.yaml", manifests.concat());
    let mut gathered = GatheredObjects::new("shop");
    read(file, sources.text(file), &mut |found| gathered.take(file, found));
    judge(&gathered.into_inventory(&GatherSettings::default()))
}

fn day(text: &str) -> Timestamp {
    CalendarDay::parse(text).unwrap().starts()
}

/// Each workload of `manifests`, beside the world and its policy, with what becomes of it.
fn fates(manifests: &str) -> Vec<(String, PlacementOutcome)> {
    with(&[WORLD, POLICY, manifests], |located| {
        let plan = plan(&located.inventory, day("2026-11-22"), PlanAssumptions::default());
        plan.workloads.iter().map(|it| (it.workload.identity.to_string(), it.outcome.clone())).collect()
    })
}

/// The codes of what is said of `manifests`, beside the world and its policy.
fn told(manifests: &str) -> Vec<&'static str> {
    with(&[WORLD, POLICY, manifests], |located| located.diagnostics.iter().map(|found| found.code).collect())
}

fn pod(affinity: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{containers: [], affinity: {{nodeAffinity: \
         {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{affinity}]}}}}}}}}}}\n"
    )
}

#[test]
fn an_affinity_may_name_nodes_and_rule_them_out() {
    let named = |operator: &str, name: &str| {
        let term = format!("{{matchFields: [{{key: metadata.name, operator: {operator}, values: [{name}]}}]}}");
        fates(&pod(&term)).pop().unwrap().1
    };
    assert_eq!(named("In", "i1"), PlacementOutcome::Placeable([0].into()));
    assert_eq!(named("In", "x1"), PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes));
    assert_eq!(named("NotIn", "x1"), PlacementOutcome::Placeable([0].into()));
    assert_eq!(named("NotIn", "i1"), PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes));
    assert_eq!(told(&pod("{matchFields: [{key: metadata.name, operator: Exists}]}")), ["NotSupported"]);
}

#[test]
fn a_scheduler_says_where_a_pod_runs_and_a_template_never_does() {
    let existing = |kind: &str, spec: &str| {
        fates(&format!("{{apiVersion: {kind}, metadata: {{name: a, uid: u}}, spec: {spec}}}")).pop().unwrap().1
    };
    assert_eq!(existing("v1, kind: Pod", "{nodeName: i1}"), PlacementOutcome::Placeable([0].into()));
    let template = "{template: {spec: {nodeName: i1}}}";
    assert_eq!(existing("apps/v1, kind: Deployment", template), PlacementOutcome::Refused);
}

#[test]
fn pods_are_judged_themselves_where_nothing_else_speaks_for_them() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a-1-x, uid: u, ownerReferences: [{kind: ReplicaSet, name: a-1, \
               controller: true}]}, spec: {nodeName: i1}}\n---\n";
    let set = "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: a-1, uid: v, ownerReferences: [{kind: Deployment, \
               name: a, controller: true}]}}\n---\n";
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, uid: w}}\n---\n";
    let names = |manifests: &[&str]| fates(&manifests.concat()).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&[pod]), ["pod shop/a-1-x"]);
    assert_eq!(names(&[pod, set]), ["replicaset shop/a-1"], "nothing else speaks for it");
    assert_eq!(names(&[pod, set, deployment]), ["deployment shop/a"]);
}

#[test]
fn what_has_finished_is_no_concern() {
    let finished = "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {conditions: [{type: Complete, \
                    status: 'True'}]}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p}, status: {phase: Failed}}";
    assert_eq!(fates(finished), []);
}

#[test]
fn a_policy_on_its_way_out_refuses_nothing() {
    let ending = POLICY.replace("{name: till}", "{name: till, deletionTimestamp: \"2026-11-22T00:00:00Z\"}");
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, annotations: {rempart.dev/sensitivity: none}}, spec: {containers: []}}";
    with(&[WORLD, &ending, pod], |located| {
        let plan = plan(&located.inventory, day("2026-11-22"), PlanAssumptions::default());
        assert!(matches!(plan.workloads[0].outcome, PlacementOutcome::Unrestricted(_)));
        assert_eq!(located.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>(), ["PolicyEnding"]);
    });
}

#[test]
fn twins_are_told() {
    let namespace = |labels: &str| {
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: aisle, labels: {labels}}}}}\n---\n")
    };
    let level = "{rempart.dev/sensitivity: card}";
    assert_eq!(told(&[namespace(level), namespace("{}")].concat()), ["DuplicateObject"]);
    assert_eq!(told(&[namespace(level), namespace(level)].concat()), [""; 0]);
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {spec: {containers: []}}}}\n---\n";
    assert_eq!(told(&deployment.repeat(2)), ["DuplicateObject"]);
    assert_eq!(fates(&deployment.repeat(2)).len(), 2);
    assert_eq!(told(POLICY), ["DuplicateObject"]);
}

#[test]
fn twins_are_compared_each_with_its_like() {
    let twins = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, annotations: {rempart.dev/sensitivity: open}}, spec: {template: {spec: {containers: []}}}}\n---\n\
                 {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {spec: {containers: []}}}}\n---\n";
    with(&[WORLD, POLICY, twins], |located| {
        let now = plan(&located.inventory, day("2026-11-22"), PlanAssumptions::default());
        let then = plan(&located.inventory, day("2026-12-12"), PlanAssumptions::default());
        let found = impact(&now, &then);
        assert_eq!((found.stranded.len(), found.moved.len(), found.freed.len()), (1, 0, 0));
        assert!(!found.stranded[0].lost.is_empty());
    });
}

#[test]
fn what_an_edit_sets_free_is_told() {
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {spec: {containers: []}}}}\n---\n";
    with(&[WORLD, POLICY, deployment], |before| {
        with(&[WORLD, &POLICY.replace("defaultLevel: card", "defaultLevel: open"), deployment], |after| {
            let old = plan(&before.inventory, day("2026-11-22"), PlanAssumptions::default());
            let new = plan(&after.inventory, day("2026-11-22"), PlanAssumptions::default());
            assert_eq!(impact(&old, &new).freed.len(), 1);
            let back = impact(&new, &old);
            assert_eq!((back.freed.len(), back.moved.len()), (0, 1), "another node may run it now, and may not then");
        });
    });
}

#[test]
fn no_name_disturbs_a_terminal() {
    let pod = |name: &str| {
        serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": []}})
            .to_string()
    };
    for name in ["a\u{1b}[2J", "a\u{202e}b", "a\r\nb", "A", "-a", "é"] {
        assert_eq!(told(&pod(name)), ["Invalid"], "{name:?}");
    }
    for name in ["a", "a.b-c", "generated-"] {
        assert_eq!(told(&pod(name)), [""; 0], "{name:?}");
    }
}

#[test]
fn what_would_be_judged_is_never_passed_over() {
    assert_eq!(told("{kind: PlacementPool, metadata: {name: p}}"), ["NoVersion"]);
    assert_eq!(told("{kind: Deployment, metadata: {name: p}}"), ["NoVersion"]);
    assert_eq!(told("{name: chart}"), ["NoKind"]);
    let rollout = "{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: r, annotations: \
                   {rempart.dev/sensitivity: card}}}";
    assert_eq!(told(rollout), ["Unjudged"]);
}

#[test]
fn what_has_an_owner_elsewhere_is_judged_itself() {
    let owned = |kind: &str, owner: &str, rest: &str| {
        format!(
            "{{apiVersion: {kind}, metadata: {{name: a-1, uid: v, ownerReferences: [{{kind: {owner}, name: a, controller: \
             true}}]}}{rest}}}\n---\n"
        )
    };
    let names = |manifests: &str| fates(manifests).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let set = owned("apps/v1, kind: ReplicaSet", "Deployment", "");
    let job = owned("batch/v1, kind: Job", "CronJob", "");
    assert_eq!(names(&set), ["replicaset shop/a-1"]);
    assert_eq!(names(&job), ["job shop/a-1"]);
    let former = owned("apps/v1, kind: ReplicaSet", "Deployment", ", spec: {replicas: 0}");
    assert_eq!(names(&former), [""; 0], "a former revision has no pods");
    let cron = "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a, uid: w}}\n---\n";
    assert_eq!(names(&[&job, cron].concat()), ["cronjob shop/a"]);
}

#[test]
fn keys_of_ours_where_nobody_reads_them_are_told_with_the_right_place() {
    let said = |manifest: &str| {
        with(&[WORLD, POLICY, manifest], |located| {
            let told = located.diagnostics.iter();
            told.map(|found| {
                format!("{}: {}; {}", found.code, found.message, found.hint.as_deref().unwrap_or_default())
            })
            .collect::<Vec<_>>()
            .join("\n")
        })
    };
    let level = "rempart.dev/sensitivity: card";
    let deployment = |metadata: &str, template: &str, spec: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d{metadata}}}, spec: {{template: {{spec: \
             {{containers: []}}{template}}}{spec}}}}}"
        )
    };
    let rollout = format!(
        "{{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {{name: r}}, spec: {{template: {{spec: {{containers: \
         []}}}}, strategy: {{canary: {{canaryMetadata: {{annotations: {{{level}}}}}}}}}}}}}"
    );
    let job = format!(
        "{{apiVersion: kubeflow.org/v1, kind: TFJob, metadata: {{name: t}}, spec: {{tfReplicaSpecs: {{Worker: {{template: \
         {{metadata: {{annotations: {{{level}}}}}, spec: {{containers: []}}}}}}}}}}}}"
    );
    let all: Vec<_> = [
        deployment("", &format!(", annotations: {{{level}}}"), ""),
        deployment("", &format!(", metadata: {{labels: {{{level}}}}}"), ""),
        deployment("", &format!(", metadata: {{annotations: {{{level}}}}}"), ""),
        deployment(&format!(", annotations: {{{level}}}"), "", ""),
        deployment(&format!(", labels: {{{level}}}"), "", ""),
        deployment(&format!(", {level}"), "", ""),
        deployment("", ", metadata: {labels: {rempart.dev/sensitivty: card}}", ""),
        deployment("", ", metadata: {labels: {completed.rempart.dev/till: x}}", ""),
        deployment("", "", &format!(", selector: {{matchLabels: {{{level}}}}}")),
        rollout,
        job,
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: aisle, annotations: {{{level}}}}}}}"),
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: aisle}}, labels: {{{level}}}}}"),
        format!("{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: c, annotations: {{{level}}}}}}}"),
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{containers: [], annotations: {{{level}}}}}}}"
        ),
    ]
    .iter()
    .map(|manifest| said(manifest))
    .collect();
    insta::assert_snapshot!(all.join("\n--\n"), @r#"
    Unheard: rempart.dev/sensitivity has no effect at spec.template.annotations: nobody reads it there; write it in metadata.annotations of the Deployment, or in spec.template.metadata.annotations
    --
    Unheard: rempart.dev/sensitivity has no effect at spec.template.metadata.labels: nobody reads it there; write it in metadata.annotations of the Deployment, or in spec.template.metadata.annotations
    --

    --

    --
    Unheard: label rempart.dev/sensitivity has no effect here: a workload says it by an annotation; move it to metadata.annotations
    --
    Unheard: rempart.dev/sensitivity has no effect at metadata: nobody reads it there; write it in metadata.annotations of the Deployment, or in spec.template.metadata.annotations
    --
    UnknownAnnotation: rempart.dev/sensitivty has no effect at spec.template.metadata.labels: Rempart reads no such key; perhaps rempart.dev/sensitivity is meant
    --

    --
    Unheard: rempart.dev/sensitivity has no effect at spec.selector.matchLabels: nobody reads it there; write it in metadata.annotations of the Deployment, or in spec.template.metadata.annotations
    --
    Unheard: rempart.dev/sensitivity has no effect at spec.strategy.canary.canaryMetadata.annotations: nobody reads it there; write it in spec.template.metadata.annotations
    --

    --
    Unheard: annotation rempart.dev/sensitivity has no effect here: a namespace says it by a label; move it to metadata.labels
    --
    Unheard: rempart.dev/sensitivity has no effect at labels: nobody reads it there; write it in metadata.labels
    --
    Unheard: rempart.dev/sensitivity has no effect at metadata.annotations: nobody reads it there; write it in metadata.annotations of a workload, or in metadata.labels of a namespace
    --
    Unheard: rempart.dev/sensitivity has no effect at spec.annotations: nobody reads it there; write it in metadata.annotations
    "#);
}

#[test]
fn a_parent_that_stands_twice_is_an_error_where_a_level_is_lost() {
    let told = |metadata: &str, kind: &str| {
        let manifest =
            format!("{kind}\nmetadata:\n  name: d\n{metadata}spec: {{template: {{spec: {{containers: []}}}}}}\n");
        with(&[WORLD, POLICY, &manifest], |located| {
            let told = located.diagnostics.iter().filter(|found| found.code == "DuplicateKey");
            told.map(|found| format!("{}: {}", found.severity.as_str(), found.message)).collect::<Vec<_>>()
        })
    };
    let (judged, other) = ("apiVersion: apps/v1\nkind: Deployment", "apiVersion: example.org/v1\nkind: Thing");
    let level = |level: &str| format!("  annotations: {{rempart.dev/sensitivity: {level}}}\n");
    let lost = "the key `annotations` is on line 38 already, and what it says there of rempart.dev/sensitivity is lost";
    let without = "  annotations: {a: b}\n";
    assert_eq!(told(&[&level("card"), without].concat(), judged), [format!("error: {lost}")]);
    assert_eq!(told(&[level("card"), level("open")].concat(), judged), [format!("error: {lost}")]);
    assert_eq!(told(&[level("card"), level("card")].concat(), judged).len(), 1);
    assert!(told(&[level("card"), level("card")].concat(), judged)[0].starts_with("warning"));
    let kept = told(&[without, &level("card")].concat(), judged);
    assert!(kept[0].starts_with("warning") && kept.len() == 1, "{kept:?}");
    assert_eq!(told(&[&level("card"), without].concat(), other), [format!("warning: {lost}")], "nobody judges it");
    assert_eq!(told(&[without, "  annotations: {}\n"].concat(), other), [""; 0]);
}

#[test]
fn levels_within_texts_are_named_as_not_judged() {
    let unjudged = |manifest: &str| {
        with(&[WORLD, POLICY, manifest], |located| {
            assert!(!located.is_faulty(), "{:?}", located.diagnostics);
            let of = |object: &UnjudgedObject| {
                let said = object.statements.iter().filter_map(|said| said.statement.sensitivity.as_deref());
                format!("{object} {:?}", said.collect::<Vec<_>>())
            };
            located.unjudged.iter().map(of).collect::<Vec<_>>()
        })
    };
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec:\n  source:\n    helm:\n      \
                       values: |\n        podAnnotations:\n          rempart.dev/sensitivity: card\n";
    assert_eq!(unjudged(application), [r#"Application shop/a ["card"]"#]);
    let values = "podAnnotations:\n  rempart.dev/sensitivity: card\n";
    assert_eq!(unjudged(values), [r#"a document that is no Kubernetes object ["card"]"#]);
    let misspelt =
        "{apiVersion: apps/v1, kind: Deploymnet, metadata: {name: d, annotations: {rempart.dev/sensitivity: card}}}";
    assert_eq!(unjudged(misspelt), [r#"Deploymnet shop/d ["card"]"#]);
    let silent = "{apiVersion: apps/v1, kind: Deploymnet, metadata: {name: d}}";
    assert_eq!(unjudged(silent), ["Deploymnet shop/d []"], "it was to have pods");
    let former = "{apiVersion: extensions/v1beta1, kind: Deployment, metadata: {name: d}}";
    assert_eq!(unjudged(former), ["Deployment shop/d []"], "it costs no other");
    let applied = "{apiVersion: v1, kind: Service, metadata: {name: s, annotations: \
                   {kubectl.kubernetes.io/last-applied-configuration: '{\"rempart.dev/sensitivity\": \"card\"}'}, managedFields: \
                   [{fieldsV1: {'f:rempart.dev/sensitivity': {}}}]}}";
    assert_eq!(unjudged(applied), [""; 0], "what kubectl keeps says nothing");
    let reads = "{apiVersion: v1, kind: Thing, metadata: {name: s}, spec: {fieldPath: \"metadata.annotations['rempart.dev/sensitivity']\"}}";
    assert_eq!(unjudged(reads), [""; 0], "a text that only reads the key");
}

#[test]
fn what_the_api_server_names_may_be_written_twice() {
    let job = "{apiVersion: batch/v1, kind: Job, metadata: {generateName: migrate-}, spec: {template: {spec: {containers: []}}}}\n---\n";
    assert_eq!(told(&job.repeat(2)), [""; 0]);
    assert_eq!(fates(&job.repeat(2)).len(), 2);
}

#[test]
fn a_way_to_a_pod_template_is_one() {
    let told = |path: &str| {
        let mut sources = SourceMap::default();
        let worker = "{apiVersion: example.org/v1, kind: Worker, metadata: {name: w}, spec: {pods: {template: {metadata: {}, spec: \
                      {containers: []}}}, list: [{template: {spec: {containers: []}}}], empty: []}}";
        let file = sources.add("w.yaml", worker.to_owned());
        let kinds = PodTemplateKinds::with(&[format!("example.org/Worker={path}")]).unwrap();
        let mut gathered = GatheredObjects::new("shop").with_templates(kinds);
        read(file, sources.text(file), &mut |found| gathered.take(file, found));
        let located = gathered.into_inventory(&GatherSettings::default());
        let said: Vec<_> = located.diagnostics.iter().map(|found| found.message.clone()).collect();
        (located.inventory.workloads.len(), said.join("\n"))
    };
    assert_eq!(told("spec.pods.template"), (1, String::new()));
    assert_eq!(told("spec.list[*].template"), (1, String::new()));
    for (path, why) in [
        ("spec.pods", "spec.pods is no pod template: it has no spec.containers"),
        ("spec.pods.template.spec", "spec.pods.template.spec is no pod template: it has no spec.containers"),
        ("spec", "spec is no pod template: it has no spec.containers"),
        ("spec.none", "there is nothing at spec.none, where --pod-template says that its pod template is"),
    ] {
        assert_eq!(told(path), (0, why.to_owned()), "{path}");
    }
}

/// What a review says of `manifests`: code and message.
fn reviewed(manifests: &[&str]) -> Vec<(&'static str, String)> {
    with(manifests, |located| {
        lint(located, day("2026-11-22")).into_iter().map(|found| (found.code, found.message)).collect()
    })
}

#[test]
fn a_gap_before_the_next_certificate_is_named() {
    let found = reviewed(&[WORLD, POLICY]);
    let ending = found.iter().find(|(code, _)| *code == "QualificationEnding").unwrap();
    assert!(ending.1.ends_with("in 19 days, and what follows it begins on 2026-12-15, after a gap"), "{}", ending.1);
}

#[test]
fn a_commit_of_pools_alone_is_no_error() {
    let pools = WORLD.split("---\n").filter(|part| part.contains("kind: PlacementPool")).collect::<Vec<_>>();
    assert_eq!(
        reviewed(&pools).into_iter().map(|(code, _)| code).collect::<Vec<_>>(),
        ["CatalogueMissing", "PoolClaimable"]
    );
}

#[test]
fn a_key_that_stands_twice_costs_what_hangs_on_it() {
    let deployment = |annotations: &str, spec: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n  annotations: {annotations}\nspec: {{template: \
             {{spec: {{containers: []}}}}{spec}}}\n---\n"
        )
    };
    let said = |manifest: &str| {
        with(&[WORLD, POLICY, manifest], |located| {
            located
                .diagnostics
                .iter()
                .map(|found| format!("{}[{}]", found.severity.as_str(), found.code))
                .collect::<Vec<_>>()
        })
    };
    let level = "rempart.dev/sensitivity";
    assert_eq!(said(&deployment("{a: x, a: x}", "")), ["warning[DuplicateKey]"]);
    assert_eq!(said(&deployment("{a: x, a: z}", "")), ["warning[DuplicateKey]"]);
    assert_eq!(said(&deployment(&format!("{{{level}: open, {level}: open}}"), "")), ["warning[DuplicateKey]"]);
    assert_eq!(said(&deployment(&format!("{{{level}: open, {level}: card}}"), "")), ["error[DuplicateKey]"]);
    assert_eq!(said(&deployment("{}", ", replicas: 1, replicas: 2")), ["warning[DuplicateKey]"]);
    assert_eq!(said("apiVersion: v1\nkind: Service\nmetadata: {name: a, name: b}\nspec: {x: 1, x: 2}\n"), [""; 0]);
    assert_eq!(
        said("apiVersion: v1\nkind: Pod\nkind: Service\nmetadata: {name: a}\n"),
        [""; 0],
        "nobody judges a Service"
    );
    let pool = "{apiVersion: rempart.dev/v1alpha1, kind: PlacementPool, metadata: {name: p}, spec: {provider: isar, offer: vm, \
                zone: a, zone: b, nodeSelector: {matchLabels: {pool: isar}}}}";
    assert_eq!(said(pool), ["error[DuplicateKey]"], "every field of ours decides");
    let last = deployment("{}", "")
        .replace("containers: []", "containers: [], nodeSelector: {x: a}, nodeSelector: {pool: isar}");
    assert_eq!(fates(&last)[0].1, PlacementOutcome::Placeable([0].into()), "what kubectl sends is judged");
}

#[test]
fn empty_fields_are_none() {
    let job = "{apiVersion: batch/v1, kind: Job, metadata: {name: '', generateName: migrate-, namespace: ''}, spec: {template: \
               {metadata: {name: ''}, spec: {nodeName: '', containers: []}}}}";
    assert_eq!(fates(job), [("job shop/migrate-".to_owned(), PlacementOutcome::Placeable([0].into()))]);
    assert_eq!(told(job), [""; 0]);
}

#[test]
fn a_part_of_a_workload_is_none() {
    for part in ["metadata: {name: d}", "metadata: {name: d}, spec: {template: {spec: {nodeSelector: {a: b}}}}"] {
        let part = format!("{{apiVersion: apps/v1, kind: Deployment, {part}}}");
        assert_eq!(told(&part), ["PartOnly"]);
        assert_eq!(fates(&part), []);
    }
}

#[test]
fn what_a_namespace_adds_to_selectors_is_counted() {
    let namespace = |selector: &str| {
        format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, annotations: \
             {{scheduler.alpha.kubernetes.io/node-selector: '{selector}'}}}}}}\n---\n"
        )
    };
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: []}}";
    let world = WORLD.replace("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n---\n", "");
    let fate = |selector: &str| {
        with(&[&world, POLICY, &namespace(selector), pod], |located| {
            let plan = plan(&located.inventory, day("2026-11-22"), PlanAssumptions::default());
            (plan.workloads[0].outcome.clone(), located.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>())
        })
    };
    assert_eq!(fate("pool=isar"), (PlacementOutcome::Placeable([0].into()), vec!["NamespaceSelector"]));
    let elsewhere = PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes);
    assert_eq!(fate("pool=isar, disk=ssd"), (elsewhere, vec!["NamespaceSelector"]));
}

#[test]
fn what_comes_from_elsewhere_is_told() {
    let pod = |annotations: &str, selector: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, annotations: {{{annotations}}}}}, spec: {{containers: [], \
             nodeSelector: {{{selector}}}}}}}"
        )
    };
    assert_eq!(told(&pod("rempart.dev/workload-sensitivity: open", "")), ["MirrorOfNothing"]);
    let stamp = |policy: &str| format!("clearance.rempart.node-restriction.kubernetes.io/{policy}.card: 'true'");
    assert_eq!(told(&pod("", &stamp("other"))), ["LeftOver"]);
    assert_eq!(told(&pod("", &stamp("till"))), [""; 0], "admission keeps its own keys right");
    assert_eq!(told(&pod("rempart.dev/not-before: '2027-01-01T00:00:00Z'", "")), [""; 0]);
}

#[test]
fn where_no_node_is_known_a_pool_still_knows_its_own_labels() {
    let world: Vec<&str> = WORLD.split("---\n").filter(|part| !part.contains("kind: Node,")).collect();
    let world = world.join("---\n");
    let fate = |selector: &str| {
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{containers: [], nodeSelector: {{{selector}}}}}}}"
        );
        with(&[&world, POLICY, &pod], |located| {
            plan(&located.inventory, day("2026-11-22"), PlanAssumptions::default()).workloads[0].outcome.clone()
        })
    };
    assert_eq!(fate("pool: isar"), PlacementOutcome::Placeable([0].into()));
    assert_eq!(fate("disk: ssd"), PlacementOutcome::Placeable([0].into()), "nobody knows");
    assert_eq!(fate("pool: other"), PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes));
}
