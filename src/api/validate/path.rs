//! Paths of fields: the steps from an object to a value inside it, and how they are written for people.
//!
//! Plain data and a `Display`. Whatever a key holds, a path is one line.

use std::fmt::{self, Write as _};

use rempart_core::name::quoted;

/// One step from a value to a value inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FieldStep<'a> {
    /// A field that the schema names, or should.
    Field(&'a str),
    /// An entry of a list.
    Entry(usize),
    /// A key that the author chose, as those of `matchLabels`.
    Key(&'a str),
}

/// Displays steps as `spec.offers[0].name`; a name that dots or slashes would blur stands in brackets, as
/// `metadata.annotations[rempart.dev/x]`. Long names are cut, and what would break a line is replaced.
pub(super) struct DisplayPath<'s>(pub(super) &'s [FieldStep<'s>]);

impl fmt::Display for DisplayPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                FieldStep::Entry(index) => write!(f, "[{index}]")?,
                FieldStep::Field(name) | FieldStep::Key(name) if is_plain(name) => {
                    let dot = if i == 0 { "" } else { "." };
                    write!(f, "{dot}{}", quoted(name))?;
                }
                FieldStep::Field(name) | FieldStep::Key(name) => {
                    f.write_char('[')?;
                    for c in quoted(name).chars() {
                        f.write_char(if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })?;
                    }
                    f.write_char(']')?;
                }
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::{DisplayPath, FieldStep::*};

    #[test]
    fn a_path_is_written_as_people_write_it() {
        for (steps, written) in [
            (&[][..], ""),
            (
                &[Field("spec"), Field("offers"), Entry(0), Field("zones"), Entry(12), Field("pue")],
                "spec.offers[0].zones[12].pue",
            ),
            (&[Field("metadata"), Field("annotations"), Key("rempart.dev/x")], "metadata.annotations[rempart.dev/x]"),
            (&[Field("metadata"), Field("labels"), Key("tenant")], "metadata.labels.tenant"),
            (&[Field("a\nb")], "[a\u{fffd}b]"),
            (&[Field("spec"), Field("")], "spec[]"),
        ] {
            assert_eq!(DisplayPath(steps).to_string(), written);
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(DisplayPath(&[Field(&"x".repeat(500))]).to_string().len(), 64);
    }
}
