//! Tests against a real control plane: one for the whole run, booted here.
//!
//! A topic is a file with `pub(crate) fn trials() -> Vec<Trial>`, listed below. Trials run side by side on
//! the one control plane, so each makes namespaces, nodes and policies of its own; those that kill
//! its components are `serial` and run alone, after all others. Filters and `--list` work as in any
//! test binary. Without a control plane nothing is skipped: the run fails.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test that reads what is not there fails, as it should")]

mod admission;
#[path = "../admission_fixtures.rs"]
mod admission_fixtures;
mod adoption;
mod bindings;
mod bypasses;
mod catalogue;
mod chaos;
mod checking;
mod commands;
mod completion;
mod costs;
mod declassify;
mod demo;
mod detected;
mod doctor;
mod drills;
mod ending;
mod endings;
mod exceptions;
mod faults;
mod harness;
mod history;
mod identities;
mod installing;
mod leadership;
mod leaving;
mod migration;
mod monitoring;
mod outages;
mod placement;
#[path = "../random_requests/mod.rs"]
mod random_requests;
mod record_history;
mod records;
#[path = "../refused_table.rs"]
mod refused_table;
mod retired;
mod scheduling;
mod schema;
mod smoke;
mod stamps;
mod startup;
mod time;
mod webhook;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let topics = [
        admission::trials(),
        adoption::trials(),
        bindings::trials(),
        bypasses::trials(),
        declassify::trials(),
        demo::trials(),
        detected::trials(),
        catalogue::trials(),
        chaos::trials(),
        checking::trials(),
        commands::trials(),
        completion::trials(),
        costs::trials(),
        doctor::trials(),
        drills::trials(),
        ending::trials(),
        endings::trials(),
        exceptions::trials(),
        faults::trials(),
        history::trials(),
        identities::trials(),
        installing::trials(),
        leadership::trials(),
        leaving::trials(),
        migration::trials(),
        monitoring::trials(),
        outages::trials(),
        placement::trials(),
        records::trials(),
        retired::trials(),
        scheduling::trials(),
        schema::trials(),
        smoke::trials(),
        stamps::trials(),
        startup::trials(),
        time::trials(),
        webhook::trials(),
    ];
    harness::run(topics.into_iter().flatten().collect())
}
