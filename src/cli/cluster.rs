//! Cluster snapshots: the objects of a cluster as manifests, listed page by page.
//!
//! Takes a kubeconfig context and what is asked for, and returns texts that are read like files. Files and clusters are
//! judged alike, and nothing is written. What may not be read is left out where an answer is worth something without, and
//! that is told: a role of one namespace is enough for its workloads.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context;
use http::Request;
use kube::{Client, Config, config::KubeConfigOptions};
use serde::Deserialize;

use crate::{
    admission::POLICY_LABEL,
    api::validate::ResourceKind,
    diagnostic::{
        Diagnostic,
        source::{FileId, SourceMap},
    },
    gather::GatheredObjects,
    manifest::read::read,
    operator::error_chain::ErrorChain,
};
use rempart_core::text::ListDisplay;

/// The name of every text that comes from a cluster: it is no file, and nobody can be pointed into it.
const NO_FILE: &str = "";

/// What a cluster has.
#[derive(Clone, Debug)]
pub(super) struct ClusterSnapshot {
    /// The texts of our own objects, which are kept to be pointed into.
    pub(super) own: Vec<FileId>,
    /// Everything else.
    pub(super) rest: GatheredObjects<'static>,
    /// The namespaces that no policy governs, as Rempart was installed; `None` where that cannot be read.
    pub(super) exempt: Option<Vec<String>>,
}

/// A resource, by the path of its group and version.
struct ListedResource {
    group: &'static str,
    plural: &'static str,
    /// The kind of ours that it is.
    own: Option<ResourceKind>,
    /// Whether an answer without it is worth something.
    optional: bool,
}

const OWN: [ListedResource; 3] = [
    ListedResource::ours("/apis/rempart.dev/v1alpha1", "placementpolicies", ResourceKind::PlacementPolicy),
    ListedResource::ours("/apis/rempart.dev/v1alpha1", "cloudproviders", ResourceKind::CloudProvider),
    ListedResource::ours("/apis/rempart.dev/v1alpha1", "placementpools", ResourceKind::PlacementPool),
];

const NAMESPACES: ListedResource = ListedResource::of("/api/v1", "namespaces", true);

const NODES: ListedResource = ListedResource::of("/api/v1", "nodes", true);

const WORKLOADS: [ListedResource; 4] = [
    ListedResource::of("/apis/apps/v1", "deployments", false),
    ListedResource::of("/apis/apps/v1", "statefulsets", false),
    ListedResource::of("/apis/apps/v1", "daemonsets", false),
    ListedResource::of("/apis/batch/v1", "cronjobs", false),
];

/// Workloads of their own, or parts of the ones above: without them, one does not know whose pods stand where.
const RUNNING: [ListedResource; 3] = [
    ListedResource::of("/apis/apps/v1", "replicasets", true),
    ListedResource::of("/apis/batch/v1", "jobs", true),
    ListedResource::of("/api/v1", "pods", true),
];

/// Without them, one does not know which nodes reach what pods hold.
const CLAIMS: ListedResource = ListedResource::of("/api/v1", "persistentvolumeclaims", true);
const VOLUMES: ListedResource = ListedResource::of("/api/v1", "persistentvolumes", true);

/// What of the pods of a cluster is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PodScope {
    /// Those that are workloads of their own.
    Workloads,
    /// Whose stand where, too.
    Running,
    /// What room there is beside them: then every node, workload and pod is needed, whoever's it is.
    Room,
}

/// What of a cluster is asked for beside our own objects, the namespaces and the nodes.
#[derive(Clone, Debug)]
pub(super) struct SnapshotScope {
    /// The workloads.
    pub(super) workloads: bool,
    /// What of the pods.
    pub(super) pods: PodScope,
    /// The namespaces that matter, where not all of them may be listed.
    pub(super) namespaces: BTreeSet<String>,
    /// The namespace whose workloads are taken where those of all may not be listed.
    pub(super) namespace: String,
    /// The kinds of ours of which there are objects already.
    pub(super) own: BTreeSet<ResourceKind>,
    /// Which namespaces no policy governs.
    pub(super) exempt: bool,
}

impl ListedResource {
    const fn ours(group: &'static str, plural: &'static str, kind: ResourceKind) -> Self {
        Self { group, plural, own: Some(kind), optional: false }
    }

    const fn of(group: &'static str, plural: &'static str, optional: bool) -> Self {
        Self { group, plural, own: None, optional }
    }

    /// Where its objects are listed: those of all namespaces, or of one.
    fn path(&self, namespace: Option<&str>) -> String {
        let Self { group, plural, .. } = self;
        match namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
            None => format!("{group}/{plural}"),
        }
    }
}

/// How many objects are asked for at a time.
const PAGE: usize = 500;
/// How long one page may take. A cluster that takes longer is not there.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the cluster of `context`, or of the current context, for all that a plan is made of.
///
/// # Errors
/// When there is no such context, the cluster cannot be reached, or it does not let something be read without which no
/// answer could be trusted.
pub(super) fn snapshot(
    context: Option<&str>,
    wanted: &SnapshotScope,
    empty: &GatheredObjects<'static>,
    sources: &mut SourceMap,
) -> anyhow::Result<ClusterSnapshot> {
    block_on(fetch(context, wanted, empty, sources))
}

/// Asks the same cluster for our own objects alone; of the kinds in `given` there are some already.
///
/// # Errors
/// When there is no such context, the cluster cannot be reached, or they may not be read.
pub(super) fn own_snapshot(
    context: Option<&str>,
    given: &BTreeSet<ResourceKind>,
    empty: &GatheredObjects<'static>,
    sources: &mut SourceMap,
) -> anyhow::Result<ClusterSnapshot> {
    block_on(async {
        let client = client(context).await?;
        let (own, unread) = fetch_own(&client, given, sources).await?;
        let mut rest = empty.clone();
        rest.diagnostics.extend(unread.told());
        Ok(ClusterSnapshot { own, rest, exempt: None })
    })
}

/// Waits for what a command asks of a cluster.
///
/// # Errors
/// What it ends with, or that nothing can be waited for here.
pub(super) fn block_on<T>(asked: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the asynchronous runtime does not start")?.block_on(asked)
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

/// The texts of our own objects, and what of them could not be had.
async fn fetch_own(
    client: &Client,
    given: &BTreeSet<ResourceKind>,
    sources: &mut SourceMap,
) -> anyhow::Result<(Vec<FileId>, UnreadResources)> {
    let mut own = Vec::new();
    let mut unread = UnreadResources::default();
    for resource in &OWN {
        let listed = each_page(client, resource, None, |text| own.push(sources.add(NO_FILE, text))).await;
        match listed {
            // What the files give of a kind is judged; what the cluster has beside it, nobody may see.
            Err(error) if resource.own.is_some_and(|kind| given.contains(&kind)) => {
                unread.push(resource, None, error);
            }
            listed => listed?,
        }
    }
    Ok((own, unread))
}

async fn fetch(
    context: Option<&str>,
    wanted: &SnapshotScope,
    empty: &GatheredObjects<'static>,
    sources: &mut SourceMap,
) -> anyhow::Result<ClusterSnapshot> {
    let client = client(context).await?;
    let (own, unread) = fetch_own(&client, &wanted.own, sources).await?;
    let namespace = &wanted.namespace;
    let mut rest = StreamedObjects { client: &client, sources, gathered: empty.clone(), namespace, unread };
    rest.namespaces(&wanted.namespaces).await?;
    if wanted.pods == PodScope::Room {
        rest.take_whole(std::iter::once(&NODES).chain(&WORKLOADS).chain(&RUNNING)).await?;
    } else {
        let running = wanted.pods == PodScope::Running;
        rest.take(&NODES).await?;
        for resource in WORKLOADS.iter().filter(|_| wanted.workloads) {
            rest.take_of_namespace(resource, running).await?;
        }
        for resource in RUNNING.iter().filter(|_| wanted.workloads || running) {
            rest.take_of_namespace(resource, true).await?;
        }
    }
    rest.take_of_namespace(&CLAIMS, true).await?;
    rest.take(&VOLUMES).await?;
    let StreamedObjects { mut gathered, unread, .. } = rest;
    gathered.diagnostics.extend(unread.told());
    let mut snapshot = ClusterSnapshot { own, rest: gathered, exempt: None };
    if wanted.exempt {
        match installed_exemptions(&client).await {
            Ok(Some(exempt)) => snapshot.exempt = Some(exempt),
            Ok(None) => {
                let message = "Rempart is not installed in this cluster, or holds nobody to a policy: the exempt \
                               namespaces are taken to be those of the chart in rempart-system";
                snapshot.rest.diagnostics.push(assumed(message));
            }
            Err(error) => {
                let message = format!(
                    "the exempt namespaces are taken to be those of the chart in rempart-system, since what is installed \
                     cannot be read: {}",
                    ErrorChain(error.as_ref())
                );
                snapshot.rest.diagnostics.push(assumed(&message));
            }
        }
    }
    Ok(snapshot)
}

fn assumed(message: &str) -> Diagnostic {
    Diagnostic::warning("Assumed", message).hint("name them with --exempt-namespaces")
}

/// The validations that are compiled for each policy, and say which namespaces none of them reaches.
const VALIDATIONS: ListedResource =
    ListedResource::of("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies", true);

/// The label that the API server gives every namespace, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The namespaces that no policy governs, as what is installed says; `None` where nothing is.
async fn installed_exemptions(client: &Client) -> anyhow::Result<Option<Vec<String>>> {
    let mut found = None;
    each_page(client, &VALIDATIONS, None, |text| found = found.take().or_else(|| exempt_by(&text))).await?;
    Ok(found)
}

/// The namespaces that the validations of policies in `text`, a list, leave out.
fn exempt_by(text: &str) -> Option<Vec<String>> {
    let list: serde_json::Value = serde_json::from_str(text).ok()?;
    let ours = |item: &&serde_json::Value| {
        item.pointer("/metadata/labels").is_some_and(|labels| labels.get(POLICY_LABEL).is_some())
    };
    list.get("items")?.as_array()?.iter().filter(ours).find_map(|item| {
        let left_out = item.pointer("/spec/matchConstraints/namespaceSelector/matchExpressions")?.as_array()?;
        let names = left_out.iter().find(|one| one["key"] == NAMESPACE_NAME && one["operator"] == "NotIn")?;
        Some(names["values"].as_array()?.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect())
    })
}

/// Resources that could not be listed, or of one namespace alone, with why the first of each could not.
#[derive(Default)]
struct UnreadResources {
    /// By the namespace that was taken, if one was, and by whether it is the right that is missing.
    groups: BTreeMap<(Option<String>, bool), UnreadGroup>,
}

/// Resources that could not be listed alike.
struct UnreadGroup {
    names: Vec<&'static str>,
    /// Why the first of them could not.
    why: String,
}

impl UnreadResources {
    fn push(&mut self, resource: &ListedResource, namespace: Option<&str>, error: ListError) {
        let key = (namespace.map(str::to_owned), error.is_forbidden());
        let why = || ErrorChain(anyhow::Error::from(error).as_ref()).to_string();
        let group = self.groups.entry(key).or_insert_with(|| UnreadGroup { names: Vec::new(), why: why() });
        group.names.push(resource.plural);
    }

    /// One warning for all that fail alike.
    fn told(self) -> impl Iterator<Item = Diagnostic> {
        self.groups.into_iter().map(|((namespace, _), UnreadGroup { names, why })| {
            let names = ListDisplay(names.iter());
            let what = match namespace {
                None => format!("judged without {names}"),
                Some(namespace) => format!("of {names} only those of namespace {namespace} are judged"),
            };
            Diagnostic::warning("NotReadable", format!("{what}: {why}"))
        })
    }
}

/// What is asked for beside our own objects. Its texts are too large to keep, and nothing points into them.
struct StreamedObjects<'a> {
    client: &'a Client,
    sources: &'a mut SourceMap,
    gathered: GatheredObjects<'static>,
    /// The one whose objects are taken where those of all may not be listed.
    namespace: &'a str,
    unread: UnreadResources,
}

impl StreamedObjects<'_> {
    async fn take(&mut self, resource: &ListedResource) -> anyhow::Result<()> {
        let taken = self.list(resource, None).await;
        self.forgive(resource, taken)
    }

    /// Takes the objects of all namespaces, or of one where those of all may not be listed. Where an answer without them is
    /// worth something, `optional` too.
    async fn take_of_namespace(&mut self, resource: &ListedResource, optional: bool) -> anyhow::Result<()> {
        let Err(error) = self.list(resource, None).await else { return Ok(()) };
        let namespace = self.namespace;
        if error.is_forbidden() && self.list(resource, Some(namespace)).await.is_ok() {
            self.unread.push(resource, Some(namespace), error);
            return Ok(());
        }
        let resource = ListedResource { optional: resource.optional || optional, ..*resource };
        self.forgive(&resource, Err(error))
    }

    /// Takes the objects of all namespaces, without any of which nobody knows what room there is.
    async fn take_whole(&mut self, resources: impl Iterator<Item = &ListedResource>) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        let mut first = None;
        for resource in resources {
            if let Err(error) = self.list(resource, None).await {
                missing.push(resource.plural);
                first.get_or_insert(error);
            }
        }
        let Some(error) = first else { return Ok(()) };
        let missing = ListDisplay(missing.iter());
        Err(anyhow::Error::from(error).context(format!("nobody knows what room there is without {missing}")))
    }

    async fn list(&mut self, resource: &ListedResource, namespace: Option<&str>) -> Result<(), ListError> {
        let file = self.sources.add(NO_FILE, String::new());
        let gathered = &mut self.gathered;
        each_page(self.client, resource, namespace, |text| {
            read(file, &text, &mut |found| gathered.pass(file, found));
            gathered.forget_orphans();
        })
        .await
    }

    /// Those who may not list all namespaces may often see the ones that they work in.
    async fn namespaces(&mut self, named: &BTreeSet<String>) -> anyhow::Result<()> {
        let listed = self.list(&NAMESPACES, None).await;
        // Who works in one sees that one.
        let own = BTreeSet::from([self.namespace.to_owned()]);
        let named = if named.is_empty() { &own } else { named };
        let Err(error) = listed else { return Ok(()) };
        if !error.is_forbidden() {
            return self.forgive(&NAMESPACES, Err(error));
        }
        let file = self.sources.add(NO_FILE, String::new());
        let mut any = false;
        for name in named {
            // One that is not there yet is missing from the answer, and that is told.
            if let Ok(text) = ask(self.client, &format!("{}/{name}", NAMESPACES.path(None)), NAMESPACES.plural).await {
                read(file, &text, &mut |found| self.gathered.pass(file, found));
                any = true;
            }
        }
        if any { Ok(()) } else { self.forgive(&NAMESPACES, Err(error)) }
    }

    /// Goes on without what an answer can do without.
    fn forgive(&mut self, resource: &ListedResource, taken: Result<(), ListError>) -> anyhow::Result<()> {
        match taken {
            Err(error) if resource.optional => {
                self.unread.push(resource, None, error);
                Ok(())
            }
            taken => Ok(taken?),
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
async fn each_page(
    client: &Client,
    resource: &ListedResource,
    namespace: Option<&str>,
    take: impl FnMut(String),
) -> Result<(), ListError> {
    each_page_of(client, &resource.path(namespace), resource.plural, take).await
}

/// Lists the objects `plural` at `path` to their end, a page at a time.
///
/// # Errors
/// Why they cannot be had.
pub(super) async fn each_page_of(
    client: &Client,
    path: &str,
    plural: &'static str,
    mut take: impl FnMut(String),
) -> Result<(), ListError> {
    let mut more = None;
    loop {
        let page = page(client, path, plural, more.as_deref()).await?;
        take(page.text);
        more = page.more;
        if more.is_none() {
            return Ok(());
        }
    }
}

/// Some of the objects `plural` that are listed at `path`.
async fn page(client: &Client, path: &str, plural: &'static str, more: Option<&str>) -> Result<ListPage, ListError> {
    let mut uri = format!("{path}?limit={PAGE}");
    if let Some(token) = more {
        // Tokens are of the URL-safe alphabet, but for the padding.
        uri = format!("{uri}&continue={}", token.replace('=', "%3D"));
    }
    let text = ask(client, &uri, plural).await?;
    let listed: ListHeader = serde_json::from_str(&text).map_err(|source| ListError::NoList { plural, source })?;
    Ok(ListPage { text, more: listed.metadata.more.filter(|token| !token.is_empty()) })
}

/// What the API server answers about `plural`, within [`PATIENCE`].
async fn ask(client: &Client, uri: &str, plural: &'static str) -> Result<String, ListError> {
    let request = Request::get(uri).body(Vec::new()).map_err(|source| ListError::Request { plural, source })?;
    match tokio::time::timeout(PATIENCE, client.request_text(request)).await {
        Err(_) => Err(ListError::Late { plural }),
        Ok(answer) => answer.map_err(|error| ListError::of(plural, error)),
    }
}

/// Why the objects of a resource cannot be had, and what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    #[error("{plural} cannot be listed: no request can be made of it: {source}")]
    Request { plural: &'static str, source: http::Error },
    #[error("{plural} cannot be listed: no answer within {} seconds", PATIENCE.as_secs())]
    Late { plural: &'static str },
    #[error("the answer about {plural} is no list")]
    NoList { plural: &'static str, source: serde_json::Error },
    #[error("the cluster does not accept your credentials ({message})")]
    Unauthorized { message: String },
    #[error("you may not list {plural} in the whole cluster: ask for that, or give them in files ({message})")]
    Forbidden { plural: &'static str, message: String },
    #[error(
        "you may not list {plural}: ask for a ClusterRoleBinding to rempart-view, or give them in files ({message})"
    )]
    OwnForbidden { plural: &'static str, message: String },
    #[error("the cluster does not know {plural}: is Rempart installed in it?")]
    Unknown { plural: &'static str },
    #[error("{plural} cannot be listed")]
    Refused { plural: &'static str, source: Box<kube::Error> },
}

impl ListError {
    fn of(plural: &'static str, error: kube::Error) -> Self {
        let status = match &error {
            kube::Error::Api(status) => Some((status.code, status.message.clone())),
            _ => None,
        };
        match status {
            Some((401, message)) => Self::Unauthorized { message },
            Some((403, message)) if OWN.iter().any(|own| own.plural == plural) => {
                Self::OwnForbidden { plural, message }
            }
            Some((403, message)) => Self::Forbidden { plural, message },
            Some((404, _)) => Self::Unknown { plural },
            _ => Self::Refused { plural, source: Box::new(error) },
        }
    }

    /// Whether the API server does not serve the resource.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::OwnForbidden { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::exempt_by;

    #[test]
    fn the_exempt_namespaces_are_those_that_no_validation_of_a_policy_reaches() {
        let item = |label: &str| {
            serde_json::json!({
                "metadata": {"labels": {(label): "state"}},
                "spec": {"matchConstraints": {"namespaceSelector": {"matchExpressions": [
                    {"key": "tier", "operator": "Exists"},
                    {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "agents"]},
                ]}}},
            })
        };
        let list = |label: &str| serde_json::json!({"items": [item(label)]}).to_string();
        assert_eq!(exempt_by(&list("rempart.dev/policy")), Some(vec!["kube-system".to_owned(), "agents".to_owned()]));
        assert_eq!(exempt_by(&list("other")), None);
        assert_eq!(exempt_by("{\"items\": []}"), None);
    }
}
