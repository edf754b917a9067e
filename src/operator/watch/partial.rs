//! Partial objects: objects of others, decoded no further than needed.
//!
//! A [`DecodedObject`] takes the JSON of a whole object and keeps what [`FromPartial`] makes of the fields that are read, or
//! why they cannot be. Whole objects would be most of the operator's memory, and who manages which of their fields is more
//! text than all of them besides.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use rempart_core::{keys, pod_lifecycle::NotNow};

use super::pod::INDEX_FAILURES;

/// The annotation of a pod that is the image of a static one.
pub const MIRROR: &str = "kubernetes.io/config.mirror";
/// The beginning of our own annotations.
const OURS: &str = "rempart.dev/";

/// An object of kind `K`, with as much of it as `Spec` and `Status` name. Labels, and when it was made, are value where
/// `LABELS` says so.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "Spec: Deserialize<'de> + Default, Status: Deserialize<'de> + Default"))]
pub struct PartialObject<K, Spec, Status, const LABELS: bool = false> {
    /// The metadata that matters: names, versions, the controller, annotations that are read.
    #[serde(deserialize_with = "metadata::<_, LABELS>")]
    pub metadata: ObjectMeta,
    /// What matters of its spec.
    #[serde(default)]
    pub spec: Spec,
    /// What matters of its status.
    #[serde(default)]
    pub status: Status,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

fn metadata<'de, D: Deserializer<'de>, const LABELS: bool>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct MetadataFields {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        generation: Option<i64>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        deletion_grace_period_seconds: Option<i64>,
        labels: Option<BTreeMap<String, String>>,
        #[serde(default)]
        annotations: OwnAnnotations,
        owner_references: Option<Vec<OwnerReference>>,
    }
    let found = MetadataFields::deserialize(deserializer)?;
    let controllers = found.owner_references.into_iter().flatten().filter(|owner| owner.controller == Some(true));
    let controllers: Vec<_> = controllers.collect();
    Ok(ObjectMeta {
        name: found.name,
        namespace: found.namespace,
        uid: found.uid,
        resource_version: found.resource_version,
        generation: found.generation,
        creation_timestamp: found.creation_timestamp.filter(|_| LABELS),
        deletion_timestamp: found.deletion_timestamp,
        deletion_grace_period_seconds: found.deletion_grace_period_seconds,
        labels: found.labels.filter(|_| LABELS),
        annotations: Some(found.annotations.0).filter(|found| !found.is_empty()),
        owner_references: Some(controllers).filter(|found| !found.is_empty()),
        ..ObjectMeta::default()
    })
}

/// Whether the annotation `key` is read.
fn is_read(key: &str) -> bool {
    key.starts_with(OURS)
        || key == MIRROR
        || key == INDEX_FAILURES
        || NotNow::MARKS.iter().any(|(mark, _)| *mark == key)
}

/// The annotations that are read. Those of others may be as long as the object: `kubectl apply` keeps a copy of it there.
#[derive(Clone, Debug, Default)]
pub struct OwnAnnotations(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for OwnAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationVisitor;
        impl<'de> Visitor<'de> for AnnotationVisitor {
            type Value = OwnAnnotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_unit<E>(self) -> Result<OwnAnnotations, E> {
                Ok(OwnAnnotations::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OwnAnnotations, A::Error> {
                let mut ours = BTreeMap::new();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    if is_read(&key) {
                        ours.insert(key.into_owned(), map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(OwnAnnotations(ours))
            }
        }
        deserializer.deserialize_any(AnnotationVisitor)
    }
}

/// The policies whose completion marks stand among labels. Other labels are not kept.
#[derive(Clone, Debug, Default)]
pub struct CompletionMarks(pub BTreeSet<String>);

impl CompletionMarks {
    /// Those of `labels`.
    pub fn of<'a>(labels: impl IntoIterator<Item = &'a String>) -> Self {
        let policies = labels.into_iter().filter_map(|key| key.strip_prefix(keys::COMPLETED));
        Self(policies.map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for CompletionMarks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let labels = Option::<BTreeMap<String, IgnoredAny>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Self::of(labels.keys()))
    }
}

/// A list that may be written as `null`.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Makes `$value` a resource of the kind `K`, of which it is what is value.
macro_rules! of_kind_k {
    ($value:ty, $($generics:tt)*) => {
        impl<$($generics)*> Resource for $value {
            type DynamicType = K::DynamicType;
            type Scope = K::Scope;

            fn kind(of: &K::DynamicType) -> Cow<'_, str> {
                K::kind(of)
            }

            fn group(of: &K::DynamicType) -> Cow<'_, str> {
                K::group(of)
            }

            fn version(of: &K::DynamicType) -> Cow<'_, str> {
                K::version(of)
            }

            fn plural(of: &K::DynamicType) -> Cow<'_, str> {
                K::plural(of)
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

of_kind_k!(PartialObject<K, Spec, Status, LABELS>, K: Resource, Spec, Status, const LABELS: bool);
of_kind_k!(DecodedObject<K, V>, K: Resource, V);

/// What is value of objects of kind `K`.
pub trait FromPartial<K>: Sized {
    /// As much of the object as is decoded.
    type Partial: DeserializeOwned + Resource;

    /// What is value of `partial`: nothing where it is of no concern.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String>;
}

/// What is value of an object of kind `K`, reduced as it is read, or why it cannot be.
///
/// A list or watch does not fail for one object that cannot be read: its name is known, and what was known of it stays.
#[derive(Clone, Debug)]
pub struct DecodedObject<K, V> {
    metadata: ObjectMeta,
    /// What is value of it: nothing where it is of no concern.
    pub value: Result<Option<V>, String>,
    kind: PhantomData<fn() -> K>,
}

impl<K, V> DecodedObject<K, V> {
    /// Why it cannot be read, where that is so.
    pub fn fault(&self) -> Option<&str> {
        self.value.as_ref().err().map(String::as_str)
    }
}

impl<'de, K, V: FromPartial<K>> Deserialize<'de> for DecodedObject<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let named = |meta: &ObjectMeta| ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            resource_version: meta.resource_version.clone(),
            ..ObjectMeta::default()
        };
        let (metadata, value) = match serde_json::from_str::<V::Partial>(text.get()) {
            Ok(partial) => (named(partial.meta()), V::from_partial(partial)),
            Err(error) => {
                let bare: BareObject = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
                (bare.metadata, Err(error.to_string()))
            }
        };
        Ok(Self { metadata, value, kind: PhantomData })
    }
}

/// An object of which nothing but names can be read.
#[derive(Deserialize)]
struct BareObject {
    #[serde(deserialize_with = "names")]
    metadata: ObjectMeta,
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct NameFields {
        name: Option<String>,
        namespace: Option<String>,
        resource_version: Option<String>,
    }
    let NameFields { name, namespace, resource_version } = NameFields::deserialize(deserializer)?;
    Ok(ObjectMeta { name, namespace, resource_version, ..ObjectMeta::default() })
}
