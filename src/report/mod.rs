//! Reports: what the offline commands found, as data, for continuous integration, and as text for people.
//!
//! Pure functions of a [`Plan`](rempart_core::plan::Plan), an [`PlanImpact`](rempart_core::impact::Impact), a
//! [`Drill`](rempart_core::drill::Drill), an [`Examination`](crate::doctor::Examination) or a list of [`ReportFinding`]s: data in, text out. Nothing is decided here, nothing is printed, and neither clock, file nor environment
//! is asked: the same input yields the same bytes. What may be as long as a cluster is written as a stream.
//!
//! | for | from a plan | from an impact | from a drill | from an examination | from findings |
//! |---|---|---|---|---|---|
//! | programs | [`PlanReport`] | [`ImpactReport`] | [`DrillReport`] | [`DoctorReport`] | [`LintReport`] |
//! | continuous integration | [`junit`], [`sarif`] | | | | [`sarif`] |
//! | whoever asked for one, where nothing was judged | [`FailureReport`], [`junit_failure`], [`sarif_failure`] | | | | |
//! | people | [`text::plan`] | [`text::impact`] | [`text::drill`] | [`text::doctor`] | |
//!
//! What programs read is documented by the schemas in `docs/schemas`, generated from these types. Fields may be added
//! to a version; none is renamed, removed or given another meaning.

mod data;
mod entries;
mod finding;
pub mod history;
mod junit;
mod location;
mod sarif;
pub mod text;

pub use self::{
    data::{DoctorReport, DrillReport, FailureReport, ImpactReport, LintReport, PlanReport, json, schemas, yaml},
    entries::{EntryOutcome, OutcomeCounts},
    finding::{FindingRule, PLAN_RULES, ReportFinding, UNPLACEABLE, of_ignored, of_plan},
    junit::{junit, junit_failure},
    location::{FileLocation, IgnoredKinds, LocationLookup, LocationTarget, NoLocations, UnjudgedName, UnreadPath},
    sarif::{sarif, sarif_failure},
};
