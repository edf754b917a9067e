//! Lists of objects, as `kubectl get` prints them.

use super::outcomes;

#[track_caller]
fn gives(text: &str, expected: &[&str]) {
    assert_eq!(outcomes(text), expected, "{text:?}");
}

const A: &str = r#"{"kind":"A","v":1}"#;
const B: &str = r#"{"kind":"B","v":2}"#;

#[test]
fn items_are_the_objects() {
    gives("apiVersion: v1\nitems:\n- kind: A\n  v: 1\n- {kind: B, v: 2}\nkind: List\nmetadata: {}\n", &[A, B]);
    gives("kind: List\nitems:\n- kind: A\n  v: 1\n- {kind: B, v: 2}\n", &[A, B]);
    gives(&format!(r#"{{"kind":"List","items":[{A},{B}]}}"#), &[A, B]);
    gives("kind: List\nitems: []\n", &[]);
    gives(r#"{"kind":"PodList","items":null}"#, &[]);
}

#[test]
fn a_list_of_a_kind_says_the_kind_of_its_items() {
    let pods = [r#"{"apiVersion":"v1","kind":"Pod","v":1}"#, r#"{"apiVersion":"v2","kind":"Pod","v":2}"#];
    gives("kind: PodList\napiVersion: v1\nitems:\n- v: 1\n- {v: 2, apiVersion: v2}\n", &pods);
    gives("apiVersion: v1\nitems:\n- v: 1\n- {v: 2, apiVersion: v2}\nkind: PodList\n", &pods);
    gives(r#"{"kind":"PodList","apiVersion":"v1","items":[{"v":1},{"v":2,"apiVersion":"v2"}]}"#, &pods);
    // A plain list says nothing about its items.
    gives("kind: List\napiVersion: v1\nitems:\n- v: 1\n", &[r#"{"v":1}"#]);
}

#[test]
fn what_is_no_list_keeps_its_items() {
    gives("kind: Menu\nitems:\n- v: 1\n", &[r#"{"items":[{"v":1}],"kind":"Menu"}"#]);
    gives("kind: AllowList\nspec: {items: [1]}\n", &[r#"{"kind":"AllowList","spec":{"items":[1]}}"#]);
    gives("kind: List\nitems: 3\n", &[r#"{"items":3,"kind":"List"}"#]);
    gives("- items: [1]\n", &[r#"[{"items":[1]}]"#]);
}

#[test]
fn items_before_a_kind_that_is_no_list_are_handed_over_all_the_same() {
    gives("items:\n- kind: A\n  v: 1\nkind: Menu\nx: 1\n", &[A, r#"{"kind":"Menu","x":1}"#]);
    gives("items:\n- v: 1\nx: 1\n", &[r#"{"v":1}"#, r#"{"x":1}"#]);
}

#[test]
fn lists_within_lists_are_opened() {
    gives("kind: List\nitems:\n- kind: List\n  items:\n  - {kind: A, v: 1}\n- {kind: B, v: 2}\n", &[A, B]);
}

#[test]
fn anchors_reach_from_item_to_item() {
    gives("kind: List\nitems:\n- &a {kind: A, v: 1}\n- *a\n- kind: B\n  v: &v 2\n- {kind: B, v: *v}\n", &[A, A, B, B]);
    gives("kind: List\nitems: &items\n- {kind: A, v: 1}\n", &[A]);
}

#[test]
fn a_wrong_item_costs_no_other() {
    gives(
        "kind: List\nitems:\n- {kind: A, v: 1}\n- {~: 1, ~: 2}\n- {kind: B, v: 2}\n",
        &[A, "f:4:4: error: a key must be a string, found nothing (written ~)", B],
    );
    gives("kind: List\nitems:\n- {kind: A, v: 1}\n- [\n", &[A, "f:4:3: error: this `[` is never closed"]);
    gives("kind: List\nkind: List\nitems:\n- {kind: A, v: 1}\n", &[A]);
    gives(
        "kind: List\nitems:\n- {kind: A, v: 1}\nitems:\n- {kind: B, v: 2}\n",
        &[A, "f:4:1: error: the key `items` of a list is on line 2 already"],
    );
}

#[test]
fn each_item_has_a_budget_of_its_own() {
    let half = |item: &str| format!("- {{kind: A, of: [{}]}}\n", item.repeat(600));
    let thousand = format!("- &a [{}]\n", "1,".repeat(999));
    let text = format!("kind: List\nitems:\n{thousand}{}", half("*a,").repeat(3));
    assert!(outcomes(&text).iter().all(|outcome| outcome.starts_with(['[', '{'])));
    let text = format!("kind: Menu\nitems:\n{thousand}{}", half("*a,").repeat(3));
    assert_eq!(
        outcomes(&text),
        ["f:5:1212: error: the object has more than 1000000 values, with what aliases repeat counted each time"]
    );
    let text = format!("[{}1]", "1,".repeat(1_000_000));
    assert_eq!(
        outcomes(&text),
        ["f:1:2000000: error: the object has more than 1000000 values, with what aliases repeat counted each time"]
    );
}
