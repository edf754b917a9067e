//! Definitions without a cluster: they say what a cluster says, of the table that the API server is tested with, and of
//! objects that it accepts.

use std::{fs, path::Path};

use proptest::{prelude::*, sample::Index};
use rempart::{
    api::validate::{ResourceKind, defects, violations},
    diagnostic::FieldDiagnostic,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    property_runner::properties,
    refused_table::{self, RefusedCase, RefusedTable},
};

fn read<T: DeserializeOwned>(path: impl AsRef<Path>) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(&path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table() -> RefusedTable {
    RefusedTable::read().unwrap()
}

fn good(kind: &str) -> Value {
    table().good(kind).unwrap()
}

fn judged(object: &Value) -> Vec<FieldDiagnostic> {
    violations(ResourceKind::parse(object["kind"].as_str().unwrap()).unwrap(), object)
}

fn changed(object: Value, at: &str, value: Option<Value>) -> Value {
    refused_table::changed(object, at, value).unwrap()
}

/// What is found in the good object of a kind after one change, as `path code`.
fn found(kind: &str, at: &str, value: Option<Value>) -> Vec<String> {
    let found = judged(&changed(good(kind), at, value));
    found.iter().map(|violation| format!("{} {}", violation.path(), violation.code)).collect()
}

/// What the change of one value says, and hints.
fn said(kind: &str, at: &str, value: Value) -> (String, String) {
    let mut found = judged(&changed(good(kind), at, Some(value)));
    assert_eq!(found.len(), 1, "{found:?}");
    let FieldDiagnostic { message, hint, .. } = found.remove(0);
    (message, hint.unwrap_or_default())
}

/// A JSON pointer as our paths are written.
fn dotted(pointer: &str) -> String {
    let steps = pointer.split('/').skip(1).map(|step| match step.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => format!(".{step}"),
    });
    steps.collect::<String>().trim_start_matches('.').to_owned()
}

/// The code of what the API server says in words of its own; `None` when the sentence is one of ours.
fn code_of(says: &str) -> Option<&'static str> {
    let theirs = [
        ("unknown field", "UnknownField"),
        ("must be of type", "WrongType"),
        ("Too long", "TooLong"),
        ("Too many", "TooMany"),
        ("should have at least", "TooFew"),
        ("should be greater than or equal", "OutOfRange"),
        ("supported values", "NotSupported"),
    ];
    let code = theirs.iter().find(|(words, _)| says.contains(words)).map(|(_, code)| *code);
    code.or_else(|| says.ends_with("Required value").then_some("Required"))
}

/// The sentence of a rule, without what the API server puts before it.
fn sentence(says: &str) -> &str {
    let after = says.split_once("Required value: ").or_else(|| says.split_once("Invalid value: "));
    after.map_or(says, |(_, sentence)| sentence)
}

#[test]
fn everything_of_our_definitions_is_understood() {
    for kind in ResourceKind::ALL {
        assert_eq!(defects(kind), []);
    }
}

#[test]
fn what_a_cluster_refuses_is_refused_with_its_sentence() {
    let RefusedTable { refused, .. } = table();
    let mut wrong = Vec::new();
    for RefusedCase { name, kind, at, value, says } in &refused {
        let found = judged(&changed(good(kind), at, value.clone()));
        let at = dotted(at);
        let is_near = |path: &str| path.starts_with(&at) || at.starts_with(path);
        let is_told = |violation: &FieldDiagnostic| match code_of(says) {
            Some(code) => violation.code == code && violation.path() == at,
            None => violation.message.contains(sentence(says)) && is_near(violation.path()),
        };
        if found.iter().filter(|violation| is_told(violation)).count() != 1 {
            wrong.push(format!("{name}: {at} should say {says:?}, once\n  found {found:#?}"));
        }
    }
    assert!(refused.len() > 80, "the table has {} cases", refused.len());
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), refused.len(), wrong.join("\n"));
}

#[test]
fn one_mistake_is_told_once() {
    for RefusedCase { name, kind, at, value, says } in table().refused {
        let found = judged(&changed(good(&kind), &at, value));
        // A region that is no name is not one of the offer's either, and a level without its name is nobody's default.
        assert!(found.len() == 1 || says.contains("Invalid value"), "{name}: {found:#?}");
        assert!(found.len() <= 2, "{name}: {found:#?}");
    }
}

#[test]
fn what_a_cluster_accepts_is_accepted() {
    let mut objects = table().good;
    for directory in ["tests/api/accepted", "deploy/demo/catalogue"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                objects.extend(read::<Value>(path));
            }
        }
    }
    objects.extend(read::<Value>("deploy/demo/policy.yaml"));
    assert!(objects.len() > 25, "found only {} objects", objects.len());
    for object in objects {
        let mut found = judged(&object);
        // A cluster cannot see that something was to be written there; here it can be seen.
        if object["metadata"]["name"] == "nothing-after-the-colon" {
            found.retain(|violation| violation.code != "Empty");
        }
        assert_eq!(found, [], "{} {}", object["kind"], object["metadata"]["name"]);
    }
}

#[test]
fn what_is_left_empty_is_told() {
    let empty = |kind, at| found(kind, at, Some(Value::Null));
    assert_eq!(empty("PlacementPolicy", "/spec/levels/1/require"), ["spec.levels[1].require Empty"]);
    assert_eq!(empty("PlacementPolicy", "/spec/defaultLevel"), ["spec.defaultLevel Empty"]);
    assert_eq!(empty("PlacementPolicy", "/spec"), ["spec Empty"]);
    assert_eq!(empty("CloudProvider", "/spec/offers/0/zones"), ["spec.offers[0].zones Empty"]);
    assert_eq!(empty("CloudProvider", "/spec/offers/0/exposedTo/0"), ["spec.offers[0].exposedTo[0] Empty"]);
    assert_eq!(empty("PlacementPool", "/spec/nodeSelector/matchLabels"), ["spec.nodeSelector.matchLabels Empty"]);
    assert_eq!(empty("CloudProvider", "/metadata/creationTimestamp"), [""; 0], "clients write it so");
    let (message, hint) = said("PlacementPolicy", "/spec/levels/1/require", Value::Null);
    assert!(message.contains("write a value, or leave it out"), "{message}");
    assert!(hint.contains("nothing is demanded"), "{hint}");
}

#[test]
fn what_follows_from_a_wrong_structure_is_not_told_as_well() {
    // The only demand is misspelt: that nothing is required would be true, and no help.
    let level = json!({"name": "restricted", "require": {"qualification": ["hds"]}});
    let misspelt = found("PlacementPolicy", "/spec/levels/1", Some(level));
    assert_eq!(misspelt, ["spec.levels[1].require.qualification UnknownField"]);
    // The default level is that of an entry whose name cannot be read.
    let unnamed = found("PlacementPolicy", "/spec/levels/0", Some(json!({"nam": "public"})));
    assert_eq!(unnamed, ["spec.levels[0].nam UnknownField", "spec.levels[0].name Required"]);
    let number = found("CloudProvider", "/spec/offers/0/zones/0/region", Some(json!(5)));
    assert_eq!(number, ["spec.offers[0].zones[0].region WrongType"]);
    let list = found("CloudProvider", "/spec/offers/0/zones", Some(json!("north")));
    assert_eq!(list, ["spec.offers[0].zones WrongType"]);
}

#[test]
fn what_does_not_follow_from_it_is() {
    let mut policy = changed(good("PlacementPolicy"), "/spec/levels/1/require/colour", Some(json!("red")));
    policy = changed(policy, "/spec/defaultLevel", Some(json!("top")));
    policy = changed(policy, "/metadata/name", Some(json!("my.policy")));
    let paths: Vec<_> = judged(&policy).into_iter().map(|violation| violation.path().to_owned()).collect();
    assert_eq!(paths, ["metadata.name", "spec.defaultLevel", "spec.levels[1].require.colour"]);
}

#[test]
fn what_is_probably_meant_is_hinted_at() {
    let hint = |kind, at, value| said(kind, at, value).1;
    assert_eq!(hint("PlacementPolicy", "/spec/mode", json!("enforce")), "perhaps Enforce is meant");
    assert_eq!(
        hint("PlacementPolicy", "/spec/levels/1/require/qualification", json!([])),
        "perhaps qualifications is meant"
    );
    assert_eq!(hint("PlacementPolicy", "/metadata/label", json!({})), "perhaps labels is meant");
    assert_eq!(
        hint("PlacementPolicy", "/spec/defaultLevel", json!("restrict")),
        "perhaps restricted is meant; the levels are public, restricted, secret"
    );
    assert_eq!(hint("PlacementPolicy", "/spec/defaultLevel", json!("x")), "the levels are public, restricted, secret");
    assert_eq!(
        hint("CloudProvider", "/spec/offers/0/exposedTo", json!("us-cloud-act")),
        "put it in brackets: [us-cloud-act]"
    );
    assert_eq!(hint("CloudProvider", "/spec/offers/0/zones/0/pue", json!("1.2")), "leave the quotes out: 1.2");
    assert_eq!(hint("CloudProvider", "/metadata/labels", json!({"tier": 1})), "put it in quotes: \"1\"");
    assert!(hint("CloudProvider", "/spec/operator/jurisdiction", json!(false)).contains("put it in quotes"));
    assert_eq!(hint("CloudProvider", "/metadata/name", json!("My_Cloud")), "perhaps my-cloud is meant");
}

#[test]
fn what_every_object_has_is_looked_at() {
    let kind = "CloudProvider";
    assert_eq!(found(kind, "/apiVersion", Some(json!("rempart.dev/v1"))), ["apiVersion NotSupported"]);
    assert_eq!(found(kind, "/apiVersion", None), ["apiVersion Required"]);
    assert_eq!(found(kind, "/metadata", None), ["metadata Required"]);
    assert_eq!(found(kind, "/metadata/name", None), ["metadata.name Required"]);
    assert_eq!(found(kind, "/metadata/name", Some(json!(""))), ["metadata.name Required"]);
    assert_eq!(found(kind, "/metadata/name", Some(json!("a_b"))), ["metadata.name Invalid"]);
    assert_eq!(found(kind, "/metadata", Some(json!({"generateName": "cloud-"}))), [""; 0]);
    assert_eq!(found(kind, "/metadata", Some(json!({"generateName": "Cloud-"}))), ["metadata.generateName Invalid"]);
    assert_eq!(
        found("PlacementPolicy", "/metadata", Some(json!({"generateName": "a-policy-of-a-long-name-"}))),
        ["metadata.generateName Invalid"],
        "of 24 characters and five more"
    );
    assert_eq!(
        found(kind, "/metadata/annotations", Some(json!({"rempart.dev/x": 1, "Rempart.dev/y": "", "a b": ""}))),
        ["metadata.annotations[a b] Invalid", "metadata.annotations[rempart.dev/x] WrongType"]
    );
    assert_eq!(found(kind, "/metadata/labels", Some(json!({"a": "b c"}))), ["metadata.labels.a Invalid"]);
    assert_eq!(found(kind, "/status", Some(json!({"anything": 1}))), [""; 0]);
    assert_eq!(found(kind, "/statuses", Some(json!({}))), ["statuses UnknownField"]);
    assert_eq!(violations(ResourceKind::PlacementPool, &json!([]))[0].code, "WrongType");
}

#[test]
fn every_wrong_key_of_a_map_is_named() {
    let labels = json!({"a b": "x", "node.example/pool": "x", "c d": "y z"});
    assert_eq!(
        found("PlacementPool", "/spec/nodeSelector/matchLabels", Some(labels)),
        [
            "spec.nodeSelector.matchLabels[a b] Invalid",
            "spec.nodeSelector.matchLabels[c d] Invalid",
            "spec.nodeSelector.matchLabels[c d] Invalid"
        ]
    );
}

#[test]
fn a_set_holds_a_value_once() {
    let laws = json!(["us-cloud-act", "us-fisa-702", "us-cloud-act"]);
    assert_eq!(
        found("CloudProvider", "/spec/offers/0/exposedTo", Some(laws)),
        ["spec.offers[0].exposedTo[2] Duplicate"]
    );
}

#[test]
fn entries_are_sorted_by_number() {
    let zones: Vec<_> = (0..12).map(|i| json!({"name": format!("z{i}"), "region": "north", "country": "fr"})).collect();
    let mut offer = json!({"name": "iaas"});
    offer["zones"] = json!(zones);
    let found = found("CloudProvider", "/spec/offers/0", Some(offer));
    let expected: Vec<_> = (0..12).map(|i| format!("spec.offers[0].zones[{i}].country Invalid")).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_long_value_is_quoted_in_part() {
    let long = "x".repeat(100_000);
    for (at, value) in [
        ("/spec/operator/name", json!(long)),
        ("/spec/operator/jurisdiction", json!(long)),
        ("/spec/operator", json!(long)),
        ("/spec/offers", json!({ long.clone(): 1 })),
        ("/spec/offers/0/exposedTo", json!([long, long])),
        ("/metadata/name", json!(long)),
    ] {
        for violation in judged(&changed(good("CloudProvider"), at, Some(value))) {
            assert!(violation.path().len() < 200 && violation.message.len() < 400, "{at}: {violation:?}");
        }
    }
    let (message, _) = said("PlacementPool", "/spec/nodeSelector/matchLabels", json!({ long: "x" }));
    assert!(message.len() < 400 && message.contains("is not the key of a label"), "{message}");
}

/// Every place in an object, as JSON pointers.
fn places(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (step, value) in children {
        self::places(value, &format!("{at}/{step}"), places);
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[-a-z0-9./:% é]{0,70}".prop_map(Value::from),
        "[0-9é]{4}-[0-9]{2}-[0-9]{2}".prop_map(Value::from),
        "https?://[-a-z.:@%\\[\\]]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let name = prop_oneof!["(name|levels|zones|require|regions|spec|key|values)", any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

properties! {
    cases: 128;

    #[test]
    fn no_object_is_too_odd(kind in 0..3_usize, changes in prop::collection::vec((any::<Index>(), anything()), 0..6)) {
        let mut object = table().good.swap_remove(kind);
        for (at, value) in changes {
            let mut all = Vec::new();
            places(&object, "", &mut all);
            *object.pointer_mut(at.get(all.as_slice()).as_str()).unwrap() = value;
        }
        for kind in ResourceKind::ALL {
            for violation in violations(kind, &object) {
                prop_assert!(!violation.message.is_empty() && violation.code != "Unjudged");
                prop_assert!(!violation.message.contains("the rule \""), "not spared: {violation:?}");
            }
        }
    }
}
