//! CEL literals: values of a policy as they are written into expressions.

use std::fmt::Write as _;

/// `value` as a CEL string.
pub(super) fn string(value: &str) -> String {
    let mut literal = String::from("'");
    for character in value.chars() {
        match character {
            '\\' | '\'' => literal.extend(['\\', character]),
            control if control.is_control() => drop(write!(literal, "\\u{:04x}", u32::from(control))),
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// `values` as a CEL list of strings.
pub(super) fn list<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> String {
    let items: Vec<_> = values.into_iter().map(|value| string(value.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_literal_early() {
        assert_eq!(string("secret"), "'secret'");
        assert_eq!(string("a' + 'b\\"), r"'a\' + \'b\\'");
        assert_eq!(string("a\nb"), r"'a\u000ab'");
        assert_eq!(list(["a", "b"]), "['a', 'b']");
        assert_eq!(list::<&str>([]), "[]");
    }
}
