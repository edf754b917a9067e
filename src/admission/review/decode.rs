//! Decoding: what decides, out of the text of an object, without the rest of it.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Error, value::RawValue};

use rempart_core::{scheduling::REVISION_LABELS, selector::Labels};

/// The annotation of what a kubelet runs without being asked.
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";
/// So many entries of Rempart's may be in one map: of policies that govern the same namespace there are a few.
pub(super) const MOST_ENTRIES: usize = 1024;

/// What is read of an object, and of what is in it.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) spec: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) template: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) job_template: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) labels: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) node_selector: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) node_name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) owner_references: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) deletion_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) suspend: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) start_time: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) affinity: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) node_affinity: Option<&'a RawValue>,
    #[serde(borrow, rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub(super) preferred: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) preference: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) match_expressions: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) topology_spread_constraints: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tolerations: Option<&'a RawValue>,
}

pub(super) fn is_map(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| value.get().starts_with('{'))
}

/// The fields of `object`; none of what is no object.
pub(super) fn fields(object: Option<&RawValue>) -> Result<Fields<'_>, Error> {
    match object {
        Some(object) if is_map(Some(object)) => serde_json::from_str(object.get()),
        _ => Ok(Fields::default()),
    }
}

/// What is at `path` of `object`.
pub(super) fn at<'a>(object: &'a RawValue, path: &[&str]) -> Result<Option<&'a RawValue>, Error> {
    let mut found = Some(object);
    for field in path {
        let Fields { spec, template, job_template, .. } = fields(found)?;
        found = match *field {
            "spec" => spec,
            "template" => template,
            "jobTemplate" => job_template,
            _ => None,
        };
    }
    Ok(found)
}

/// The entries of a map of texts that are Rempart's or say whose the object is and of which revision.
#[derive(Default)]
pub(super) struct OurTexts {
    /// Whether there is a map.
    pub(super) is_there: bool,
    pub(super) ours: Labels,
}

pub(super) fn texts(map: Option<&RawValue>) -> Result<OurTexts, Error> {
    match map {
        Some(map) if is_map(Some(map)) => serde_json::from_str(map.get()),
        _ => Ok(OurTexts::default()),
    }
}

impl<'de> Deserialize<'de> for OurTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OurTextsVisitor)
    }
}

struct OurTextsVisitor;

impl<'de> Visitor<'de> for OurTextsVisitor {
    type Value = OurTexts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OurTexts, A::Error> {
        let mut ours = Labels::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let value: &RawValue = map.next_value()?;
            if !key.contains("rempart") && key != MIRROR && !REVISION_LABELS.contains(&key.as_ref()) {
                continue;
            }
            if ours.len() >= MOST_ENTRIES {
                return Err(A::Error::custom("more entries of Rempart's than anybody needs"));
            }
            // What is no text is no entry.
            if let Ok(value) = serde_json::from_str::<String>(value.get()) {
                ours.insert(key.into_owned(), value);
            }
        }
        Ok(OurTexts { is_there: true, ours })
    }
}

/// The kind of the owner that controls an object with these references.
pub(super) fn controller(references: Option<&RawValue>) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct OwnerReference {
        kind: String,
        #[serde(default)]
        controller: Option<bool>,
    }
    let mut found = None;
    each(references, |reference: OwnerReference| {
        if reference.controller == Some(true) && found.is_none() {
            found = Some(reference.kind);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Tells each entry of `list` to `tell`, one by one, so that none is kept; none of what is no list.
pub(super) fn each<'a, T: Deserialize<'a>>(
    list: Option<&'a RawValue>,
    tell: impl FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    match list {
        Some(list) if list.get().starts_with('[') => {
            let entries = Entries { tell, entry: PhantomData };
            serde_json::Deserializer::from_str(list.get()).deserialize_seq(entries)
        }
        _ => Ok(()),
    }
}

struct Entries<T, F> {
    tell: F,
    entry: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), Error>> Visitor<'de> for Entries<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element()? {
            (self.tell)(entry).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
