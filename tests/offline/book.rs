//! The book: every page is named, every link leads somewhere, every YAML block is one that an API server would take, and
//! every command is understood. Those of the how-to pages that need no cluster are run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use clap::Parser;
use rempart::cli::CommandLine;
use rempart_lab::chart::ChartRenderer;
use serde_json::Value;

static RENDERER: LazyLock<ChartRenderer> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap().block_on(ChartRenderer::locate()).unwrap());

/// Pages whose commands are run, in a folder of their own.
const PLAYED: [&str; 3] = ["docs/tutorial.md", "docs/how-to/", "docs/fr/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document of the repository that people read, from its root.
fn documents() -> Vec<String> {
    let mut found: Vec<_> =
        ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md"].map(str::to_owned).into();
    found.extend(["charts/rempart/README.md", "charts/rempart-catalogue/README.md"].map(str::to_owned));
    let mut open = vec![root().join("docs")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn text(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

/// A block of code.
struct CodeBlock {
    language: String,
    text: String,
}

fn blocks(document: &str) -> Vec<CodeBlock> {
    let text = text(document);
    let (mut found, mut open) = (Vec::new(), None::<(usize, CodeBlock)>);
    for line in text.lines() {
        let rest = line.trim_start();
        let indent = line.len() - rest.len();
        match (rest.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let language = language.trim().to_owned();
                open = Some((indent, CodeBlock { language, text: String::new() }));
            }
            (Some(_), Some(_)) => found.extend(open.take().map(|(_, block)| block)),
            (None, Some((indent, block))) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document}: a block is not closed");
    found
}

/// The command lines of the shell blocks of `document`, those that go on in the next line put together.
fn command_lines(document: &str) -> Vec<String> {
    let shell = |block: &CodeBlock| block.language.is_empty() || block.language == "sh";
    let joined = blocks(document).into_iter().filter(shell).map(|block| block.text.replace("\\\n", " "));
    joined.flat_map(|text| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>()).collect()
}

/// The words of a simple command, as a shell has them.
fn words(command: &str) -> Vec<String> {
    let (mut found, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for c in command.chars() {
        match (quote, c) {
            (None, '\'' | '"') => (quote, any) = (Some(c), true),
            (Some(q), c) if c == q => quote = None,
            (None, c) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        found.push(word);
    }
    found
}

/// The simple commands of a line, without its comment and redirections.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    let parts = line.split("&&").flat_map(|part| part.split('|')).flat_map(|part| part.split(';'));
    parts.map(|part| words(part.split(" > ").next().unwrap_or_default())).filter(|words| !words.is_empty()).collect()
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let summary = text("docs/SUMMARY.md");
    let mut looked_at = 0;
    for document in documents() {
        if let Some(page) = document.strip_prefix("docs/").filter(|page| *page != "SUMMARY.md") {
            assert!(summary.contains(&format!("]({page})")), "docs/SUMMARY.md does not name {page}");
        }
        let text = text(&document);
        let prose: String = text.split("```").step_by(2).collect();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            if link.contains("://") || link.is_empty() {
                continue;
            }
            looked_at += 1;
            let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let target = match path {
                "" => root().join(&document),
                path => root().join(&document).parent().unwrap().join(path),
            };
            assert!(target.exists(), "{document}: {link} leads nowhere");
            if let Some(anchor) = anchor {
                let headings = fs::read_to_string(&target).unwrap();
                let headings: BTreeSet<_> =
                    headings.lines().filter(|line| line.starts_with('#')).map(anchor_of).collect();
                assert!(headings.contains(anchor), "{document}: {link} names no heading");
            }
        }
    }
    assert!(looked_at > 100, "{looked_at}");
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor_of(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// What `rempart` prints in `folder`, and how it ends.
fn run(folder: &Path, arguments: &[String]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rempart"));
    let output = command.args(arguments).current_dir(folder).env_clear().env("HOME", "/nonexistent").output().unwrap();
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.code())
}

#[test]
fn every_yaml_block_is_one_that_the_api_server_takes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut looked_at, mut ours) = (0, 0);
    for document in documents() {
        for CodeBlock { text, .. } in blocks(&document).into_iter().filter(|block| block.language == "yaml") {
            let objects: Vec<Value> =
                serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{document}: {error}\n{text}"));
            looked_at += 1;
            if !objects.iter().any(|object| object["apiVersion"] == "rempart.dev/v1alpha1") {
                continue;
            }
            ours += 1;
            let path = folder.path().join("block.yaml");
            fs::write(&path, &text).unwrap();
            let arguments = ["lint", "block.yaml", "--at", "2026-11-20"].map(str::to_owned);
            let (told, code) = run(folder.path(), &arguments);
            assert_eq!(code, Some(0), "{document}:\n{text}\n{told}");
        }
    }
    assert!(looked_at >= 20 && ours >= 15, "{looked_at} {ours}");
}

#[test]
fn every_command_is_understood_and_every_chart_renders_as_shown() {
    let (mut understood, mut rendered, mut wrong) = (0, 0, Vec::new());
    for document in documents() {
        for line in command_lines(&document) {
            for words in commands(&line) {
                let is_whole = !words.iter().any(|word| word.contains(['…', '$', '<']));
                match words[0].as_str() {
                    "rempart" if is_whole => {
                        understood += 1;
                        if let Err(error) = CommandLine::try_parse_from(&words) {
                            wrong.push(format!("{document}: {line}\n{error}"));
                        }
                    }
                    "helm" => rendered += usize::from(render(&document, &line, &words)),
                    _ => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(understood >= 60 && rendered >= 8, "{understood} {rendered}");
}

/// Renders what a command of helm would install of a chart of this repository.
fn render(document: &str, line: &str, words: &[String]) -> bool {
    let chart = words.iter().find(|word| word.starts_with("charts/rempart"));
    let Some(chart) = chart.filter(|_| !words.iter().any(|word| word == "test" || word == "rollback")) else {
        return false;
    };
    let mut arguments = Vec::new();
    for pair in words.windows(2) {
        if ["--set", "--kube-version"].contains(&pair[0].as_str()) {
            arguments.extend_from_slice(pair);
        }
    }
    if let Err(error) = RENDERER.template_of(chart, &arguments) {
        panic!("{document}: {line}\n{error}");
    }
    true
}

#[test]
fn commands_of_the_how_to_pages_do_what_the_pages_say() {
    let (mut played, mut wrong) = (0, Vec::new());
    for document in documents() {
        if !PLAYED.iter().any(|page| document.starts_with(page)) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["deploy", "charts"] {
            std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        for CodeBlock { language, text } in blocks(&document) {
            let name = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
            if language == "yaml" && Path::new(name).extension().is_some_and(|extension| extension == "yaml") {
                let path: PathBuf = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &text).unwrap();
            }
        }
        for line in command_lines(&document) {
            let of_cluster = ["--cluster", "rempart audit", "rempart check", "rempart release", "rempart-backup", "|"];
            if !line.starts_with("rempart ") || of_cluster.iter().any(|what| line.contains(what)) {
                continue;
            }
            let words = commands(&line).remove(0);
            let judges = ["plan", "explain", "impact", "lint", "catalogue"].contains(&words[1].as_str());
            let dated = words.iter().any(|word| word == "--at" || word == "--from");
            assert!(dated || !judges, "{document}: {line}\nwould say something else every day: add --at");
            let expected = i32::from(line.contains("# exit 1"));
            let (told, code) = run(folder.path(), &words[1..]);
            if code != Some(expected) {
                wrong.push(format!("{document}: {line}\nends with {code:?}\n{told}"));
            }
            played += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played >= 25, "{played}");
}
