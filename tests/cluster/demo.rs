//! The demo, as `make demo` runs it: it checks what it tells, and fails with a sentence where something is not so.
//!
//! On a control plane of its own.

use anyhow::Result;
use rempart_lab::demo::{self, DemoOptions};

use crate::harness::{Context, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::serial("demo::everything_that_it_claims_holds", told)]
}

async fn told(_: &Context) -> Result<()> {
    Box::pin(demo::run(DemoOptions { keep: false, no_colour: true }, || ())).await
}
