//! Certificates in time: which scheme covers which region at an instant, of which level, and until when.

use core::fmt;

use super::{
    catalogue::{Offer, Qualification},
    instant::{CalendarDay, Timestamp},
    name::{RegionName, Scheme},
};

/// How high a certificate is in a scheme that has an order, such as the SEAL levels: 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemeLevel(u8);

/// A number that is no level of a scheme. Displays as what it is, and what would be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a level of a scheme: write a whole number from 0 to 100")]
pub struct InvalidSchemeLevel(i64);

impl SchemeLevel {
    /// The highest.
    pub const HIGHEST: Self = Self(100);

    /// Takes `value` when it is a level.
    ///
    /// # Errors
    /// [`InvalidSchemeLevel`].
    pub fn new(value: i64) -> Result<Self, InvalidSchemeLevel> {
        match u8::try_from(value) {
            Ok(level) if level <= Self::HIGHEST.0 => Ok(Self(level)),
            _ => Err(InvalidSchemeLevel(value)),
        }
    }
}

impl From<SchemeLevel> for i32 {
    fn from(level: SchemeLevel) -> Self {
        level.0.into()
    }
}

impl fmt::Display for SchemeLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What is asked of certificates: a scheme, and in a scheme with an order a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateRequirement<'a> {
    /// The scheme.
    pub scheme: &'a Scheme,
    /// The lowest level that is enough; any, and none at all, where `None`.
    pub at_least: Option<SchemeLevel>,
}

impl CertificateRequirement<'_> {
    /// Whether `certificate` is of the scheme and high enough, wherever and whenever.
    #[must_use]
    pub fn is_met_by(&self, certificate: &Qualification) -> bool {
        certificate.scheme == *self.scheme && self.at_least.is_none_or(|least| certificate.level >= Some(least))
    }
}

impl<'a> From<&'a Scheme> for CertificateRequirement<'a> {
    fn from(scheme: &'a Scheme) -> Self {
        Self { scheme, at_least: None }
    }
}

/// What an offer's certificates of one scheme are worth in one region at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage<'a> {
    /// In force; successors that follow without a gap count as one.
    InForce {
        /// The certificate in force now, the longest-lived where several are.
        by: &'a Qualification,
        /// When it ends, if that is known.
        until: Option<Timestamp>,
    },
    /// Not in force yet.
    NotYet {
        /// The first one to come.
        next: &'a Qualification,
    },
    /// In force no more.
    Ended {
        /// The last one.
        last: &'a Qualification,
        /// Its last day.
        on: CalendarDay,
    },
    /// There are certificates, none of which covers the region.
    OutOfScope {
        /// One of them.
        other: &'a Qualification,
    },
    /// There are certificates that cover the region, none of which is of the level that is asked for.
    TooLow {
        /// The highest.
        highest: &'a Qualification,
        /// The lowest level that would be enough.
        least: SchemeLevel,
    },
    /// There is no certificate of this scheme.
    Missing,
}

impl Qualification {
    /// Whether it covers `region`, every region of the offer where that is `None`.
    #[must_use]
    pub fn covers(&self, region: Option<&RegionName>) -> bool {
        self.regions.as_ref().is_none_or(|regions| region.is_some_and(|region| regions.contains(region)))
    }

    /// The first instant at which it counts no more; `None` when no end is known.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.valid_until.map(CalendarDay::ends)
    }

    fn in_force(&self, day: CalendarDay) -> bool {
        self.valid_from <= day && self.valid_until.is_none_or(|last| day <= last)
    }
}

/// No end sorts after every end.
fn lasting(end: Option<CalendarDay>) -> (bool, Option<CalendarDay>) {
    (end.is_none(), end)
}

impl Offer {
    /// What the certificates that are `required` are worth in `region` at `at`, in every region of the offer where that is
    /// `None`. A successor of a lower level than is required continues nothing.
    #[must_use]
    pub fn coverage<'a>(
        &'a self,
        required: CertificateRequirement<'_>,
        region: Option<&RegionName>,
        at: Timestamp,
    ) -> Coverage<'a> {
        // Whole days are compared, which is what terms are made of, and cheap.
        let day = at.day();
        let of_scheme = || self.qualifications.iter().filter(|q| q.scheme == *required.scheme);
        let in_scope = || of_scheme().filter(|q| q.covers(region));
        let enough = || in_scope().filter(|q| required.is_met_by(q));
        if let Some(by) = enough().filter(|q| q.in_force(day)).max_by_key(|q| (lasting(q.valid_until), *q)) {
            return Coverage::InForce { by, until: end_of_chain(by.valid_until, &enough()).map(CalendarDay::ends) };
        }
        if let Some(next) = enough().filter(|q| q.valid_from > day).min_by_key(|q| (q.valid_from, *q)) {
            return Coverage::NotYet { next };
        }
        let ended = enough().filter_map(|last| last.valid_until.map(|on| (on, last)));
        if let Some((on, last)) = ended.max() {
            return Coverage::Ended { last, on };
        }
        if let (Some(highest), Some(least)) = (in_scope().max_by_key(|q| (q.level, *q)), required.at_least) {
            return Coverage::TooLow { highest, least };
        }
        of_scheme().min().map_or(Coverage::Missing, |other| Coverage::OutOfScope { other })
    }

    /// What the certificates of `scheme` are worth in `region` at `at`, as [`Offer::coverage`] has it, by the highest level
    /// that is in force then: what is followed at a lower one ends all the same.
    #[must_use]
    pub fn coverage_at_its_level<'a>(
        &'a self,
        scheme: &Scheme,
        region: Option<&RegionName>,
        at: Timestamp,
    ) -> (Option<SchemeLevel>, Coverage<'a>) {
        let day = at.day();
        let of_scheme = self.qualifications.iter().filter(|q| q.scheme == *scheme);
        let in_force = of_scheme.filter(|q| q.covers(region) && q.in_force(day));
        let at_least = in_force.filter_map(|q| q.level).max();
        (at_least, self.coverage(CertificateRequirement { scheme, at_least }, region, at))
    }

    /// The instants after `at` at which a certificate begins or ends to count.
    pub fn boundaries(&self, at: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.qualifications
            .iter()
            .flat_map(|q| core::iter::once(q.valid_from.starts()).chain(q.ends()))
            .filter(move |instant| *instant > at)
    }
}

/// Follows `last`, a last day in force, through the certificates that take over by the day after it.
fn end_of_chain<'a, I>(mut last: Option<CalendarDay>, certificates: &I) -> Option<CalendarDay>
where
    I: Iterator<Item = &'a Qualification> + Clone,
{
    while let Some(day) = last {
        let successor = certificates
            .clone()
            .filter(|q| q.valid_from <= day.next())
            .map(|q| q.valid_until)
            .max_by_key(|end| lasting(*end));
        match successor {
            Some(later) if lasting(later) > lasting(last) => last = later,
            _ => break,
        }
    }
    last
}
