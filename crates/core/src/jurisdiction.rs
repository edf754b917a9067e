//! Jurisdictions: countries, and the groups of countries that policies name.

use alloc::string::String;

use alloc::collections::BTreeSet;
use core::fmt;

use super::name::quoted;

/// A country of ISO 3166-1, by its alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jurisdiction([u8; 2]);

/// A text that is neither a country's code nor, where groups are allowed, a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJurisdiction {
    /// Not the code of a country.
    #[error("{0:?} is not a country: write its ISO 3166-1 alpha-2 code, as FR or DE{hint}", hint = hint(.0))]
    Country(String),
    /// Neither the code of a country nor a group.
    #[error("{0:?} is neither a country nor a group: write an ISO 3166-1 alpha-2 code, as FR, or EU or EEA{hint}", hint = hint(.0))]
    Area(String),
}

/// What people write instead of a code, and the code.
fn hint(text: &str) -> &'static str {
    match text {
        "UK" => " (the United Kingdom is GB)",
        "EL" => " (Greece is GR)",
        "EU" | "EEA" => " (a fact is about one country: name it)",
        _ => "",
    }
}

/// The officially assigned alpha-2 codes. Source: ISO 3166-1, Online Browsing Platform.
const COUNTRIES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR \
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP \
    KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT \
    MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW \
    SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ \
    UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Members of the European Union. Source: Treaty on European Union, article 52; GB left on 2020-01-31.
/// Outermost regions with a code of their own (as RE or GP) are not listed: a policy that admits them names them.
const EU: [&[u8; 2]; 27] = [
    b"AT", b"BE", b"BG", b"CY", b"CZ", b"DE", b"DK", b"EE", b"ES", b"FI", b"FR", b"GR", b"HR", b"HU", b"IE", b"IT",
    b"LT", b"LU", b"LV", b"MT", b"NL", b"PL", b"PT", b"RO", b"SE", b"SI", b"SK",
];

/// Members of the European Economic Area beyond the Union. Source: EEA Agreement, article 126; CH is not one.
const EEA_BEYOND_EU: [&[u8; 2]; 3] = [b"IS", b"LI", b"NO"];

impl Jurisdiction {
    /// Reads an officially assigned code, in upper case.
    ///
    /// # Errors
    /// [`InvalidJurisdiction::Country`].
    pub fn parse(text: &str) -> Result<Self, InvalidJurisdiction> {
        match <[u8; 2]>::try_from(text.as_bytes()) {
            Ok(code) if COUNTRIES.split_ascii_whitespace().any(|entry| entry.as_bytes() == code) => Ok(Self(code)),
            _ => Err(InvalidJurisdiction::Country(quoted(text))),
        }
    }
}

impl Jurisdiction {
    /// The two letters.
    #[must_use]
    pub fn code(self) -> [u8; 2] {
        self.0
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.0;
        write!(f, "{}{}", char::from(a), char::from(b))
    }
}

impl fmt::Debug for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a policy may demand: one country, or a group of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JurisdictionArea {
    /// One country.
    Country(Jurisdiction),
    /// The European Union.
    Eu,
    /// The European Economic Area.
    Eea,
}

impl JurisdictionArea {
    /// Reads a country's code, `EU` or `EEA`.
    ///
    /// # Errors
    /// [`InvalidJurisdiction::Area`].
    pub fn parse(text: &str) -> Result<Self, InvalidJurisdiction> {
        match text {
            "EU" => Ok(Self::Eu),
            "EEA" => Ok(Self::Eea),
            code => Jurisdiction::parse(code).map(Self::Country).map_err(|_| InvalidJurisdiction::Area(quoted(text))),
        }
    }

    /// Whether `place` lies in this area.
    #[must_use]
    pub fn contains(self, place: Jurisdiction) -> bool {
        match self {
            Self::Country(country) => country == place,
            Self::Eu => EU.contains(&&place.0),
            Self::Eea => EU.contains(&&place.0) || EEA_BEYOND_EU.contains(&&place.0),
        }
    }
}

impl fmt::Display for JurisdictionArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(country) => country.fmt(f),
            Self::Eu => f.write_str("EU"),
            Self::Eea => f.write_str("EEA"),
        }
    }
}

/// The areas that one demand allows; never empty where it demands something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JurisdictionAreas(BTreeSet<JurisdictionArea>);

impl JurisdictionAreas {
    /// Whether one of the areas contains `place`.
    #[must_use]
    pub fn contain(&self, place: Jurisdiction) -> bool {
        self.0.iter().any(|area| area.contains(place))
    }
}

impl JurisdictionAreas {
    /// The areas, in a stable order.
    pub fn iter(&self) -> impl Iterator<Item = &JurisdictionArea> + Clone {
        self.0.iter()
    }
}

impl FromIterator<JurisdictionArea> for JurisdictionAreas {
    fn from_iter<I: IntoIterator<Item = JurisdictionArea>>(areas: I) -> Self {
        Self(areas.into_iter().collect())
    }
}

impl fmt::Display for JurisdictionAreas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::text::list(f, self.0.iter())
    }
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    #[test]
    fn every_group_lists_countries_and_the_table_has_no_slip() {
        let all: Vec<_> = COUNTRIES.split_ascii_whitespace().collect();
        assert_eq!(all.len(), 249);
        assert!(all.is_sorted(), "sorted, so that a duplicate would stand beside its twin");
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(EU.is_sorted() && EU.windows(2).all(|pair| pair[0] != pair[1]));
        for code in EU.iter().chain(&EEA_BEYOND_EU) {
            assert!(Jurisdiction::parse(core::str::from_utf8(*code).unwrap()).is_ok(), "{code:?}");
        }
    }

    #[test]
    fn groups_contain_their_members_alone() {
        let place = |code| Jurisdiction::parse(code).unwrap();
        assert!(JurisdictionArea::Eu.contains(place("FR")) && JurisdictionArea::Eea.contains(place("FR")));
        assert!(!JurisdictionArea::Eu.contains(place("NO")) && JurisdictionArea::Eea.contains(place("NO")));
        for outside in ["CH", "GB", "US", "CN", "RE"] {
            assert!(!JurisdictionArea::Eea.contains(place(outside)), "{outside}");
        }
    }

    #[test]
    fn what_is_no_country_is_refused_with_the_right_code() {
        for bad in ["", "F", "FRA", "fr", "ZZ", "EU", "UK", "ÉU", "F\0"] {
            assert!(Jurisdiction::parse(bad).is_err(), "{bad}");
        }
        assert!(Jurisdiction::parse("UK").unwrap_err().to_string().contains("GB"));
        assert!(JurisdictionArea::parse("EFTA").unwrap_err().to_string().contains("EEA"));
    }
}
