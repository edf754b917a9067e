//! Cluster snapshots: the objects of a cluster as manifests, listed page by page.
//!
//! Takes a kubeconfig context and what is asked for, and returns texts that are read like files. Files and clusters are
//! judged alike, and nothing is written.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, anyhow};
use http::Request;
use kube::{Client, Config, config::KubeConfigOptions};
use serde::Deserialize;

use crate::{
    diagnostic::{
        Diagnostic,
        source::{FileId, SourceMap},
    },
    gather::GatheredObjects,
    manifest::read::read,
    operator::error_chain::ErrorChain,
};

/// The name of every text that comes from a cluster: it is no file, and nobody can be pointed into it.
const NO_FILE: &str = "";

/// What a cluster has.
#[derive(Clone, Debug)]
pub(super) struct ClusterSnapshot {
    /// The texts of our own objects, which are kept to be pointed into.
    pub(super) own: Vec<FileId>,
    /// Everything else.
    pub(super) rest: GatheredObjects<'static>,
}

/// A resource, by its path.
struct ListedResource {
    path: &'static str,
    plural: &'static str,
    /// Whether an answer without it is worth something.
    optional: bool,
}

const OWN: [ListedResource; 3] = [
    ListedResource::ours("/apis/rempart.dev/v1alpha1/placementpolicies", "placementpolicies"),
    ListedResource::ours("/apis/rempart.dev/v1alpha1/cloudproviders", "cloudproviders"),
    ListedResource::ours("/apis/rempart.dev/v1alpha1/placementpools", "placementpools"),
];

const NAMESPACES: ListedResource = ListedResource { path: "/api/v1/namespaces", plural: "namespaces", optional: true };

const NODES: ListedResource = ListedResource { path: "/api/v1/nodes", plural: "nodes", optional: true };

const WORKLOADS: [ListedResource; 4] = [
    ListedResource { path: "/apis/apps/v1/deployments", plural: "deployments", optional: false },
    ListedResource { path: "/apis/apps/v1/statefulsets", plural: "statefulsets", optional: false },
    ListedResource { path: "/apis/apps/v1/daemonsets", plural: "daemonsets", optional: false },
    ListedResource { path: "/apis/batch/v1/cronjobs", plural: "cronjobs", optional: false },
];

/// Workloads of their own, or parts of the ones above: without them, one does not know whose pods stand where.
const RUNNING: [ListedResource; 3] = [
    ListedResource { path: "/apis/apps/v1/replicasets", plural: "replicasets", optional: true },
    ListedResource { path: "/apis/batch/v1/jobs", plural: "jobs", optional: true },
    ListedResource { path: "/api/v1/pods", plural: "pods", optional: true },
];

/// What of a cluster is asked for beside our own objects, the namespaces and the nodes.
#[derive(Clone, Debug)]
pub(super) struct SnapshotScope {
    /// The workloads.
    pub(super) workloads: bool,
    /// Whose pods stand where.
    pub(super) running: bool,
    /// The namespaces that matter, where not all of them may be listed.
    pub(super) namespaces: BTreeSet<String>,
}

impl ListedResource {
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
pub(super) fn snapshot(
    context: Option<&str>,
    wanted: &SnapshotScope,
    sources: &mut SourceMap,
) -> anyhow::Result<ClusterSnapshot> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime does not start")?
        .block_on(fetch(context, wanted, sources))
}

/// A client of the cluster of `context`, or of the current context or, within a cluster, of that.
///
/// # Errors
/// When there is no such context, or nothing says which cluster to ask.
pub(super) async fn client(context: Option<&str>) -> anyhow::Result<Client> {
    let config = match context {
        Some(name) => {
            let options = KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options).await.with_context(|| {
                format!("no kubeconfig has the context {name:?}: `kubectl config get-contexts` lists them")
            })?
        }
        None => Config::infer().await.context("no cluster to ask: set KUBECONFIG to a kubeconfig file")?,
    };
    Client::try_from(config).context("the cluster's address or credentials cannot be used")
}

async fn fetch(
    context: Option<&str>,
    wanted: &SnapshotScope,
    sources: &mut SourceMap,
) -> anyhow::Result<ClusterSnapshot> {
    let client = client(context).await?;
    let mut snapshot = ClusterSnapshot { own: Vec::new(), rest: GatheredObjects::default() };
    for resource in &OWN {
        each_page(&client, resource, |text| snapshot.own.push(sources.add(NO_FILE, text))).await?;
    }
    let mut rest = StreamedObjects { client: &client, sources, gathered: GatheredObjects::default() };
    rest.namespaces(&wanted.namespaces).await?;
    rest.take(&NODES).await?;
    if wanted.workloads {
        for resource in &WORKLOADS {
            rest.take(resource).await?;
        }
    }
    if wanted.workloads || wanted.running {
        for resource in &RUNNING {
            rest.take(resource).await?;
        }
    }
    snapshot.rest = rest.gathered;
    Ok(snapshot)
}

/// What is asked for beside our own objects. Its texts are too large to keep, and nothing points into them.
struct StreamedObjects<'a> {
    client: &'a Client,
    sources: &'a mut SourceMap,
    gathered: GatheredObjects<'static>,
}

impl StreamedObjects<'_> {
    async fn take(&mut self, resource: &ListedResource) -> anyhow::Result<()> {
        let taken = self.list(resource).await;
        self.forgive(resource, taken)
    }

    async fn list(&mut self, resource: &ListedResource) -> anyhow::Result<()> {
        let file = self.sources.add(NO_FILE, String::new());
        each_page(self.client, resource, |text| read(file, &text, &mut |found| self.gathered.pass(file, found))).await
    }

    /// Those who may not list all namespaces may often see the ones that they work in.
    async fn namespaces(&mut self, named: &BTreeSet<String>) -> anyhow::Result<()> {
        let listed = self.list(&NAMESPACES).await;
        if listed.is_ok() || named.is_empty() {
            return self.forgive(&NAMESPACES, listed);
        }
        let file = self.sources.add(NO_FILE, String::new());
        for name in named {
            // One that is not there yet is missing from the answer, and that is told.
            if let Ok(text) = ask(self.client, &format!("{}/{name}", NAMESPACES.path)).await {
                read(file, &text, &mut |found| self.gathered.pass(file, found));
            }
        }
        Ok(())
    }

    /// Goes on without what an answer can do without.
    fn forgive(&mut self, resource: &ListedResource, taken: anyhow::Result<()>) -> anyhow::Result<()> {
        match taken {
            Err(error) if resource.optional => {
                let message = format!("judged without {}: {}", resource.plural, ErrorChain(error.as_ref()));
                self.gathered.diagnostics.push(Diagnostic::warning("NotReadable", message));
                Ok(())
            }
            taken => taken,
        }
    }
}

/// What of a list tells how to go on.
#[derive(Deserialize)]
struct ListHeader {
    #[serde(default)]
    metadata: ListMetadata,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue")]
    more: Option<String>,
}

/// Some objects of a resource, and how to ask for the next ones.
struct ListPage {
    text: String,
    more: Option<String>,
}

/// Lists a resource to its end, a page at a time.
async fn each_page(client: &Client, resource: &ListedResource, mut take: impl FnMut(String)) -> anyhow::Result<()> {
    let mut more = None;
    loop {
        let page = page(client, resource, more.as_deref()).await?;
        take(page.text);
        more = page.more;
        if more.is_none() {
            return Ok(());
        }
    }
}

async fn page(client: &Client, resource: &ListedResource, more: Option<&str>) -> anyhow::Result<ListPage> {
    let ListedResource { path, plural, .. } = resource;
    let mut uri = format!("{path}?limit={PAGE}");
    if let Some(token) = more {
        // Tokens are of the URL-safe alphabet, but for the padding.
        uri = format!("{uri}&continue={}", token.replace('=', "%3D"));
    }
    let text = ask(client, &uri).await.map_err(|error| told(error, plural))?;
    let listed: ListHeader =
        serde_json::from_str(&text).with_context(|| format!("the answer about {plural} is no list"))?;
    Ok(ListPage { text, more: listed.metadata.more.filter(|token| !token.is_empty()) })
}

/// What the API server answers, within [`PATIENCE`].
async fn ask(client: &Client, uri: &str) -> Result<String, ListError> {
    let request = Request::get(uri).body(Vec::new()).map_err(ListError::Request)?;
    match tokio::time::timeout(PATIENCE, client.request_text(request)).await {
        Err(_) => Err(ListError::Late),
        Ok(answer) => answer.map_err(|error| ListError::Refused(Box::new(error))),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error("no request can be made of it: {0}")]
    Request(http::Error),
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Late,
    #[error(transparent)]
    Refused(Box<kube::Error>),
}

/// Why the objects `plural` cannot be had, and what to do.
fn told(error: ListError, plural: &str) -> anyhow::Error {
    if let ListError::Refused(refused) = &error
        && let kube::Error::Api(status) = &**refused
    {
        match status.code {
            401 => return anyhow!("the cluster does not accept your credentials ({})", status.message),
            403 => {
                return anyhow!(
                    "you may not list {plural} in all namespaces: ask for that, or give them in files ({})",
                    status.message
                );
            }
            404 => return anyhow!("the cluster does not know {plural}: is Rempart installed in it?"),
            _ => {}
        }
    }
    anyhow!(error).context(format!("{plural} cannot be listed"))
}
