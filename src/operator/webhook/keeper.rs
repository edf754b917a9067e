//! The keeper of the webhook's authorities and certificates.
//!
//! Every replica reads the authorities of the `Secret` and makes itself a certificate. The one that leads makes authorities
//! that are due; where there is none at all, whoever sees it makes the first, for a leader of another kind may keep none.
//! What cannot be read or written takes nothing away: what is known goes on counting.

use std::{sync::Arc, time::Duration};

use axum_server::tls_rustls::RustlsConfig;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::authority::{self, Authority, ShownCertificate};
use crate::admission::owned_by_role;
use crate::operator::{
    clock::Clock, clock_skew::ClockSkew, error_chain::ErrorChain, lease::Leadership, metrics::Metrics,
    names::MANAGED_BY, preflight::AdmissionOwners,
};
use rempart_core::instant::Timestamp;

/// The `Secret` of the authorities, in the operator's namespace.
pub(super) const SECRET: &str = "rempart-webhook";
/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often the authorities are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How often, while there is nothing to show.
const LOOK_IN_VAIN: Duration = Duration::from_millis(500);
/// How often it is told that something is amiss.
const COMPLAINT_PACE: Duration = Duration::from_secs(10);

/// Keeps authorities and certificate.
pub(super) struct CertificateKeeper {
    pub(super) namespace: String,
    /// The names by which API servers know the webhook.
    pub(super) names: Vec<String>,
    /// Reads, and writes the first authority.
    pub(super) client: Client,
    /// Writes, while this replica leads.
    pub(super) guarded: Client,
    pub(super) leadership: Leadership,
    pub(super) skew: ClockSkew,
    pub(super) clock: Arc<dyn Clock>,
    /// The `ClusterRole` with which the authorities end, where there is one.
    pub(super) role: Option<&'static str>,
    pub(super) owners: watch::Receiver<AdmissionOwners>,
    pub(super) metrics: Metrics,
    /// What API servers trust.
    pub(super) bundle: watch::Sender<Option<Arc<str>>>,
    /// What is shown to them; nothing before there is something.
    pub(super) shown: watch::Sender<Option<ShownToServers>>,
}

/// What is shown to API servers.
#[derive(Clone)]
pub(super) struct ShownToServers {
    pub(super) config: RustlsConfig,
    /// When the certificate ends.
    pub(super) ends: OffsetDateTime,
}

/// What the keeper remembers.
#[derive(Default)]
struct KeptAuthorities {
    /// The authorities that were last found, in the order in which they were made.
    known: Vec<Authority>,
    /// The authority that signed what is shown, and that.
    shown: Option<(Authority, ShownCertificate)>,
    complained: Option<Duration>,
}

/// Why the webhook has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The API server did not do what it was asked.
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
    /// It did not answer.
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Deadline(#[from] tokio::time::error::Elapsed),
    /// It cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// It cannot be shown.
    #[error("a certificate cannot be shown: {0}")]
    Tls(#[from] rustls::Error),
}

impl WebhookError {
    /// Whether another replica was faster.
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 409)
    }
}

/// `timestamp`, to the second.
pub(super) fn second(timestamp: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(timestamp.timestamp().as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl CertificateKeeper {
    /// Keeps them for ever.
    pub(super) async fn run(self) {
        let mut kept = KeptAuthorities::default();
        loop {
            let is_settled = self.look(&mut kept).await;
            tokio::time::sleep(if is_settled { LOOK } else { LOOK_IN_VAIN }).await;
        }
    }

    /// Looks at the authorities and does what follows. Says whether all is well for now.
    async fn look(&self, kept: &mut KeptAuthorities) -> bool {
        let mut is_settled = true;
        match self.keep_authorities(kept).await {
            Ok(()) => {}
            // Another replica was faster: what it wrote is as good.
            Err(error) if error.is_conflict() => is_settled = false,
            Err(error) => self.complain(kept, &error),
        }
        match self.keep_certificate(kept) {
            Ok(true) => {}
            Ok(false) => is_settled = false,
            Err(error) => {
                is_settled = false;
                self.complain(kept, &error);
            }
        }
        is_settled
    }

    /// Takes in the authorities that there are, and makes one where it is due and this replica's turn.
    async fn keep_authorities(&self, kept: &mut KeptAuthorities) -> Result<(), WebhookError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = tokio::time::timeout(DEADLINE, secrets.get_opt(SECRET)).await??;
        let read = found.as_ref().map(authority::read).unwrap_or_default();
        // By a clock that is known to be wrong, this is the API server's time.
        let now = self.now();
        let is_absent = authority::plan(&read, now).signs.is_none();
        if !is_absent {
            kept.known = read;
        }
        let may_write = self.leadership.may_write(self.clock.uptime());
        let is_turn = is_absent || (may_write && authority::plan(&kept.known, now).is_due);
        if is_turn && !self.skew.is_wrong(&*self.clock) {
            let client = if may_write { &self.guarded } else { &self.client };
            kept.known = self.renew(client, found, &kept.known, now).await?;
        }
        Ok(())
    }

    /// Shows a certificate of the authority that signs, and says by which ones it is to be known. Says whether any can sign.
    fn keep_certificate(&self, kept: &mut KeptAuthorities) -> Result<bool, WebhookError> {
        let now = self.now();
        let plan = authority::plan(&kept.known, now);
        let Some(signs) = plan.signs else {
            if Self::may_complain(&mut kept.complained, self.clock.uptime()) {
                tracing::warn!(
                    secret = SECRET,
                    ahead_seconds = self.skew.seconds(&*self.clock),
                    "no authority can sign a certificate for the webhook; retrying"
                );
            }
            return Ok(false);
        };
        let is_current = |(by, certificate): &(Authority, ShownCertificate)| by == signs && !certificate.is_due(now);
        if !kept.shown.as_ref().is_some_and(is_current) {
            let certificate = signs.issue(&self.names, now)?;
            self.show(&certificate)?;
            self.metrics.set_webhook_certificate_end(certificate.ends.unix_timestamp());
            tracing::info!(names = self.names.join(", "), "the webhook shows a new certificate");
            kept.shown = Some((signs.clone(), certificate));
        }
        let bundle: Arc<str> = plan.bundle().into();
        self.bundle.send_if_modified(|known| {
            let differs = known.as_ref() != Some(&bundle);
            *known = Some(bundle);
            differs
        });
        Ok(true)
    }

    fn now(&self) -> OffsetDateTime {
        second(self.skew.server_time(&*self.clock))
    }

    fn complain(&self, kept: &mut KeptAuthorities, error: &WebhookError) {
        if Self::may_complain(&mut kept.complained, self.clock.uptime()) {
            let error = ErrorChain(error).to_string();
            tracing::warn!(error, secret = SECRET, "the webhook's certificate cannot be kept; retrying");
        }
    }

    fn may_complain(complained: &mut Option<Duration>, now: Duration) -> bool {
        let may = complained.is_none_or(|last| now.saturating_sub(last) >= COMPLAINT_PACE);
        if may {
            *complained = Some(now);
        }
        may
    }

    /// Adds an authority to those that are `known` and have not ended, in the place of what was `found`: what another
    /// replica has written since stays.
    async fn renew(
        &self,
        client: &Client,
        found: Option<Secret>,
        known: &[Authority],
        now: OffsetDateTime,
    ) -> Result<Vec<Authority>, WebhookError> {
        let mut authorities: Vec<_> = authority::plan(known, now).trusted.into_iter().cloned().collect();
        authorities.push(Authority::after(&authorities, now)?);
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        let data = Some(authority::write(&authorities));
        let written = async {
            if let Some(found) = found {
                return secrets.replace(SECRET, &PostParams::default(), &Secret { data, ..found }).await;
            }
            let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
            let labels = [("app.kubernetes.io/name", "rempart"), MANAGED_BY].map(text).into();
            let uid = self.owners.borrow().mutations.clone();
            let metadata = ObjectMeta {
                name: Some(SECRET.to_owned()),
                labels: Some(labels),
                owner_references: self.role.zip(uid).map(|(role, uid)| vec![owned_by_role(role, &uid)]),
                ..ObjectMeta::default()
            };
            secrets.create(&PostParams::default(), &Secret { metadata, data, ..Secret::default() }).await
        };
        tokio::time::timeout(DEADLINE, written).await??;
        tracing::info!(secret = SECRET, "made a certificate authority for the webhook");
        Ok(authorities)
    }

    fn show(&self, certificate: &ShownCertificate) -> Result<(), WebhookError> {
        let (config, ends) = (server_config(certificate)?, certificate.ends);
        self.shown.send_modify(|shown| {
            if let Some(shown) = shown {
                shown.config.reload_from_config(config);
                shown.ends = ends;
            } else {
                *shown = Some(ShownToServers { config: RustlsConfig::from_config(config), ends });
            }
        });
        Ok(())
    }
}

/// A server that shows `certificate`, over HTTP/1.1.
pub(super) fn server_config(certificate: &ShownCertificate) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from(certificate.certificate.clone())];
    let key = PrivatePkcs8KeyDer::from(certificate.key.clone());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key.into())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::Pin,
        sync::{
            Mutex,
            atomic::{AtomicBool, AtomicI64, Ordering},
        },
    };

    use http::{HeaderMap, HeaderValue, Method, Request, Response, header::DATE};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::{BoxError, service_fn};

    use super::*;
    use crate::operator::lease::LeaseDuration;

    const START: i64 = 1_800_000_000;
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    /// A clock that is set by hand, so many seconds after the start.
    #[derive(Clone, Default)]
    struct SetClock(Arc<AtomicI64>);

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(START + self.0.load(Ordering::Relaxed))
        }

        fn uptime(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed).try_into().unwrap_or_default())
        }

        fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    /// What an API server has of the one `Secret`.
    #[derive(Clone, Default)]
    struct FakeServer {
        secret: Arc<Mutex<Option<Value>>>,
        version: Arc<AtomicI64>,
        is_away: Arc<AtomicBool>,
        /// Somebody else's `Secret`, which is created before the next one is written.
        faster: Arc<Mutex<Option<Value>>>,
    }

    impl FakeServer {
        fn answer(&self, method: &Method, sent: &[u8]) -> (u16, Value) {
            let failure = |code: u16| {
                let reason = match code {
                    404 => "NotFound",
                    409 => "Conflict",
                    _ => "InternalError",
                };
                (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no"}))
            };
            let mut secret = self.secret.lock().unwrap();
            if self.is_away.load(Ordering::Relaxed) {
                return failure(500);
            }
            if *method == Method::GET {
                return secret.clone().map_or_else(|| failure(404), |secret| (200, secret));
            }
            if let Some(faster) = self.faster.lock().unwrap().take() {
                *secret = Some(faster);
            }
            let mut sent: Value = serde_json::from_slice(sent).unwrap();
            let replaces = secret.as_ref().map(|secret| secret["metadata"]["resourceVersion"].clone());
            let expected = (*method == Method::PUT).then(|| sent["metadata"]["resourceVersion"].clone());
            if replaces != expected {
                return failure(409);
            }
            let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
            sent["metadata"]["resourceVersion"] = json!(version.to_string());
            *secret = Some(sent.clone());
            (200, sent)
        }

        fn client(&self) -> Client {
            let server = self.clone();
            let service = service_fn(move |request: Request<Body>| {
                let server = server.clone();
                async move {
                    let (method, body) = (request.method().clone(), request.into_body().collect_bytes().await?);
                    let (code, answer) = server.answer(&method, &body);
                    let body = Body::from(serde_json::to_vec(&answer)?);
                    Ok::<_, BoxError>(Response::builder().status(code).body(body)?)
                }
            });
            Client::new(service, "rempart-system")
        }

        fn authorities(&self) -> Vec<Authority> {
            let secret = self.secret.lock().unwrap().clone();
            secret.map(|secret| authority::read(&serde_json::from_value(secret).unwrap())).unwrap_or_default()
        }
    }

    /// A replica, which does not lead.
    struct Replica {
        keeper: CertificateKeeper,
        kept: KeptAuthorities,
        bundle: watch::Receiver<Option<Arc<str>>>,
        clock: SetClock,
    }

    impl Replica {
        fn new(server: &FakeServer) -> Self {
            let (leadership, skew, clock) = (Leadership::default(), ClockSkew::default(), SetClock::default());
            let guarded = crate::operator::lease::guarded(
                server.client(),
                leadership.clone(),
                skew.clone(),
                Arc::new(clock.clone()),
            );
            let (sender, bundle) = watch::channel(None);
            let keeper = CertificateKeeper {
                namespace: "rempart-system".into(),
                names: vec!["rempart-webhook.rempart-system.svc".into()],
                client: server.client(),
                guarded,
                leadership,
                skew,
                clock: Arc::new(clock.clone()),
                role: None,
                owners: watch::channel(AdmissionOwners::default()).1,
                metrics: Metrics::default(),
                bundle: sender,
                shown: watch::channel(None).0,
            };
            Self { keeper, kept: KeptAuthorities::default(), bundle, clock }
        }

        async fn look(&mut self) -> bool {
            self.keeper.look(&mut self.kept).await
        }

        fn bundle(&self) -> Option<Arc<str>> {
            self.bundle.borrow().clone()
        }

        fn ends(&self) -> Option<i64> {
            self.keeper.shown.borrow().as_ref().map(|shown| shown.ends.unix_timestamp() - START)
        }

        fn told(&self, date: &str) {
            let headers: HeaderMap = [(DATE, HeaderValue::from_str(date).unwrap())].into_iter().collect();
            self.keeper.skew.take(&headers, &self.clock);
        }
    }

    #[tokio::test]
    async fn whoever_finds_no_authority_makes_one_and_the_second_takes_the_first_ones() {
        let server = FakeServer::default();
        let (mut one, mut other) = (Replica::new(&server), Replica::new(&server));
        assert!(one.look().await && other.look().await);
        assert_eq!((server.authorities().len(), one.bundle()), (1, other.bundle()));
        assert!(one.bundle().is_some() && one.ends() == Some(7 * DAY));
        // Both saw nothing, and another was faster: it is looked at again.
        let third = FakeServer::default();
        *third.faster.lock().unwrap() = server.secret.lock().unwrap().clone();
        let mut late = Replica::new(&third);
        assert!(!late.look().await);
        assert_eq!(late.bundle(), None);
        assert!(late.look().await);
        assert_eq!(late.bundle(), one.bundle());
    }

    #[tokio::test]
    async fn renewals_are_the_leaders_and_what_is_damaged_is_anybodys() {
        let server = FakeServer::default();
        let mut replica = Replica::new(&server);
        assert!(replica.look().await);
        replica.clock.0.store(300 * DAY, Ordering::Relaxed);
        assert!(replica.look().await);
        assert_eq!(server.authorities().len(), 1, "it does not lead");
        replica.keeper.leadership.confirm(replica.clock.uptime(), LeaseDuration::default());
        assert!(replica.look().await);
        assert_eq!(server.authorities().len(), 2);
        replica.keeper.leadership.resign();
        for value in server.secret.lock().unwrap().as_mut().unwrap()["data"].as_object_mut().unwrap().values_mut() {
            *value = json!("bm9uc2Vuc2U=");
        }
        assert!(server.authorities().is_empty());
        // What it knows goes on being trusted.
        assert!(replica.look().await);
        assert_eq!(server.authorities().len(), 3);
    }

    #[tokio::test]
    async fn by_a_clock_that_is_wrong_none_is_made_and_certificates_are_of_the_servers_time() {
        let server = FakeServer::default();
        let (mut wrong, mut right) = (Replica::new(&server), Replica::new(&server));
        // Its clock is a year ahead.
        wrong.clock.0.store(365 * DAY, Ordering::Relaxed);
        wrong.told("Fri, 15 Jan 2027 08:00:00 GMT");
        assert!(!wrong.look().await);
        assert_eq!((server.authorities().len(), wrong.bundle()), (0, None));
        assert!(right.look().await && wrong.look().await);
        assert_eq!((wrong.bundle(), wrong.ends()), (right.bundle(), Some(7 * DAY)));
    }

    #[tokio::test]
    async fn who_cannot_read_goes_on_making_certificates() {
        let server = FakeServer::default();
        let mut replica = Replica::new(&server);
        assert!(replica.look().await);
        server.is_away.store(true, Ordering::Relaxed);
        replica.clock.0.store(5 * DAY, Ordering::Relaxed);
        assert!(replica.look().await);
        assert_eq!(replica.ends(), Some(12 * DAY));
        // Until nothing can sign any more.
        replica.clock.0.store(366 * DAY, Ordering::Relaxed);
        assert!(!replica.look().await);
    }
}
