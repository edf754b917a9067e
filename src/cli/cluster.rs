//! What a cluster has, as manifests: asked page by page and read like files, so that both are judged alike.

use std::time::Duration;

use anyhow::{Context, anyhow};
use http::Request;
use kube::{Client, Config, config::KubeConfigOptions};
use serde::Deserialize;

use crate::{
    gather::Gathered,
    manifest::{
        diagnostic::Diagnostic,
        read::read,
        source::{FileId, Sources},
    },
};

/// How the names of texts begin that come from a cluster.
pub(super) const PREFIX: &str = "cluster:";

/// What a cluster has.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// The texts of our own objects, which are kept to be pointed into.
    pub(super) own: Vec<FileId>,
    /// Everything else.
    pub(super) rest: Gathered<'static>,
}

/// A resource, by its path.
struct Resource {
    path: &'static str,
    plural: &'static str,
    /// Whether an answer without it is worth something.
    optional: bool,
}

const OWN: [Resource; 3] = [
    Resource::ours("/apis/rempart.dev/v1alpha1/placementpolicies", "placementpolicies"),
    Resource::ours("/apis/rempart.dev/v1alpha1/cloudproviders", "cloudproviders"),
    Resource::ours("/apis/rempart.dev/v1alpha1/placementpools", "placementpools"),
];

const REST: [Resource; 9] = [
    Resource { path: "/api/v1/namespaces", plural: "namespaces", optional: false },
    Resource { path: "/api/v1/nodes", plural: "nodes", optional: true },
    Resource { path: "/apis/apps/v1/deployments", plural: "deployments", optional: false },
    Resource { path: "/apis/apps/v1/statefulsets", plural: "statefulsets", optional: false },
    Resource { path: "/apis/apps/v1/daemonsets", plural: "daemonsets", optional: false },
    Resource { path: "/apis/apps/v1/replicasets", plural: "replicasets", optional: true },
    Resource { path: "/apis/batch/v1/cronjobs", plural: "cronjobs", optional: false },
    Resource { path: "/apis/batch/v1/jobs", plural: "jobs", optional: true },
    Resource { path: "/api/v1/pods", plural: "pods", optional: true },
];

impl Resource {
    const fn ours(path: &'static str, plural: &'static str) -> Self {
        Self { path, plural, optional: false }
    }
}

/// How many objects are asked for at a time.
const PAGE: usize = 500;
/// How long one page may take. A cluster that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the cluster of `context`, or of the current context, for all that a plan is made of.
///
/// # Errors
/// When there is no such context, the cluster cannot be reached, or it does not let something be read without which no
/// answer could be trusted.
pub(super) fn snapshot(context: Option<&str>, sources: &mut Sources) -> anyhow::Result<Snapshot> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime does not start")?
        .block_on(fetch(context, sources))
}

async fn fetch(context: Option<&str>, sources: &mut Sources) -> anyhow::Result<Snapshot> {
    let config = match context {
        Some(name) => {
            let options = KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options).await.with_context(|| {
                format!("no kubeconfig has the context {name:?}: `kubectl config get-contexts` lists them")
            })?
        }
        None => Config::infer().await.context("no cluster to ask: set KUBECONFIG to a kubeconfig file")?,
    };
    let client = Client::try_from(config).context("the cluster's address or credentials cannot be used")?;
    let mut snapshot = Snapshot { own: Vec::new(), rest: Gathered::default() };
    for resource in &OWN {
        for page in pages(&client, resource).await? {
            snapshot.own.push(sources.add(format!("{PREFIX}{}", resource.plural), page));
        }
    }
    for resource in &REST {
        // Their texts are too large to keep; nothing points into them.
        let file = sources.add(format!("{PREFIX}{}", resource.plural), String::new());
        match pages(&client, resource).await {
            Ok(pages) => {
                for page in pages {
                    read(file, &page, &mut |found| snapshot.rest.pass(file, found));
                }
            }
            Err(error) if resource.optional => {
                let message = format!("judged without {}: {error:#}", resource.plural);
                snapshot.rest.diagnostics.push(Diagnostic::warning("NotReadable", message));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(snapshot)
}

/// What of a list tells how to go on.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(rename = "continue")]
    more: Option<String>,
}

async fn pages(client: &Client, resource: &Resource) -> anyhow::Result<Vec<String>> {
    let mut pages = Vec::new();
    let mut more = None;
    loop {
        let page = page(client, resource, more.as_deref()).await?;
        let listed: Listed =
            serde_json::from_str(&page).with_context(|| format!("the answer about {} is no list", resource.plural))?;
        pages.push(page);
        more = listed.metadata.more.filter(|token| !token.is_empty());
        if more.is_none() {
            return Ok(pages);
        }
    }
}

async fn page(client: &Client, resource: &Resource, more: Option<&str>) -> anyhow::Result<String> {
    let Resource { path, plural, .. } = resource;
    let mut uri = format!("{path}?limit={PAGE}");
    if let Some(token) = more {
        // Tokens are of the URL-safe alphabet, but for the padding.
        uri = format!("{uri}&continue={}", token.replace('=', "%3D"));
    }
    let request = Request::get(uri).body(Vec::new())?;
    let answer = tokio::time::timeout(PATIENCE, client.request_text(request))
        .await
        .map_err(|_| anyhow!("the API server has not listed {plural} within {} seconds", PATIENCE.as_secs()))?;
    answer.map_err(|error| match &error {
        kube::Error::Api(status) if status.code == 403 => {
            anyhow!(
                "you may not list {plural} in all namespaces: ask for that, or give them in files ({})",
                status.message
            )
        }
        kube::Error::Api(status) if status.code == 404 => {
            anyhow!("the cluster does not know {plural}: is Rempart installed in it?")
        }
        kube::Error::Api(status) if status.code == 401 => {
            anyhow!("the cluster does not accept your credentials ({})", status.message)
        }
        _ => anyhow!(error).context(format!("{plural} cannot be listed")),
    })
}
