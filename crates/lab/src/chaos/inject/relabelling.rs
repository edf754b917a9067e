//! A namespace that somebody relabels without pause, with a label that no policy asks for.
//!
//! It ends with the value, or when it is told to.

use std::time::Duration;

use kube::Client;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::chaos::requests::{WriteVerb, attempt_write};

/// The namespace, which no policy governs.
const NAMESPACE: &str = "/api/v1/namespaces/free";
/// Pause between two labels: shorter than anything that settles.
const PACE: Duration = Duration::from_millis(300);

/// Somebody who relabels a namespace.
pub(super) struct NamespaceRelabelling {
    client: Client,
    task: JoinSet<()>,
}

impl NamespaceRelabelling {
    pub(super) fn new(client: Client) -> Self {
        Self { client, task: JoinSet::new() }
    }

    /// Begins or ends it.
    pub(super) fn set(&mut self, goes_on: bool) {
        if !goes_on {
            self.task.abort_all();
            self.task = JoinSet::new();
        } else if self.task.is_empty() {
            let client = self.client.clone();
            self.task.spawn(async move {
                for number in 0_u64.. {
                    let patch = json!({"metadata": {"labels": {"chaos.example/seen": number.to_string()}}});
                    // While the API server is away nobody can.
                    attempt_write(&client, WriteVerb::Merge, NAMESPACE, &patch).await.ok();
                    sleep(PACE).await;
                }
            });
        }
    }
}
