//! The webhook of the table: the operator's own server, told of the fixtures' policies and of every namespace.

use std::{net::TcpListener, sync::Arc};

use anyhow::{Context as _, Result};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use rempart::{
    admission::{WebhookAddress, WebhookSettings, review::CompletingPolicy},
    api::PlacementPolicy,
    convert,
    operator::{
        component::OperatorComponent,
        metrics::Metrics,
        webhook::{self, CompletionFacts},
    },
};
use rempart_core::{policy::EnforcementMode, sensitivity::SensitivityStatement};
use tokio::sync::watch;

/// A webhook that answers until it is dropped.
pub(super) struct TableWebhook {
    pub(super) settings: WebhookSettings,
    facts: watch::Sender<Arc<CompletionFacts>>,
}

impl TableWebhook {
    /// Answers on a free port, and follows the namespaces.
    pub(super) fn start(client: Client) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = WebhookAddress::Url(format!("https://{}", listener.local_addr()?));
        let (facts, known) = watch::channel(Arc::new(CompletionFacts::default()));
        let metrics = Metrics::new(OperatorComponent::Admission);
        let (authorities, serving) =
            webhook::serve_alone(listener, &address, known, metrics, time::OffsetDateTime::now_utc())?;
        tokio::spawn(serving);
        let told = facts.clone();
        tokio::spawn(async move {
            let namespaces = watcher(Api::<Namespace>::all(client), watcher::Config::default()).default_backoff();
            let mut namespaces = std::pin::pin!(namespaces.applied_objects());
            while let Some(seen) = namespaces.next().await {
                let Ok(seen) = seen else { continue };
                told.send_modify(|facts| {
                    let statement = SensitivityStatement::of(seen.labels());
                    let mut known = CompletionFacts::clone(facts);
                    known.namespaces.insert(seen.name_any(), statement);
                    *facts = Arc::new(known);
                });
            }
        });
        Ok(Self { settings: WebhookSettings { address, authorities: Some(authorities) }, facts })
    }

    /// Takes in a policy as the API server has it.
    pub(super) fn knows(&self, object: &PlacementPolicy) -> Result<()> {
        let name = object.name_any();
        let policy = convert::policy_of_admission(&name, &object.spec).context("it cannot be read")?;
        if policy.mode == EnforcementMode::Enforce {
            self.facts.send_modify(|facts| {
                let mut known = CompletionFacts::clone(facts);
                known.policies.insert(name, CompletingPolicy { policy, uid: object.metadata.uid.clone() });
                *facts = Arc::new(known);
            });
        }
        Ok(())
    }
}
