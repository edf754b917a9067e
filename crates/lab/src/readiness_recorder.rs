//! Recorder of ready pods, by a watch.
//!
//! It takes an API of pods and a function that groups them, and returns the fewest ready pods that each group has had
//! at any moment. Every change counts, in the order of the watch; a poll would miss the moment that matters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::JoinHandle;

/// Whether `pod` is ready and stays.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Counts the ready pods of each group until it is dropped.
pub struct ReadinessRecorder<G> {
    least: Arc<Mutex<BTreeMap<G, usize>>>,
    task: JoinHandle<()>,
}

impl<G: Ord + Clone + Send + 'static> ReadinessRecorder<G> {
    /// Begins to count `pods`, each in its `group` if it is of any. What there is at first is counted when it is listed.
    #[must_use]
    pub fn new(pods: Api<Pod>, group: fn(&Pod) -> Option<G>) -> Self {
        let least = Arc::new(Mutex::new(BTreeMap::new()));
        let noted = Arc::clone(&least);
        let events = watcher(pods, watcher::Config::default()).default_backoff();
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            let mut ready: BTreeMap<G, BTreeSet<String>> = BTreeMap::new();
            let mut listed = false;
            while let Some(event) = events.next().await {
                let (pod, is_ready) = match event {
                    Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                        let is_ready = is_ready(&pod);
                        (Some(pod), is_ready)
                    }
                    Ok(watcher::Event::Delete(pod)) => (Some(pod), false),
                    Ok(watcher::Event::Init) => {
                        ready.values_mut().for_each(BTreeSet::clear);
                        listed = false;
                        continue;
                    }
                    Ok(watcher::Event::InitDone) => {
                        listed = true;
                        (None, false)
                    }
                    Err(_) => continue,
                };
                if let Some(pod) = pod
                    && let Some(group) = group(&pod)
                {
                    let name = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
                    let pods = ready.entry(group).or_default();
                    if is_ready {
                        pods.insert(name)
                    } else {
                        pods.remove(&name)
                    };
                }
                if listed {
                    let mut least = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    for (group, pods) in &ready {
                        let known = least.entry(group.clone()).or_insert(pods.len());
                        *known = pods.len().min(*known);
                    }
                }
            }
        });
        Self { least, task }
    }

    /// The fewest ready pods that `group` has had at any moment; `None` as long as none of it was seen.
    #[must_use]
    pub fn least(&self, group: &G) -> Option<usize> {
        self.least.lock().unwrap_or_else(PoisonError::into_inner).get(group).copied()
    }
}

impl<G> Drop for ReadinessRecorder<G> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
