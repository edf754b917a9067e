//! Doctor: what in a cluster would weaken the rule that no pod of a level runs on a node which is not cleared for it.
//!
//! [`examine`] takes [`Examined`] facts, read from files or from a cluster, and returns an [`Examination`]: what was found,
//! what could not be looked at, and which rights are as they are meant to be. Pure: it asks neither cluster, clock nor
//! environment. A fact that is not there is told as unchecked, and never taken for a good one.

pub mod checks;
pub mod examined;
pub mod finding;
pub mod release;
pub mod rights;

pub use self::{
    checks::{CHECKS, Check},
    examined::{ApiServerFacts, Examined, ExaminedKind, Fact, NodeRestrictionProbe},
    finding::{CheckResults, DeclaredRight, DoctorFinding, FindingCode, Severity, UncheckedFact},
    release::ReleaseSettings,
    rights::Subject,
};

/// What one check came to, beside its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOutcome {
    /// Its name.
    pub name: &'static str,
    /// What it asks.
    pub asks: &'static str,
    /// How many errors it found.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// How much of it could not be looked at.
    pub unchecked: usize,
}

/// What all checks came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// Each check, in the order of [`CHECKS`].
    pub checks: Vec<CheckOutcome>,
    /// What was found: errors first, then by code, object and field.
    pub found: Vec<DoctorFinding>,
    /// What could not be looked at, check by check.
    pub unchecked: Vec<UncheckedFact>,
    /// Rights as they are meant to be.
    pub declared: Vec<DeclaredRight>,
}

impl Examination {
    /// How many findings are of `severity`.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|found| found.severity() == severity).count()
    }

    /// Whether all was looked at, and nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.found.is_empty() && self.unchecked.is_empty()
    }
}

/// Makes every check on `examined`.
#[must_use]
pub fn examine(examined: &Examined) -> Examination {
    let mut examination = Examination::default();
    // What is read from files has no clock of its own, and cannot be asked for one.
    let is_asked = examined.api_server.skew_seconds != Fact::NotAsked;
    for check in CHECKS.iter().filter(|check| is_asked || !check.live) {
        let CheckResults { found, unchecked, declared } = check.run(examined);
        let of = |severity| found.iter().filter(|found| found.severity() == severity).count();
        examination.checks.push(CheckOutcome {
            name: check.name,
            asks: check.asks,
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
            unchecked: unchecked.len(),
        });
        examination.found.extend(found);
        for left in unchecked {
            // A kind that was not read is told once, with all checks that it costs.
            match examination.unchecked.iter_mut().find(|known| known.message == left.message) {
                Some(known) => known.checks.extend(left.checks),
                None => examination.unchecked.push(left),
            }
        }
        examination.declared.extend(declared);
    }
    examination.found.sort_by(|one, other| (one.severity(), one).cmp(&(other.severity(), other)));
    examination.declared.sort();
    examination.declared.dedup();
    examination
}
