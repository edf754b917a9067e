//! Names that cannot hold a bad value: parsed once at the edge, trusted everywhere after.

use alloc::string::String;

use alloc::sync::Arc;
use core::fmt;

/// A value that is no name of its kind. Displays as what it is, and what would be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {what}: {demand}")]
pub struct InvalidName {
    what: &'static str,
    value: String,
    demand: &'static str,
}

/// The longest part of a refused value that a message repeats, in characters.
const QUOTED: usize = 64;

/// At most the first 64 characters of `value`, so that no message grows with what a user sends.
#[must_use]
pub fn quoted(value: &str) -> String {
    value.chars().take(QUOTED).collect()
}

fn is_dns_label(value: &str, longest: usize) -> bool {
    let bytes = value.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    value.len() <= longest
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

fn is_label_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    value.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_identifier(value: &str) -> bool {
    is_label_value(value)
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $valid:expr, $demand:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes `value` when it is a valid name of this kind.
            ///
            /// # Errors
            /// [`InvalidName`], which says what the value should look like.
            pub fn parse(value: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok(Self(value.into()))
                } else {
                    Err(InvalidName { what: $what, value: quoted(value), demand: $demand })
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl alloc::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )+};
}

names! {
    /// The name of a `PlacementPolicy`. Short, because it is half of a label key.
    PolicyName: "a policy name", |v| is_dns_label(v, 28),
        "use at most 28 lower-case letters, digits and '-', with a letter or digit at both ends";
    /// The name of a sensitivity level.
    LevelName: "a level name", |v| is_dns_label(v, 28),
        "use at most 28 lower-case letters, digits and '-', with a letter or digit at both ends";
    /// The name of a category of data, orthogonal to the levels.
    CategoryName: "a category name", |v| is_dns_label(v, 28),
        "use at most 28 lower-case letters, digits and '-', with a letter or digit at both ends";
    /// The name of an exception of a policy.
    ExceptionName: "an exception name", |v| is_dns_label(v, 28),
        "use at most 28 lower-case letters, digits and '-', with a letter or digit at both ends";
    /// The name of a `CloudProvider`.
    ProviderName: "a provider name", is_label_value,
        "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
    /// The name of an offer within its provider.
    OfferName: "an offer name", is_label_value,
        "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
    /// The name of a zone within its offer.
    ZoneName: "a zone name", is_label_value,
        "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
    /// The name of a region, which zones share.
    RegionName: "a region name", is_label_value,
        "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
    /// The name of a `PlacementPool`.
    PoolName: "a pool name", is_label_value,
        "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
    /// A certification scheme, as `secnumcloud`, `hds`, `iso-27001`.
    Scheme: "a scheme", is_identifier,
        "use at most 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
    /// An extraterritorial law, as `us-cloud-act`.
    Law: "a law", is_identifier,
        "use at most 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    #[test]
    fn a_level_name_is_a_short_dns_label() {
        for good in ["a", "restricted", "tlp-amber", "c3", &"x".repeat(28)] {
            assert!(LevelName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "Restricted", "-a", "a-", "a.b", "a_b", "réstricted", "rеstricted", " a", &"x".repeat(29)] {
            assert!(LevelName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_name_is_quoted_in_part_and_says_what_to_write() {
        let error = LevelName::parse(&"É".repeat(500)).unwrap_err().to_string();
        assert!(error.contains(&"É".repeat(64)) && !error.contains(&"É".repeat(65)), "{error}");
        assert!(error.contains("lower-case letters"), "{error}");
    }
}
