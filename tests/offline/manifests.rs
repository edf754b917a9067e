//! Properties of the manifest reader, on every text that it may meet.

use proptest::prelude::*;
use rempart::{
    diagnostic::{Diagnostic, source::SourceMap},
    manifest::{files::gather, read::read, walk::FileExclusions},
    terminal::TextLayout,
};
use serde_json::Value;

use crate::property_runner::properties;

/// Each object of `text` as JSON, or `None` where something is wrong in its stead.
fn objects(text: &str) -> Vec<Option<Value>> {
    let mut objects = Vec::new();
    let mut sources = SourceMap::default();
    let file = sources.add("f", text.to_owned());
    read(file, sources.text(file), &mut |read| objects.push(read.ok().map(|node| node.to_json())));
    objects
}

/// Every diagnostic of `bytes`, rendered in all ways, and how many objects there are.
fn survive(mut bytes: &[u8], width: usize) -> (usize, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let mut stream = |_: &str, _: &mut dyn std::io::BufRead, _: &mut SourceMap| Ok(());
    let gathered = gather(&["-".into()], &FileExclusions::default(), &mut bytes, &mut stream, &mut sources);
    let (mut objects, mut diagnostics) = (0, gathered.diagnostics);
    for (file, _) in gathered.files {
        read(file, sources.text(file), &mut |read| match read {
            Ok(node) => objects += usize::from(node.find("a.b[0]").reached < 8 && !node.to_json().is_null()),
            Err(diagnostic) => diagnostics.push(diagnostic),
        });
    }
    for diagnostic in &diagnostics {
        let shown = diagnostic.render(&sources, TextLayout { colour: false, width });
        let line = diagnostic.one_line(&sources);
        assert!(!line.chars().chain(shown.chars().filter(|c| *c != '\n')).any(char::is_control), "{shown:?}");
    }
    (objects, diagnostics)
}

/// Pieces that mean something to YAML or JSON, so that texts of them get past its front door.
const PIECES: &[&str] = &[
    "a",
    "b: ",
    "key: ",
    "- ",
    "\n",
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n  - ",
    "? ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "\\u12",
    "\\ud83d",
    "\\n",
    "|",
    ">-\n",
    "&x ",
    "*x",
    "<<: ",
    "!!int ",
    "!t ",
    "# c",
    "\t",
    "\r\n",
    "\r",
    "---\n",
    "\n---\n",
    "...\n",
    "%YAML 1.1\n",
    "\u{feff}",
    "\0",
    "é",
    "漢",
    "{{ x }}",
    "~",
    "no",
    "0x1",
    "1e3",
    "items:\n",
    "kind: List\n",
    "{\"kind\":\"List\",\"items\":[",
    "{\"a\":1}",
    "\u{85}",
    "\u{2028}",
];

fn yamlish() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

/// A text as it may be within a file that is taken for JSON or YAML.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,12}", prop::sample::select(PIECES).prop_map(str::to_owned)]
}

fn json() -> impl Strategy<Value = Value> {
    let number = any::<f64>().prop_filter_map("JSON has finite numbers only", |number| {
        // What has no fraction is read as a whole number.
        (number.is_finite() && number.fract() != 0.0).then(|| Value::from(number))
    });
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        number,
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// An object that is no list of objects.
fn object() -> impl Strategy<Value = Value> {
    json().prop_map(|spec| serde_json::json!({ "kind": "Thing", "spec": spec }))
}

/// A document of a stream: JSON over one line or several, YAML that is right, or that may be wrong.
fn document() -> impl Strategy<Value = String> {
    prop_oneof![
        object().prop_map(|object| object.to_string()),
        object().prop_map(|object| format!("{object:#}")),
        Just("kind: Thing\nspec: |\n  text\n".to_owned()),
        Just(String::new()),
        yamlish().prop_filter("a document holds no other", |text| {
            // A text that begins as JSON may be several values after one another, which only a whole file may be.
            let json = text.trim_start().starts_with(['{', '[']);
            !json && !["---", "...", "%", "\u{feff}"].iter().any(|part| text.contains(part))
        }),
    ]
}

properties! {
    cases: 256;

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300), width in 0usize..100) {
        survive(&bytes, width);
    }

    #[test]
    fn no_text_is_too_much(text in yamlish(), width in 0usize..100) {
        let (objects, diagnostics) = survive(text.as_bytes(), width);
        // Each costs at least a character: a bound, whatever the text repeats.
        prop_assert!(objects + diagnostics.len() <= text.len());
    }

    #[test]
    fn json_is_read_as_by_serde(value in object()) {
        prop_assert_eq!(objects(&value.to_string()), [Some(value.clone())]);
        prop_assert_eq!(objects(&format!("{value:#}")), [Some(value.clone())]);
        prop_assert_eq!(objects(&format!("\n--- {value}\n")), [Some(value)]);
    }

    #[test]
    fn json_within_yaml_is_read_as_by_serde(key in "[a-z]{1,8}", text in "[ -~éあ]{0,20}", number in any::<i32>()) {
        let value = serde_json::json!({ "key": { format!("k{key}"): [text, number, null, true] } });
        prop_assert_eq!(objects(&format!("key: {}\n", value["key"])), [Some(value)]);
    }

    #[test]
    fn a_stream_holds_what_its_documents_hold(documents in prop::collection::vec(document(), 0..5)) {
        // With a line break at its end: a block that lacks it holds none either.
        let documents: Vec<_> = documents.into_iter().map(|document| document + "\n").collect();
        let each: Vec<_> = documents.iter().flat_map(|document| objects(document)).collect();
        prop_assert_eq!(objects(&documents.join("---\n")), each.clone());
        prop_assert_eq!(objects(&documents.join("--- # next\r\n")), each);
    }

    #[test]
    fn a_list_holds_its_items(items in prop::collection::vec(object(), 0..6)) {
        let expected: Vec<_> = items.iter().cloned().map(Some).collect();
        let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items.clone() });
        prop_assert_eq!(objects(&list.to_string()), expected.clone());
        // Within YAML, YAML says what may stand unescaped.
        let lines: Vec<_> = items.iter().map(|item| format!("- {item}\n")).collect();
        let lines = lines.concat();
        if lines.chars().all(|c| c == '\n' || (' '..='~').contains(&c)) && !items.is_empty() {
            prop_assert_eq!(objects(&format!("kind: List\nitems:\n{lines}")), expected);
        }
    }
}
