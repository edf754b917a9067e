//! Scalars of YAML 1.1: what their characters mean to the tools of Kubernetes, with its `no` and its octals.
//!
//! The rules are those of the Go library that kubectl reads manifests with, down to its oddities: underscores within
//! numbers, `0o17`, `08` as a float, dates as strings.

use std::{borrow::Cow, fmt};

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlScalar<'t> {
    /// Its characters, without quotes and with escapes resolved.
    pub text: Cow<'t, str>,
    /// Whether its characters say what it means. Not so when quotes, a block or a tag say that it is a string.
    pub plain: bool,
}

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScalarMeaning<'a> {
    /// Nothing.
    Null,
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that is too large for [`ScalarMeaning::Int`].
    Unsigned(u64),
    /// A number with a fraction or exponent, or not finite.
    Float(f64),
    /// A string.
    Text(&'a str),
}

impl<'t> YamlScalar<'t> {
    /// A string, whatever its characters.
    #[must_use]
    pub fn string(text: impl Into<Cow<'t, str>>) -> Self {
        Self { text: text.into(), plain: false }
    }

    /// What it means.
    #[must_use]
    pub fn meaning(&self) -> ScalarMeaning<'_> {
        if self.plain { resolve(&self.text) } else { ScalarMeaning::Text(&self.text) }
    }

    /// The string that it is, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.meaning() {
            ScalarMeaning::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it means nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.meaning(), ScalarMeaning::Null)
    }

    /// What it is, for a sentence.
    #[must_use]
    pub fn describe(&self) -> String {
        let written = ShortScalar(&self.text);
        match self.meaning() {
            ScalarMeaning::Null if self.text.is_empty() => "nothing".to_owned(),
            ScalarMeaning::Null => format!("nothing (written {written})"),
            ScalarMeaning::Bool(value) if self.text == if value { "true" } else { "false" } => {
                format!("the boolean {value}")
            }
            ScalarMeaning::Bool(value) => format!("the boolean {value} (written {written})"),
            ScalarMeaning::Int(_) | ScalarMeaning::Unsigned(_) | ScalarMeaning::Float(_) => {
                format!("the number {written}")
            }
            ScalarMeaning::Text(_) => format!("the string \"{written}\""),
        }
    }
}

/// What `text` means without quotes.
fn resolve(text: &str) -> ScalarMeaning<'_> {
    let Some(first) = text.bytes().next() else { return ScalarMeaning::Null };
    let found = match first {
        b'~' | b'n' | b'N' | b'y' | b'Y' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' => word(text),
        b'0'..=b'9' => number(text),
        b'+' | b'-' => infinity(text).or_else(|| number(text)),
        b'.' => infinity(text).or_else(|| float(text, true)),
        _ => None,
    };
    found.unwrap_or(ScalarMeaning::Text(text))
}

fn word(text: &str) -> Option<ScalarMeaning<'static>> {
    match text {
        "~" | "null" | "Null" | "NULL" => Some(ScalarMeaning::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(ScalarMeaning::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(ScalarMeaning::Bool(false))
        }
        _ => None,
    }
}

fn infinity(text: &str) -> Option<ScalarMeaning<'static>> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(ScalarMeaning::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(ScalarMeaning::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(ScalarMeaning::Float(f64::NEG_INFINITY)),
        _ => None,
    }
}

fn number(text: &str) -> Option<ScalarMeaning<'static>> {
    let digits: Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    let (negative, unsigned) = match digits.as_bytes().first()? {
        b'-' => (true, digits.get(1..)?),
        b'+' => (false, digits.get(1..)?),
        _ => (false, digits.as_ref()),
    };
    integer(unsigned, negative, unsigned.len() < digits.len()).or_else(|| float(&digits, false))
}

/// A whole number in the base that its prefix says. A leading zero alone says octal.
fn integer(unsigned: &str, negative: bool, signed: bool) -> Option<ScalarMeaning<'static>> {
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, unsigned.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, unsigned.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, unsigned.get(2..)?),
        [b'0', _, ..] => (8, unsigned.get(1..)?),
        _ => (10, unsigned),
    };
    // The parser of numbers would take a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(ScalarMeaning::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(ScalarMeaning::Int(value)),
        // With a sign, what does not fit is left to be a float.
        Err(_) => (!signed).then_some(ScalarMeaning::Unsigned(magnitude)),
    }
}

/// A decimal float. `1e400` is a string, because no float is as large.
fn float(text: &str, underscores: bool) -> Option<ScalarMeaning<'static>> {
    let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let text: Cow<'_, str> = if underscores && well_placed(text) { text.replace('_', "").into() } else { text.into() };
    if !text.bytes().all(allowed) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(ScalarMeaning::Float)
}

/// Whether every underscore stands between two digits: where a float begins with a point, Go asks for that.
fn well_placed(text: &str) -> bool {
    text.contains('_') && text.split('_').skip(1).all(|part| part.starts_with(|c: char| c.is_ascii_digit())) && {
        let mut before: Vec<&str> = text.split('_').collect();
        before.pop();
        before.iter().all(|part| part.ends_with(|c: char| c.is_ascii_digit()))
    }
}

/// The key that `scalar` makes, if it makes one: kubectl turns truths and numbers into strings, and nothing into an error.
pub(super) fn key(scalar: YamlScalar<'_>) -> Option<Cow<'_, str>> {
    match scalar.meaning() {
        ScalarMeaning::Text(_) => Some(scalar.text),
        ScalarMeaning::Bool(value) => Some(if value { "true" } else { "false" }.into()),
        ScalarMeaning::Int(value) => Some(value.to_string().into()),
        ScalarMeaning::Float(value) => Some(short_float(value).into()),
        ScalarMeaning::Null | ScalarMeaning::Unsigned(_) => None,
    }
}

/// A float as Go's `%g` writes one of 32 bits: that is what kubectl makes keys of.
fn short_float(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the format asks for it")]
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if !(-4..6).contains(&exponent) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => value.to_string(),
    }
}

/// The longest part of a scalar that a sentence repeats, in characters.
const SHORT: usize = 40;

/// A scalar inside a sentence, cut when it is long.
pub(super) struct ShortScalar<'a>(pub(super) &'a str);

impl fmt::Display for ShortScalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHORT) {
            Some((end, _)) => write!(f, "{}…", self.0.get(..end).unwrap_or_default()),
            None => f.write_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> YamlScalar<'_> {
        YamlScalar { text: text.into(), plain: true }
    }

    /// Each expectation is what sigs.k8s.io/yaml 1.6.0 makes of the same characters.
    #[test]
    fn plain_scalars_mean_what_they_mean_to_kubectl() {
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(plain(text).meaning(), ScalarMeaning::Null, "{text}");
        }
        for text in ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"] {
            assert_eq!(plain(text).meaning(), ScalarMeaning::Bool(true), "{text}");
        }
        for text in ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"] {
            assert_eq!(plain(text).meaning(), ScalarMeaning::Bool(false), "{text}");
        }
        let integers = [
            ("0", 0),
            ("-0", 0),
            ("+1", 1),
            ("007", 7),
            ("-017", -15),
            ("0o17", 15),
            ("0O17", 15),
            ("0x1F", 31),
            ("-0X10", -16),
            ("0b101", 5),
            ("-0b11", -3),
            ("1_000", 1000),
            ("1__0", 10),
            ("1_", 1),
            ("-_1", -1),
            ("0_7", 7),
            ("0x_ff", 255),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, value) in integers {
            assert_eq!(plain(text).meaning(), ScalarMeaning::Int(value), "{text}");
        }
        for (text, value) in [("9223372036854775808", 1 << 63), ("0xFFFFFFFFFFFFFFFF", u64::MAX)] {
            assert_eq!(plain(text).meaning(), ScalarMeaning::Unsigned(value), "{text}");
        }
        let floats = [
            ("08", 8.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("+.5", 0.5),
            ("-1.5e3", -1500.0),
            ("1E+3", 1000.0),
            ("1_0.5", 10.5),
            (".5_0", 0.5),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            ("+9223372036854775808", 9_223_372_036_854_775_808.0),
            ("-9223372036854775809", -9_223_372_036_854_775_808.0),
            (".inf", f64::INFINITY),
            ("+.INF", f64::INFINITY),
            ("-.Inf", f64::NEG_INFINITY),
        ];
        for (text, value) in floats {
            assert_eq!(plain(text).meaning(), ScalarMeaning::Float(value), "{text}");
        }
        assert!(matches!(plain(".NaN").meaning(), ScalarMeaning::Float(value) if value.is_nan()));
        let texts = [
            "nULL",
            "yEs",
            "tRUE",
            "inf",
            "NaN",
            "0x",
            "0x_",
            "0o8",
            "0b2",
            "0x1g",
            "0x-1",
            "_1",
            "+",
            "-",
            ".",
            ".e5",
            "1e",
            "1e+",
            "1e400",
            "-1e400",
            "._5",
            ".5_",
            ".5__0",
            "--1",
            "-+1",
            "0x1p4",
            "100m",
            "128Mi",
            "1.2.3",
            "1,000",
            "12:30:45",
            "2001-12-14",
            "2001-12-14T21:59:43Z",
            "<<",
            "=",
            "no way",
            "é",
        ];
        for text in texts {
            assert_eq!(plain(text).meaning(), ScalarMeaning::Text(text), "{text}");
        }
    }

    #[test]
    fn quotes_make_strings() {
        for text in ["", "~", "no", "8080", "1.5"] {
            assert_eq!(YamlScalar::string(text).as_text(), Some(text));
            assert_eq!(plain(text).as_text(), None);
        }
    }

    #[test]
    fn keys_are_strings_or_none() {
        let keys = [
            ("name", Some("name")),
            ("on", Some("true")),
            ("N", Some("false")),
            ("0x10", Some("16")),
            ("1.50", Some("1.5")),
            ("1.5e10", Some("1.5e+10")),
            ("1234567.5", Some("1.2345675e+06")),
            ("0.00001", Some("1e-05")),
            ("0.0001", Some("0.0001")),
            ("-.inf", Some("-.inf")),
            (".nan", Some(".nan")),
            ("~", None),
            ("", None),
            ("18446744073709551615", None),
        ];
        for (text, expected) in keys {
            assert_eq!(key(plain(text)).as_deref(), expected, "{text}");
        }
        assert_eq!(key(YamlScalar::string("on")).as_deref(), Some("on"));
    }
}
