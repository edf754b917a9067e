//! Tests that need nothing but the library: tables, properties and drift.

mod admission;
mod clearance_table;
mod crds;
mod properties;
mod properties_of_parts;
mod purity;
mod references;
mod worlds;
