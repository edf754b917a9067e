//! Requests of the run itself, as raw JSON, repeated while the API server is unavailable.
//!
//! Writes are idempotent: what exists already counts as created and what is absent as deleted, since an attempt without
//! an answer may have succeeded.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use http::Request;
use kube::Client;
use serde_json::Value;

use crate::eventually;

/// Timeout of a request: an API server that was killed, and half a minute in which a new one may not find
/// the parameters of admission policies.
const PATIENCE: Duration = Duration::from_mins(2);
/// Timeout of one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Verb of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteVerb {
    Create,
    Apply,
    Merge,
    Delete,
}

/// One attempt of a request.
async fn attempt(client: &Client, request: Request<Vec<u8>>) -> Result<Value, kube::Error> {
    match tokio::time::timeout(ATTEMPT, client.request::<Value>(request)).await {
        Ok(answer) => answer,
        Err(_) => Err(kube::Error::Service("no answer".into())),
    }
}

/// Reads what is at a path.
pub(super) async fn read(client: &Client, path: &str) -> Result<Value> {
    let request = Request::get(path).body(Vec::new())?;
    attempt(client, request).await.map_err(|error| anyhow!("cannot get {path}: {error}"))
}

/// The items of the list at a path.
pub(super) async fn list(client: &Client, path: &str) -> Result<Vec<Value>> {
    match read(client, path).await?.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(anyhow!("{path} is no list")),
    }
}

/// What would become of an object that is created at a path.
pub(super) async fn create_dry(client: &Client, path: &str, object: &Value) -> Result<Value> {
    let request = Request::post(format!("{path}?dryRun=All")).header("content-type", "application/json");
    let request = request.body(object.to_string().into_bytes())?;
    attempt(client, request).await.map_err(|error| anyhow!("cannot create at {path}: {error}"))
}

/// One attempt of a write. A conflict counts as created, 404 as deleted: an attempt may have done it though nobody said
/// so.
pub(super) async fn attempt_write(client: &Client, verb: WriteVerb, path: &str, body: &Value) -> Result<(), String> {
    let (method, content) = match verb {
        WriteVerb::Create => ("POST", "application/json"),
        WriteVerb::Apply => ("PATCH", "application/apply-patch+yaml"),
        WriteVerb::Merge => ("PATCH", "application/merge-patch+json"),
        WriteVerb::Delete => ("DELETE", "application/json"),
    };
    let target =
        if verb == WriteVerb::Apply { format!("{path}?fieldManager=chaos&force=true") } else { path.to_owned() };
    let sent = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder().method(method).uri(&target).header("content-type", content).body(sent);
    match attempt(client, request.map_err(|error| error.to_string())?).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if verb == WriteVerb::Create && status.code == 409 => Ok(()),
        Err(kube::Error::Api(status)) if verb == WriteVerb::Delete && status.code == 404 => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Writes, and repeats the request while the API server is unavailable, or refuses it for now.
pub(super) async fn insist(client: &Client, verb: WriteVerb, path: &str, body: &Value) -> Result<()> {
    let done = eventually(format!("{verb:?} {path} to be done"), PATIENCE, async || {
        attempt_write(client, verb, path, body).await
    });
    done.await.with_context(|| format!("cannot {verb:?} {path}"))
}

/// Applies an object of Rempart's API.
pub(super) async fn apply(client: &Client, plural: &str, object: &Value) -> Result<()> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    insist(client, WriteVerb::Apply, &format!("/apis/rempart.dev/v1alpha1/{plural}/{name}"), object).await
}
