//! Extraterritorial laws, and the jurisdictions whose parties they reach.
//!
//! A law of this table follows from where a party is established; an offer may list further ones that reach it
//! by other ways. The table states no more than which parties a law addresses, never how often it is used.

use super::jurisdiction::Jurisdiction;

/// A law that reaches data abroad through the parties it binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLaw {
    /// Its identifier in policies and offers.
    pub name: &'static str,
    /// The country whose parties it binds (ISO 3166-1 alpha-2).
    pub country: &'static str,
    /// What it is called and where to read it.
    pub source: &'static str,
}

/// The laws that follow from a jurisdiction.
pub const KNOWN_LAWS: &[KnownLaw] = &[
    KnownLaw {
        name: "au-assistance-and-access-act",
        country: "AU",
        source: "Telecommunications and Other Legislation Amendment (Assistance and Access) Act 2018, No. 148, 2018",
    },
    KnownLaw {
        name: "cn-national-intelligence-law",
        country: "CN",
        source: "National Intelligence Law of the People's Republic of China (2017, amended 2018), articles 7 and 14",
    },
    KnownLaw {
        name: "gb-investigatory-powers-act",
        country: "GB",
        source: "Investigatory Powers Act 2016, sections 43, 85 and 253",
    },
    KnownLaw {
        name: "us-cloud-act",
        country: "US",
        source: "Clarifying Lawful Overseas Use of Data Act, 18 U.S.C. § 2713",
    },
    KnownLaw {
        name: "us-fisa-702",
        country: "US",
        source: "Foreign Intelligence Surveillance Act, section 702, 50 U.S.C. § 1881a",
    },
];

/// The laws of the table that bind a party of `jurisdiction`.
pub fn laws_of(jurisdiction: Jurisdiction) -> impl Iterator<Item = &'static KnownLaw> {
    KNOWN_LAWS.iter().filter(move |law| law.country.as_bytes() == jurisdiction.code())
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;
    use crate::name::Law;

    #[test]
    fn every_entry_is_a_law_of_a_country_with_a_source() {
        for law in KNOWN_LAWS {
            assert!(Law::parse(law.name).is_ok() && Jurisdiction::parse(law.country).is_ok(), "{law:?}");
            assert!(law.name.starts_with(&law.country.to_lowercase()) && !law.source.is_empty(), "{law:?}");
        }
    }
}
