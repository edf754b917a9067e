//! Fingerprints: numbers by which two JSON values are compared without either being kept.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
};

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Error, value::RawValue};

/// A number for `value`, by what it says and not by how it is written: in whatever order the entries of a map stand.
pub(super) fn fingerprint(hasher: &RandomState, value: &RawValue) -> Result<u64, Error> {
    let mut deserializer = serde_json::Deserializer::from_str(value.get());
    Fingerprint(hasher).deserialize(&mut deserializer)
}

/// Nobody who does not know the hasher can write two values of one number.
#[derive(Clone, Copy)]
struct Fingerprint<'a>(&'a RandomState);

impl<'de> DeserializeSeed<'de> for Fingerprint<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fingerprint<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(self.0.hash_one("nothing"))
    }

    fn visit_bool<E>(self, value: bool) -> Result<u64, E> {
        Ok(self.0.hash_one(("truth", value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
        Ok(self.0.hash_one(("integer", value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(self.0.hash_one(("natural", value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
        Ok(self.0.hash_one(("real", value.to_bits())))
    }

    fn visit_str<E>(self, value: &str) -> Result<u64, E> {
        Ok(self.0.hash_one(("text", value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut all = self.0.hash_one("list");
        while let Some(item) = items.next_element_seed(self)? {
            all = self.0.hash_one(("item", all, item));
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<u64, A::Error> {
        let mut all = self.0.hash_one("map");
        while let Some(key) = entries.next_key_seed(self)? {
            let value = entries.next_value_seed(self)?;
            all = all.wrapping_add(self.0.hash_one(("entry", key, value)));
        }
        Ok(all)
    }
}
