//! Everything goes wrong for a minute. On a control plane of its own, which writes an audit log.

use std::time::Duration;

use anyhow::Result;
use rempart_lab::{
    ProgressDisplay,
    chaos::{self, ChaosSettings},
};

use crate::harness::{Context, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::serial("chaos::a_minute_of_it_puts_no_pod_where_it_may_not_be_and_loses_nothing", minute)]
}

/// The same in every run, so that a failure comes again; `rempart-lab chaos` takes any.
const SEED: u64 = 1;

async fn minute(_: &Context) -> Result<()> {
    let settings = ChaosSettings { seed: SEED, length: Duration::from_mins(1), progress: ProgressDisplay::Silent };
    chaos::run(settings).await.map(drop)
}
