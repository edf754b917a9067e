//! Rempart.
pub mod core;
#[cfg(feature = "lab")]
pub mod lab;
