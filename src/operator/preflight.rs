//! Preflight: what must hold before the operator starts, an API server that can do what is asked of it, and a clock that is right.

use std::time::Duration;

use backon::Retryable;
use http::Request;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{Api, Client};

use super::{
    backoff::doubling,
    clock::Clock,
    clock_skew::{TOLERANCE, date_of},
    error_chain::ErrorChain,
};
use crate::admission::CLUSTER_ROLE;
use rempart_core::instant::Timestamp;

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The longest wait before it is asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Why the operator does not start.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The API server is too old, or the feature is switched off.
    #[error(
        "the API server ({version}) does not serve {missing} of admissionregistration.k8s.io/v1: Rempart's rules run \
         inside the API server and need Kubernetes 1.36 or newer with that API enabled"
    )]
    NoAdmissionPolicies {
        /// The server's version.
        version: String,
        /// The resources that it lacks.
        missing: String,
    },
    /// The clocks differ.
    #[error(
        "this machine's clock says {here}, the API server's {there}: certificates would begin and end at the wrong \
         time; correct the clock (they may differ by {} s at most)",
        TOLERANCE.as_secs()
    )]
    Clock {
        /// What the clock says.
        here: String,
        /// What the API server says.
        there: String,
    },
}

/// A question that got no answer.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Deadline,
}

/// Asks the API server, and asks again until it answers: in its first seconds it may refuse anything.
///
/// # Errors
/// [`PreflightError`], when what it answers rules out starting.
pub async fn check(client: &Client, clock: &dyn Clock) -> Result<(), PreflightError> {
    let (version, served, date) = (|| ask(client))
        .retry(doubling(LONGEST_WAIT))
        .notify(|error: &ProbeError, wait: Duration| {
            tracing::warn!(error = %ErrorChain(error), ?wait, "the API server does not answer yet; retrying");
        })
        .await
        // Without a limit on attempts there is no last error; an answer of nothing would be refused below.
        .unwrap_or_default();

    let missing: Vec<_> = NEEDED.into_iter().filter(|needed| !served.iter().any(|found| found == needed)).collect();
    if !missing.is_empty() {
        return Err(PreflightError::NoAdmissionPolicies { version, missing: missing.join(" and ") });
    }
    let here = clock.now().timestamp();
    match date.map(Timestamp::timestamp) {
        Some(there) if here.duration_since(there).unsigned_abs() > TOLERANCE => {
            Err(PreflightError::Clock { here: here.to_string(), there: there.to_string() })
        }
        Some(_) => Ok(()),
        None => {
            tracing::warn!("the API server does not say what time it is; the clock goes unchecked");
            Ok(())
        }
    }
}

/// The identifier of the chart's `ClusterRole`, which is to own what admission is made of; nothing where it cannot be read:
/// then that stays when the chart goes, until somebody deletes it.
pub async fn admission_owner(client: &Client) -> Option<String> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let found = (|| async { tokio::time::timeout(DEADLINE, roles.get_metadata(CLUSTER_ROLE)).await })
        .retry(doubling(LONGEST_WAIT))
        .when(|error| matches!(error, tokio::time::error::Elapsed { .. }))
        .await;
    match found {
        Ok(Ok(role)) => role.metadata.uid,
        Ok(Err(error)) => {
            let error = ErrorChain(&error).to_string();
            tracing::warn!(
                error,
                "cannot read ClusterRole {CLUSTER_ROLE}: validations will stay when the chart is uninstalled"
            );
            None
        }
        Err(_) => None,
    }
}

/// What the rules are made of.
const NEEDED: [&str; 4] = [
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
];

/// The server's version, the admission resources that it serves, and its clock.
async fn ask(client: &Client) -> Result<(String, Vec<String>, Option<Timestamp>), ProbeError> {
    let answer = async {
        let version = client.apiserver_version().await?.git_version;
        let served = client.list_api_group_resources("admissionregistration.k8s.io/v1").await?;
        let request = Request::get("/version").body(kube::client::Body::empty()).map_err(kube::Error::HttpError)?;
        let reply = client.send(request).await?;
        let date = date_of(reply.headers());
        Ok((version, served.resources.into_iter().map(|resource| resource.name).collect(), date))
    };
    tokio::time::timeout(DEADLINE, answer).await.map_err(|_| ProbeError::Deadline)?
}
