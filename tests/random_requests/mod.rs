//! Random policies, namespaces and requests, and what the core says of each: the same draws for expressions evaluated
//! offline and for a real API server.

#![allow(clippy::expect_used, reason = "a draw that is no policy is a fault of the test")]

pub(crate) mod drafts;
pub(crate) mod expected;
pub(crate) mod requests;
