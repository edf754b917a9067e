//! The functions that rules may call, as the API server has them.
//!
//! Most are those of `kube-cel`. Some are put in their place: where the crate counts or accepts otherwise than Go does,
//! and `matches`, which would compile its expression anew for every value.

#![allow(clippy::needless_pass_by_value, reason = "CEL hands arguments over by value")]

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use kube_cel::{
    KubeCelExt as _,
    cel::{
        Context, ExecutionError, Value,
        extractors::This,
        objects::{OptionalValue, ResolveResult},
    },
};
use regex::Regex;

use super::form;

/// The functions, shared by all evaluations.
pub(super) static LIBRARY: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut library = Context::default().with_all();
    library.add_function("size", size);
    library.add_function("matches", matches);
    library.add_function("isURL", |text: Arc<String>| form::is_url(&text));
    for name in FORMATS.iter().map(|(name, _)| *name) {
        library.add_function(&format!("format.{name}"), move || ResolveResult::Ok(Value::from(name)));
    }
    library.add_function("validate", validate);
    library
});

/// A format by its name, and whether a text has it.
type FormatCheck = (&'static str, fn(&str) -> bool);

/// The formats that our rules name. Another would fail where it is evaluated.
const FORMATS: [FormatCheck; 3] =
    [("date", form::is_date), ("labelValue", form::is_label_value), ("qualifiedName", form::is_label_key)];

/// `format.date().validate(self)`: nothing when the text has the format, or else what is wrong with it.
fn validate(This(format): This<Arc<String>>, text: Arc<String>) -> ResolveResult {
    let known = FORMATS.iter().find(|(name, _)| *name == format.as_str());
    let (name, is) = known.ok_or_else(|| ExecutionError::function_error("validate", "there is no such format"))?;
    let wrong = (!is(&text)).then(|| vec![Value::from(format!("not of the format {name}"))]);
    let answer = wrong.map_or_else(OptionalValue::none, |wrong| OptionalValue::of(Value::from(wrong)));
    Ok(Value::Opaque(Arc::new(answer)))
}

/// Text is measured in characters, not in bytes.
fn size(This(value): This<Value>) -> ResolveResult {
    let size = match &value {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.map.len(),
        _ => return Err(ExecutionError::function_error("size", "this has no size")),
    };
    i64::try_from(size).map(Value::Int).map_err(|error| ExecutionError::function_error("size", error))
}

fn matches(This(text): This<Arc<String>>, pattern: Arc<String>) -> ResolveResult {
    // As many as our definitions have: patterns are never a user's. Shared, since a copy would begin without the memory
    // that its original works in.
    static COMPILED: RwLock<BTreeMap<String, Arc<Regex>>> = RwLock::new(BTreeMap::new());
    let known = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(pattern.as_str()).cloned();
    let regex = if let Some(regex) = known {
        regex
    } else {
        let regex = Regex::new(&pattern).map_err(|error| ExecutionError::function_error("matches", error))?;
        let regex = Arc::new(regex);
        let mut compiled = COMPILED.write().unwrap_or_else(PoisonError::into_inner);
        compiled.insert(pattern.to_string(), regex.clone());
        regex
    };
    Ok(Value::Bool(regex.is_match(&text)))
}

#[cfg(test)]
mod tests {
    use kube_cel::cel::Program;

    use super::*;

    fn eval(expression: &str) -> ResolveResult {
        Program::compile(expression).unwrap().execute(&LIBRARY)
    }

    #[test]
    fn what_is_put_in_the_place_of_the_crates_functions_is_called() {
        for expression in [
            "'é'.size() == 1 && size('é') == 1 && size([1, 2]) == 2 && {'a': 1}.size() == 1",
            "format.date().validate('2026-+1-01').hasValue()",
            "!format.date().validate('2026-11-30').hasValue()",
            "!format.labelValue().validate('').hasValue() && format.labelValue().validate('a b').hasValue()",
            "format.qualifiedName().validate('a/b/c').hasValue()",
            "!isURL('https://example.com/%zz') && isURL('https://example.com/a b')",
            "'north-1'.matches('^[a-z]+-[0-9]$') && !'north'.matches('^[0-9]')",
        ] {
            assert_eq!(eval(expression), Ok(Value::Bool(true)), "{expression}");
        }
        assert!(eval("format.uuid().validate('x').hasValue()").is_err());
    }
}
