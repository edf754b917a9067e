//! Rendered diagnostics of odd lines.

use crate::{
    diagnostic::{
        Diagnostic,
        position::{TextPosition, TextSpan},
        source::SourceMap,
    },
    terminal::TextLayout,
};

fn shown(line: &str, start: u32, end: u32, width: usize) -> String {
    let mut sources = SourceMap::default();
    let file = sources.add("f", line.to_owned());
    let at = |column| TextPosition { line: 1, column };
    let diagnostic = Diagnostic::warning("Odd", "m").at(file, TextSpan { start: at(start), end: at(end) });
    diagnostic.render(&sources, TextLayout { colour: false, width })
}

#[test]
fn odd_lines_are_shown() {
    let long = format!("{}here{}", "x".repeat(300), "y".repeat(300));
    let wide = format!("{}here{}", "漢".repeat(100), "字".repeat(100));
    let shown = [
        shown("a:\t\tb", 5, 6, 80),
        shown("漢字: x\u{301}y", 5, 7, 80),
        shown("a: \u{1b}[31mred\u{202e}\u{7f}", 4, 5, 80),
        shown("", 1, 1, 80),
        shown("short", 40, 41, 80),
        shown("trailing   ", 9, 12, 80),
        shown(&long, 301, 305, 60),
        shown(&long, 1, 3, 60),
        shown(&long, 598, 605, 60),
        shown(&long, 3, 500, 60),
        shown(&wide, 101, 105, 60),
        shown(&long, 301, 305, 0),
    ];
    insta::assert_snapshot!(shown.join("\n"), @r#"
    warning[Odd]: m
     --> f:1:5
      |
    1 | a:        b
      |           ^

    warning[Odd]: m
     --> f:1:5
      |
    1 | 漢字: x́y
      |       ^

    warning[Odd]: m
     --> f:1:4
      |
    1 | a: ␛[31mred�␡
      |    ^

    warning[Odd]: m
     --> f:1:1
      |
    1 |
      | ^

    warning[Odd]: m
     --> f:1:40
      |
    1 | short
      |      ^

    warning[Odd]: m
     --> f:1:9
      |
    1 | trailing
      |         ^

    warning[Odd]: m
     --> f:1:301
      |
    1 | …xxxxxxxxxxxxxxxxxxhereyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…
      |                    ^^^^

    warning[Odd]: m
     --> f:1:1
      |
    1 | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
      | ^^

    warning[Odd]: m
     --> f:1:598
      |
    1 | …yyyyyyyyyyyyyyyyyyyyyyyyy
      |                    ^^^^^^^

    warning[Odd]: m
     --> f:1:3
      |
    1 | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    warning[Odd]: m
     --> f:1:101
      |
    1 | …漢漢漢漢漢漢漢漢漢here字字字字字字字字字字字字字字字字…
      |                    ^^^^

    warning[Odd]:
      m
     --> f:1:301
      |
    1 | …xxxxxxhereyyyyyyyy…
      |        ^^^^
    "#);
}

#[test]
fn all_parts_of_a_diagnostic_are_shown() {
    let mut sources = SourceMap::default();
    let file = sources.add("dir/fi\nle.yaml", "\n".repeat(99) + "  jurisdiction: NO\n  more\n");
    let span = TextSpan { start: TextPosition { line: 100, column: 17 }, end: TextPosition { line: 101, column: 3 } };
    let diagnostic = Diagnostic::error("QualificationMissing", "no\x1bcountry\n")
        .at(file, span)
        .of("CloudProvider ovh")
        .hint("put it in quotes: \"NO\"");
    insta::assert_snapshot!(diagnostic.render(&sources, TextLayout::default()), @r#"
    error[QualificationMissing]: no␛country␊
       --> dir/fi␊le.yaml:100:17
        |
    100 |   jurisdiction: NO
        |                 ^^
        = object: CloudProvider ovh
        = hint: put it in quotes: "NO"
    "#);
    insta::assert_snapshot!(diagnostic.one_line(&sources), @r#"dir/fi␊le.yaml:100:17: error: no␛country␊"#);
    insta::assert_snapshot!(diagnostic.render(&sources, TextLayout { colour: true, width: 80 }).replace('\x1b', "ESC"), @r#"
    ESC[1mESC[31merror[QualificationMissing]ESC[0mESC[1m: no␛country␊ESC[0m
       ESC[1mESC[34m-->ESC[0m dir/fi␊le.yaml:100:17
       ESC[1mESC[34m |ESC[0m
    ESC[1mESC[34m100ESC[0mESC[1mESC[34m |ESC[0m   jurisdiction: NO
       ESC[1mESC[34m |ESC[0m                 ESC[1mESC[31m^^ESC[0m
        ESC[1mESC[34m=ESC[0m object: CloudProvider ovh
        ESC[1mESC[34m=ESC[0m hint: put it in quotes: "NO"
    "#);
    insta::assert_snapshot!(Diagnostic::warning("Empty", "nothing").hint("do").render(&sources, TextLayout::default()), @r#"
    warning[Empty]: nothing
     = hint: do
    "#);
}
