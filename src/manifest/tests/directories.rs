//! Directories and files that the command line points at.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::super::{
    files::{FileSet, LeftOut, gather, gather_up_to},
    walk::FileExclusions,
};
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
fn gathered(directory: &TempDir, paths: &[&str], stdin: &[u8]) -> Found {
    without(directory, paths, stdin, None)
}

/// The same, without what `exclude` matches.
fn without(directory: &TempDir, paths: &[&str], mut stdin: &[u8], exclude: Option<&str>) -> Found {
    let paths: Vec<_> =
        paths.iter().map(|path| if *path == "-" { PathBuf::from("-") } else { directory.path().join(path) }).collect();
    let mut sources = SourceMap::default();
    let exclusions = FileExclusions::new(&exclude.map(str::to_owned).into_iter().collect::<Vec<_>>()).unwrap();
    let mut stream = |_: &str, _: &mut dyn std::io::BufRead, _: &mut SourceMap| Ok(());
    let FileSet { diagnostics, left_out, .. } = gather(&paths, &exclusions, &mut stdin, &mut stream, &mut sources);
    Found { sources, diagnostics, left_out }
}

/// What was gathered, with the texts.
struct Found {
    sources: SourceMap,
    diagnostics: Vec<Diagnostic>,
    left_out: LeftOut,
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
        ("m/b.yaml", b"kind"),
        ("m/a/z.yml", b"kind"),
        ("m/a/y.JSON", b"kind"),
        ("m/c/deep/er.yaml", b"kind"),
        ("m/README.md", b"no"),
        ("m/.hidden.yaml", b"no"),
        ("m/.git/x.yaml", b"no"),
        ("m/empty/kustomization", b"no"),
    ]);
    let found = gathered(&directory, &["m"], b"");
    let names = ["m/a/y.JSON", "m/a/z.yml", "m/b.yaml", "m/c/deep/er.yaml"];
    assert_eq!(outcome(&directory, &found), (names.map(str::to_owned).to_vec(), String::new()));
    assert_eq!(found.left_out.others, 2);
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
    let directory = with(&[("m/a.yaml", b"kind"), ("other/b.yaml", b"kind")]);
    let at = |path: &str| directory.path().join(path);
    symlink(at("m"), at("m/loop")).unwrap();
    symlink(at("other"), at("m/other")).unwrap();
    symlink(at("m/a.yaml"), at("m/again.yaml")).unwrap();
    symlink(at("gone"), at("m/broken.yaml")).unwrap();
    let (names, said) = outcome(&directory, &gathered(&directory, &["m"], b""));
    assert_eq!(names, ["m/a.yaml", "m/other/b.yaml"]);
    insta::assert_snapshot!(said, @r#"warning: m/broken.yaml is a link that leads nowhere: what it was to hold is not judged"#);
}

#[test]
fn what_is_no_text_is_said() {
    let directory = with(&[
        ("latin.yaml", b"a: 1\nname: caf\xe9 noir\nb: 2\n"),
        ("marked.yaml", b"\xef\xbb\xbfa: \xff"),
        ("utf16.yaml", b"\xff\xfea\0:\0 \0b\0"),
        ("utf16odd.yaml", b"\xff\xfea\0:"),
        ("utf16be.yaml", b"\0a\0:\0 \0b"),
        ("utf32.yaml", b"a\0\0\0:\0\0\0"),
        ("cut.yaml", b"a: \xc3"),
        ("d/latin.yaml", b"kind: caf\xe9"),
        ("d/fixture.json", b"caf\xe9"),
    ]);
    let paths =
        ["cut", "latin", "marked", "utf16", "utf16odd", "utf16be", "utf32"].map(|name| format!("./{name}.yaml"));
    let paths: Vec<&str> = paths.iter().map(String::as_str).chain(["./d"]).collect();
    let found = gathered(&directory, &paths, b"");
    let (names, said) = outcome(&directory, &found);
    assert_eq!(names, ["./utf16.yaml"]);
    insta::assert_snapshot!(said.replace("./", ""), @r#"
    cut.yaml:1:4: error: byte 0xC3 is not UTF-8
    latin.yaml:2:10: error: byte 0xE9 is not UTF-8
    marked.yaml:1:4: error: byte 0xFF is not UTF-8
    utf16.yaml:1:1: warning: the file is in UTF-16
    error: utf16odd.yaml: the file says that it is in UTF-16, and is not
    error: utf16be.yaml: the file is in UTF-16
    error: utf32.yaml: the file is in UTF-32
    d/latin.yaml:1:10: error: byte 0xE9 is not UTF-8
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
fn a_text_that_is_too_large_to_be_kept_is_read_as_it_comes() {
    let directory = with(&[("four.yaml", b"kind"), ("five.yaml", b"kinds")]);
    let mut sources = SourceMap::default();
    let mut streamed = Vec::new();
    let mut stream = |name: &str, from: &mut dyn std::io::BufRead, _: &mut SourceMap| {
        let mut text = String::new();
        std::io::Read::read_to_string(from, &mut text)?;
        streamed.push((name.rsplit('/').next().unwrap_or_default().to_owned(), text));
        Ok(())
    };
    let paths = [directory.path().to_owned()];
    let found = gather_up_to(4, &paths, &FileExclusions::default(), &mut b"".as_slice(), &mut stream, &mut sources);
    assert_eq!(found.files.len(), 1);
    assert_eq!(found.diagnostics, []);
    assert_eq!(streamed, [("five.yaml".to_owned(), "kinds".to_owned())]);
}

/// What is read of a repository, and what is told of the rest of it.
fn repository(files: &[(&str, &[u8])], exclude: Option<&str>) -> (Vec<String>, String, LeftOut) {
    let directory = with(files);
    let found = without(&directory, &["."], b"", exclude);
    let (names, said) = outcome(&directory, &found);
    let names = names.into_iter().map(|name| name.replace("./", "")).collect();
    let short = |path: &std::path::PathBuf| path.strip_prefix(directory.path()).unwrap_or(path).to_owned();
    let left_out = LeftOut { without_kind: found.left_out.without_kind.iter().map(short).collect(), ..found.left_out };
    (names, said.replace("./", ""), left_out)
}

#[test]
fn what_git_ignores_and_what_is_excluded_is_left_out_and_counted() {
    let files: [(&str, &[u8]); 9] = [
        (".gitignore", b"out/\n*.gen.yaml\n"),
        ("a.yaml", b"kind: A"),
        ("b.gen.yaml", b"kind: B"),
        ("out/c.yaml", b"kind: C"),
        ("deep/.gitignore", b"!kept.gen.yaml\nd.yaml\n"),
        ("deep/d.yaml", b"kind: D"),
        ("deep/kept.gen.yaml", b"kind: E"),
        ("deep/vendor/f.yaml", b"kind: F"),
        ("values.yaml", b"replicas: 2"),
    ];
    let (names, said, left_out) = repository(&files, Some("vendor/"));
    assert_eq!((names, said.as_str()), (["a.yaml", "deep/kept.gen.yaml"].map(str::to_owned).to_vec(), ""));
    assert_eq!((left_out.ignored, left_out.excluded, left_out.without_kind.len()), (3, 1, 1));
    let (names, ..) = repository(&files, None);
    assert_eq!(names, ["a.yaml", "deep/kept.gen.yaml", "deep/vendor/f.yaml"]);
}

#[test]
fn charts_and_parts_of_kustomizations_do_not_stand_as_they_are() {
    let files: [(&str, &[u8]); 14] = [
        ("chart/Chart.yaml", b"name: api"),
        ("chart/templates/a.yaml", b"kind: {{ x }}"),
        ("library/Chart.yaml", b"name: lib\ntype: library\n"),
        ("library/templates/b.yaml", b"kind: {{ x }}"),
        ("base/kustomization.yaml", b"resources: [c.yaml]"),
        ("base/c.yaml", b"kind: C"),
        ("over/kustomization.yaml", b"resources: [../base]\npatches: [{path: d.yaml}]"),
        ("over/d.yaml", b"kind: D"),
        ("over/e.yaml", b"kind: E"),
        ("plain/kustomization.yml", b"kind: Kustomization\nresources: [f.yaml]\npatches: [{path: g.yaml}]"),
        ("plain/f.yaml", b"kind: F"),
        ("plain/g.yaml", b"kind: Deployment\nspec: {replicas: 2}"),
        ("flux/kustomization.yaml", b"apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization"),
        ("moved/kustomization.yaml", b"namespace: x\nresources: [../plain/h.yaml]"),
    ];
    let (names, said, left_out) = repository(&files, None);
    assert_eq!(names, ["flux/kustomization.yaml", "over/e.yaml", "plain/f.yaml"]);
    assert_eq!(left_out.plain_kustomizations, 1);
    insta::assert_snapshot!(said, @r#"
    warning: chart is a Helm chart: templates are not judged as they stand
    warning: 2 kustomizations are not rendered: bases and patches are not judged as they stand (moved, over)
    "#);
}

#[test]
fn a_kustomization_stands_only_where_all_that_it_names_was_read() {
    let of = |kustomization: &str| {
        let files: [(&str, &[u8]); 7] = [
            ("k/kustomization.yaml", kustomization.as_bytes()),
            ("k/a.yaml", b"kind: A"),
            ("k/.hidden.yaml", b"kind: H"),
            ("k/ignored.yaml", b"kind: I"),
            ("k/deep/b.yaml", b"kind: B"),
            (".gitignore", b"ignored.yaml"),
            ("k/chart/Chart.yaml", b"name: c"),
        ];
        let (names, said, left_out) = repository(&files, None);
        let said: Vec<_> = said.lines().filter(|line| !line.contains("Helm")).collect();
        (names, left_out.plain_kustomizations, said.join("\n"))
    };
    let both = ["k/a.yaml", "k/deep/b.yaml"].map(str::to_owned).to_vec();
    assert_eq!(of("resources: [a.yaml, deep/b.yaml]"), (both, 1, String::new()));
    let lacking =
        ["https://example.org/base?ref=v1", "gone.yaml", ".hidden.yaml", "ignored.yaml", "deep", "../../base"];
    for lacking in lacking {
        let (names, plain, said) = of(&format!("resources: [a.yaml, \"{lacking}\"]"));
        assert_eq!((names, plain), (vec!["k/deep/b.yaml".to_owned()], 0), "{lacking}");
        let expected = format!(
            "warning: k is a kustomization, of which {lacking} was not read: bases and patches are not judged as they stand"
        );
        // As the paths that are told are shortened.
        assert_eq!(said, expected.replace("./", ""));
    }
}

#[test]
fn no_kustomization_is_silent() {
    let files: [(&str, &[u8]); 8] = [
        ("part/kustomization.yaml", b"kind: Component\nresources: [a.yaml]"),
        ("part/a.yaml", b"kind: A"),
        ("one/kustomization.yaml", b"resources: [../two]"),
        ("two/kustomization.yaml", b"resources: [../one]"),
        ("used/kustomization.yaml", b"kind: Component\nresources: []"),
        ("user/kustomization.yaml", b"components: [../used]"),
        ("torn/kustomization.yaml", b"resources: [b.yaml\nkind: x"),
        ("torn/b.yaml", b"kind: B"),
    ];
    let (names, said, _) = repository(&files, None);
    assert_eq!(names, ["torn/b.yaml"]);
    insta::assert_snapshot!(said, @r#"
    warning: part is a component of kustomizations, and nothing that was read uses it: not judged
    torn/kustomization.yaml:2:5: warning: the kustomization cannot be read, and is not judged: no key can stand here
    warning: 2 kustomizations are not rendered: bases and patches are not judged as they stand (one, user)
    "#);
}

#[test]
fn of_a_chart_is_what_helm_reads() {
    let files: [(&str, &[u8]); 12] = [
        ("Chart.yaml", b"name: c"),
        ("values.yaml", b"kind: v"),
        ("values-prod.yaml", b"kind: v"),
        ("templates/a.yaml", b"kind: {{ x }}\n{{ .Files.Get \"rules/r.yaml\" }}{{ .Files.Glob `alerts/*.yaml` }}"),
        ("crds/b.yaml", b"kind: B"),
        ("charts/sub/Chart.yaml", b"name: s"),
        ("rules/r.yaml", b"kind: R"),
        ("alerts/r.yaml", b"kind: R"),
        ("policies/p.yaml", b"kind: P"),
        ("policies/deep/q.yaml", b"kind: Q"),
        ("other/Chart.yaml", b"name: o"),
        ("ns.yaml", b"kind: Namespace"),
    ];
    let (names, said, _) = repository(&files, None);
    assert_eq!(names, ["ns.yaml", "policies/deep/q.yaml", "policies/p.yaml"]);
    insta::assert_snapshot!(said, @r#"
    warning: 2 Helm charts are not rendered: templates are not judged as they stand (., other)
    "#);
}

#[test]
fn what_is_excluded_may_be_written_as_a_path() {
    let files: [(&str, &[u8]); 3] = [("p/a.yaml", b"kind: A"), ("b.yaml", b"kind: B"), ("q/p/c.yaml", b"kind: C")];
    let left = |exclude| repository(&files, Some(exclude)).0;
    for path in ["./p", "./p/", "/p", "p/a.yaml", "./p/a.yaml"] {
        assert_eq!(left(path), ["b.yaml", "q/p/c.yaml"], "{path}");
    }
    assert_eq!(left("p"), ["b.yaml"]);
}

#[test]
fn the_directory_that_one_is_in_has_a_name_of_its_own() {
    let written = |path: &str| crate::manifest::files::as_written(std::path::Path::new(path));
    assert_eq!([".", "./", "./a/b", "a", "../a", "/a"].map(written), [".", ".", "a/b", "a", "../a", "/a"]);
    let found = crate::manifest::files::UnrenderedDirectory {
        path: ".".into(),
        tool: crate::manifest::files::RenderTool::Kustomize,
        unread: Vec::new(),
    };
    assert_eq!(found.command(), ["kubectl", "kustomize", "."]);
}
