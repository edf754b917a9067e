//! Documents: what they name of the source is there.

use std::{fs, path::Path};

/// What stands in backticks, outside blocks of code.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

#[test]
fn paths_and_modules_that_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut looked_at = 0;
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/glossary.md", "docs/operations.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        for quoted in quoted(&text) {
            let folders = ["src/", "crates/", "tests/", "charts/", "docs/", "deploy/", "benches/"];
            let path = folders.iter().any(|folder| quoted.starts_with(folder)).then(|| root.join(quoted));
            let module = quoted.strip_prefix("rempart_core::").and_then(|path| path.split("::").next());
            // Parts of a path stand for one: `core/validity.rs`, `operator/write/`.
            let short = quoted.strip_prefix("core/").map(|rest| root.join("crates/core/src").join(rest));
            let of_operator = quoted.starts_with("operator/").then(|| root.join("src").join(quoted));
            for path in [path, short, of_operator].into_iter().flatten() {
                looked_at += 1;
                assert!(path.exists(), "{document} names `{quoted}`, which is not there");
            }
            if let Some(module) = module {
                looked_at += 1;
                let file = root.join("crates/core/src").join(module);
                let exists = file.is_dir() || file.with_extension("rs").exists();
                assert!(exists, "{document} names the module `{quoted}`, which is not there");
            }
        }
    }
    assert!(looked_at > 50, "{looked_at}");
}
