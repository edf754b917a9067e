//! Rempart places Kubernetes workloads on the node pools of sovereign clouds according to how sensitive their data is.
//!
//! The decisions are in the crate `rempart_core`; here is what gathers facts, asks, and applies the answers.
pub mod admission;
pub mod api;
pub mod cli;
pub mod completion;
pub mod convert;
pub mod diagnostic;
pub mod doctor;
pub mod explain;
pub mod gather;
pub mod history;
pub mod lint;
pub mod manifest;
pub mod operator;
pub mod release;
pub mod report;
pub mod terminal;

#[cfg(test)]
#[path = "../tests/property_runner.rs"]
mod property_runner;
