//! Refused objects: the table `tests/api/refused.yaml`, by which the API server and the commands are tested alike.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// The table.
#[derive(Deserialize)]
pub(crate) struct RefusedTable {
    /// An object of each kind that is accepted.
    pub(crate) good: Vec<Value>,
    /// Changes of them that are not.
    pub(crate) refused: Vec<RefusedCase>,
}

/// One change that makes a good object wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefusedCase {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// A JSON pointer.
    pub(crate) at: String,
    /// `None` when the field is to go; `null` is a value.
    #[serde(default, deserialize_with = "some")]
    pub(crate) value: Option<Value>,
    pub(crate) says: String,
}

fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl RefusedTable {
    /// Reads the table.
    pub(crate) fn read() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/refused.yaml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("{} is not what is expected", path.display()))
    }

    /// The good object of `kind`.
    pub(crate) fn good(&self, kind: &str) -> Result<Value> {
        let found = self.good.iter().find(|object| object["kind"] == kind);
        found.cloned().with_context(|| format!("there is no good {kind}"))
    }
}

/// `object` with the value at `at`, a JSON pointer, replaced, added or taken away.
pub(crate) fn changed(mut object: Value, at: &str, value: Option<Value>) -> Result<Value> {
    let (parent, field) = at.rsplit_once('/').with_context(|| format!("{at:?} is no JSON pointer"))?;
    let parent = object.pointer_mut(parent).with_context(|| format!("{parent} is not in the good object"))?;
    match (parent, value) {
        (Value::Object(fields), Some(value)) => drop(fields.insert(field.to_owned(), value)),
        (Value::Object(fields), None) => {
            fields.remove(field).with_context(|| format!("{at} is not in the good object"))?;
        }
        (Value::Array(items), Some(value)) => {
            *items.get_mut(field.parse::<usize>()?).context("the good object has no such entry")? = value;
        }
        _ => bail!("{at} is neither a field nor an entry"),
    }
    Ok(object)
}
