//! Documented values: each value of the chart's `values.yaml` with its default and its comment, and the table of them.
//!
//! Takes the text of the file. A comment belongs to the key below it. A key with commented keys below it is a section, any
//! other with a comment is a value, and what is below a value is its default.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::Value;

use super::{GeneratedFile, section};
use crate::{LabError, Result};

/// Where the table begins in the README.
const BEGIN: &str = "<!-- Generated from values.yaml by `make manifests`. Do not edit. -->\n";

/// A value of the chart, or a section of values.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentedValue {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// What is said above it, in one line; empty where nothing is.
    pub comment: String,
    /// Its default; `None` for a section.
    pub default: Option<Value>,
}

/// A key as it stands in the file.
struct KeyLine {
    path: Vec<String>,
    comment: String,
}

/// The sections and values of `text`, a `values.yaml`, in its order.
///
/// # Errors
/// When it is no YAML.
pub fn documented_values(text: &str) -> Result<Vec<DocumentedValue>> {
    let defaults: Value = serde_saphyr::from_str(text)
        .map_err(|error| LabError::Unsupported(format!("values.yaml is no YAML: {error}")))?;
    let keys = key_lines(text);
    let begins = |path: &[String], prefix: &[String]| path.len() > prefix.len() && path.starts_with(prefix);
    let mut found: Vec<DocumentedValue> = Vec::new();
    for key in &keys {
        let is_below_value = found.iter().any(|value| value.default.is_some() && begins(&key.path, &value.path));
        if is_below_value {
            continue;
        }
        let is_section = keys.iter().any(|other| begins(&other.path, &key.path) && !other.comment.is_empty());
        let default = key.path.iter().try_fold(&defaults, |value, key| value.get(key)).cloned();
        let default = if is_section { None } else { default };
        found.push(DocumentedValue { path: key.path.clone(), comment: key.comment.clone(), default });
    }
    Ok(found)
}

/// Every key of the maps in `text`, none of those within lists.
fn key_lines(text: &str) -> Vec<KeyLine> {
    let (mut found, mut open, mut comment) = (Vec::new(), Vec::<(usize, String)>::new(), Vec::new());
    // Within a list, up to the next key that stands no further right than its dashes.
    let mut list: Option<usize> = None;
    for line in text.lines() {
        let rest = line.trim_start();
        let indent = line.len().saturating_sub(rest.len());
        if let Some(said) = rest.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        let key = rest.split_once(':').map(|(key, _)| key).filter(|key| key.chars().all(|c| c.is_ascii_alphanumeric()));
        if rest.starts_with("- ") && list.is_none() {
            list = Some(indent);
        }
        if let Some(key) = key.filter(|_| list.is_none_or(|dashes| indent <= dashes)) {
            list = None;
            open.retain(|(outer, _)| *outer < indent);
            open.push((indent, key.to_owned()));
            let path = open.iter().map(|(_, key)| key.clone()).collect();
            found.push(KeyLine { path, comment: comment.join(" ") });
        }
        comment.clear();
    }
    found
}

/// The README of the chart, with the table of values as `values.yaml` has them.
pub(super) fn readme(root: &Path, chart: &Path) -> Result<GeneratedFile> {
    let read = |name: &str| {
        let path = root.join(chart).join(name);
        fs::read_to_string(&path).map_err(LabError::file("read", path))
    };
    let (readme, values) = (read("README.md")?, read("values.yaml")?);
    let text = section::replace(&readme, BEGIN, &table(&documented_values(&values)?))?;
    Ok(GeneratedFile { path: chart.join("README.md"), text })
}

/// A table of the values in Markdown.
pub(super) fn table(values: &[DocumentedValue]) -> String {
    let mut text = "| value | default | what it is |\n|---|---|---|\n".to_owned();
    for DocumentedValue { path, comment, default } in values {
        if default.is_none() && comment.is_empty() {
            continue;
        }
        let default = default.as_ref().map(|value| format!("`{value}`")).unwrap_or_default();
        let escaped = |text: &str| text.replace('|', "\\|");
        // A String takes all that is written.
        let _ = writeln!(text, "| `{}` | {} | {} |", path.join("."), escaped(&default), escaped(comment));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_belong_to_the_keys_below_them() {
        let text = "# About\n# both.\nboth:\n  # The | one.\n  one: 1\n  # More.\n  more:\n    a: [x]\n    b:\n    - c: 1\n\
                    # A list.\nlist:\n- name: x\n  kind: z\nbare:\n  # In it.\n  in: \"\"\n";
        let found = documented_values(text).unwrap();
        let told: Vec<_> = found.iter().map(|one| (one.path.join("."), one.comment.as_str(), &one.default)).collect();
        assert_eq!(
            told,
            [
                ("both".to_owned(), "About both.", &None),
                ("both.one".to_owned(), "The | one.", &Some(json!(1))),
                ("both.more".to_owned(), "More.", &Some(json!({"a": ["x"], "b": [{"c": 1}]}))),
                ("list".to_owned(), "A list.", &Some(json!([{"name": "x", "kind": "z"}]))),
                ("bare".to_owned(), "", &None),
                ("bare.in".to_owned(), "In it.", &Some(json!(""))),
            ]
        );
        assert_eq!(
            table(&found).lines().nth(3).unwrap(),
            "| `both.one` | `1` | The \\| one. |",
            "a line would end the row"
        );
    }
}
