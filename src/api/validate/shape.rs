//! Schema nodes: of every value of an object its shape, its rules and an example.
//!
//! Plain data, read from a definition once and walked beside each object.

use std::{collections::BTreeMap, sync::Arc};

use super::rule::CelRule;

/// What one value may be.
#[derive(Debug)]
pub(super) struct SchemaNode {
    pub(super) shape: ValueShape,
    pub(super) rules: Vec<Arc<CelRule>>,
    /// A value that would do, from the description.
    pub(super) example: Option<String>,
}

/// The structure of a value.
#[derive(Debug)]
pub(super) enum ValueShape {
    Fields {
        known: BTreeMap<String, SchemaNode>,
        required: Vec<String>,
    },
    Map {
        values: Box<SchemaNode>,
        shortest: usize,
        longest: usize,
    },
    List {
        item: Box<SchemaNode>,
        shortest: usize,
        longest: usize,
        distinct: bool,
    },
    Text {
        longest: usize,
        allowed: Vec<String>,
    },
    Number {
        least: Option<f64>,
    },
    Integer {
        least: Option<f64>,
        most: Option<f64>,
    },
    Boolean,
    /// Of no concern here.
    Anything,
}
