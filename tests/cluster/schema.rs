//! Definitions on a real API server: their rules within its cost budget, and what it says to the authors of wrong
//! objects.
//!
//! The definitions are installed under a group of their own, so that no policy of these trials
//! applies to the pods of others, whoever installs the chart beside them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use rempart::api::{
    ClearanceStatus, CloudProviderStatus, ExceptionStatus, MoveStop, OfferStatus, PlacementPolicyStatus,
    PlacementPoolStatus, PoolException, PoolVerdict, QualificationInForce, SpreadStatus, VerdictReason, crds::crds,
    limits,
};
use rempart_lab::eventually;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    harness::{Context, Trial},
    refused_table::{RefusedTable, changed},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("schema::what_is_wrong_is_refused_with_a_sentence", what_is_wrong_is_refused),
        Trial::new("schema::what_is_right_is_accepted", what_is_right_is_accepted),
        Trial::new("schema::the_largest_objects_are_within_the_cost_budget", the_largest_objects_are_accepted),
        Trial::new("schema::null_after_a_demand_is_no_demand", null_after_a_demand_is_no_demand),
        Trial::new("schema::the_order_of_levels_is_one_value", the_order_of_levels_is_one_value),
        Trial::new("schema::a_whole_status_is_stored_as_it_is", a_whole_status_is_stored_as_it_is),
        Trial::new("schema::the_columns_are_there", the_columns_are_there),
    ]
}

const GROUP: &str = "schema.rempart.test";

/// The resource of a kind in the group of these trials.
fn resource(kind: &str) -> Result<&'static str> {
    Ok(match kind {
        "CloudProvider" => "schemacloudproviders",
        "PlacementPool" => "schemaplacementpools",
        "PlacementPolicy" => "schemaplacementpolicies",
        other => bail!("there is no kind {other:?}"),
    })
}

/// Installs the definitions once, and waits until they are served.
async fn install(context: &Context) -> Result<Client> {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let client = context.cluster.admin();
    INSTALLED.get_or_try_init(|| install_copies(client.clone())).await?;
    Ok(client)
}

async fn install_copies(client: Client) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    // Nobody declares a record.
    for mut crd in crds().into_iter().filter(|crd| crd.spec.names.kind != "WorkloadPlacement") {
        // Under other names too: `kubectl get placementpolicies` of another trial means the real ones.
        let plural = resource(&crd.spec.names.kind)?;
        crd.metadata.name = Some(format!("{plural}.{GROUP}"));
        GROUP.clone_into(&mut crd.spec.group);
        crd.spec.names.singular =
            Some(crd.spec.names.singular.map_or_else(String::new, |name| format!("schema{name}")));
        plural.clone_into(&mut crd.spec.names.plural);
        crd.spec.names.short_names = None;
        crd.spec.names.categories = None;
        let name = crd.metadata.name.clone().unwrap_or_default();
        api.patch(&name, &PatchParams::apply("schema").force(), &Patch::Apply(&crd)).await?;
        eventually(&format!("{plural} are served"), Duration::from_secs(30), async || {
            let request = http::Request::get(format!("/apis/{GROUP}/v1alpha1/{plural}")).body(Vec::new())?;
            client.request::<Value>(request).await.map(drop).map_err(anyhow::Error::from)
        })
        .await?;
    }
    Ok(())
}

/// The object in the group of these trials.
fn ours(object: &Value) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(format!("{GROUP}/v1alpha1"));
    object
}

fn kind_of(object: &Value) -> Result<&'static str> {
    resource(object["kind"].as_str().unwrap_or_default())
}

/// Sends an object to be created, for a trial run only when `dry`; fields that there are not are
/// errors, as they are for kubectl.
async fn create(client: &Client, object: &Value, dry: bool) -> Result<Value> {
    let dry = if dry { "&dryRun=All" } else { "" };
    let uri = format!("/apis/{GROUP}/v1alpha1/{}?fieldValidation=Strict{dry}", kind_of(object)?);
    let request = http::Request::post(uri).body(serde_json::to_vec(&ours(object))?)?;
    match client.request(request).await {
        Ok(created) => Ok(created),
        Err(kube::Error::Api(status)) => Err(anyhow!(status.message)),
        Err(error) => Err(error.into()),
    }
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_multiple(&text).with_context(|| format!("{} is not what is expected", path.display()))
}

async fn what_is_wrong_is_refused(context: &Context) -> Result<()> {
    let client = install(context).await?;
    let table = RefusedTable::read()?;
    for object in &table.good {
        create(&client, object, true).await.context("the good object itself is refused")?;
    }
    let mut wrong = Vec::new();
    for case in &table.refused {
        let good = table.good(&case.kind)?;
        let object = changed(good, &case.at, case.value.clone()).with_context(|| case.name.clone())?;
        match create(&client, &object, true).await {
            Ok(_) => wrong.push(format!("{}: accepted", case.name)),
            Err(error) if error.to_string().contains(&case.says) => {}
            Err(error) => wrong.push(format!("{}\n  should say: {}\n  says:       {error}", case.name, case.says)),
        }
    }
    ensure!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), table.refused.len(), wrong.join("\n"));
    Ok(())
}

async fn what_is_right_is_accepted(context: &Context) -> Result<()> {
    let client = install(context).await?;
    for directory in ["tests/api/accepted", "deploy/demo/catalogue"] {
        for entry in fs::read_dir(in_repository(directory))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            for object in read::<Value>(&path)? {
                let name = || format!("{}: {}", path.display(), object["metadata"]["name"]);
                create(&client, &object, true).await.with_context(name)?;
            }
        }
    }
    Ok(())
}

/// `count` names of the greatest length.
fn names(count: usize, length: usize) -> Vec<String> {
    (0..count).map(|index| format!("{index:x>length$}")).collect()
}

/// A label selector as large as it may be.
fn largest_selector() -> Value {
    let keys: Vec<_> =
        names(limits::SELECTOR, limits::NAME).into_iter().map(|name| format!("example.com/{name}")).collect();
    let values = names(limits::SELECTOR, limits::NAME);
    let labels: serde_json::Map<_, _> = keys.iter().zip(&values).map(|(k, v)| (k.clone(), json!(v))).collect();
    let expressions: Vec<_> =
        keys.iter().map(|key| json!({"key": key, "operator": "NotIn", "values": values})).collect();
    json!({"matchLabels": labels, "matchExpressions": expressions})
}

fn largest_provider() -> Value {
    let zone = |name: &String| json!({"name": name, "region": name, "country": "ZW", "pue": 1, "carbonIntensity": 0});
    let zones: Vec<_> = names(limits::ZONES, limits::NAME).iter().map(zone).collect();
    // The last regions, which are the longest to look for.
    let scope = names(limits::ZONES, limits::NAME).split_off(limits::ZONES - limits::SCOPE);
    let qualification = |scheme: &String| json!({"scheme": scheme, "validFrom": "2020-01-01", "validUntil": "2030-12-31", "regions": scope});
    let qualifications: Vec<_> = names(limits::QUALIFICATIONS, limits::NAME).iter().map(qualification).collect();
    // Half of the offers: with all of them the object would be larger than any request may be.
    let offer = |name: &String| {
        json!({
            "name": name,
            "technology": vec![json!({"name": "t", "supplier": "s", "jurisdiction": "ZW"}); limits::TECHNOLOGIES],
            "exposedTo": names(limits::LAWS, limits::NAME),
            "zones": zones,
            "qualifications": qualifications,
        })
    };
    let offers: Vec<_> = names(limits::OFFERS / 2, limits::NAME).iter().map(offer).collect();
    json!({
        "kind": "CloudProvider",
        "metadata": {"name": "largest"},
        "spec": {"operator": {"name": "o", "jurisdiction": "ZW"}, "offers": offers},
    })
}

fn largest_policy() -> Value {
    let entries = names(limits::DEMANDS, limits::NAME);
    let others: Vec<_> = entries.iter().map(|name| name.replacen('x', "y", 1)).collect();
    let countries = vec!["ZW"; limits::DEMANDS];
    let schemes: serde_json::Map<_, _> =
        names(limits::QUALIFICATIONS, limits::NAME).into_iter().map(|name| (name, json!(100))).collect();
    let require = json!({
        "jurisdictions": {
            "operator": countries, "controllingParty": countries, "technology": countries, "data": countries,
        },
        "notExposedTo": entries,
        "qualifications": entries,
        "minimumLevels": schemes,
        "providers": {"allow": entries, "deny": others},
        "regions": {"allow": entries, "deny": others},
        "maxPUE": 1,
        "maxCarbonIntensity": 0,
    });
    let all = |count| -> Vec<_> {
        names(count, limits::SHORT_NAME).iter().map(|name| json!({"name": name, "require": require})).collect()
    };
    let namespaces = names(limits::EXCEPTIONS * limits::EXCEPTION_NAMESPACES, limits::NAME);
    let exceptions: Vec<_> = names(limits::EXCEPTIONS, limits::SHORT_NAME)
        .iter()
        .zip(namespaces.chunks(limits::EXCEPTION_NAMESPACES))
        .map(|(name, namespaces)| {
            json!({
                "name": name,
                "namespaces": namespaces,
                "level": names(limits::LEVELS, limits::SHORT_NAME).pop(),
                "pools": entries,
                "until": "2027-12-31",
                "reason": "x".repeat(limits::TEXT),
                "approvedBy": "x".repeat(limits::TEXT),
            })
        })
        .collect();
    json!({
        "kind": "PlacementPolicy",
        "metadata": {"name": "largest"},
        "spec": {
            "mode": "Audit",
            "namespaceSelector": largest_selector(),
            "defaultLevel": names(limits::LEVELS, limits::SHORT_NAME).pop(),
            "minimumLevel": names(limits::LEVELS, limits::SHORT_NAME).pop(),
            "requireNamespaceLevel": true,
            "levels": all(limits::LEVELS),
            "categories": all(limits::CATEGORIES),
            "exceptions": exceptions,
        },
    })
}

/// The budget of definitions is estimated, that of objects is spent: an object that the bounds allow
/// must not be refused for the cost of judging it.
async fn the_largest_objects_are_accepted(context: &Context) -> Result<()> {
    let client = install(context).await?;
    let pool = json!({
        "kind": "PlacementPool",
        "metadata": {"name": "largest"},
        "spec": {"provider": "p", "offer": "o", "zone": "z", "nodeSelector": largest_selector()},
    });
    for object in [largest_provider(), largest_policy(), pool] {
        create(&client, &object, true).await.with_context(|| format!("the largest {}", object["kind"]))?;
    }
    Ok(())
}

/// Admission asks `has(level.require)`, which must not hold for what says nothing.
async fn null_after_a_demand_is_no_demand(context: &Context) -> Result<()> {
    let client = install(context).await?;
    let policy = json!({
        "kind": "PlacementPolicy",
        "metadata": {"name": "null"},
        "spec": {"mode": "Audit", "defaultLevel": "a", "levels": [{"name": "a", "require": null}]},
    });
    let created = create(&client, &policy, true).await?;
    ensure!(created["spec"]["levels"] == json!([{"name": "a"}]), "{}", created["spec"]);
    Ok(())
}

/// Two field managers never merge their levels into an order that neither wrote.
async fn the_order_of_levels_is_one_value(context: &Context) -> Result<()> {
    let client = install(context).await?;
    let policy = |levels: &[&str]| {
        let levels: Vec<_> = levels.iter().map(|name| json!({"name": name})).collect();
        ours(&json!({
            "kind": "PlacementPolicy",
            "metadata": {"name": "order"},
            "spec": {"mode": "Audit", "defaultLevel": "public", "levels": levels},
        }))
    };
    let apply = async |manager: &str, object: Value| -> Result<Value, kube::Error> {
        let uri = format!("/apis/{GROUP}/v1alpha1/schemaplacementpolicies/order?fieldManager={manager}");
        let request = http::Request::patch(uri)
            .header("content-type", "application/apply-patch+yaml")
            .body(object.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        client.request(request).await
    };
    apply("officer", policy(&["public", "secret"])).await?;
    let stored = apply("officer", policy(&["public", "restricted", "secret"])).await?;
    let names: Vec<_> = stored["spec"]["levels"].as_array().into_iter().flatten().map(|level| &level["name"]).collect();
    ensure!(names == ["public", "restricted", "secret"], "an inserted level is stored as {names:?}");
    match apply("another", policy(&["public", "extra"])).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        other => bail!("the levels of another field manager should conflict: {other:?}"),
    }
}

/// Creates the object, gives it the status and returns what is stored.
async fn status_of<S: Serialize + DeserializeOwned>(client: &Client, object: &Value, status: &S) -> Result<S> {
    let created = create(client, object, false).await?;
    let name = created["metadata"]["name"].as_str().unwrap_or_default();
    let uri = format!("/apis/{GROUP}/v1alpha1/{}/{name}/status?fieldValidation=Strict", kind_of(object)?);
    let mut changed = created.clone();
    changed["status"] = serde_json::to_value(status)?;
    let request = http::Request::put(uri).body(serde_json::to_vec(&changed)?)?;
    let stored: Value = client.request(request).await?;
    Ok(serde_json::from_value(stored["status"].clone())?)
}

async fn a_whole_status_is_stored_as_it_is(context: &Context) -> Result<()> {
    let client = install(context).await?;
    let instant = serde_json::from_value(json!("2026-12-01T00:00:00Z"))?;
    let conditions = vec![serde_json::from_value(json!({
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": "2026-11-22T10:00:00Z",
        "observedGeneration": 1,
    }))?];
    let RefusedTable { good, .. } = RefusedTable::read()?;
    let named = |kind: &str| -> Result<Value> {
        let mut object = good.iter().find(|object| object["kind"] == kind).context("no good object")?.clone();
        object["metadata"]["name"] = json!("status");
        Ok(object)
    };

    let status = CloudProviderStatus {
        conditions: conditions.clone(),
        offers: vec![OfferStatus {
            name: "iaas".to_owned(),
            exposed_to: vec!["us-cloud-act".to_owned()],
            in_force: vec![QualificationInForce {
                scheme: "secnumcloud".to_owned(),
                level: Some(3),
                until: Some("2026-11-30".to_owned()),
                regions: vec!["north".to_owned()],
            }],
        }],
        next_expiry: Some(instant),
    };
    let stored = status_of(&client, &named("CloudProvider")?, &status).await?;
    ensure!(stored == status, "{stored:?}");

    let verdict = |level: Option<&str>, category: Option<&str>, reasons: Vec<VerdictReason>| PoolVerdict {
        policy: "state".to_owned(),
        level: level.map(str::to_owned),
        category: category.map(str::to_owned),
        cleared: reasons.is_empty(),
        leaving: reasons.is_empty(),
        ends: status.next_expiry.clone(),
        score: reasons.is_empty().then_some(71),
        reasons,
    };
    let reason = VerdictReason { code: "QualificationMissing".to_owned(), message: "a sentence".to_owned() };
    let status = PlacementPoolStatus {
        nodes: Some(3),
        ready_nodes: Some(0),
        verdicts: vec![verdict(Some("restricted"), None, vec![reason]), verdict(None, Some("health"), vec![])],
        exceptions: vec![PoolException {
            policy: "state".to_owned(),
            name: "legacy".to_owned(),
            level: "restricted".to_owned(),
            until: "2027-03-31".to_owned(),
        }],
        next_expiry: status.next_expiry,
        conditions: conditions.clone(),
    };
    let stored = status_of(&client, &named("PlacementPool")?, &status).await?;
    ensure!(stored == status, "{stored:?}");

    let standing = |name: &str| ClearanceStatus {
        name: name.to_owned(),
        cleared_pools: vec!["north".to_owned()],
        leaving_pools: vec!["north".to_owned()],
        ending_pools: vec!["south".to_owned()],
        rejected_pools: Some(2),
        workloads: Some(4),
        violating_pods: Some(1),
        spread: Some(SpreadStatus { demanded: 2, available: 1 }),
    };
    let status = PlacementPolicyStatus {
        levels: vec![standing("public"), standing("restricted")],
        categories: vec![standing("health")],
        exceptions: vec![ExceptionStatus {
            name: "legacy".to_owned(),
            in_force: true,
            until: "2027-03-31".to_owned(),
            opened_pools: vec!["north".to_owned()],
        }],
        unjudged_pods: Some(i32::MAX),
        next_change: status.next_expiry,
        stops: vec![MoveStop {
            id: "0123456789".to_owned(),
            level: "restricted".to_owned(),
            pods: 3,
            of: 4,
            changes: vec!["PlacementPool north is gone".to_owned()],
        }],
        conditions,
    };
    let stored = status_of(&client, &named("PlacementPolicy")?, &status).await?;
    ensure!(stored == status, "{stored:?}");
    Ok(())
}

async fn the_columns_are_there(context: &Context) -> Result<()> {
    let client = install(context).await?;
    let table = async |plural: &str| -> Result<Vec<String>> {
        let request = http::Request::get(format!("/apis/{GROUP}/v1alpha1/{plural}"))
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())?;
        let table: Value = client.request(request).await?;
        let columns = table["columnDefinitions"].as_array().into_iter().flatten();
        Ok(columns.map(|column| column["name"].as_str().unwrap_or_default().to_owned()).collect())
    };
    for (plural, expected) in [
        (
            "schemacloudproviders",
            &["Name", "Operated from", "Controlled from", "Ready", "Next expiry", "Age", "Name in full", "Message"][..],
        ),
        (
            "schemaplacementpools",
            &[
                "Name",
                "Provider",
                "Offer",
                "Zone",
                "Role",
                "Nodes",
                "Ready nodes",
                "Ready",
                "Next expiry",
                "Age",
                "Message",
            ],
        ),
        (
            "schemaplacementpolicies",
            &[
                "Name",
                "Mode",
                "Default level",
                "Ready",
                "Enforced",
                "Ending",
                "Next change",
                "Age",
                "Message",
                "Enforcement",
                "Qualifications",
            ],
        ),
    ] {
        let columns = table(plural).await?;
        ensure!(columns == expected, "{plural}: {columns:?}");
    }
    Ok(())
}
