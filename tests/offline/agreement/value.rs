//! CEL values of admission expressions: what objects, variables and results are while an expression is evaluated.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::Value;

/// A value. Cheap to copy: whatever may be large is shared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CelValue {
    Null,
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
    List(Rc<[CelValue]>),
    Map(Rc<BTreeMap<Rc<str>, CelValue>>),
    Optional(Option<Rc<CelValue>>),
}

impl CelValue {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The value of a JSON text, as the API server hands an object to CEL: without its schema.
    pub(super) fn of_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Int(number.as_i64().expect("no fraction is made here")),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::List(items.iter().map(Self::of_json).collect()),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str().into(), Self::of_json(value)));
                Self::Map(Rc::new(fields.collect()))
            }
        }
    }

    pub(super) fn some(value: Self) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    /// `self.name` where `name` may be missing, in which case there is nothing.
    fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.get(name),
            _ => None,
        }
    }

    /// `self.name`, or `self.?name` where it is `optional`. Of an optional, every selection is optional.
    pub(super) fn select(&self, name: &str, optional: bool) -> Result<Self, String> {
        match self {
            Self::Optional(inner) => {
                let found = inner.as_ref().and_then(|inner| inner.field(name));
                Ok(Self::Optional(found.map(|found| Rc::new(found.clone()))))
            }
            _ if optional => Ok(Self::Optional(self.field(name).map(|found| Rc::new(found.clone())))),
            Self::Map(_) => self.field(name).cloned().ok_or_else(|| format!("no such key: {name}")),
            _ => Err(format!("no such overload: {self:?}.{name}")),
        }
    }

    /// `has(self.name)`.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Optional(inner) => inner.as_ref().is_some_and(|inner| inner.field(name).is_some()),
            _ => self.field(name).is_some(),
        }
    }

    /// `self[key]`, or `self[?key]` where it is `optional`.
    pub(super) fn index(&self, key: &Self, optional: bool) -> Result<Self, String> {
        match (self, key) {
            (Self::Optional(_) | Self::Map(_), Self::Text(name)) => self.select(name, optional),
            (Self::List(items), Self::Int(place)) => {
                let found = usize::try_from(*place).ok().and_then(|place| items.get(place));
                match found {
                    found if optional => Ok(Self::Optional(found.map(|found| Rc::new(found.clone())))),
                    Some(found) => Ok(found.clone()),
                    None => Err(format!("index out of bounds: {place}")),
                }
            }
            _ => Err(format!("no such overload: {self:?}[{key:?}]")),
        }
    }

    /// `self in container`.
    pub(super) fn is_in(&self, container: &Self) -> Result<Self, String> {
        match (container, self) {
            (Self::List(items), _) => Ok(Self::Bool(items.contains(self))),
            (Self::Map(fields), Self::Text(name)) => Ok(Self::Bool(fields.contains_key(name))),
            _ => Err(format!("no such overload: {self:?} in {container:?}")),
        }
    }

    /// `self + other`.
    pub(super) fn plus(&self, other: &Self) -> Result<Self, String> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Ok(Self::Int(a + b)),
            (Self::Text(a), Self::Text(b)) => Ok(Self::Text([&**a, &**b].concat().into())),
            (Self::List(a), Self::List(b)) => Ok(Self::List(a.iter().chain(b.iter()).cloned().collect())),
            _ => Err(format!("no such overload: {self:?} + {other:?}")),
        }
    }

    /// `self - other`.
    pub(super) fn minus(&self, other: &Self) -> Result<Self, String> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Ok(Self::Int(a - b)),
            _ => Err(format!("no such overload: {self:?} - {other:?}")),
        }
    }

    pub(super) fn as_bool(&self) -> Result<bool, String> {
        match self {
            Self::Bool(value) => Ok(*value),
            _ => Err(format!("no such overload: {self:?} is no bool")),
        }
    }
}
