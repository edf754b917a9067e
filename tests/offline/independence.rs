//! The checker of binds is a second opinion: it shares no code with what it checks. Read from its text.

use std::path::Path;

use crate::purity::{code_of, paths, sources, uses};

/// The packages that it may use beside the standard library.
const PACKAGES: &[&str] = &["jiff", "serde_json"];

/// Whether the checker may import `path`, in a file that is its root or one of the others.
fn may_import(path: &str, root: bool) -> bool {
    let mut segments = path.trim_start_matches("::").split("::");
    match segments.next() {
        Some("self" | "std") => true,
        // In a file of the checker this is the checker; above it is all that it checks.
        Some("super") => !root && segments.next() != Some("super"),
        Some(package) => PACKAGES.contains(&package),
        None => false,
    }
}

fn breaches(source: &str, root: bool) -> Vec<String> {
    let code = code_of(source);
    let mut found = Vec::new();
    for (i, line) in code.lines().enumerate() {
        let leaves = |path: &&str| {
            let first = path.trim_start_matches("::").split("::").next().unwrap_or_default();
            matches!(first, "crate" | "rempart" | "kube" | "k8s_openapi" | "include_str")
                || path.starts_with("super::super")
                || (root && path.starts_with("super::"))
        };
        // Its audit policy is its own.
        let own = |path: &&str| root && *path == "include_str" && source.contains("include_str!(\"policy.yaml\")");
        found.extend(paths(line).filter(leaves).filter(|path| !own(path)).map(|path| format!("{}: {path}", i + 1)));
    }
    let imports = uses(&code).into_iter().filter(|(_, path)| !may_import(path, root));
    found.extend(imports.map(|(line, path)| format!("{line}: use of {path}")));
    found
}

#[test]
fn the_checker_of_binds_shares_no_code_with_what_it_checks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lab/audit");
    let (mut files, mut found) = (0, Vec::new());
    sources(&root, &mut |path, source| {
        files += 1;
        let is_root = path.ends_with("audit/mod.rs");
        found.extend(breaches(source, is_root).into_iter().map(|breach| format!("{}:{breach}", path.display())));
    });
    assert!(files > 8, "found only {files} files in {}", root.display());
    assert!(found.is_empty(), "the checker must stand on its own:\n{}", found.join("\n"));
}

#[test]
fn what_is_shared_is_caught_however_it_is_written() {
    for sample in [
        "use crate::core::keys;",
        "use rempart::core::selector::Selector;",
        "use super::super::estate;",
        "use super::{super::estate, log::text};",
        "fn f(policy: &crate::api::PlacementPolicy) {}",
        "let key = rempart::core::keys::SENSITIVITY;",
        "let key = super::super::estate::f();",
        "use kube::Client;",
        "let law = include_str!(\"../../core/law.rs\");",
    ] {
        assert!(!breaches(sample, false).is_empty(), "not caught: {sample}");
    }
    assert!(!breaches("use super::estate;", true).is_empty());
    assert!(!breaches("let x = super::estate::f();", true).is_empty());
    for sample in
        ["use super::{facts::Facts, log::text};", "use std::fmt;", "pub(super) fn f() {}", "// use crate::core;"]
    {
        assert_eq!(breaches(sample, false), Vec::<String>::new(), "{sample}");
    }
}
