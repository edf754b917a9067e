//! The generated definitions: the files say what the types say.

use std::{fs, path::Path};

use rempart::api::crds;

/// Where the definitions are kept: for `kubectl apply`, and for the chart.
const DIRECTORIES: [&str; 2] = ["crds", "charts/rempart/files/crds"];

#[test]
fn files_are_generated_from_the_types() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = crds::render().unwrap();
    for directory in DIRECTORIES {
        for (name, expected) in &files {
            let actual = fs::read_to_string(root.join(directory).join(name)).unwrap_or_default();
            assert!(
                actual == *expected,
                "{directory}/{name} is not what src/api says: run `cargo run --bin rempart -- crds`, look at the \
                 difference and commit it"
            );
        }
        let kept = fs::read_dir(root.join(directory)).unwrap().count();
        assert_eq!(kept, files.len(), "{directory} holds files that src/api does not generate: remove them");
    }
}
