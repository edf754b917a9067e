//! The webhook's server: answers the API server's reviews by what is known of policies and namespaces.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, AdmissionResponse, AdmissionReview},
};
use tokio::sync::watch;

use crate::{
    admission::{
        self,
        review::{self, EnforcedPolicy},
    },
    operator::metrics::{Metrics, WebhookAnswer},
};
use rempart_core::sensitivity::SensitivityStatement;

/// The largest review: two objects of the most that an API server takes, and what they come with.
const LARGEST: usize = 16 << 20;

/// How long a namespace or policy is waited for that is not known yet: the API server may ask of one that was made a moment
/// ago.
const NEWCOMER: Duration = Duration::from_secs(1);

/// What the webhook knows.
#[derive(Clone, Debug, Default)]
pub struct CompletionFacts {
    /// The policies that are enforced, by name.
    pub policies: BTreeMap<String, EnforcedPolicy>,
    /// What is said of each namespace, by name.
    pub namespaces: BTreeMap<String, SensitivityStatement>,
}

#[derive(Clone)]
struct WebhookState {
    facts: watch::Receiver<Arc<CompletionFacts>>,
    metrics: Metrics,
}

/// The routes.
pub fn router(facts: watch::Receiver<Arc<CompletionFacts>>, metrics: Metrics) -> Router {
    Router::new()
        .route(&admission::webhook_path("{policy}"), post(answer))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(WebhookState { facts, metrics })
}

async fn answer(
    State(WebhookState { mut facts, metrics }): State<WebhookState>,
    Path(policy): Path<String>,
    body: Bytes,
) -> impl IntoResponse {
    let request = serde_json::from_slice::<AdmissionReview<DynamicObject>>(&body).map_err(|error| error.to_string());
    let request = request.and_then(|review| {
        let request: Result<AdmissionRequest<DynamicObject>, _> = review.try_into();
        request.map_err(|error| error.to_string())
    });
    let request = match request {
        Ok(request) => request,
        Err(said) => {
            metrics.webhook_answered(WebhookAnswer::Invalid);
            return (StatusCode::BAD_REQUEST, said).into_response();
        }
    };
    let namespace = request.namespace.clone().unwrap_or_default();
    let is_known = |facts: &Arc<CompletionFacts>| {
        facts.policies.contains_key(&policy) && facts.namespaces.contains_key(&namespace)
    };
    let found = tokio::time::timeout(NEWCOMER, facts.wait_for(is_known)).await;
    let found = found.ok().and_then(Result::ok).map(|facts| Arc::clone(&facts));
    let pair = found.as_ref().and_then(|found| found.policies.get(&policy).zip(found.namespaces.get(&namespace)));
    let response = AdmissionResponse::from(&request);
    let (response, answer) = match pair.map(|(policy, spoken)| review::complete(&request, policy, spoken)) {
        None => (Ok(response), WebhookAnswer::Unknown),
        Some(patch) if patch.is_empty() => (Ok(response), WebhookAnswer::Unchanged),
        Some(patch) => (response.with_patch(patch), WebhookAnswer::Completed),
    };
    metrics.webhook_answered(answer);
    match response.map(AdmissionResponse::into_review).map(|review| serde_json::to_vec(&review)) {
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
