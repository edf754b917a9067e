//! Certificates in time: which scheme covers which region at an instant, and until when.

use super::{
    catalogue::{Offer, Qualification},
    instant::{CalendarDay, Timestamp},
    name::{RegionName, Scheme},
};

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
    /// There is no certificate of this scheme.
    Missing,
}

impl Qualification {
    /// Whether it covers `region`.
    #[must_use]
    pub fn covers(&self, region: &RegionName) -> bool {
        self.regions.as_ref().is_none_or(|regions| regions.contains(region))
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
    /// What the certificates of `scheme` are worth in `region` at `at`.
    #[must_use]
    pub fn coverage(&self, scheme: &Scheme, region: &RegionName, at: Timestamp) -> Coverage<'_> {
        self.coverage_where(scheme, |found| found.covers(region), at)
    }

    /// What the certificates of `scheme` that cover the offer as a whole are worth at `at`.
    #[must_use]
    pub fn coverage_of_whole(&self, scheme: &Scheme, at: Timestamp) -> Coverage<'_> {
        self.coverage_where(scheme, |found| found.regions.is_none(), at)
    }

    fn coverage_where(
        &self,
        scheme: &Scheme,
        covers: impl Fn(&Qualification) -> bool + Copy,
        at: Timestamp,
    ) -> Coverage<'_> {
        // Whole days are compared, which is what terms are made of, and cheap.
        let day = at.day();
        let of_scheme = || self.qualifications.iter().filter(|q| q.scheme == *scheme);
        let in_scope = || of_scheme().filter(move |q| covers(q));
        if let Some(by) = in_scope().filter(|q| q.in_force(day)).max_by_key(|q| (lasting(q.valid_until), *q)) {
            return Coverage::InForce { by, until: end_of_chain(by.valid_until, &in_scope()).map(CalendarDay::ends) };
        }
        if let Some(next) = in_scope().filter(|q| q.valid_from > day).min_by_key(|q| (q.valid_from, *q)) {
            return Coverage::NotYet { next };
        }
        let ended = in_scope().filter_map(|last| last.valid_until.map(|on| (on, last)));
        if let Some((on, last)) = ended.max() {
            return Coverage::Ended { last, on };
        }
        of_scheme().min().map_or(Coverage::Missing, |other| Coverage::OutOfScope { other })
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
