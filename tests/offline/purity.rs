//! The core knows no client, no async, no clock, no environment and no other module of ours. Read from its text, so that
//! a breach is named with its file and line before anybody has to find it by its effects.

use std::{fs, path::Path};

/// What a line of the core may not mention, as whole words of a path.
const FORBIDDEN: &[&str] = &[
    // Clients and Kubernetes.
    "kube",
    "k8s_openapi",
    "schemars",
    "serde",
    "serde_json",
    "serde_saphyr",
    "http",
    "axum",
    "reqwest",
    "hyper",
    // Async.
    "tokio",
    "tokio_util",
    "futures",
    "async",
    "await",
    "Future",
    "backon",
    // Clocks, and what waits for them.
    "::now",
    "SystemTime",
    "std::time",
    "core::time",
    "sleep",
    "elapsed",
    "TimeZone::system",
    "TimeZone::get",
    // Environment, files, network, processes, threads.
    "std::env",
    "env",
    "option_env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "File",
    "include_str",
    "include_bytes",
    "include",
    // Output.
    "println",
    "eprintln",
    "print",
    "eprint",
    "dbg",
    "tracing",
    "log",
    // Chance, and state that outlives a call.
    "rand",
    "getrandom",
    "RandomState",
    "HashMap",
    "HashSet",
    "thread_local",
    "static",
    "Mutex",
    "RwLock",
    "OnceLock",
    "LazyLock",
    "Cell",
    "RefCell",
    "AtomicBool",
    "AtomicUsize",
    "AtomicU64",
    // Ways out of the rules.
    "unsafe",
    "extern",
];

/// A length of time is data, unlike the clocks beside it.
const LENGTH: &str = "std::time::Duration";

/// The packages that the core may use beside the standard library.
const PACKAGES: &[&str] = &["jiff", "strsim", "thiserror"];

/// `source` with comments and the contents of literals blanked, so that prose may say what code may not.
pub(crate) fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            end_of_block(rest)
        } else if rest.starts_with('"') {
            end_of_text(rest)
        } else if let Some(end) = raw_text(rest).filter(|_| !code.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        {
            end
        } else if rest.starts_with('\'') {
            end_of_char(rest)
        } else {
            0
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            // Lines keep their numbers; words on either side stay apart.
            code.push(' ');
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

fn end_of_block(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn end_of_text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The end of a raw text that `rest` begins with.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let begin = rest.len() - body.len();
    let close = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&close).map_or(rest.len(), |at| begin + at + close.len()))
}

/// The end of a character literal that `rest` begins with; 0 for a lifetime.
fn end_of_char(rest: &str) -> usize {
    let body = &rest[1..];
    if let Some(escape) = body.strip_prefix('\\') {
        return escape.char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(rest.len(), |(at, _)| at + 3);
    }
    let mut chars = body.chars();
    match (chars.next(), chars.next()) {
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 0,
    }
}

/// The paths and words of `line`: `a::b::c` is one, and so is `a`.
pub(crate) fn paths(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).filter(|path| !path.is_empty())
}

/// Whether `path` has the segments of `forbidden` in a row; one that begins with `::` is looked for at its end alone.
fn mentions(path: &str, forbidden: &str) -> bool {
    if forbidden.starts_with("::") {
        return path.ends_with(forbidden);
    }
    let path: Vec<_> = path.split("::").collect();
    let forbidden: Vec<_> = forbidden.split("::").collect();
    path.windows(forbidden.len()).any(|window| window == forbidden)
}

/// The paths that the `use` declarations of `code` bring in, with nested braces written out, each with its line.
pub(crate) fn uses(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].find("use ").map(|start| start + at) {
        at = start + 4;
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let end = code[at..].find(';').map_or(code.len(), |end| end + at);
        let line = code[..start].matches('\n').count() + 1;
        written_out("", &code[at..end], &mut |path| found.push((line, path)));
    }
    found
}

/// Writes `a::{b, c::{d, e}}` out as `a::b`, `a::c::d`, `a::c::e`.
fn written_out(prefix: &str, tree: &str, found: &mut impl FnMut(String)) {
    let (mut depth, mut begin) = (0_usize, 0);
    let mut branches = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                branches.push(&tree[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&tree[begin..]);
    for branch in branches.into_iter().map(str::trim).filter(|branch| !branch.is_empty()) {
        match branch.split_once('{') {
            Some((head, tail)) => {
                let tail = tail.rsplit_once('}').map_or(tail, |(inner, _)| inner);
                written_out(&format!("{prefix}{}", head.trim()), tail, found);
            }
            None => found(format!("{prefix}{}", branch.split_whitespace().next().unwrap_or_default())),
        }
    }
}

/// Whether code of the core may import `path`. Tests inside the core may go by `crate::core`.
fn may_import(path: &str) -> bool {
    let mut segments = path.trim_start_matches("::").split("::");
    match segments.next() {
        Some("super" | "self") => !path.starts_with("super::super") || path.starts_with("super::super::core"),
        Some("std") => true,
        Some("crate") => segments.next() == Some("core"),
        Some(package) => PACKAGES.contains(&package),
        None => false,
    }
}

/// Every breach in `source`, by line.
fn breaches(source: &str) -> Vec<String> {
    let code = code_of(source);
    let mut found = Vec::new();
    for (i, line) in code.lines().enumerate() {
        // `&'static str` is a lifetime, not a variable.
        let line = line.replace("'static", "").replace(LENGTH, "");
        for path in paths(&line) {
            let own = path.strip_prefix("crate::").is_some_and(|path| path != "core" && !path.starts_with("core::"));
            let word = FORBIDDEN.iter().find(|forbidden| mentions(path, forbidden));
            if let Some(word) = word.copied().or_else(|| own.then_some("crate")) {
                found.push(format!("{}: {path} mentions {word}", i + 1));
            }
        }
    }
    for (line, path) in uses(&code) {
        let word = FORBIDDEN.iter().find(|forbidden| path != LENGTH && mentions(&path, forbidden));
        if word.is_some() || !may_import(&path) {
            found.push(format!("{line}: use of {path}"));
        }
    }
    found
}

pub(crate) fn sources(directory: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_core_mentions_no_client_no_async_no_clock_and_no_environment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core");
    let (mut files, mut found) = (0, Vec::new());
    sources(&root, &mut |path, source| {
        files += 1;
        found.extend(breaches(source).into_iter().map(|breach| format!("{}:{breach}", path.display())));
    });
    assert!(files > 10, "found only {files} files in {}", root.display());
    assert!(found.is_empty(), "src/core must stay pure:\n{}", found.join("\n"));
}

#[test]
fn a_breach_is_caught_however_it_is_written() {
    for sample in [
        "use kube::Client;",
        "use {std::fmt, k8s_openapi::api::core::v1::Node};",
        "use jiff::{Timestamp, Zoned};\nfn f() { Zoned::now(); }",
        "let t = jiff::Timestamp::now();",
        "let t = <Timestamp>::now();",
        "let clock = Timestamp::now;",
        "use std::{fmt, time::{self, Duration}};",
        "use std::{\n    collections::BTreeMap,\n    env,\n};",
        "use std::{fmt, fs as disk};",
        "let x = std::process::id();",
        "async fn f() {}",
        "fn f() -> impl Future<Output = ()> {}",
        "use crate::api::PlacementPolicy;",
        "use crate::{core::name, operator};",
        "use super::super::operator::Ruling;",
        "use super::{super::convert, name::LevelName};",
        "fn f(p: crate::api::Party) {}",
        "println!(\"x\");",
        "use std::collections::HashMap;",
        "static SEEN: u8 = 0;",
        "const X: &str = include_str!(\"x\");",
        "const X: Option<&str> = option_env!(\"X\");",
        "use ::tokio::task;",
        "pub use uuid::Uuid;",
        "/* use x */ use rand::random; // allowed?",
        "let c = '\"'; let t = std::thread::spawn(f); let d = '\"';",
        "let c = '\\''; std::env::var(k);",
        "let r = r#\"\"quoted\"\"#; dbg!(r);",
    ] {
        assert!(!breaches(sample).is_empty(), "not caught: {sample}");
    }
}

#[test]
fn prose_and_neighbours_of_forbidden_words_are_no_breach() {
    for sample in [
        "//! No kube, tokio or std::env here.",
        "/// When it is now, async.\nfn knows() {}",
        "/* nested /* kube */ tokio */ fn f() {}",
        "let message = \"use kube::Client; \\\" std::env\";",
        "let message = r#\"tokio \"now\" \"#;",
        "use std::{collections::{BTreeMap, BTreeSet}, fmt, sync::Arc};",
        "use super::{name::{Law, LevelName}, text::Listed};",
        "use crate::core::name::Law;",
        "fn known<'a>(x: &'a str, y: &'static str) -> &'a str { x }",
        "fn category_now_known(environment: u8, logged: u8) {}",
        "let now = at; f(now)",
        "use jiff::{Timestamp, civil, tz::TimeZone};",
        "use std::{fmt, time::Duration};",
        "use std::time::Duration;",
        "fn f(length: std::time::Duration) {}",
    ] {
        assert_eq!(breaches(sample), Vec::<String>::new(), "{sample}");
    }
}
