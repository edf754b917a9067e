//! Simulation scripts: what the operator writes, against what was kept of it.

use std::{fs, path::Path};

/// The output of each script in `tests/simulate/` is what stands beside it. Where a change is meant, write it anew:
/// `cargo run -p rempart-lab -- simulate tests/simulate/NAME.yaml > tests/simulate/NAME.out`.
#[test]
fn scripts_give_what_was_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulate");
    let mut scripts = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            scripts += 1;
            let output = rempart_lab::simulate(&fs::read_to_string(&path).unwrap()).unwrap();
            let kept = fs::read_to_string(path.with_extension("out")).unwrap_or_default();
            assert_eq!(output.trim_end(), kept.trim_end(), "{}", path.display());
        }
    }
    assert!(scripts >= 4, "{scripts} scripts");
}
