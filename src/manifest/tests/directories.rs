//! Directories and files that the command line points at.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::super::files::{FileSet, gather, gather_up_to};
use crate::diagnostic::{Diagnostic, source::SourceMap};

/// A directory with `files`, each with what it holds.
fn with(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

/// What is gathered from `paths` within `directory`, with `-` as it is.
fn gathered(directory: &TempDir, paths: &[&str], mut stdin: &[u8]) -> Found {
    let paths: Vec<_> =
        paths.iter().map(|path| if *path == "-" { PathBuf::from("-") } else { directory.path().join(path) }).collect();
    let mut sources = SourceMap::default();
    let FileSet { files: _, diagnostics, passed_over } = gather(&paths, &mut stdin, &mut sources);
    Found { sources, diagnostics, passed_over }
}

/// What was gathered, with the texts.
struct Found {
    sources: SourceMap,
    diagnostics: Vec<Diagnostic>,
    passed_over: usize,
}

/// The names of what was read, and what could not be, without the front of their paths.
fn outcome(directory: &TempDir, gathered: &Found) -> (Vec<String>, String) {
    let front = format!("{}/", directory.path().display());
    let short = |text: &str| text.replace(&front, "");
    let names = gathered.sources.files().map(|file| short(gathered.sources.name(file))).collect();
    let lines: Vec<_> = gathered.diagnostics.iter().map(|it| short(&it.one_line(&gathered.sources))).collect();
    (names, lines.join("\n"))
}

#[test]
fn directories_are_read_in_order() {
    let directory = with(&[
        ("m/b.yaml", b"b"),
        ("m/a/z.yml", b"z"),
        ("m/a/y.JSON", b"{}"),
        ("m/c/deep/er.yaml", b""),
        ("m/README.md", b"no"),
        ("m/.hidden.yaml", b"no"),
        ("m/.git/x.yaml", b"no"),
        ("m/empty/kustomization", b"no"),
    ]);
    let found = gathered(&directory, &["m"], b"");
    let names = ["m/a/y.JSON", "m/a/z.yml", "m/b.yaml", "m/c/deep/er.yaml"];
    assert_eq!(outcome(&directory, &found), (names.map(str::to_owned).to_vec(), String::new()));
    assert_eq!(found.passed_over, 2);
}

#[test]
fn files_are_read_by_name_and_once() {
    let directory = with(&[("m/one.txt", b"1"), ("m/two.yaml", b"2"), ("m/.three", b"3")]);
    let found =
        gathered(&directory, &["m/two.yaml", "m/one.txt", "-", "m", "m/.three", "-", "m/two.yaml"], b"\xef\xbb\xbfin");
    let (names, said) = outcome(&directory, &found);
    assert_eq!(names, ["m/two.yaml", "m/one.txt", "<stdin>", "m/.three"]);
    assert_eq!(said, "");
    let texts: Vec<_> = found.sources.files().map(|file| found.sources.text(file)).collect();
    assert_eq!(texts, ["2", "1", "in", "3"]);
}

#[test]
fn what_is_not_there_is_said() {
    let directory = with(&[("m/empty/README", b""), ("ok.yaml", b"a: 1")]);
    let found = gathered(&directory, &["nowhere", "m", "ok.yaml", "ok.yaml/x"], b"");
    let (names, said) = outcome(&directory, &found);
    assert_eq!(names, ["ok.yaml"]);
    insta::assert_snapshot!(said, @r#"
    error: nowhere: there is no such file or directory
    error: m: there is no manifest in this directory
    error: ok.yaml/x: Not a directory (os error 20)
    "#);
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_for_ever() {
    use std::os::unix::fs::symlink;
    let directory = with(&[("m/a.yaml", b"a"), ("other/b.yaml", b"b")]);
    let at = |path: &str| directory.path().join(path);
    symlink(at("m"), at("m/loop")).unwrap();
    symlink(at("other"), at("m/other")).unwrap();
    symlink(at("m/a.yaml"), at("m/again.yaml")).unwrap();
    symlink(at("gone"), at("m/broken.yaml")).unwrap();
    let (names, said) = outcome(&directory, &gathered(&directory, &["m"], b""));
    assert_eq!(names, ["m/a.yaml", "m/other/b.yaml"]);
    insta::assert_snapshot!(said, @r#"error: m/broken.yaml: No such file or directory (os error 2)"#);
}

#[test]
fn what_is_no_text_is_said() {
    let directory = with(&[
        ("latin.yaml", b"a: 1\nname: caf\xe9 noir\nb: 2\n"),
        ("marked.yaml", b"\xef\xbb\xbfa: \xff"),
        ("utf16.yaml", b"\xff\xfea\0:\0"),
        ("utf16be.yaml", b"\0a\0:\0 \0b"),
        ("utf32.yaml", b"a\0\0\0:\0\0\0"),
        ("cut.yaml", b"a: \xc3"),
    ]);
    let found = gathered(&directory, &["."], b"");
    let (names, said) = outcome(&directory, &found);
    assert_eq!(names, [""; 0]);
    insta::assert_snapshot!(said.replace("./", ""), @r#"
    cut.yaml:1:4: error: byte 0xC3 is not UTF-8
    latin.yaml:2:10: error: byte 0xE9 is not UTF-8
    marked.yaml:1:4: error: byte 0xFF is not UTF-8
    error: utf16.yaml: the file is in UTF-16
    error: utf16be.yaml: the file is in UTF-16
    error: utf32.yaml: the file is in UTF-32
    "#);
    let latin = found.diagnostics.iter().find(|it| it.one_line(&found.sources).contains("latin")).unwrap();
    let front = format!("{}/./", directory.path().display());
    insta::assert_snapshot!(latin.render(&found.sources, crate::terminal::TextLayout::default()).replace(&front, ""), @r#"
    error[NotUtf8]: byte 0xE9 is not UTF-8
     --> latin.yaml:2:10
      |
    2 | name: caf� noir
      |          ^
      = hint: save the file as UTF-8; it may be in Latin-1 or Windows-1252
    "#);
}

#[test]
fn the_largest_file_is_read_and_no_larger_one() {
    let directory = with(&[("four.yaml", b"a: 1"), ("five.yaml", b"a: 12")]);
    let mut sources = SourceMap::default();
    let found = gather_up_to(4, &[directory.path().to_owned()], &mut b"".as_slice(), &mut sources);
    assert_eq!(found.files.len(), 1);
    assert_eq!(found.diagnostics.iter().map(|it| it.code).collect::<Vec<_>>(), ["TooLarge"]);
}

#[test]
fn what_has_no_end_is_too_large() {
    let mut endless = std::io::repeat(b' ');
    let mut sources = SourceMap::default();
    let found = gather_up_to(1 << 20, &["-".into()], &mut endless, &mut sources);
    assert_eq!((found.files.len(), sources.files().count()), (0, 0));
    insta::assert_snapshot!(found.diagnostics[0].render(&sources, crate::terminal::TextLayout::default()), @r#"
    error[TooLarge]: <stdin>: the file is larger than 1 MiB
     = hint: split it into several files
    "#);
}
