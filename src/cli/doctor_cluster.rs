//! Doctor's cluster: what checks look at, asked of an API server.
//!
//! Takes a kubeconfig context, and returns [`Examined`] facts. Nothing is written: one request is a dry run. What the API
//! server does not let be read stays unread, with what it said.

use http::{Request, StatusCode};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::{
    cluster::{self, PATIENCE, each_page_of},
    progress::ProgressSpinner,
};
use crate::{
    doctor::{
        ApiServerFacts, Examined, ExaminedKind, Fact, NodeRestrictionProbe, ReleaseSettings,
        release::{self, NAMESPACE},
    },
    operator::{clock_skew::date_of, error_chain::ErrorChain},
};
use rempart_core::instant::Timestamp;

/// The node that a trial request would make, and that does not exist.
const PROBE: &str = "rempart-doctor-probe";

/// What the plugin NodeRestriction says of a node that gives itself a label which no kubelet may set (its `admission.go`).
const REFUSALS: [&str; 2] = ["is not allowed to set the following labels", "is not allowed to modify labels"];

/// Asks the cluster of `context`, or of the current context, for all that is looked at.
///
/// # Errors
/// When there is no such context, or the cluster cannot be reached.
pub(super) fn examined(context: Option<&str>, said: ReleaseSettings) -> anyhow::Result<Examined> {
    let _progress = ProgressSpinner::of("reading the cluster");
    cluster::block_on(async {
        let client = cluster::client(context).await?;
        let mut examined = Examined::of_release(said);
        let (facts, now) = api_server(&client).await?;
        examined.api_server = facts;
        examined.at = Some(now);
        let exempt = exempt(&client, &examined.release).await;
        for kind in ExaminedKind::ALL {
            // Of workloads, those where no policy holds alone: of others the operator tells.
            let paths = if kind.is_workload() {
                exempt.iter().map(|namespace| path(kind, Some(namespace))).collect()
            } else {
                vec![path(kind, None)]
            };
            list(&client, kind, &paths, &mut examined).await;
        }
        examined.api_server.node_restriction = probe(&client).await;
        Ok(examined)
    })
}

/// Where objects of `kind` are listed.
fn path(kind: ExaminedKind, namespace: Option<&str>) -> String {
    let (_, version, plural) = kind.resource();
    let root = if version.contains('/') { "apis" } else { "api" };
    match namespace {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}"),
        None => format!("/{root}/{version}/{plural}"),
    }
}

/// Reads the objects of `kind` at `paths`.
async fn list(client: &Client, kind: ExaminedKind, paths: &[String], examined: &mut Examined) {
    let (name, version, plural) = kind.resource();
    examined.complete(kind);
    for path in paths {
        let listed = each_page_of(client, path, plural, |text| {
            for object in items(&text, name, version) {
                examined.add(object);
            }
        });
        if let Err(error) = listed.await {
            let why = if error.is_unknown() {
                "the API server does not serve them".to_owned()
            } else {
                ErrorChain(anyhow::Error::from(error).as_ref()).to_string()
            };
            examined.unread(kind, why);
            return;
        }
    }
}

/// The objects of a list, each with what a list says once.
fn items(text: &str, kind: &str, version: &str) -> Vec<Value> {
    let mut list: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(Value::Array(mut items)) = list.get_mut("items").map(Value::take) else { return Vec::new() };
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.insert("kind".to_owned(), kind.into());
        item.insert("apiVersion".to_owned(), version.into());
    }
    items
}

/// The namespaces that no policy governs, as the operator's Deployments are told, or as the chart has it.
async fn exempt(client: &Client, said: &ReleaseSettings) -> Vec<String> {
    let kind = ExaminedKind::Deployment;
    let (name, version, plural) = kind.resource();
    let mut deployments = Vec::new();
    let take = |text: String, found: &mut Vec<Value>| {
        let of_rempart = |object: &Value| {
            let labels = object.pointer("/metadata/labels");
            labels.and_then(|labels| labels.get("app.kubernetes.io/name")).is_some_and(|name| name == "rempart")
        };
        found.extend(items(&text, name, version).into_iter().filter(of_rempart));
    };
    // Who may not list those of all namespaces may those of one.
    if each_page_of(client, &path(kind, None), plural, |text| take(text, &mut deployments)).await.is_err() {
        let namespace = said.namespace.as_deref().unwrap_or(NAMESPACE);
        // That they cannot be read is told when they are read with the rest.
        let _ = each_page_of(client, &path(kind, Some(namespace)), plural, |text| take(text, &mut deployments)).await;
    }
    release::found(&deployments, said).release.exempt
}

/// A request, and the status, the headers' date and the text of the answer.
async fn ask(client: &Client, request: Request<Body>) -> Result<(StatusCode, Option<Timestamp>, String), String> {
    let answered = async {
        let answer = client.send(request).await.map_err(|error| ErrorChain(&error).to_string())?;
        let (head, body) = answer.into_parts();
        let bytes = body.collect_bytes().await.map_err(|error| ErrorChain(&error).to_string())?;
        Ok((head.status, date_of(&head.headers), String::from_utf8_lossy(&bytes).into_owned()))
    };
    let late = |_| Err(format!("no answer within {} seconds", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, answered).await.unwrap_or_else(late)
}

/// What the API server says of itself, and what time it is there.
///
/// # Errors
/// When it cannot be reached.
async fn api_server(client: &Client) -> anyhow::Result<(ApiServerFacts, Timestamp)> {
    let request = Request::get("/version").body(Body::empty())?;
    let asked = now();
    let (status, date, text) =
        ask(client, request).await.map_err(|why| anyhow::anyhow!("the cluster cannot be asked: {why}"))?;
    let answered = now();
    if status == StatusCode::UNAUTHORIZED {
        anyhow::bail!("the cluster does not accept your credentials ({text})");
    }
    let version = serde_json::from_str::<Value>(&text).ok();
    let version = version.and_then(|version| Some(version.get("gitVersion")?.as_str()?.to_owned()));
    let facts = ApiServerFacts {
        version: version.map_or_else(|| Fact::Unknown(format!("it answers {status}")), Fact::Known),
        skew_seconds: date.map_or_else(
            || Fact::Unknown("its answer says no date".to_owned()),
            |date| Fact::Known(skew(asked, answered, date)),
        ),
        node_restriction: Fact::NotAsked,
    };
    Ok((facts, date.unwrap_or(answered)))
}

/// By how much this clock is ahead of one that said `there` between `asked` and `answered`; 0 where it may be right.
fn skew(asked: Timestamp, answered: Timestamp, there: Timestamp) -> i64 {
    let [asked, answered, there] = [asked, answered, there].map(|instant| instant.timestamp().as_second());
    if there < asked { asked.saturating_sub(there) } else { answered.saturating_sub(there).min(0) }
}

#[expect(clippy::disallowed_methods, reason = "the clock is what is looked at")]
fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}

/// Whether NodeRestriction holds a node to its labels, by a dry run as a node that does not exist.
async fn probe(client: &Client) -> Fact<NodeRestrictionProbe> {
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": PROBE, "labels": {"rempart-doctor.node-restriction.kubernetes.io/probe": "true"}},
    });
    let request = Request::post("/api/v1/nodes?dryRun=All&fieldManager=rempart-doctor")
        .header("Content-Type", "application/json")
        .header("Impersonate-User", format!("system:node:{PROBE}"))
        .header("Impersonate-Group", "system:nodes")
        .body(Body::from(node.to_string().into_bytes()));
    match request {
        Ok(request) => {
            ask(client, request).await.map_or_else(Fact::Unknown, |(status, _, text)| understood(status, &text))
        }
        Err(error) => Fact::Unknown(error.to_string()),
    }
}

/// What an answer to the trial request means.
fn understood(status: StatusCode, text: &str) -> Fact<NodeRestrictionProbe> {
    let said = serde_json::from_str::<Value>(text).ok();
    let message = said.as_ref().and_then(|said| said.get("message")?.as_str()).unwrap_or(text);
    if status.is_success() {
        return Fact::Known(NodeRestrictionProbe::LetThrough);
    }
    if status == StatusCode::FORBIDDEN && REFUSALS.iter().any(|refusal| message.contains(refusal)) {
        return Fact::Known(NodeRestrictionProbe::Refused);
    }
    Fact::Unknown(format!("a trial request as a node was answered {}: {message}", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(message: &str) -> String {
        json!({"kind": "Status", "status": "Failure", "message": message}).to_string()
    }

    #[test]
    fn only_the_plugins_own_refusal_says_that_it_is_on() {
        let refused = "nodes \"rempart-doctor-probe\" is forbidden: node \"rempart-doctor-probe\" is not allowed to set the \
                       following labels: rempart-doctor.node-restriction.kubernetes.io/probe";
        let may_not = "users \"system:node:rempart-doctor-probe\" is forbidden: User \"ada\" cannot impersonate resource \"users\"";
        assert_eq!(understood(StatusCode::FORBIDDEN, &answer(refused)), Fact::Known(NodeRestrictionProbe::Refused));
        assert_eq!(understood(StatusCode::CREATED, "{}"), Fact::Known(NodeRestrictionProbe::LetThrough));
        let unknown = |message: &str, code: u16| {
            Fact::Unknown(format!("a trial request as a node was answered {code}: {message}"))
        };
        assert_eq!(understood(StatusCode::FORBIDDEN, &answer(may_not)), unknown(may_not, 403));
        assert_eq!(understood(StatusCode::BAD_GATEWAY, "no JSON"), unknown("no JSON", 502));
        assert_eq!(understood(StatusCode::BAD_REQUEST, &answer(refused)), unknown(refused, 400), "another refusal");
    }

    #[test]
    fn a_clock_is_wrong_by_what_the_way_there_and_back_does_not_explain() {
        let at = |second| Timestamp::from_seconds(second);
        assert_eq!(skew(at(100), at(110), at(105)), 0);
        assert_eq!(skew(at(100), at(110), at(40)), 60, "ahead");
        assert_eq!(skew(at(100), at(110), at(200)), -90, "behind");
    }

    #[test]
    fn objects_of_a_list_say_what_they_are() {
        let found = items(r#"{"kind": "NodeList", "items": [{"metadata": {"name": "a"}}, 3]}"#, "Node", "v1");
        assert_eq!(found, [json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "a"}}), json!(3)]);
        assert_eq!(items("nothing", "Node", "v1"), [json!(null); 0]);
        assert_eq!(path(ExaminedKind::Lease, None), "/apis/coordination.k8s.io/v1/leases");
        assert_eq!(path(ExaminedKind::Pod, Some("a")), "/api/v1/namespaces/a/pods");
    }
}
