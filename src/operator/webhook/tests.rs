//! What the server does with what nobody sends in earnest.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::ServiceExt as _;

use super::{
    CompletionFacts, authority, keeper,
    server::{ServerLimits, router, serve},
};
use crate::{
    admission::{self, review::CompletingPolicy},
    api::{PlacementPolicy, PlacementPolicySpec},
    convert,
    operator::{
        cache::{ClusterCache, DeclaredObject, Observation, WatchChange},
        metrics::Metrics,
    },
};
use rempart_core::sensitivity::SensitivityStatement;

/// Facts of one policy that is enforced and one namespace.
fn facts() -> CompletionFacts {
    let spec = "{mode: Enforce, defaultLevel: secret, levels: [{name: public}, {name: secret, require: {}}]}";
    let spec: PlacementPolicySpec = serde_saphyr::from_str(spec).unwrap();
    let policy = convert::policy_of_admission("state", &spec).unwrap();
    CompletionFacts {
        policies: [("state".to_owned(), CompletingPolicy { policy, uid: Some("0a1b2c3d-0000".to_owned()) })].into(),
        namespaces: [("shop".to_owned(), SensitivityStatement::default())].into(),
    }
}

#[test]
fn whatever_is_asked_about_is_completed_by_what_was_last_read_of_a_policy() {
    let declared = |uid: &str, mode: Result<&str, &str>| {
        let meta = kube::api::ObjectMeta { uid: Some(uid.to_owned()), ..kube::api::ObjectMeta::default() };
        let object = mode.map_err(str::to_owned).map(|mode| {
            let spec = format!("{{mode: {mode}, defaultLevel: public, levels: [{{name: public}}]}}");
            Box::new(PlacementPolicy::new("state", serde_saphyr::from_str(&spec).unwrap()))
        });
        DeclaredObject { meta, object }
    };
    let mut known = CompletionFacts::default();
    // What is observed, and by which policy pods are completed then.
    for (uid, mode, expected) in [
        ("1", Err("odd"), None),
        ("1", Ok("Enforce"), Some("1")),
        ("1", Ok("Warn"), Some("1")),
        ("1", Ok("Audit"), Some("1")),
        ("1", Err("odd"), Some("1")),
        ("2", Err("odd"), None),
    ] {
        let mut cache = ClusterCache::default();
        let observed = WatchChange::Applied("state".to_owned(), declared(uid, mode));
        cache.observe(Observation::Policy(observed));
        known = CompletionFacts::of(&cache, &known);
        let by = known.policies.get("state").and_then(|known| known.uid.as_deref());
        assert_eq!(by, expected, "{uid} {mode:?}");
    }
}

/// A review of a pod whose one container has so many bytes of empty variables.
fn review_of_empty_variables(bytes: usize) -> String {
    let variable = r#"{"name":""}"#;
    let mut variables = variable.to_owned();
    for _ in 1..bytes / (variable.len() + 1) {
        let _ = write!(variables, ",{variable}");
    }
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"0",
        "kind":{{"group":"","version":"v1","kind":"Pod"}},"resource":{{"group":"","version":"v1","resource":"pods"}},
        "namespace":"shop","operation":"CREATE","userInfo":{{"username":"eve"}},
        "object":{{"metadata":{{"name":"web"}},"spec":{{"containers":[{{"name":"web","env":[{variables}]}}]}}}},
        "oldObject":null,"dryRun":false,"options":null}}}}"#
    )
}

/// A server with these limits, what it is known by, and the end of its facts.
struct Served {
    address: SocketAddr,
    connector: TlsConnector,
    _facts: watch::Sender<Arc<CompletionFacts>>,
}

impl Served {
    fn start(limits: ServerLimits) -> Self {
        let now = time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let authority = authority::Authority::generate(now).unwrap();
        let config = keeper::server_config(&authority.issue(&["here".to_owned()], now).unwrap()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, known) = watch::channel(Arc::new(facts()));
        let router = router(known, Metrics::default(), limits);
        tokio::spawn(serve(listener, RustlsConfig::from_config(config), Handle::new(), router, limits));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer))
            .with_no_client_auth();
        Self { address, connector: TlsConnector::from(Arc::new(config)), _facts: sender }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        self.connector.connect("here".try_into().unwrap(), stream).await
    }

    /// What is answered to `text` until the server closes the connection.
    async fn told(&self, text: &str) -> String {
        let mut stream = self.connect().await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // It may close without a word of farewell.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Takes any server for the right one: what it is known by others try.
#[derive(Debug)]
struct AnyServer;

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn head(length: usize) -> String {
    let path = admission::webhook_path("state");
    format!("POST {path} HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n")
}

const SHORT: ServerLimits = ServerLimits {
    head: Duration::from_millis(500),
    answer: Duration::from_millis(500),
    largest: 4096,
    ordinary: 2048,
    under_way: 2048,
    connections: 4,
};

#[tokio::test]
async fn what_comes_slowly_or_is_too_large_is_closed() {
    let served = Served::start(SHORT);
    let review = review_of_empty_variables(100);
    let asked = |more: &str| format!("{}{more}\r\n{review}", head(review.len()));
    let answered = served.told(&asked("connection: close\r\n")).await;
    assert!(answered.starts_with("HTTP/1.1 200 ") && answered.contains("JSONPatch"), "{answered}");
    // An answer, and then nothing: who asks nothing more is let go.
    assert!(served.told(&asked("")).await.starts_with("HTTP/1.1 200 "));
    for (text, status) in [
        // A head without an end, and a body.
        (head(10), ""),
        (format!("{}\r\n{{", head(10)), "HTTP/1.1 408 "),
        // However much of it comes.
        (format!("{}\r\n", head(4097)), "HTTP/1.1 413 "),
        (format!("{}\r\n", head(1 << 40)), "HTTP/1.1 413 "),
        (head(0).replace("content-length: 0", "transfer-encoding: chunked") + "\r\n", "HTTP/1.1 411 "),
        (format!("{}\r\n{{}}", head(2)), "HTTP/1.1 400 "),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "HTTP/1.1 505 "),
    ] {
        let answer = served.told(&text).await;
        // A refusal of a head may come before or after the connection is closed.
        let is_right = if status.is_empty() { !answer.contains(" 200 ") } else { answer.starts_with(status) };
        assert!(is_right || (answer.is_empty() && text.starts_with("PRI")), "{text}: {answer}");
    }
}

#[tokio::test]
async fn connections_beside_those_that_are_taken_are_closed() {
    let served = Served::start(ServerLimits { head: Duration::from_mins(1), ..SHORT });
    let mut taken = Vec::new();
    for _ in 0..SHORT.connections {
        taken.push(served.connect().await.unwrap());
    }
    assert!(served.connect().await.is_err());
    drop(taken.pop());
    // One that ends makes room for another, as soon as the server sees it.
    while served.connect().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_large_review_at_a_time_holds_up_no_other() {
    let served = Served::start(ServerLimits { answer: Duration::from_secs(2), ..SHORT });
    // It never comes to its end.
    let mut large = served.connect().await.unwrap();
    large.write_all(format!("{}\r\n{{", head(4096)).as_bytes()).await.unwrap();
    let review = review_of_empty_variables(100);
    let answered = served.told(&format!("{}connection: close\r\n\r\n{review}", head(review.len()))).await;
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
}

/// The most memory that this process has held, in KiB, as Linux tells it.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and tells nothing beside other tests"]
async fn memory_that_four_large_reviews_take() {
    let (_sender, known) = watch::channel(Arc::new(facts()));
    let router = router(known, Metrics::default(), ServerLimits::default());
    let body = axum::body::Bytes::from(review_of_empty_variables(3 << 20));
    let before = most_memory();
    let ask = || {
        let request = Request::post(admission::webhook_path("state"))
            .header("content-length", body.len())
            .body(Body::from(body.clone()))
            .unwrap();
        tokio::spawn(router.clone().oneshot(request))
    };
    for asked in [ask(), ask(), ask(), ask()] {
        let answer = asked.await.unwrap().unwrap();
        println!("answered {}", answer.status());
    }
    println!("{} KiB before, {} KiB after four reviews of {} bytes at a time", before, most_memory(), body.len());
}
