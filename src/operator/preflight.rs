//! Preflight: what must hold before the operator starts, an API server that can do what is asked of it, and a clock that is right.

use std::time::Duration;

use backon::Retryable;
use http::Request;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{Api, Client};
use tokio::sync::watch;

use super::{
    backoff::doubling,
    clock::Clock,
    clock_skew::{TOLERANCE, date_of},
    error_chain::ErrorChain,
};
use crate::admission::{AdmissionKind, CLUSTER_ROLE, MutationMode};
use rempart_core::instant::Timestamp;

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The longest wait before it is asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long is waited for who owns what admission is made of. It is asked again later.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often is looked at who owns what admission is made of.
const OWNERS_LOOK: Duration = Duration::from_secs(30);

/// Why the operator does not start.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The API server is too old, or the feature is switched off.
    #[error(
        "the API server ({version}) does not serve {missing} of admissionregistration.k8s.io/v1, by which Rempart's rules run \
         inside it: {remedy}"
    )]
    NoAdmissionPolicies {
        /// The server's version.
        version: String,
        /// The resources that it lacks.
        missing: String,
        /// What can be done.
        remedy: &'static str,
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
pub async fn check(client: &Client, clock: &dyn Clock, mutation: &MutationMode) -> Result<(), PreflightError> {
    let (version, served, date) = (|| ask(client))
        .retry(doubling(LONGEST_WAIT))
        .notify(|error: &ProbeError, wait: Duration| {
            tracing::warn!(error = %ErrorChain(error), ?wait, "the API server does not answer yet; retrying");
        })
        .await
        // Without a limit on attempts there is no last error; an answer of nothing would be refused below.
        .unwrap_or_default();

    let lacks = |kind: &AdmissionKind| !served.iter().any(|found| found == kind.plural());
    let missing: Vec<_> = AdmissionKind::ALL.into_iter().filter(|kind| mutation.keeps(*kind)).filter(lacks).collect();
    if !missing.is_empty() {
        // Validations came first: whoever lacks one of these lacks the rule itself.
        let remedy = if missing
            .iter()
            .all(|kind| matches!(kind, AdmissionKind::Mutation | AdmissionKind::MutatingBinding))
        {
            "set mutation: Webhook in the chart's values, or upgrade to Kubernetes 1.36 or newer with that API enabled"
        } else {
            "it needs Kubernetes 1.30 or newer with that API enabled"
        };
        let missing = missing.into_iter().map(AdmissionKind::plural).collect::<Vec<_>>().join(" and ");
        return Err(PreflightError::NoAdmissionPolicies { version, missing, remedy });
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

/// The identifiers of the chart's `ClusterRole`s, which own what admission is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdmissionOwners {
    /// Of that of validations.
    pub validations: Option<String>,
    /// Of that of mutations.
    pub mutations: Option<String>,
}

/// The owners at the start, as far as they can be read in the time that an API server needs to know who may read what.
pub async fn admission_owners(client: &Client, mutation: &MutationMode) -> AdmissionOwners {
    let first = async |name: &'static str| {
        let patience = doubling(LONGEST_WAIT).with_total_delay(Some(PATIENCE));
        let found = (|| role_uid(client, name)).retry(patience).await;
        found.unwrap_or_else(|error| {
            let error = ErrorChain(&error).to_string();
            tracing::warn!(
                error,
                name,
                "cannot read this ClusterRole: until it can be read, what it is to own will stay when the chart is uninstalled"
            );
            None
        })
    };
    let mutations = match mutation.cluster_role() {
        Some(role) => first(role).await,
        None => None,
    };
    AdmissionOwners { validations: first(CLUSTER_ROLE).await, mutations }
}

/// Follows the `owners`: a role that was deleted and made again, as by a chart that is installed anew beside an operator
/// that runs, is another, and what the first owned is deleted as often as it is made.
pub async fn follow_owners(
    client: Client,
    mutation: MutationMode,
    owners: watch::Sender<AdmissionOwners>,
) -> &'static str {
    // Somebody keeps what it tells until the process ends.
    while !owners.is_closed() {
        tokio::time::sleep(OWNERS_LOOK).await;
        let mut found = owners.borrow().clone();
        // Where there is no role any more, its objects end with it, and so does what is made meanwhile.
        if let Ok(Some(uid)) = role_uid(&client, CLUSTER_ROLE).await {
            found.validations = Some(uid);
        }
        if let Some(role) = mutation.cluster_role()
            && let Ok(Some(uid)) = role_uid(&client, role).await
        {
            found.mutations = Some(uid);
        }
        owners.send_if_modified(|known| {
            let differs = *known != found;
            *known = found;
            differs
        });
    }
    "owners"
}

/// The identifier of the `ClusterRole` `name`; nothing where there is none.
async fn role_uid(client: &Client, name: &str) -> Result<Option<String>, ProbeError> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let found = tokio::time::timeout(DEADLINE, roles.get_metadata_opt(name)).await;
    Ok(found.map_err(|_| ProbeError::Deadline)??.and_then(|role| role.metadata.uid))
}

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
