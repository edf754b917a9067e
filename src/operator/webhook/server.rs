//! The webhook's server: answers the API server's reviews by what is known of policies and namespaces.
//!
//! Whoever reaches it may ask: how long a question may take, how large it may be, and how many there may be at a time is
//! bounded here, so that nobody takes the memory of a replica or keeps it from API servers for long.

use std::{
    collections::BTreeMap,
    future::{Ready, ready},
    io,
    net::TcpListener,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use axum_server::{
    Handle,
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use futures::StreamExt as _;
use json_patch::Patch;
use k8s_openapi::ByteString;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service;

use crate::{
    admission::{
        self,
        review::{self, CompletingPolicy},
    },
    operator::metrics::{Metrics, WebhookAnswer},
};
use rempart_core::sensitivity::SensitivityStatement;

/// How long a namespace or policy is waited for that is not known yet: the API server may ask of one that was made a moment
/// ago.
const NEWCOMER: Duration = Duration::from_secs(1);

/// What a server takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerLimits {
    /// How long a handshake may take, and how long the head of a request, from when one could come.
    pub(super) head: Duration,
    /// How long a body and its answer may take: as long as an API server waits.
    pub(super) answer: Duration,
    /// The largest review, in bytes: two objects of the most that an API server takes, and what they come with.
    pub(super) largest: usize,
    /// The largest ordinary review. Of larger ones one is taken at a time, so that they hold up no other.
    pub(super) ordinary: usize,
    /// So many bytes of ordinary reviews at a time.
    pub(super) under_way: usize,
    /// So many connections.
    pub(super) connections: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            answer: Duration::from_secs(3),
            largest: 8 << 20,
            ordinary: 256 << 10,
            under_way: 8 << 20,
            connections: 128,
        }
    }
}

/// The most that a connection keeps of what has come before it is read.
const READ_AHEAD: usize = 64 << 10;

/// What the webhook knows.
#[derive(Clone, Debug, Default)]
pub struct CompletionFacts {
    /// The policies that a configuration may ask about, by name.
    pub policies: BTreeMap<String, CompletingPolicy>,
    /// What is said of each namespace, by name.
    pub namespaces: BTreeMap<String, SensitivityStatement>,
}

#[derive(Clone)]
struct WebhookState {
    facts: watch::Receiver<Arc<CompletionFacts>>,
    metrics: Metrics,
    limits: ServerLimits,
    /// Bytes of ordinary reviews.
    ordinary: Arc<Semaphore>,
    /// Large reviews.
    large: Arc<Semaphore>,
}

/// Why a review has no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("how long the body is must be said before it comes")]
    NoLength,
    #[error("a review of {0} bytes is more than an API server sends")]
    TooLarge(usize),
    #[error("not as an API server asks: {0}")]
    Unreadable(String),
    #[error("it took too long")]
    Late,
}

impl Unanswered {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoLength => StatusCode::LENGTH_REQUIRED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// The routes.
pub(super) fn router(facts: watch::Receiver<Arc<CompletionFacts>>, metrics: Metrics, limits: ServerLimits) -> Router {
    let ordinary = Arc::new(Semaphore::new(limits.under_way));
    let state = WebhookState { facts, metrics, limits, ordinary, large: Arc::new(Semaphore::new(1)) };
    Router::new().route(&admission::webhook_path("{policy}"), post(answer)).with_state(state)
}

async fn answer(State(state): State<WebhookState>, Path(policy): Path<String>, request: Request) -> Response {
    let (metrics, patience) = (state.metrics.clone(), state.limits.answer);
    let answered = tokio::time::timeout(patience, state.answer(&policy, request)).await;
    match answered.unwrap_or(Err(Unanswered::Late)) {
        Ok((body, answer)) => {
            metrics.webhook_answered(answer);
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(unanswered) => {
            let late = matches!(unanswered, Unanswered::Late);
            metrics.webhook_answered(if late { WebhookAnswer::Late } else { WebhookAnswer::Invalid });
            // What has not been read of it is not.
            (unanswered.status(), [(header::CONNECTION, "close")], format!("{unanswered}\n")).into_response()
        }
    }
}

impl WebhookState {
    async fn answer(mut self, policy: &str, asked: Request) -> Result<(Vec<u8>, WebhookAnswer), Unanswered> {
        let length = asked.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let length: usize = length.ok_or(Unanswered::NoLength)?;
        let _room = self.room(length).await?;
        let body = read(asked, length).await?;
        let unreadable = |error: serde_json::Error| Unanswered::Unreadable(error.to_string());
        let request = review::read(&body).map_err(unreadable)?;
        let namespace = &request.namespace;
        let is_known = |facts: &Arc<CompletionFacts>| {
            facts.policies.contains_key(policy) && facts.namespaces.contains_key(namespace)
        };
        let found = tokio::time::timeout(NEWCOMER, self.facts.wait_for(is_known)).await;
        let found = found.ok().and_then(Result::ok).map(|facts| Arc::clone(&facts));
        let pair = found.as_ref().and_then(|found| found.policies.get(policy).zip(found.namespaces.get(namespace)));
        let patch = pair.map(|(policy, spoken)| review::complete(&request, policy, spoken)).transpose();
        let patch = patch.map_err(unreadable)?;
        let answer = match &patch {
            None => WebhookAnswer::Unknown,
            Some(patch) if patch.is_empty() => WebhookAnswer::Unchanged,
            Some(_) => WebhookAnswer::Completed,
        };
        Ok((written(&request.uid, patch.filter(|patch| !patch.is_empty())).map_err(unreadable)?, answer))
    }

    /// Room for a body of so many bytes, when there is some.
    async fn room(&self, length: usize) -> Result<OwnedSemaphorePermit, Unanswered> {
        let bytes = u32::try_from(length).ok().filter(|_| length <= self.limits.largest);
        let bytes = bytes.ok_or(Unanswered::TooLarge(length))?;
        let room = if length <= self.limits.ordinary {
            Arc::clone(&self.ordinary).acquire_many_owned(bytes).await
        } else {
            Arc::clone(&self.large).acquire_owned().await
        };
        // Nobody closes it.
        room.map_err(|_| Unanswered::Late)
    }
}

/// The body of `asked`, which is to have so many bytes.
async fn read(asked: Request, length: usize) -> Result<Vec<u8>, Unanswered> {
    let mut body = Vec::with_capacity(length);
    let mut chunks = asked.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Unanswered::Unreadable(error.to_string()))?;
        if chunk.len() > length.saturating_sub(body.len()) {
            return Err(Unanswered::TooLarge(body.len().saturating_add(chunk.len())));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The answer to the review of this `uid`.
fn written(uid: &str, patch: Option<Patch>) -> Result<Vec<u8>, serde_json::Error> {
    let mut response = json!({"uid": uid, "allowed": true});
    if let Some(patch) = patch {
        let patch = ByteString(serde_json::to_vec(&patch)?);
        if let Some(response) = response.as_object_mut() {
            response.insert("patchType".to_owned(), "JSONPatch".into());
            response.insert("patch".to_owned(), serde_json::to_value(patch)?);
        }
    }
    serde_json::to_vec(&json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
}

/// Serves by HTTP/1.1 alone: of HTTP/2 nothing is needed, and its windows are memory too.
pub(super) async fn serve(
    listener: TcpListener,
    config: RustlsConfig,
    handle: Handle<std::net::SocketAddr>,
    router: Router,
    limits: ServerLimits,
) -> io::Result<()> {
    let capped = CappedAcceptor(Arc::new(Semaphore::new(limits.connections)));
    let acceptor = RustlsAcceptor::new(config).handshake_timeout(limits.head).acceptor(capped);
    let mut server = axum_server::from_tcp(listener)?.acceptor(acceptor).http1_only();
    server.http_builder().http1().header_read_timeout(limits.head).max_buf_size(READ_AHEAD);
    server.handle(handle).first_request_timeout(limits.head).serve(router.into_make_service()).await
}

/// Takes so many connections, and closes those that come beside them.
#[derive(Clone)]
struct CappedAcceptor(Arc<Semaphore>);

impl<I, S> Accept<I, S> for CappedAcceptor {
    type Stream = I;
    type Service = CountedService<S>;
    type Future = Ready<io::Result<(I, CountedService<S>)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let room = Arc::clone(&self.0).try_acquire_owned();
        ready(match room {
            Ok(room) => Ok((stream, CountedService { service, _room: Arc::new(room) })),
            Err(_) => Err(io::Error::other("as many connections as are taken")),
        })
    }
}

/// The service of a connection, which counts as long as it is there.
#[derive(Clone)]
struct CountedService<S> {
    service: S,
    _room: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for CountedService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.service.call(request)
    }
}
