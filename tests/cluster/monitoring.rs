//! Monitoring: the chart's rules by Prometheus's own checker, its dashboard by what Grafana takes for granted and its
//! queries by the same checker.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use rempart_lab::{ProgressDisplay, promtool};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Context, Trial};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/rempart");
/// Columns of a dashboard.
const COLUMNS: u64 = 24;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("monitoring::rules_are_sound_and_fire_when_they_should", rules),
        Trial::new("monitoring::the_dashboard_is_one_and_its_queries_are_understood", dashboard),
        Trial::new("monitoring::the_service_monitor_finds_the_service", service_monitor),
        Trial::new("monitoring::nothing_comes_unasked", unasked),
    ]
}

/// What the chart installs with these values.
async fn rendered(context: &Context, values: &[&str]) -> Result<Vec<Value>> {
    let set = values.iter().flat_map(|value| ["--set", value]);
    let arguments = ["template", "rempart", CHART, "--namespace", "rempart-system"].into_iter().chain(set);
    let text = context.cluster.helm(arguments).run().await?;
    let documents = serde_saphyr::from_multiple::<Value>(&text).context("the chart renders to no YAML")?;
    Ok(documents)
}

/// The one object of a kind and name in what the chart installs with these values.
pub(crate) async fn one(context: &Context, values: &[&str], kind: &str, name: &str) -> Result<Value> {
    let all = rendered(context, values).await?;
    let mut found = all.into_iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let one = found.next().with_context(|| format!("no {kind} {name}"))?;
    ensure!(found.next().is_none(), "two of {kind} {name}");
    Ok(one)
}

/// The alerts as the Prometheus Operator is given them.
async fn alerts(context: &Context) -> Result<Value> {
    let values = ["monitoring.rules.enabled=true", "monitoring.rules.labels.release=prometheus"];
    let object = one(context, &values, "PrometheusRule", "rempart").await?;
    ensure!(object["metadata"]["labels"]["release"] == "prometheus", "labels: {}", object["metadata"]["labels"]);
    Ok(object["spec"].clone())
}

/// What promtool says, run in `directory`.
async fn check(directory: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(promtool(ProgressDisplay::detect()).await?);
    let output = command.current_dir(directory).args(arguments).output().await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "promtool {}:\n{said}", arguments.join(" "));
    Ok(said)
}

/// A directory with `rules` in it, as `rules.yaml`.
fn with_rules(rules: &Value) -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    // JSON is YAML.
    std::fs::write(directory.path().join("rules.yaml"), rules.to_string())?;
    Ok(directory)
}

async fn rules(context: &Context) -> Result<()> {
    let alerts = alerts(context).await?;
    let directory = with_rules(&alerts)?;
    check(directory.path(), &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]).await?;
    let mut tried = String::new();
    for file in ["placement.test.yaml", "certificates.test.yaml"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitoring").join(file))?;
        std::fs::write(directory.path().join(file), &text)?;
        check(directory.path(), &["test", "rules", file]).await?;
        tried.push_str(&text);
    }
    for alert in names(&alerts) {
        ensure!(tried.contains(&format!("alertname: {alert}\n")), "no test has {alert} fire");
    }
    Ok(())
}

/// The alerts, group by group.
fn each(alerts: &Value) -> impl Iterator<Item = &Value> {
    let groups = alerts["groups"].as_array().into_iter().flatten();
    groups.flat_map(|group| group["rules"].as_array().into_iter().flatten())
}

fn names(alerts: &Value) -> Vec<&str> {
    each(alerts).filter_map(|rule| rule["alert"].as_str()).collect()
}

async fn dashboard(context: &Context) -> Result<()> {
    let object = one(context, &["monitoring.dashboard.enabled=true"], "ConfigMap", "rempart-dashboard").await?;
    ensure!(object["metadata"]["labels"]["grafana_dashboard"] == "1", "labels: {}", object["metadata"]["labels"]);
    let dashboard: Value = serde_json::from_str(object["data"]["rempart.json"].as_str().unwrap_or_default())?;
    let panels: Vec<&Value> = dashboard["panels"].as_array().into_iter().flatten().collect();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    let mut records = Vec::new();
    for panel in &panels {
        let title = panel["title"].as_str().filter(|title| !title.is_empty()).context("a panel has no title")?;
        ensure!(
            ids.insert(panel["id"].as_u64().with_context(|| format!("{title}: no id"))?),
            "{title}: its id is taken"
        );
        let place =
            |field: &str| panel["gridPos"][field].as_u64().with_context(|| format!("{title}: no gridPos.{field}"));
        let (x, y, width, height) = (place("x")?, place("y")?, place("w")?, place("h")?);
        ensure!(x + width <= COLUMNS, "{title}: reaches beyond the last column");
        for cell in (x..x + width).flat_map(|column| (y..y + height).map(move |line| (column, line))) {
            ensure!(taken.insert(cell), "{title}: lies on another panel at {cell:?}");
        }
        if panel["type"] == "row" {
            continue;
        }
        ensure!(panel["datasource"]["uid"] == "${datasource}", "{title}: asks {}", panel["datasource"]);
        let targets = panel["targets"].as_array().filter(|targets| !targets.is_empty());
        for target in targets.with_context(|| format!("{title}: asks nothing"))? {
            let query = target["expr"].as_str().with_context(|| format!("{title}: a target has no expr"))?;
            let query = query.replace("$__rate_interval", "5m").replace("$policy", ".*");
            ensure!(!query.contains('$'), "{title}: {query:?} has a variable that the dashboard does not");
            records.push(json!({"record": format!("panel:{}", records.len()), "expr": query}));
        }
    }
    ensure!(records.len() > 10, "{} queries", records.len());
    let directory = with_rules(&json!({"groups": [{"name": "queries", "rules": records}]}))?;
    check(directory.path(), &["check", "rules", "--lint=none", "rules.yaml"]).await?;
    Ok(())
}

async fn service_monitor(context: &Context) -> Result<()> {
    let all = rendered(context, &["monitoring.serviceMonitor.enabled=true"]).await?;
    let of = |kind: &str| all.iter().find(|object| object["kind"] == kind).with_context(|| format!("no {kind}"));
    let (monitor, service) = (of("ServiceMonitor")?, of("Service")?);
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().context("it selects nothing")?;
    for (key, value) in wanted {
        ensure!(service["metadata"]["labels"][key] == *value, "the Service lacks {key}={value}");
    }
    ensure!(monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"], "another port");
    Ok(())
}

async fn unasked(context: &Context) -> Result<()> {
    let kinds: BTreeSet<String> =
        rendered(context, &[]).await?.iter().filter_map(|object| Some(object["kind"].as_str()?.to_owned())).collect();
    for kind in ["ServiceMonitor", "PrometheusRule", "ConfigMap"] {
        ensure!(!kinds.contains(kind), "{kind} among {kinds:?}");
    }
    Ok(())
}
