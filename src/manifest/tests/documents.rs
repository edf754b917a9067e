//! Documents of a text, and the objects that they hold.

use super::outcomes;

#[track_caller]
fn gives(text: &str, expected: &[&str]) {
    assert_eq!(outcomes(text), expected, "{text:?}");
}

#[test]
fn documents_are_parted_by_lines() {
    gives("a: 1\n---\na: 2\n", &[r#"{"a":1}"#, r#"{"a":2}"#]);
    gives("---\na: 1\n--- # two\na: 2\n...\n---\na: 3", &[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
    gives("--- {a: 1}\n--- text\n---\ttext\n", &[r#"{"a":1}"#, r#""text""#, r#""text""#]);
    gives("a: |\n  x\n---\nb: 1\n", &[r#"{"a":"x\n"}"#, r#"{"b":1}"#]);
    gives("--- |\nx\n---\nb: 1\n", &[r#""x\n""#, r#"{"b":1}"#]);
    gives("a: 1\r\n---\r\na: 2\r\n", &[r#"{"a":1}"#, r#"{"a":2}"#]);
    gives("---{a: 1}\n", &[r#"{"---{a":"1}"}"#]);
    gives("a: ---\nb: x\n  --- y\n---x: 1\n", &[r#"{"---x":1,"a":"---","b":"x --- y"}"#]);
}

#[test]
fn empty_documents_are_nothing() {
    for text in
        ["", "\n", "---\n", "---\n---\n", "# only\n---\n# this\n...\n", "null", "~\n", "\u{feff}", "%YAML 1.1\n---\n"]
    {
        gives(text, &[]);
    }
}

#[test]
fn a_broken_document_costs_no_other() {
    gives(
        "a: [\n---\na: 2\n---\nb: \"x\n---\nc: 3\n",
        &[
            "f:1:4: error: this `[` is never closed",
            r#"{"a":2}"#,
            "f:5:4: error: a quoted string has no end",
            r#"{"c":3}"#,
        ],
    );
    gives("# c\0\n---\na: 2\n", &["f:1:4: error: the document holds a NUL character", r#"{"a":2}"#]);
}

#[test]
fn directives_belong_to_the_document_that_follows() {
    gives(
        "%YAML 1.1\n---\na: 1\n...\n# more\n%YAML 1.2\n%TAG !e! tag:example.com,2000:\n---\na: !e!x 2\n",
        &[r#"{"a":1}"#, r#"{"a":"2"}"#],
    );
}

#[test]
fn json_values_follow_one_another() {
    gives("{\"a\":1}{\"a\":2}\n\t{\"a\":3} ", &[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
    gives("[1]\n---\n{\"a\":2}\n", &["[1]", r#"{"a":2}"#]);
    gives("{\"a\":1} x", &[r#"{"a":1}"#, "f:1:9: error: expected a JSON value"]);
    gives("{\"a\":1}\n# as YAML has it\n", &[r#"{"a":1}"#]);
    gives("{\"a\": 1} # more\n", &[r#"{"a":1}"#]);
    gives("\n# zero\n--- # one\r# two\n {\"a\":1}{\"a\":2}", &[r#"{"a":1}"#, r#"{"a":2}"#]);
}

#[test]
fn json_is_read_as_json() {
    gives(r#"{"a":"\ud83d\ude00\/\t\u00e9\b\"\\"}"#, &[r#"{"a":"😀/\té\b\"\\"}"#]);
    gives(r#"{"a":"\ud83d","b":"\ude00x","c":"\ud83d\u0041"}"#, &[r#"{"a":"�","b":"�x","c":"�A"}"#]);
    gives("{\t\"a\"\n:\t[ ] , \"b\": {\r\n} }", &[r#"{"a":[],"b":{}}"#]);
    gives("{\"a\":\"\u{7f}\u{85}\"}", &["{\"a\":\"\u{7f}\u{85}\"}"]);
    gives(
        r#"{"a":-0,"b":1.0,"c":1E3,"d":-1.5e-3,"e":true,"f":null}"#,
        &[r#"{"a":0,"b":1,"c":1000,"d":-0.0015,"e":true,"f":null}"#],
    );
    // Strings, because of their quotes: no truth, number or merge key.
    gives(r#"{"no":"no","<<":"1"}"#, &[r#"{"<<":"1","no":"no"}"#]);
    let long = "k".repeat(3000);
    gives(&format!("{{\"{long}\":1}}"), &[&format!("{{\"{long}\":1}}")]);
}

#[test]
fn flow_style_is_yaml() {
    gives("{a: yes, b: [c, ], \"d\": it's}", &[r#"{"a":true,"b":["c"],"d":"it's"}"#]);
    gives("{\"a\": 01, b}", &[r#"{"a":1,"b":null}"#]);
    gives("[a,\nb]\n", &[r#"["a","b"]"#]);
}

#[test]
fn broken_json_is_said_of_json() {
    gives(r#"{"a":1,,"b":2}"#, &["f:1:8: error: expected a key in double quotes"]);
    gives(r#"{"a" 1}"#, &["f:1:6: error: expected `:` after the key"]);
    gives("[{\"a\": 1}\n {\"b\": 2}]", &["f:2:2: error: expected `,` or `]`"]);
    gives("{\"a\": 1", &["f:1:8: error: the JSON value ends in the middle"]);
    gives("{\"a\": [1,\n", &["f:2:1: error: the JSON value ends in the middle"]);
}

#[test]
fn aliases_and_merge_keys_repeat() {
    gives("a: &x {k: 1}\nb: *x\nc: [*x, &y z, *y]\n", &[r#"{"a":{"k":1},"b":{"k":1},"c":[{"k":1},"z","z"]}"#]);
    gives("a: &x {k: 1, l: 1}\nb:\n  <<: *x\n  k: 2\n", &[r#"{"a":{"k":1,"l":1},"b":{"k":2,"l":1}}"#]);
    // As kubectl does it, whatever the specification says.
    gives("a: &x {k: 1}\nb:\n  k: 2\n  <<: *x\n", &[r#"{"a":{"k":1},"b":{"k":1}}"#]);
    gives(
        "a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc:\n  <<: [*x, *y]\n",
        &[r#"{"a":{"k":1},"b":{"k":2,"l":2},"c":{"k":1,"l":2}}"#],
    );
    gives("a:\n  \"<<\": 1\n", &[r#"{"a":{"<<":1}}"#]);
    // The last one counts, as in kubectl.
    gives("&a x: 1\n*a : 2\n", &[r#"{"x":2}"#]);
}

#[test]
fn tags_say_what_a_scalar_is() {
    gives(
        "a: !!str 1\nb: !!int \"1\"\nc: !Foo 1\nd: ! yes\ne: !!float 1.5\n",
        &[r#"{"a":"1","b":1,"c":"1","d":"yes","e":1.5}"#],
    );
    gives("a: !Foo {b: 1}\nc: !!map {d: 1}\n", &[r#"{"a":{"b":1},"c":{"d":1}}"#]);
    gives("a: !!int x\n", &["f:1:10: error: the tag !!int does not fit the string \"x\""]);
    gives("a: !!binary aGk=\n", &["f:1:13: error: the tag !!binary is not supported: write the text itself"]);
}

#[test]
fn scalars_keep_their_breaks_as_in_kubectl() {
    gives(
        "a: |\n  x\n   y\n\nb: >-\n  x\n  y\nc: |+\n  x\n\nd: \"x\n  y\"\ne: |\n  end",
        &[r#"{"a":"x\n y\n","b":"x y","c":"x\n\n","d":"x y","e":"end"}"#],
    );
}
