//! Restarts of components that end by themselves, as a kubelet restarts the static pods of a control plane.
//!
//! kube-scheduler ends itself when a list that follows a lost watch shows it a pod on another node than the one that it
//! remembers, which happens when an API server or etcd was killed.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::sleep;

use super::wall_clock::now;
use crate::{Component, ControlPlane};

/// Interval between checks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Starts again what has ended by itself, and counts it. Never returns. What the run kills it starts again itself.
pub(super) async fn keep_running(cluster: &ControlPlane, restarts: &AtomicUsize) {
    loop {
        sleep(INTERVAL).await;
        for component in [Component::Scheduler, Component::ControllerManager, Component::Kwok] {
            if !cluster.has_ended(component).await {
                continue;
            }
            eprintln!("  {}  {component} ended by itself, and is started again", now());
            restarts.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = cluster.start_again(component).await {
                eprintln!("  {}  {component} could not be started: {error}", now());
            }
        }
    }
}
