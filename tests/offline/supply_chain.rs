//! What Rempart is made of, as far as files of the repository say it: no crate of its own may say `unsafe`. Licences, bans
//! and sources of others are `cargo deny`'s (`make deny`).

use std::{fs, path::Path};

#[test]
fn unsafe_code_is_forbidden_in_every_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let lints = workspace.split("[workspace.lints.rust]\n").nth(1).unwrap();
    assert!(lints.split("\n[").next().unwrap().lines().any(|line| line == "unsafe_code = \"forbid\""), "{lints}");
    let crates = fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut looked_at = 0;
    for folder in crates.chain([root.to_owned()]) {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{} has lints of its own", folder.display());
        looked_at += 1;
    }
    assert!(looked_at >= 6, "{looked_at}");
}

#[test]
fn licences_and_sources_are_part_of_what_integration_runs() {
    let makefile = include_str!("../../Makefile");
    assert!(
        makefile.lines().any(|line| line.starts_with("test:") && line.split_whitespace().any(|word| word == "deny"))
    );
    let rules = include_str!("../../deny.toml");
    for rule in ["unknown-registry = \"deny\"", "unknown-git = \"deny\"", "wildcards = \"deny\"", "yanked = \"deny\""] {
        assert!(rules.lines().any(|line| line == rule), "{rule}");
    }
}
