//! Faults of texts that cannot be read, and that none makes the reader fail.

use std::ops::Range;

use super::{complaints, outcomes};

#[test]
fn quotes_and_tabs_are_shown() {
    let texts = [
        "a:\n\tb: c\n",
        "a: b\n\tc: d\n",
        "a: 'x\nb: c\n",
        "a: \"x\nb: \"y\"\n",
        "a: \"\\q\"\n",
        "{\"a\": \"x\n",
        "a: b\0c\n",
    ];
    insta::assert_snapshot!(texts.map(complaints).join("\n"), @r#"
    error[TabIndentation]: a tab cannot indent in YAML
     --> dir/file.yaml:2:1
      |
    2 |     b: c
      | ^
      = hint: replace the tab by spaces

    error[TabIndentation]: a tab cannot indent in YAML
     --> dir/file.yaml:2:1
      |
    2 |     c: d
      | ^
      = hint: replace the tab by spaces

    error[QuoteUnclosed]: a quoted string has no end
     --> dir/file.yaml:1:4
      |
    1 | a: 'x
      |    ^
      = hint: add the missing quote

    error[Syntax]: something follows the closing quote
     --> dir/file.yaml:2:5
      |
    2 | b: "y"
      |     ^
      = hint: look for a missing quote, here or on a line above, or put all of the text in quotes

    error[Syntax]: there is no such escape in a string in double quotes
     --> dir/file.yaml:1:4
      |
    1 | a: "\q"
      |    ^
      = hint: write the backslash twice, or use single quotes

    error[QuoteUnclosed]: a quoted string has no end
     --> dir/file.yaml:1:7
      |
    1 | {"a": "x
      |       ^
      = hint: add the missing quote

    error[NulCharacter]: the document holds a NUL character
     --> dir/file.yaml:1:5
      |
    1 | a: b␀c
      |     ^
      = hint: is this a text file?
    "#);
}

#[test]
fn broken_structure_is_shown() {
    let texts = [
        "a: @x\n",
        "a: x: y\n",
        "a: {b: c\n",
        "a: ]\n",
        "a:\n    b: 1\n  c: 2\n",
        "a\nb: c\n",
        "%YAML 3.0\n---\na: b\n",
    ];
    insta::assert_snapshot!(texts.map(complaints).join("\n"), @r#"
    error[Syntax]: no value can begin with '@'
     --> dir/file.yaml:1:4
      |
    1 | a: @x
      |    ^
      = hint: put the text in quotes

    error[Syntax]: no key can stand here
     --> dir/file.yaml:1:5
      |
    1 | a: x: y
      |     ^
      = hint: indent the key as its siblings are; a text that contains `: ` goes in quotes

    error[Unfinished]: this `{` is never closed
     --> dir/file.yaml:1:4
      |
    1 | a: {b: c
      |    ^

    error[Syntax]: nothing is open that this bracket could close
     --> dir/file.yaml:1:4
      |
    1 | a: ]
      |    ^

    error[Syntax]: expected a key
     --> dir/file.yaml:3:3
      |
    3 |   c: 2
      |   ^
      = hint: look at the indentation, and for a missing colon

    error[Syntax]: no key can stand here
     --> dir/file.yaml:2:2
      |
    2 | b: c
      |  ^
      = hint: indent the key as its siblings are; a text that contains `: ` goes in quotes

    error[Syntax]: only YAML 1 is supported
     --> dir/file.yaml:1:1
      |
    1 | %YAML 3.0
      | ^
    "#);
}

#[test]
fn values_that_cannot_be_are_shown() {
    let texts = ["a: *nope\n", "a: &a [*a]\n", "? [a]\n: b\n", "~: x\n", "a:\n  <<: 1\n"];
    insta::assert_snapshot!(texts.map(complaints).join("\n"), @r#"
    error[AliasUnknown]: no anchor of this name stands before this alias
     --> dir/file.yaml:1:4
      |
    1 | a: *nope
      |    ^

    error[AliasRecursive]: the alias stands within the value that it repeats
     --> dir/file.yaml:1:8
      |
    1 | a: &a [*a]
      |        ^^

    error[KeyNotText]: a key must be a string, found a list
     --> dir/file.yaml:1:3
      |
    1 | ? [a]
      |   ^^^
      = hint: put the key in quotes

    error[KeyNotText]: a key must be a string, found nothing (written ~)
     --> dir/file.yaml:1:1
      |
    1 | ~: x
      | ^
      = hint: put the key in quotes

    error[MergeMistyped]: `<<` takes a map or a list of maps
     --> dir/file.yaml:2:7
      |
    2 |   <<: 1
      |       ^
    "#);
}

#[test]
fn templates_are_told() {
    let texts = ["a: {{ .Values.x }}\n", "---\n{{- if .Values.x }}\na: b\n{{- end }}\n", "a: {{ x }}-y\n"];
    insta::assert_snapshot!(texts.map(complaints).join("\n"), @r#"
    error[KeyNotText]: a key must be a string, found a map
     --> dir/file.yaml:1:5
      |
    1 | a: {{ .Values.x }}
      |     ^^^^^^^^^^^^^
      = hint: this looks like a Helm template: render it first with `helm template`

    error[Syntax]: no item of a list can stand here
     --> dir/file.yaml:2:3
      |
    2 | {{- if .Values.x }}
      |   ^
      = hint: this looks like a Helm template: render it first with `helm template`

    error[KeyNotText]: a key must be a string, found a map
     --> dir/file.yaml:1:5
      |
    1 | a: {{ x }}-y
      |     ^^^^^
      = hint: this looks like a Helm template: render it first with `helm template`
    "#);
}

#[test]
fn quoted_braces_are_no_template() {
    assert!(!complaints("a: \"{{ x }}\"\nb: [\n").contains("Helm"));
}

#[test]
fn depth_is_bounded() {
    for text in ["[".repeat(100_000), "{\"a\":".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        assert_eq!(outcomes(&text).len(), 1);
        assert!(complaints(&text).starts_with("error[TooDeep]"), "{}", complaints(&text));
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(outcomes(&nested(100)), [nested(100)]);
    assert!(complaints(&nested(101)).contains("TooDeep"));
    // Aliases must not reach deeper than the text does.
    let chain = lines(1..2000, |at| format!("a{at}: &a{at} [*a{}]\n", at - 1));
    assert!(complaints(&format!("a0: &a0 x\n{chain}")).starts_with("error[TooDeep]"));
}

#[test]
fn alias_bombs_are_defused() {
    let nine = lines(1..30, |at| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 9].join(",")));
    let bomb = format!("a0: &a0 lol\n{nine}");
    assert_eq!(outcomes(&format!("{bomb}---\nb: 1\n")).len(), 2);
    assert!(complaints(&bomb).starts_with("error[TooManyValues]"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(100_000));
    assert!(complaints(&long).starts_with("error[TooManyValues]"));
    let keys = lines(0..1000, |at| format!("k{at}: 1,"));
    let merges = format!("a: &a {{{keys}}}\nb:\n{}", "  <<: *a\n".repeat(3000));
    assert!(complaints(&merges).starts_with("error[TooManyValues]"));
}

#[test]
fn many_keys_are_read_in_time() {
    let keys = lines(0..100_000, |at| format!("k{at}: 1\n"));
    assert_eq!(outcomes(&keys).len(), 1);
    assert_eq!(outcomes(&format!("{keys}{keys}")).len(), 1);
}

fn lines(range: Range<u32>, line: impl Fn(u32) -> String) -> String {
    range.map(line).collect()
}
