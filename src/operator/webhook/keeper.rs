//! The keeper of the webhook's authorities and certificates.
//!
//! Every replica reads the authorities of the `Secret` and makes itself a certificate; the one that leads also makes
//! authorities that are due.

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
use crate::operator::{clock::Clock, error_chain::ErrorChain, lease::Leadership, names::MANAGED_BY};

/// The `Secret` of the authorities, in the operator's namespace.
pub(super) const SECRET: &str = "rempart-webhook";
/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often the authorities are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How often, while there is nothing to show.
const LOOK_IN_VAIN: Duration = Duration::from_millis(500);

/// Keeps authorities and certificate.
pub(super) struct CertificateKeeper {
    pub(super) namespace: String,
    /// The names by which API servers know the webhook.
    pub(super) names: Vec<String>,
    /// Reads.
    pub(super) client: Client,
    /// Writes, while this replica leads.
    pub(super) guarded: Client,
    pub(super) leadership: Leadership,
    pub(super) clock: Arc<dyn Clock>,
    /// The `ClusterRole` with which the authorities end, by name and identifier.
    pub(super) owner: Option<(&'static str, String)>,
    /// What API servers trust.
    pub(super) bundle: watch::Sender<Option<Arc<str>>>,
    /// What is shown to them; nothing before there is something.
    pub(super) shown: watch::Sender<Option<RustlsConfig>>,
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

impl CertificateKeeper {
    /// Keeps them for ever.
    pub(super) async fn run(self) {
        let mut shown = None;
        loop {
            if let Err(error) = self.look(&mut shown).await {
                let error = ErrorChain(&error).to_string();
                tracing::warn!(error, secret = SECRET, "the webhook's certificate cannot be kept; retrying");
            }
            tokio::time::sleep(if shown.is_some() { LOOK } else { LOOK_IN_VAIN }).await;
        }
    }

    async fn look(&self, shown: &mut Option<(Authority, ShownCertificate)>) -> Result<(), WebhookError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = tokio::time::timeout(DEADLINE, secrets.get_opt(SECRET)).await??;
        let mut known = found.as_ref().map(authority::read).unwrap_or_default();
        let now = self.now();
        if authority::plan(&known, now).is_due && self.leadership.may_write(self.clock.uptime()) {
            known = self.renew(found, &known, now).await?;
        }
        let plan = authority::plan(&known, now);
        let Some(signs) = plan.signs else { return Ok(()) };
        if shown.as_ref().is_none_or(|(by, certificate)| by != signs || certificate.is_due(now)) {
            let certificate = signs.issue(&self.names, now)?;
            self.show(&certificate)?;
            tracing::info!(names = self.names.join(", "), "the webhook shows a new certificate");
            *shown = Some((signs.clone(), certificate));
        }
        let bundle: Arc<str> = plan.bundle().into();
        self.bundle.send_if_modified(|known| {
            let differs = known.as_ref() != Some(&bundle);
            *known = Some(bundle);
            differs
        });
        Ok(())
    }

    fn now(&self) -> OffsetDateTime {
        let second = self.clock.now().timestamp().as_second();
        OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Adds an authority to those that are `known` and have not ended.
    async fn renew(
        &self,
        found: Option<Secret>,
        known: &[Authority],
        now: OffsetDateTime,
    ) -> Result<Vec<Authority>, WebhookError> {
        let mut authorities: Vec<_> = authority::plan(known, now).trusted.into_iter().cloned().collect();
        authorities.push(Authority::generate(now)?);
        let secrets: Api<Secret> = Api::namespaced(self.guarded.clone(), &self.namespace);
        let data = Some(authority::write(&authorities));
        let written = async {
            if let Some(found) = found {
                return secrets.replace(SECRET, &PostParams::default(), &Secret { data, ..found }).await;
            }
            let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
            let labels = [("app.kubernetes.io/name", "rempart"), MANAGED_BY].map(text).into();
            let metadata = ObjectMeta {
                name: Some(SECRET.to_owned()),
                labels: Some(labels),
                owner_references: self.owner.as_ref().map(|(role, uid)| vec![owned_by_role(role, uid)]),
                ..ObjectMeta::default()
            };
            secrets.create(&PostParams::default(), &Secret { metadata, data, ..Secret::default() }).await
        };
        tokio::time::timeout(DEADLINE, written).await??;
        tracing::info!(secret = SECRET, "made a certificate authority for the webhook");
        Ok(authorities)
    }

    fn show(&self, certificate: &ShownCertificate) -> Result<(), WebhookError> {
        let config = server_config(certificate)?;
        self.shown.send_if_modified(|shown| {
            if let Some(shown) = shown {
                shown.reload_from_config(config);
                return false;
            }
            *shown = Some(RustlsConfig::from_config(config));
            true
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
