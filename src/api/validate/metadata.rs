//! Object metadata: the checks of `apiVersion`, `kind` and `metadata` that no schema states.
//!
//! Takes an object of any kind, and notes on the walk for what the API server would refuse it.

use serde_json::{Map, Value};

use super::{
    form,
    path::FieldStep::{self, Field, Key},
    walk::ObjectWalk,
};
use crate::{
    api::{GROUP, VERSION},
    diagnostic::suggest,
};
use rempart_core::name::quoted;

/// Looks at what no schema says.
pub(super) fn look<'a>(walk: &mut ObjectWalk<'a>, kind: &str, object: &'a Map<String, Value>) {
    let version = format!("{GROUP}/{VERSION}");
    for (field, expected) in [("apiVersion", version.as_str()), ("kind", kind)] {
        if let Some(Value::String(given)) = object.get(field)
            && given != expected
        {
            let message = format!("{:?} is not what is judged here: write {expected}", quoted(given));
            walk.refuse(&[Field(field)], "NotSupported", message);
        }
    }
    let Some(Value::Object(metadata)) = object.get("metadata") else { return };
    look_at_name(walk, metadata);
    let keys = |field: &'static str| {
        metadata
            .get(field)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(move |(key, value)| (field, key, value))
    };
    for (field, key, value) in keys("labels").chain(keys("annotations")) {
        let at = [Field("metadata"), Field(field), Key(key)];
        // The API server looks at the keys of annotations without regard to case.
        let is_key = if field == "labels" { form::is_label_key(key) } else { form::is_label_key(&key.to_lowercase()) };
        if !is_key {
            let message = "not a key: write a name of at most 63 letters, digits, dashes, dots and underscores, with or \
                without a domain and a slash before it, such as node.example/pool";
            walk.refuse(&at, "Invalid", message.to_owned());
        }
        if let ("labels", Value::String(text)) = (field, value)
            && !form::is_label_value(text)
        {
            let message = format!(
                "{:?}: not the value of a label: write at most 63 letters, digits, dashes, dots and underscores, \
                 starting and ending with a letter or digit",
                quoted(text)
            );
            walk.refuse(&at, "Invalid", message);
        }
    }
}

fn look_at_name<'a>(walk: &mut ObjectWalk<'a>, metadata: &'a Map<String, Value>) {
    const AT: [FieldStep<'_>; 2] = [Field("metadata"), Field("name")];
    match metadata.get("name") {
        None | Some(Value::Null) => walk.refuse(&AT, "Required", "the object has no name: write one".to_owned()),
        Some(Value::String(name)) if name.is_empty() => {
            walk.refuse(&AT, "Required", "the name is empty: write one".to_owned());
        }
        Some(Value::String(name)) if !form::is_subdomain(name) => {
            let message = format!(
                "{:?}: not the name of an object: write lower-case letters, digits, dashes and dots, starting and ending \
                 with a letter or digit",
                quoted(name)
            );
            walk.refuse(&AT, "Invalid", message);
            let lower = name.to_lowercase().replace(['_', ' '], "-");
            if form::is_subdomain(&lower) {
                walk.hint(suggest::meant(quoted(&lower)));
            }
        }
        Some(_) => {}
    }
}
