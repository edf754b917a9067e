//! Creators, who ask without pause, as dry runs, for pods, workloads and namespaces: where no policy applies, and for what is
//! right where one does.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use kube::Client;
use rempart_core::keys;
use serde_json::{Value, json};

use crate::world::{create_dry, pod, workload};

/// A phase in which the definitions are gone.
pub(super) const LOSS: &str = "the loss of the definitions";

/// A phase in which the policy is made laxer.
pub(super) const DROP: &str = "a demand that is dropped";

/// In which an API server finds the kind of a parameter. It looks for kinds anew every 30 s (`discoveryRESTMapper.Reset`), then
/// takes policies up once a second, lists the objects of the kind, and compiles: the rest is for that, on a busy machine.
const LOOKED_FOR: Duration = Duration::from_secs(45);

/// Who asks for what: each a row of what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Creator {
    /// Anything, where no policy applies.
    Bystander,
    /// What is complete, or no pod, where one does.
    Complete,
    /// Pods without their selector, which admission is to add.
    Incomplete,
}

/// Refusals of one creator in one phase.
#[derive(Debug)]
pub(super) struct Refusals {
    pub(super) number: usize,
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) said: String,
}

/// What creators were told.
#[derive(Default)]
pub(super) struct Creators {
    pub(super) stop: AtomicBool,
    pub(super) asked: AtomicU32,
    /// What is being done, and refusals with it.
    pub(super) phase: Mutex<&'static str>,
    pub(super) refused: Mutex<BTreeMap<(&'static str, Creator), Refusals>>,
}

impl Creators {
    pub(super) fn begin(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Asks as `creator` until it is stopped. An API server that is away refuses nobody.
    pub(super) async fn ask(&self, client: &Client, creator: Creator) {
        let objects = creator.objects();
        while !self.stop.load(Ordering::Relaxed) {
            for object in &objects {
                let outcome = create_dry(client, object).await;
                self.asked.fetch_add(1, Ordering::Relaxed);
                if let Err(kube::Error::Api(status)) = outcome
                    && matches!(status.code, 400..=499)
                    && !matches!(status.code, 401 | 409 | 429)
                {
                    let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
                    let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                    let now = Instant::now();
                    let said = status.message.clone();
                    let found =
                        refused.entry((phase, creator)).or_insert(Refusals { number: 0, first: now, last: now, said });
                    (found.number, found.last) = (found.number + 1, now);
                }
            }
        }
    }
}

impl Creator {
    pub(super) const ALL: [Self; 3] = [Self::Bystander, Self::Complete, Self::Incomplete];

    pub(super) fn objects(self) -> Vec<Value> {
        let owned = |namespace: &str| {
            let mut owned = pod(namespace, "web", &[]);
            owned["spec"]["serviceAccountName"] = json!("default");
            owned
        };
        let workloads = |namespace: &str| ["Deployment", "DaemonSet"].map(|kind| workload(kind, namespace, "api", &[]));
        let governed = ["governed", "labelled"];
        match self {
            Self::Bystander => {
                let new = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new-one"}});
                let made = |namespace: &&str| [owned(namespace)].into_iter().chain(workloads(namespace));
                ["exempt", "bystander"].iter().flat_map(made).chain([new]).collect()
            }
            Self::Complete => {
                let complete = |namespace: &&str| {
                    let mut complete = owned(namespace);
                    complete["spec"]["nodeSelector"] =
                        json!({"clearance.rempart.node-restriction.kubernetes.io/state.internal": "true"});
                    [complete].into_iter().chain(workloads(namespace))
                };
                let new = json!({"apiVersion": "v1", "kind": "Namespace", "metadata":
                    {"name": "new-governed", "labels": {"tenant": "a", keys::SENSITIVITY: "secret"}}});
                governed.iter().flat_map(complete).chain([new]).collect()
            }
            Self::Incomplete => governed.map(owned).into(),
        }
    }

    /// For how long at most what it asks for may be refused in `phase`. What nobody completes is refused while an API server
    /// does not know the kind of the mutations' parameter ([`LOOKED_FOR`]), at an installation, when definitions change and at
    /// its own start, and while they are gone no mutation has one. And what still carries the key of a demand that is dropped is relieved of it by
    /// mutations at once, which read the policy, while validations follow its edit seconds later.
    pub(super) fn unavoidable(self, phase: &str) -> Option<Duration> {
        match (self, phase) {
            (Self::Incomplete, LOSS) => Some(Duration::MAX),
            (Self::Incomplete, _) => Some(LOOKED_FOR),
            (Self::Complete, DROP) => Some(Duration::from_secs(10)),
            (Self::Bystander | Self::Complete, _) => None,
        }
    }
}
