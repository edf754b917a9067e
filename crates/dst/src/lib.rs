//! Deterministic simulation testing: the operator itself, with all that it waits for, against an API server in its own
//! process.
//!
//! Takes a seed and returns a [`RunOutcome`]. The seed decides everything: what people do to the cluster, how long each
//! answer takes, what is refused, lost, delayed or told late, and when a replica dies. Time is virtual, and goes on when
//! nothing else does. Whatever happens, the [invariants] hold; a seed that breaks one breaks it again.
//!
//! What is real is all of `rempart run` and `rempart run-admission` above the socket: watches, cache, decisions, writes,
//! leases. What is not: the API server ([`server`]) keeps objects, versions, watches and conflicts and evaluates no CEL;
//! controllers, scheduler and kubelets ([`controllers`]) do what those of Kubernetes would, in short.

#![allow(clippy::indexing_slicing, reason = "values of JSON, which an index finds or makes")]

mod call;
mod controllers;
mod invariants;
mod link;
mod mutation;
mod run;
mod seeded;
mod server;
mod sim_clock;
mod story;

pub use run::{RunOutcome, run_seed};
