//! Fields that several kinds share: identifiers, conditions, amounts of resources and label entries, decoded from objects of
//! others. Leaves: they take nothing from the kinds that have them.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::quantity;
use rempart_core::cluster_objects::{ComputeResources, ExtendedResources, ObjectUid};

/// The label that no two nodes have the same of.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// Labels, sorted by key.
pub type LabelEntries = [(Arc<str>, Arc<str>)];

/// Reads an identifier.
pub fn uid(text: Option<&str>) -> ObjectUid {
    text.and_then(ObjectUid::parse).unwrap_or_default()
}

/// A condition of an object of others.
#[derive(Clone, Debug, Deserialize)]
pub struct PartialCondition {
    /// Which.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Amounts of what pods ask for and nodes have, as they are written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct ResourceAmounts(BTreeMap<String, WrittenQuantity>);

/// An amount as it is written. The API server writes text; whoever writes manifests may write a number.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum WrittenQuantity {
    Text(String),
    Number(serde_json::Number),
}

impl ResourceAmounts {
    /// Whether an amount of the resource `name` is written.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// They, read, or which of them cannot be.
    pub fn read(&self) -> Result<(ComputeResources, ExtendedResources), String> {
        let (mut common, mut others) = (ComputeResources::default(), ExtendedResources::new());
        for (name, written) in &self.0 {
            let text = match written {
                WrittenQuantity::Text(text) => Cow::Borrowed(text.as_str()),
                WrittenQuantity::Number(number) => Cow::Owned(number.to_string()),
            };
            let with = if name == "cpu" { quantity::thousandths } else { quantity::units };
            let amount = with(&text).ok_or_else(|| format!("{name}: {text:?} is no quantity"))?;
            match name.as_str() {
                "cpu" => common.cpu_milli = amount,
                "memory" => common.memory = amount,
                "pods" => common.pods = u32::try_from(amount).unwrap_or(u32::MAX),
                _ if amount == 0 => {}
                other => drop(others.insert(other.into(), amount)),
            }
        }
        Ok((common, others))
    }
}
