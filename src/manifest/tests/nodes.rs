//! Nodes, and what they say of themselves.

use super::only;
use crate::diagnostic::position::{TextPosition, TextSpan};

fn span(start: (u32, u32), end: (u32, u32)) -> TextSpan {
    let position = |(line, column)| TextPosition { line, column };
    TextSpan { start: position(start), end: position(end) }
}

#[test]
fn everything_has_its_place() {
    let text = "# first\nmetadata:\n  name: é x\n  labels: {a: \"b\", ü: [1, 2]}\nempty:\n\nlast: |\n  x\n";
    let node = only(text);
    let at = |path: &str| {
        let found = node.find(path);
        assert!(found.whole, "{path}");
        (found.key, found.node.span)
    };
    assert_eq!(at(""), (None, node.span));
    assert_eq!(at("metadata").0, Some(span((2, 1), (2, 9))));
    assert_eq!(at("metadata").1.start, TextPosition { line: 3, column: 3 });
    assert_eq!(at("metadata.name"), (Some(span((3, 3), (3, 7))), span((3, 9), (3, 12))));
    assert_eq!(at("metadata.labels").1, span((4, 11), (4, 30)));
    assert_eq!(at("metadata.labels.a").1, span((4, 15), (4, 18)));
    assert_eq!(at("metadata.labels.ü[1]"), (Some(span((4, 20), (4, 21))), span((4, 27), (4, 28))));
    assert_eq!(at("empty").0, Some(span((5, 1), (5, 6))));
    assert_eq!(at("empty").1.start.line, 5);
    assert!(at("empty").1.start == at("empty").1.end);
}

#[test]
fn places_count_in_the_file() {
    let text = "{}\n---\n\n{\"a\":\n  \"é\", \"b\": 1}\n";
    let mut places = Vec::new();
    let file = crate::diagnostic::source::SourceMap::default().add("f", String::new());
    super::read(file, text, &mut |node| {
        let node = node.unwrap();
        places.extend(node.entries().iter().map(|entry| (entry.key_span, entry.value.span)));
    });
    assert_eq!(
        places,
        [(span((4, 2), (4, 5)), span((5, 3), (5, 6))), (span((5, 8), (5, 11)), span((5, 13), (5, 14))),]
    );
}

#[test]
fn paths_lead_as_far_as_there_is_something() {
    let node = only("metadata:\n  annotations:\n    rempart.dev/x: v\nspec:\n  offers: [{zones: [a, b]}]\n");
    for (path, reached, whole) in [
        ("spec.offers[0].zones[1]", 23, true),
        ("spec.offers[0].zones[2]", 20, false),
        ("spec.offers[1].zones", 11, false),
        ("spec.offers.zones", 11, false),
        ("spec.nothing.here", 4, false),
        ("nothing", 0, false),
        ("metadata.annotations[rempart.dev/x]", 35, true),
        ("metadata.annotations[rempart.dev/y]", 20, false),
        ("spec.offers[x", 11, false),
        ("spec..offers", 4, false),
        ("spec.", 4, false),
        ("", 0, true),
    ] {
        let found = node.find(path);
        assert_eq!((found.reached, found.whole), (reached, whole), "{path}");
    }
}

#[test]
fn only_strings_are_strings() {
    let node =
        only("[a, \"no\", no, 8080, ~, , {}, [], 2001-12-14, 'y', YES, 0x10]".replace(", ,", ", !!null ,").leak());
    let said: Vec<_> = node
        .items()
        .iter()
        .map(|item| item.text().map_or_else(|wrong| format!("{wrong}; {:?}", wrong.hint), str::to_owned))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    a
    no
    expected a string, found the boolean false (written no); Some("put it in quotes: \"no\"")
    expected a string, found the number 8080; Some("put it in quotes: \"8080\"")
    expected a string, found nothing (written ~); Some("put it in quotes: \"~\"")
    expected a string, found nothing; None
    expected a string, found a map; None
    expected a string, found a list; None
    2001-12-14
    y
    expected a string, found the boolean true (written YES); Some("put it in quotes: \"YES\"")
    expected a string, found the number 0x10; Some("put it in quotes: \"0x10\"")
    "#);
}

#[test]
fn json_is_what_kubectl_sends() {
    let node =
        only("a: 0o17\nb: 2001-12-14\nc: .inf\nd: 1.50\ne: 2.0\nf: 1e3\ng: 18446744073709551615\nh: NO\ni:\non: 1\n");
    assert_eq!(
        node.to_json(),
        serde_json::json!({
            "a": 15, "b": "2001-12-14", "c": ".inf", "d": 1.5, "e": 2, "f": 1000, "g": u64::MAX, "h": false, "i": null,
            "true": 1,
        })
    );
}
