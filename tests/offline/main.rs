//! Tests that need nothing but the library: tables, properties and drift.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect fails, as it should"
)]

mod admission;
mod clearance_table;
mod crds;
mod examples;
mod explain;
mod facts;
mod properties;
mod properties_of_parts;
mod purity;
mod references;
mod schema;
mod worlds;
