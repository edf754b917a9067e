//! Rempart.
pub mod core;
