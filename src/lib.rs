//! Rempart places Kubernetes workloads on the node pools of sovereign clouds according to how sensitive their data is.
pub mod api;
pub mod cli;
pub mod convert;
pub mod core;
pub mod explain;
pub mod gather;
#[cfg(feature = "lab")]
pub mod lab;
pub mod lint;
pub mod manifest;
pub mod operator;
pub mod report;
