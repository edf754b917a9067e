//! Functions of CEL that admission expressions call, as cel-go 0.26 and the library of Kubernetes 1.36 have them.
//!
//! A function that is not listed here does not compile, as on an API server. What `kube-cel` has as well is compared with
//! it in a property.

use super::value::CelValue;

/// A function, by its name and by how many arguments it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// `decision.allowed()`.
    Allowed,
    /// `check.check(verb)`: whether what the user may do, `group/resource/name/verb`, is among it.
    Check,
    /// `authorizer.group(group)`, `….resource(resource)` and `….name(name)`: one part more of what is asked for.
    AskedFor,
    /// `list.flatten()`: one level of lists becomes part of the list.
    Flatten,
    HasValue,
    /// `list.indexOf(value)`: where it is first, or -1.
    IndexOf,
    /// `list.join(separator)`.
    Join,
    /// `text.lowerAscii()`: every other character stays.
    LowerAscii,
    /// `list.max()`: an error where the list is empty.
    Max,
    OptionalNone,
    OptionalOf,
    OrValue,
    /// `dyn(value)`: for the compiler alone.
    Dynamic,
    /// `strings.quote(text)`: quotes, backslashes and the control characters that have a letter are escaped, no others.
    Quote,
    /// `value.size()`: of a text in code points.
    Size,
    /// `text.split(separator)`, and at most so many parts.
    Split,
    /// `string(int)`.
    ToText,
    /// `text.substring(from, to)`: in code points, an error beyond the end.
    Substring,
    /// `list.unwrapOpt()`: the values of the optionals that have one.
    UnwrapOpt,
    Value,
}

impl Function {
    /// The function `name`, whose target counts as its first argument.
    pub(super) fn named(name: &str, arguments: usize) -> Option<Self> {
        Some(match (name, arguments) {
            ("allowed", 1) => Self::Allowed,
            ("check", 2) => Self::Check,
            ("group" | "resource" | "name", 2) => Self::AskedFor,
            ("dyn", 1) => Self::Dynamic,
            ("flatten", 1) => Self::Flatten,
            ("hasValue", 1) => Self::HasValue,
            ("indexOf", 2) => Self::IndexOf,
            ("join", 2) => Self::Join,
            ("lowerAscii", 1) => Self::LowerAscii,
            ("max", 1) => Self::Max,
            ("optional.none", 0) => Self::OptionalNone,
            ("optional.of", 1) => Self::OptionalOf,
            ("orValue", 2) => Self::OrValue,
            ("size", 1) => Self::Size,
            ("split", 2 | 3) => Self::Split,
            ("string", 1) => Self::ToText,
            ("strings.quote", 1) => Self::Quote,
            ("substring", 3) => Self::Substring,
            ("unwrapOpt", 1) => Self::UnwrapOpt,
            ("value", 1) => Self::Value,
            _ => return None,
        })
    }

    /// What it makes of its `arguments`.
    pub(super) fn call(self, arguments: &[CelValue]) -> Result<CelValue, String> {
        use CelValue::{Int, List, Optional, Text};
        Ok(match (self, arguments) {
            (Self::Allowed, [CelValue::Bool(allowed)]) => CelValue::Bool(*allowed),
            // An authorizer is a list: what the user may do, and then the parts of what is asked for.
            (Self::AskedFor, [List(parts), Text(part)]) => {
                List(parts.iter().cloned().chain([Text(part.clone())]).collect())
            }
            (Self::Check, [List(parts), Text(verb)]) => match &parts[..] {
                [List(granted), asked @ ..] => {
                    let asked: Result<Vec<_>, _> = asked.iter().map(as_text).collect();
                    CelValue::Bool(granted.contains(&Text(format!("{}/{verb}", asked?.join("/")).into())))
                }
                _ => return Err("no such overload: a check of what is no authorizer".to_owned()),
            },
            (Self::Dynamic, [value]) => value.clone(),
            (Self::Flatten, [List(items)]) => {
                let flat = items.iter().flat_map(|item| match item {
                    List(inner) => inner.to_vec(),
                    other => vec![other.clone()],
                });
                List(flat.collect())
            }
            (Self::HasValue, [Optional(inner)]) => CelValue::Bool(inner.is_some()),
            (Self::IndexOf, [List(items), wanted]) => {
                length(items.iter().position(|item| item == wanted)).unwrap_or(Int(-1))
            }
            (Self::Join, [List(items), Text(separator)]) => {
                let texts: Result<Vec<_>, _> = items.iter().map(as_text).collect();
                Text(texts?.join(separator).into())
            }
            (Self::LowerAscii, [Text(text)]) => Text(text.to_ascii_lowercase().into()),
            (Self::Max, [List(items)]) => {
                let numbers: Result<Vec<_>, _> = items.iter().map(as_int).collect();
                Int(numbers?.into_iter().max().ok_or("max called on empty list")?)
            }
            (Self::OptionalNone, []) => Optional(None),
            (Self::OptionalOf, [value]) => CelValue::some(value.clone()),
            (Self::OrValue, [Optional(inner), other]) => inner.as_deref().unwrap_or(other).clone(),
            (Self::Quote, [Text(text)]) => Text(quote(text).into()),
            (Self::Size, [value]) => {
                let size = match value {
                    Text(text) => text.chars().count(),
                    List(items) => items.len(),
                    CelValue::Map(fields) => fields.len(),
                    other => return Err(format!("no such overload: size of {other:?}")),
                };
                length(Some(size)).ok_or("too large")?
            }
            (Self::Split, [Text(text), Text(separator)]) => texts(text.split(&**separator)),
            (Self::Split, [Text(text), Text(separator), Int(limit)]) => match usize::try_from(*limit) {
                Ok(limit) => texts(text.splitn(limit, &**separator)),
                Err(_) => texts(text.split(&**separator)),
            },
            (Self::ToText, [Int(number)]) => Text(number.to_string().into()),
            (Self::Substring, [Text(text), Int(from), Int(to)]) => Text(substring(text, *from, *to)?.into()),
            (Self::UnwrapOpt, [List(items)]) => {
                let inner = items.iter().map(|item| match item {
                    Optional(inner) => Ok(inner.as_deref().cloned()),
                    other => Err(format!("no such overload: {other:?} is no optional")),
                });
                let inner: Result<Vec<_>, _> = inner.collect();
                List(inner?.into_iter().flatten().collect())
            }
            (Self::Value, [Optional(inner)]) => inner.as_deref().cloned().ok_or("optional.none() dereference")?,
            _ => return Err(format!("no such overload: {self:?} of {arguments:?}")),
        })
    }
}

fn length(size: Option<usize>) -> Option<CelValue> {
    size.and_then(|size| i64::try_from(size).ok()).map(CelValue::Int)
}

fn texts<'a>(parts: impl Iterator<Item = &'a str>) -> CelValue {
    CelValue::List(parts.map(CelValue::text).collect())
}

fn as_text(value: &CelValue) -> Result<&str, String> {
    match value {
        CelValue::Text(text) => Ok(text),
        other => Err(format!("no such overload: {other:?} is no string")),
    }
}

fn as_int(value: &CelValue) -> Result<i64, String> {
    match value {
        CelValue::Int(number) => Ok(*number),
        other => Err(format!("no such overload: {other:?} is no int")),
    }
}

fn substring(text: &str, from: i64, to: i64) -> Result<String, String> {
    let characters: Vec<char> = text.chars().collect();
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    let found = range.and_then(|(from, to)| characters.get(from..to));
    found.map(|found| found.iter().collect()).ok_or_else(|| format!("index out of range: {from}, {to}"))
}

fn quote(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\\' => "\\\\".to_owned(),
        '"' => "\\\"".to_owned(),
        other => other.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}
