//! Conversion: from the API's objects, which hold text, to the core's types, which cannot hold a bad value.
//!
//! Nothing fails here: what cannot be read is left out and told by a
//! [diagnostic](crate::diagnostic::FieldDiagnostic), and the core treats it as unknown.
//! A wrong fact harms itself alone, and so does a wrong wish, window or deadline. What a policy demands is different: it must
//! be known whole, so one wrong demand leaves nothing of it, and it clears nothing.

mod field;
mod level_scheduling;
mod move_windows;
mod policy;
mod pool;
mod provider;
mod selector;

pub use field::Converted;
pub use policy::{policy, policy_of_admission};
pub use pool::pool;
pub use provider::provider;
