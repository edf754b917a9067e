//! Tests that need nothing but the library: tables, properties and drift.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect fails, as it should"
)]

mod admission;
#[path = "../admission_fixtures.rs"]
mod admission_fixtures;
mod agreement;
mod book;
mod catalogue;
mod chart;
mod clearance_table;
mod commands;
mod completion;
mod conditions;
mod control_plane;
mod crds;
mod doctor;
mod documents;
mod drill;
mod examples;
mod explain;
mod explored;
mod facts;
mod gathered;
mod harmless;
mod history;
mod installed;
mod manifests;
mod monotonicity;
mod plan;
mod plan_table;
mod properties;
mod properties_of_parts;
#[path = "../property_runner.rs"]
mod property_runner;
#[path = "../random_requests/mod.rs"]
mod random_requests;
mod references;
#[path = "../refused_table.rs"]
mod refused_table;
mod release;
mod report;
mod schema;
mod simulate;
mod supply_chain;
mod threats;
mod validity;
mod worlds;
