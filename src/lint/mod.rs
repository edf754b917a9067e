//! Lints: what is worth a second look in a catalogue, policies and workloads, though an API server would accept it.
//!
//! Takes what was gathered and an instant, and returns diagnostics in the order of files and lines. Each says what to
//! do about it.
//!
//! Pure: a function of what was gathered and an instant. Each finding says what to do about it.

mod checks;
mod exceptions;
mod facts;
mod pools;
mod reach;
mod unjudged;
mod windows;
mod wishes;

use crate::{
    diagnostic::{Diagnostic, Severity},
    gather::{LocatedInventory, OwnObject},
};
use rempart_core::{
    admission::{AdmissionRefusal, SensitivitySource},
    instant::Timestamp,
    plan::{PlacementOutcome, Plan, PlanAssumptions, PlannedWorkload, PolicyRefusal, plan},
    policy::EnforcementMode,
    workload::WorkloadIdentity,
};

/// How many days before its end a certificate is worth a word.
pub const SOON_DAYS: i64 = 90;

pub use checks::CHECKED_DAYS;
pub(crate) use pools::is_claimable;

/// Everything that was found in `located` at `at`, what could not be read included, in the order of files and lines.
#[must_use]
pub fn lint(located: &LocatedInventory<'_>, at: Timestamp) -> Vec<Diagnostic> {
    let plan = plan(&located.inventory, at, PlanAssumptions { enforced: true });
    let mut found = located.diagnostics.clone();
    found.extend(checks::findings(located, at, false));
    found.extend(exceptions::findings(located, &plan, at));
    found.extend(facts::findings(located, at));
    found.extend(pools::findings(located, &plan));
    found.extend(reach::findings(located, &plan));
    found.extend(refusals(located, &plan));
    found.extend(unjudged::findings(located));
    found.extend(windows::findings(located, &plan, at));
    found.extend(wishes::findings(located, &plan));
    in_order(found)
}

/// The facts in `located` that are to be looked after at `at`: certificates that have ended or soon end, and what was last
/// checked more than a year ago or on no day that is written. In the order of files and lines.
#[must_use]
pub fn catalogue(located: &LocatedInventory<'_>, at: Timestamp) -> Vec<Diagnostic> {
    let mut found = checks::findings(located, at, true);
    found.extend(facts::endings(located, at));
    in_order(found)
}

/// What admission would refuse of what `located` holds, in the order of files and lines: an error where a policy in Enforce
/// does, a warning where one only would.
#[must_use]
pub fn refused(located: &LocatedInventory<'_>, at: Timestamp) -> Vec<Diagnostic> {
    in_order(refusals(located, &plan(&located.inventory, at, PlanAssumptions { enforced: true })))
}

fn in_order(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found.sort_by(|a, b| (a.place, a.severity, a.code, &a.message).cmp(&(b.place, b.severity, b.code, &b.message)));
    found.dedup();
    found
}

/// A finding about a field of an object of ours.
fn about(own: &OwnObject<'_>, path: &str, severity: Severity, code: &'static str, message: String) -> Diagnostic {
    Diagnostic::new(severity, code, message).at_place(own.place(path)).of(own.to_string())
}

/// An error where admission refuses; a warning where it only would, were the policy in Enforce.
fn refused_by(refused: &PolicyRefusal<'_>, message: String) -> Diagnostic {
    let refusal = &refused.refusal;
    let found = match refused.policy.mode {
        EnforcementMode::Enforce => Diagnostic::error(refusal.code(), message),
        mode => Diagnostic::warning(refusal.code(), format!("{message} (in {mode}, which does not refuse it)")),
    };
    Diagnostic { hint: refusal.hint(), ..found }
}

/// Workloads and namespaces that admission would refuse, were every policy in Enforce.
fn refusals(located: &LocatedInventory<'_>, plan: &Plan<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let workloads = plan.workloads.iter().zip(&located.origins);
    for (PlannedWorkload { workload, judgement, outcome }, origin) in workloads {
        if *outcome != PlacementOutcome::Refused {
            continue;
        }
        for refused in &judgement.refusals {
            let refusal = &refused.refusal;
            let message = refusal.told_of(workload.identity.kind).to_string();
            let span = match refusal {
                AdmissionRefusal::Misplaced { .. } => origin.of(Some(SensitivitySource::Default), refusal.key()),
                AdmissionRefusal::NodeName { .. } => origin.node_name.unwrap_or(origin.name),
                _ => origin.of(refusal.source(), refusal.key()),
            };
            // What a namespace says is told where the namespace says it.
            let of_namespace = refusal.source() == Some(SensitivitySource::Namespace);
            if of_namespace && located.namespaces.contains_key(&workload.identity.namespace) {
                continue;
            }
            let WorkloadIdentity { namespace, kind, name } = &workload.identity;
            let object = format!("{kind} {namespace}/{name}");
            found.push(refused_by(refused, message).at(origin.file, span).of(object));
        }
    }
    for namespace in &plan.namespaces {
        let Some(origin) = located.namespaces.get(namespace.name) else { continue };
        for refused in &namespace.refusals {
            let span = origin.statements.iter().find(|(key, _)| Some(*key) == refused.refusal.key());
            let span = span.map_or(origin.name, |(_, span)| *span);
            let message = refused.refusal.told_of_namespace().to_string();
            let object = format!("Namespace {}", namespace.name);
            found.push(refused_by(refused, message).at(origin.file, span).of(object));
        }
    }
    found
}
