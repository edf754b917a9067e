//! The decisions: pure functions of facts, policies and an instant.
//!
//! Nothing here knows of Kubernetes clients, of async, of a clock or of the environment: it is `no_std`. The edges
//! gather facts and parse them into these types once, ask, and apply the answer. Answers are values with reasons,
//! never errors: a wrong fact is a reason for rejection.

#![no_std]

extern crate alloc;
#[cfg(test)]
#[macro_use]
extern crate std;

pub mod admission;
pub mod breaker;
pub mod catalogue;
pub mod check;
pub mod clearance;

pub mod cluster_objects;
pub mod completion;
pub mod compliance;
pub mod control_plane;
pub mod coverage;
pub mod declassification;
pub mod derivation;
mod derivation_display;
pub mod drill;
mod examination;
pub mod impact;
pub mod instant;
pub mod inventory;
pub mod jurisdiction;
pub mod keys;
pub mod law;
pub mod migration;
pub mod monotonic;
pub mod move_window;
pub mod name;
pub mod namespace;
pub mod plan;
pub mod pod_lifecycle;
pub mod pod_requirements;
pub mod policy;
pub mod pool_membership;
pub mod ranking;
pub mod reason;
pub mod references;
pub mod retirement;
pub mod scheduling;
pub mod selector;
pub mod sensitivity;
mod sentence;
pub mod spread;
pub mod text;
pub mod validity;
pub mod volume;
pub mod workload;
