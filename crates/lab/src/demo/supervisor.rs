//! Supervision of the components and the operator while the demo runs: one that ends by itself is started again.
//!
//! It returns only when restarts do not help.

use std::time::Duration;

use anyhow::{Error, anyhow};

use crate::{Component, ControlPlane, OperatorProcess};

/// Restarts that are tolerated; more are a fault that a person should see.
const RESTARTS: u32 = 20;

/// Interval between checks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Starts again what has ended. Returns only when restarts do not help.
pub(super) async fn supervise(cluster: &ControlPlane, mut operator: OperatorProcess) -> Error {
    let mut restarts = 0;
    loop {
        for component in Component::ALL {
            if cluster.pid(component).await.is_err() {
                restarts += 1;
                eprintln!("{component} has ended; starting it again");
                if let Err(error) = cluster.start_again(component).await {
                    eprintln!("{error}");
                }
            }
        }
        if operator.check().is_err() {
            restarts += 1;
            eprintln!("the operator has ended; starting it again");
            match cluster.start_operator([""; 0]).await {
                Ok(started) => {
                    eprintln!("the operator runs again");
                    operator = started;
                }
                Err(error) => eprintln!("{error}"),
            }
        }
        if restarts > RESTARTS {
            return anyhow!("started parts of the cluster {restarts} times, and they do not stay up");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
