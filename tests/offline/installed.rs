//! The chart's mutations: the file says what the code says.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

use std::{fs, path::Path};

use rempart::admission::installed;

#[test]
fn the_file_is_generated_from_the_code() {
    let (name, expected) = installed::render().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/rempart/files/admission").join(&name);
    let actual = fs::read_to_string(file).unwrap_or_default();
    assert!(
        actual == expected,
        "{name} is not what src/admission says: run `make admission`, look at the difference and commit it"
    );
}
