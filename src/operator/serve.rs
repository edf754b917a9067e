//! The HTTP server: `/healthz`, `/readyz`, `/metrics` and `/debug/cycle`.
//!
//! Each shows what the decision loop has last told, and asks nothing of it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, http::header, response::IntoResponse, routing::get};

use super::{engine::report::CycleReportLog, metrics::Metrics};

/// How the operator is, as it says itself.
#[derive(Clone)]
pub struct HealthState(Arc<SharedHealth>);

struct SharedHealth {
    /// What is missing: an answer of the API server, or kinds that have not been listed yet.
    waiting_for: Mutex<Vec<&'static str>>,
    /// How many times the decision loop has come round.
    beats: AtomicU64,
    seen: Mutex<(u64, std::time::Instant)>,
}

/// A decision loop that has not come round for so long is stuck: it does so every ten seconds at least.
const STUCK_SECONDS: u64 = 60;

impl HealthState {
    /// Not ready, and alive at `now`.
    #[must_use]
    pub fn new(now: std::time::Instant) -> Self {
        Self(Arc::new(SharedHealth {
            waiting_for: Mutex::new(vec!["the first lists"]),
            beats: AtomicU64::new(0),
            seen: Mutex::new((0, now)),
        }))
    }

    /// The decision loop has come round, and still waits for these kinds.
    pub fn beat(&self, waiting_for: Vec<&'static str>) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
        *self.0.waiting_for.lock().unwrap_or_else(PoisonError::into_inner) = waiting_for;
    }

    fn alive(&self, now: std::time::Instant) -> bool {
        let beats = self.0.beats.load(Ordering::Relaxed);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != beats {
            *seen = (beats, now);
        }
        now.duration_since(seen.1).as_secs() < STUCK_SECONDS
    }

    fn waiting_for(&self) -> Vec<&'static str> {
        self.0.waiting_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The routes.
pub fn router(health: HealthState, metrics: Metrics, reports: CycleReportLog) -> Router {
    Router::new()
        .route("/healthz", get(healthz).with_state(health.clone()))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(expose).with_state(metrics))
        .route("/debug/cycle", get(cycle).with_state(reports))
}

async fn healthz(State(health): State<HealthState>) -> impl IntoResponse {
    if health.alive(std::time::Instant::now()) {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("the decision loop has not come round for {STUCK_SECONDS} s\n"))
    }
}

async fn readyz(State(health): State<HealthState>) -> impl IntoResponse {
    let waiting_for = health.waiting_for();
    if waiting_for.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for: {}\n", waiting_for.join(", ")))
    }
}

async fn expose(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
}

async fn cycle(State(reports): State<CycleReportLog>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], reports.to_json())
}
