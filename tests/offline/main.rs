//! Tests that need nothing but the library: tables, properties and drift.

mod crds;
