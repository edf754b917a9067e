//! The webhook of `rempart-admission`: gives pods and pod templates what they need, where API servers have no mutating admission
//! policies.
//!
//! A `CertificateKeeper` keeps what it is trusted by, `server` answers by the [`CompletionFacts`] that the decision loop
//! publishes, and a [`Webhook`] is that loop's end of both. Every replica answers. Nothing rests on it: see
//! [`mutation_webhook`](crate::admission).

mod authority;
mod keeper;
mod server;
#[cfg(test)]
mod tests;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use kube::Client;
use tokio::{sync::watch, task::JoinSet};

pub use self::{keeper::WebhookError, server::CompletionFacts};
use self::{
    keeper::{CertificateKeeper, ShownToServers},
    server::{ServerLimits, router, serve},
};
use super::{
    Error,
    cache::{ClusterCache, LastSeen, Revision},
    clock::Clock,
    clock_skew::ClockSkew,
    lease::Leadership,
    metrics::Metrics,
    preflight::AdmissionOwners,
};
use crate::{
    admission::{MutationMode, WebhookAddress, review::CompletingPolicy},
    convert,
};
use rempart_core::instant::Timestamp;

/// How long it goes on answering when it is to stop: API servers still send it requests until all of them know that it is no
/// endpoint any more.
const LAME: Duration = Duration::from_secs(5);
/// How long a watch may say nothing, by `rempart_watch_age_seconds`: as long as before the alert `RempartWatchStale`.
const SILENCE: Duration = Duration::from_secs(400);
/// How long answers that are under way may take to end after that.
const DRAIN: Duration = Duration::from_secs(5);

/// The decision loop's end of the webhook.
pub(super) struct Webhook {
    authorities: watch::Receiver<Option<Arc<str>>>,
    shown: watch::Receiver<Option<ShownToServers>>,
    facts: watch::Sender<Arc<CompletionFacts>>,
    published: LastSeen<(Revision, Revision)>,
    handle: Handle<SocketAddr>,
}

/// An address at which the webhook may serve, and how API servers know it.
pub(super) struct BoundWebhook {
    listener: TcpListener,
    address: WebhookAddress,
}

/// Binds `listen`, where the webhook completes pods and this process serves it.
pub(super) fn bind(mutation: &MutationMode, listen: Option<SocketAddr>) -> Result<Option<BoundWebhook>, Error> {
    let address = match mutation {
        MutationMode::Webhook(webhook) => webhook.address.clone(),
        MutationMode::Policies | MutationMode::None => return Ok(None),
    };
    let Some(listen) = listen else { return Ok(None) };
    let failed = |source| Error::Listen { address: listen, option: "--webhook-listen", source };
    let listener = TcpListener::bind(listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(Some(BoundWebhook { listener, address }))
}

/// What the webhook keeps what it is trusted by with.
pub(super) struct WebhookTrust {
    /// The operator's own.
    pub(super) namespace: String,
    /// A client whose answers `skew` is told of.
    pub(super) client: Client,
    /// A client that writes while this replica leads.
    pub(super) guarded: Client,
    pub(super) leadership: Leadership,
    pub(super) skew: ClockSkew,
    pub(super) clock: Arc<dyn Clock>,
    /// The `ClusterRole` with which the authorities end.
    pub(super) role: Option<&'static str>,
    pub(super) owners: watch::Receiver<AdmissionOwners>,
}

/// The names by which an API server knows a server at `address`.
fn names(address: &WebhookAddress) -> Vec<String> {
    match address {
        WebhookAddress::Service { namespace, name } => vec![format!("{name}.{namespace}.svc")],
        WebhookAddress::Url(url) => {
            let host = url.parse::<http::Uri>().ok().and_then(|url| url.host().map(str::to_owned));
            host.into_iter().map(|host| host.trim_matches(['[', ']']).to_owned()).collect()
        }
    }
}

impl Webhook {
    /// Starts what it needs, as tasks among `tasks`.
    pub(super) fn start(
        bound: BoundWebhook,
        trust: WebhookTrust,
        metrics: Metrics,
        tasks: &mut JoinSet<&'static str>,
    ) -> Self {
        let BoundWebhook { listener, address } = bound;
        let WebhookTrust { namespace, client, guarded, leadership, skew, clock, role, owners } = trust;
        let (bundle, authorities) = watch::channel(None);
        let (certificate, shown) = watch::channel(None);
        let (facts, known) = watch::channel(Arc::default());
        let names = names(&address);
        let keeper = CertificateKeeper {
            namespace,
            names,
            client,
            guarded,
            leadership,
            skew,
            clock,
            role,
            owners,
            metrics: metrics.clone(),
            bundle,
            shown: certificate,
        };
        tasks.spawn(async move {
            keeper.run().await;
            "webhook certificates"
        });
        let handle = Handle::new();
        let (serving, mut first, limits) = (handle.clone(), shown.clone(), ServerLimits::default());
        tasks.spawn(async move {
            let config = first.wait_for(Option::is_some).await.ok().and_then(|shown| shown.clone());
            let Some(ShownToServers { config, .. }) = config else { return "webhook" };
            if let Err(error) = serve(listener, config, serving, router(known, metrics, limits), limits).await {
                tracing::error!(%error, "the webhook ended");
                return "webhook";
            }
            // One that was drained ends; the process does after it.
            std::future::pending().await
        });
        Self { authorities, shown, facts, published: LastSeen::default(), handle }
    }

    /// Waits for other authorities than those that were last returned.
    pub(super) async fn other_authorities(&mut self) -> Option<Arc<str>> {
        if self.authorities.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.authorities.borrow_and_update().clone()
    }

    /// What it lacks `now`, by the API server's time: a certificate, or news of what it answers by.
    pub(super) fn waiting_for(&self, now: Timestamp, metrics: &Metrics) -> Option<&'static str> {
        match &*self.shown.borrow() {
            None => Some("the webhook's certificate"),
            Some(shown) if shown.ends <= keeper::second(now) => Some("a certificate of the webhook that has not ended"),
            Some(_) if metrics.is_silent("namespaces", SILENCE) => Some("news of namespaces"),
            Some(_) if metrics.is_silent("placementpolicies", SILENCE) => Some("news of policies"),
            Some(_) => None,
        }
    }

    /// Publishes what `cache` has of policies and namespaces, where that has changed.
    pub(super) fn publish(&mut self, cache: &ClusterCache) {
        if self.published.update((cache.revisions.policies, cache.revisions.namespaces)) {
            let facts = CompletionFacts::of(cache, &self.facts.borrow());
            self.facts.send_replace(Arc::new(facts));
        }
    }

    /// Ends it, when nobody sends it requests any more.
    pub(super) async fn drain(self) {
        if self.shown.borrow().is_some() {
            tokio::time::sleep(LAME).await;
            self.handle.graceful_shutdown(Some(DRAIN));
            let ended = async {
                while self.handle.connection_count() > 0 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let _ = tokio::time::timeout(DRAIN, ended).await;
        }
    }
}

impl CompletionFacts {
    /// What `cache` has, where this was known `before`. Whatever the mode of a policy, what a configuration asks about is
    /// completed: while it goes from one that enforces to one that does not, its configuration and its denials go one after
    /// the other. One that cannot be read is what it was.
    fn of(cache: &ClusterCache, before: &Self) -> Self {
        let policies = cache.policies.iter().filter_map(|(name, record)| {
            let uid = record.meta.uid.clone();
            let read = record.object.as_ref().ok().and_then(|object| convert::policy_of_admission(name, &object.spec));
            let known = || before.policies.get(name).filter(|known| known.uid == uid).cloned();
            let policy = read.map(|policy| CompletingPolicy { policy, uid: uid.clone() }).or_else(known)?;
            Some((name.clone(), policy))
        });
        let spoken = cache.namespaces.iter().map(|(name, known)| (name.clone(), known.statement.clone()));
        Self { policies: policies.collect(), namespaces: spoken.collect() }
    }
}

/// Serves what is known of `facts` at `address`, by a certificate that is made as of `now` with an authority of its own, until
/// it is dropped. Returns the authority, in PEM. For whoever has no cluster to keep one in.
///
/// # Errors
/// Where a certificate cannot be made or shown.
pub fn serve_alone(
    listener: TcpListener,
    address: &WebhookAddress,
    facts: watch::Receiver<Arc<CompletionFacts>>,
    metrics: Metrics,
    now: time::OffsetDateTime,
) -> Result<(String, impl Future<Output = std::io::Result<()>> + use<>), WebhookError> {
    let authority = authority::Authority::generate(now)?;
    let config = keeper::server_config(&authority.issue(&names(address), now)?)?;
    let bundle = authority::plan(std::slice::from_ref(&authority), now).bundle();
    let limits = ServerLimits::default();
    let router = router(facts, metrics, limits);
    Ok((bundle, serve(listener, RustlsConfig::from_config(config), Handle::new(), router, limits)))
}
