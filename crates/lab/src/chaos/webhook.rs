//! Somebody else's admission webhook, in the way of what the operator asks: slow, or it refuses.
//!
//! It serves on loopback and judges the operator's requests alone: changes of templates, and evictions. It is registered
//! while it is slow or refuses, and ends with the value.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use k8s_openapi::ByteString;
use kube::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::requests::{WriteVerb, insist};
use crate::ControlPlane;

const NAME: &str = "somebodys-webhook";
const PATH: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
/// For how long it thinks: longer than the operator waits for an answer.
const THINKING: Duration = Duration::from_secs(5);
/// For how long an API server waits for it.
const TIMEOUT_SECONDS: u64 = 10;
/// How long one conversation may take.
const CONVERSATION: Duration = Duration::from_secs(20);
/// The most that is read of a request.
const MOST: u64 = 4 << 20;

/// What it does with what it is asked.
#[derive(Debug, Default)]
struct WebhookBehaviour {
    slow: AtomicBool,
    refuses: AtomicBool,
}

/// The webhook.
pub(super) struct ForeignWebhook {
    client: Client,
    behaviour: Arc<WebhookBehaviour>,
    configuration: Value,
    _server: JoinSet<()>,
}

impl ForeignWebhook {
    /// Serves one, which nobody asks yet.
    pub(super) async fn start(cluster: &ControlPlane, client: Client) -> Result<Self> {
        let authority = &cluster.layout.authority;
        let credentials = authority.server(NAME)?;
        let chain = CertificateDer::pem_file_iter(&credentials.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&credentials.key)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("https://127.0.0.1:{}/", listener.local_addr()?.port());
        let behaviour = Arc::new(WebhookBehaviour::default());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&behaviour)));
        let trusted = ByteString(std::fs::read(&authority.credentials().certificate)?);
        Ok(Self { client, behaviour, configuration: configuration(&url, &trusted), _server: server })
    }

    /// Makes it slow, or as fast as others.
    pub(super) async fn set_slow(&self, slow: bool) -> Result<()> {
        self.behaviour.slow.store(slow, Ordering::Relaxed);
        self.register().await
    }

    /// Makes it refuse, or allow.
    pub(super) async fn set_refusing(&self, refuses: bool) -> Result<()> {
        self.behaviour.refuses.store(refuses, Ordering::Relaxed);
        self.register().await
    }

    async fn register(&self) -> Result<()> {
        if self.behaviour.slow.load(Ordering::Relaxed) || self.behaviour.refuses.load(Ordering::Relaxed) {
            insist(&self.client, WriteVerb::Apply, &format!("{PATH}/{NAME}"), &self.configuration).await
        } else {
            insist(&self.client, WriteVerb::Delete, &format!("{PATH}/{NAME}"), &Value::Null).await
        }
    }
}

fn configuration(url: &str, trusted: &ByteString) -> Value {
    let rule = |group: &str, operation: &str, resources: &[&str]| json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": [operation], "resources": resources});
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [{
            "name": "somebodys.chaos.example",
            "clientConfig": {"url": url, "caBundle": trusted},
            "rules": [
                rule("apps", "UPDATE", &["deployments", "statefulsets", "daemonsets"]),
                rule("", "CREATE", &["pods/eviction"]),
            ],
            "matchConditions": [{
                "name": "asked-by-the-operator",
                "expression": "request.userInfo.username == 'system:serviceaccount:rempart-system:rempart'",
            }],
            "failurePolicy": "Ignore",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": TIMEOUT_SECONDS,
        }],
    })
}

/// Answers whoever connects, for ever.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, behaviour: Arc<WebhookBehaviour>) {
    let mut conversations = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, behaviour) = (acceptor.clone(), Arc::clone(&behaviour));
        // One that ends in an error is the API server's to tell of.
        conversations.spawn(async move { timeout(CONVERSATION, answer(stream, acceptor, &behaviour)).await.map(drop) });
        while conversations.try_join_next().is_some() {}
    }
}

/// Answers one request, and closes the connection.
async fn answer(stream: TcpStream, acceptor: TlsAcceptor, behaviour: &WebhookBehaviour) -> Result<()> {
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = Vec::new();
    (&mut stream).take(length.min(MOST)).read_to_end(&mut body).await?;
    let review: Value = serde_json::from_slice(&body)?;
    if behaviour.slow.load(Ordering::Relaxed) {
        sleep(THINKING).await;
    }
    let answer = verdict(&review, behaviour.refuses.load(Ordering::Relaxed))?.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
    stream.write_all(format!("{head}: {}\r\n\r\n{answer}", answer.len()).as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// What it says of a request. Evictions are refused as a budget would refuse them: with 429.
fn verdict(review: &Value, refuses: bool) -> Result<Value> {
    let request = review.get("request").ok_or_else(|| anyhow!("no request"))?;
    let uid = request.get("uid").context("no uid")?;
    let evicts = request.get("subResource").and_then(Value::as_str) == Some("eviction");
    let code = if evicts { 429 } else { 403 };
    let status = json!({"code": code, "message": "somebody's webhook wants nothing to change now"});
    let response = json!({"uid": uid, "allowed": !refuses, "status": if refuses { status } else { Value::Null }});
    Ok(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refuses_evictions_as_a_budget_would() {
        for (sub_resource, refuses, code) in
            [("eviction", true, Some(429)), ("", true, Some(403)), ("eviction", false, None), ("", false, None)]
        {
            let review = json!({"request": {"uid": "u", "subResource": sub_resource}});
            let said = verdict(&review, refuses).unwrap();
            assert_eq!(said["response"]["uid"], "u");
            assert_eq!(said["response"]["allowed"], !refuses);
            assert_eq!(said["response"]["status"]["code"].as_u64(), code);
        }
        assert!(verdict(&json!({}), true).is_err());
    }
}
