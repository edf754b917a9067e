//! Controllers: the fields of workload controllers that decide how their pods are migrated.
//!
//! Takes a partial controller of any kind that Rempart knows and returns the core's [`Controller`], or why it cannot be
//! read.

use std::sync::Arc;

use k8s_openapi::{
    api::{apps::v1 as apps, batch::v1 as batch},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde::Deserialize;

use super::failure_policy::{DisruptionOutcome, FailurePolicy};
use crate::operator::{
    cache::store::{ResourceVersioned, version},
    watch::fields::{PartialCondition, uid},
    watch::partial::{FromPartial, PartialObject},
    watch::template::{self, PartialTemplate},
};
use rempart_core::{
    cluster_objects::{Controller, ControllerSpec, RolloutStrategy},
    sensitivity::SensitivityStatement,
};

impl ResourceVersioned for Controller {
    fn version(&self) -> u64 {
        self.version
    }
}

/// What every kind has in common.
struct CommonFields {
    metadata: ObjectMeta,
    template: PartialTemplate,
    replicas: u32,
    /// The latest generation that its controller has seen; `None` where the kind does not tell.
    observed: Option<i64>,
    controller_spec: ControllerSpec,
}

impl CommonFields {
    fn controller(self) -> Controller {
        let Self { metadata, template, replicas, observed, controller_spec } = self;
        Controller {
            version: version(metadata.resource_version.as_deref()),
            uid: uid(metadata.uid.as_deref()),
            owner: template::owner(&metadata),
            statement: metadata
                .annotations
                .as_ref()
                .map_or_else(SensitivityStatement::default, SensitivityStatement::of),
            template_statements: Arc::new(template.said()),
            migration: template.migration(),
            node_requirements: Arc::new(template.node_requirements()),
            terminating: metadata.deletion_timestamp.is_some(),
            replicas,
            observed: observed.is_none_or(|seen| metadata.generation.is_none_or(|latest| seen >= latest)),
            spec: controller_spec,
        }
    }
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// From where a `StatefulSet` numbers its pods.
#[derive(Clone, Debug, Deserialize)]
struct Ordinals {
    #[serde(default)]
    start: i32,
}

/// What matters of the spec of a kind of `apps/v1`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppSpec {
    replicas: Option<i32>,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    strategy: PartialStrategy,
    #[serde(default)]
    ordinals: Option<Ordinals>,
    #[serde(default)]
    update_strategy: PartialStrategy,
    #[serde(default)]
    template: PartialTemplate,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialStrategy {
    #[serde(rename = "type", default)]
    kind: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RollingUpdate {
    max_surge: Option<IntOrString>,
    max_unavailable: Option<IntOrString>,
    partition: Option<i32>,
}

/// What matters of the status of a kind of `apps/v1`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    #[serde(default)]
    observed_generation: i64,
    #[serde(default)]
    replicas: i32,
    #[serde(default)]
    updated_replicas: i32,
    #[serde(default)]
    available_replicas: i32,
    #[serde(default)]
    desired_number_scheduled: i32,
    #[serde(default)]
    updated_number_scheduled: i32,
    #[serde(default)]
    terminating_replicas: i32,
    current_revision: Option<Box<str>>,
    update_revision: Option<Box<str>>,
    #[serde(default)]
    conditions: Vec<PartialCondition>,
}

impl AppSpec {
    fn replicas(&self) -> u32 {
        self.replicas.map_or(1, count)
    }

    fn on_delete(&self) -> bool {
        self.update_strategy.kind == "OnDelete"
    }
}

/// Joins what the kinds of `apps/v1` have in common.
fn of_app<K>(
    partial: PartialObject<K, AppSpec, AppStatus>,
    replicas: u32,
    controller_spec: ControllerSpec,
) -> Controller {
    let observed = Some(partial.status.observed_generation);
    CommonFields { metadata: partial.metadata, template: partial.spec.template, replicas, observed, controller_spec }
        .controller()
}

impl FromPartial<apps::Deployment> for Controller {
    type Partial = PartialObject<apps::Deployment, AppSpec, AppStatus>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let (spec, status) = (&partial.spec, &partial.status);
        let replicas = spec.replicas();
        let stuck = |condition: &PartialCondition| {
            condition.kind == "Progressing"
                && condition.status == "False"
                && condition.reason == "ProgressDeadlineExceeded"
        };
        let controller_spec = ControllerSpec::Deployment {
            paused: spec.paused,
            strategy: strategy(&spec.strategy, replicas)?,
            total: count(status.replicas),
            updated: count(status.updated_replicas),
            available: count(status.available_replicas),
            stuck: status.conditions.iter().any(stuck),
        };
        Ok(Some(of_app(partial, replicas, controller_spec)))
    }
}

fn strategy(strategy: &PartialStrategy, replicas: u32) -> Result<RolloutStrategy, String> {
    if strategy.kind == "Recreate" {
        return Ok(RolloutStrategy::Recreate);
    }
    let rolling = strategy.rolling_update.as_ref();
    let of = |found: Option<&IntOrString>, round: fn(u64, u64) -> u64| match found {
        Some(found) => share(found, replicas, round),
        None => share(&IntOrString::String("25%".to_owned()), replicas, round),
    };
    let surge = of(rolling.and_then(|rolling| rolling.max_surge.as_ref()), u64::div_ceil)?;
    let down = |whole: u64, parts: u64| whole.checked_div(parts).unwrap_or(0);
    let unavailable = of(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), down)?;
    // Without either nothing could ever be replaced.
    let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
    Ok(RolloutStrategy::Rolling { surge, unavailable })
}

/// So many, or such a share, of `replicas`.
fn share(of: &IntOrString, replicas: u32, round: fn(u64, u64) -> u64) -> Result<u32, String> {
    match of {
        IntOrString::Int(number) => Ok(count(*number)),
        IntOrString::String(text) => {
            let percent: Option<u64> = text.strip_suffix('%').and_then(|number| number.parse().ok());
            let percent = percent.ok_or_else(|| format!("{text:?} is neither a number nor a percentage"))?;
            Ok(u32::try_from(round(percent.saturating_mul(replicas.into()), 100)).unwrap_or(u32::MAX))
        }
    }
}

impl FromPartial<apps::ReplicaSet> for Controller {
    type Partial = PartialObject<apps::ReplicaSet, AppSpec, AppStatus>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let replicas = partial.spec.replicas();
        let status = &partial.status;
        let seen = partial.metadata.generation.is_none_or(|latest| status.observed_generation >= latest);
        // What is left of earlier rollouts: a Deployment keeps ten of them.
        let past = partial.metadata.owner_references.is_some()
            && replicas == 0
            && status.replicas == 0
            && status.terminating_replicas == 0
            && seen;
        Ok((!past).then(|| of_app(partial, replicas, ControllerSpec::ReplicaSet)))
    }
}

impl FromPartial<apps::StatefulSet> for Controller {
    type Partial = PartialObject<apps::StatefulSet, AppSpec, AppStatus>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let (replicas, on_delete) = (partial.spec.replicas(), partial.spec.on_delete());
        let start = partial.spec.ordinals.as_ref().map_or(0, |ordinals| u64::from(count(ordinals.start)));
        let partition = partial.spec.update_strategy.rolling_update.as_ref().and_then(|rolling| rolling.partition);
        let partition = u64::from(partition.map_or(0, count));
        let first_updated = if partition == 0 { 0 } else { start.saturating_add(partition) };
        let last_ordinal = start.saturating_add(u64::from(replicas)).saturating_sub(1);
        let status = &partial.status;
        let reached = replicas.saturating_sub(u32::try_from(partition).unwrap_or(u32::MAX));
        // Both are the same once all pods are of the latest template and ready.
        let rolling = status.current_revision != status.update_revision && count(status.updated_replicas) < reached;
        let spec = ControllerSpec::StatefulSet { on_delete, first_updated, last_ordinal, rolling };
        Ok(Some(of_app(partial, replicas, spec)))
    }
}

impl FromPartial<apps::DaemonSet> for Controller {
    type Partial = PartialObject<apps::DaemonSet, AppSpec, AppStatus>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let (replicas, on_delete) = (count(partial.status.desired_number_scheduled), partial.spec.on_delete());
        let updated = count(partial.status.updated_number_scheduled);
        Ok(Some(of_app(partial, replicas, ControllerSpec::DaemonSet { on_delete, updated })))
    }
}

/// What matters of a `Job`'s spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSpec {
    parallelism: Option<i32>,
    completions: Option<i32>,
    backoff_limit: Option<i32>,
    backoff_limit_per_index: Option<i32>,
    #[serde(default)]
    suspend: bool,
    pod_failure_policy: Option<FailurePolicy>,
    #[serde(default)]
    template: PartialTemplate,
}

/// What matters of a `Job`'s status.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct JobStatus {
    #[serde(rename = "startTime")]
    start_time: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    failed: i32,
    #[serde(default)]
    succeeded: i32,
    #[serde(default, rename = "uncountedTerminatedPods")]
    uncounted: UncountedPods,
    #[serde(default)]
    conditions: Vec<PartialCondition>,
}

/// Pods that have ended and that the Job controller is about to count.
#[derive(Clone, Debug, Default, Deserialize)]
struct UncountedPods {
    #[serde(default)]
    failed: Vec<serde::de::IgnoredAny>,
}

/// How often the pods of a `Job` may fail where it does not say.
const BACKOFF_LIMIT: i32 = 6;

impl FromPartial<batch::Job> for Controller {
    type Partial = PartialObject<batch::Job, JobSpec, JobStatus>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let PartialObject { metadata, spec, status, .. } = partial;
        let ended = |condition: &PartialCondition| {
            matches!(&*condition.kind, "Complete" | "Failed") && condition.status == "True"
        };
        let finished = status.conditions.iter().any(ended);
        let left = spec.completions.map_or(u32::MAX, |wanted| count(wanted.saturating_sub(status.succeeded)));
        let replicas = spec.parallelism.map_or(1, count).min(left);
        let failures = spec.backoff_limit.unwrap_or(BACKOFF_LIMIT).saturating_sub(status.failed);
        let failures = count(failures).saturating_sub(u32::try_from(status.uncounted.failed.len()).unwrap_or(u32::MAX));
        let failures_left = match spec.pod_failure_policy.as_ref().map(FailurePolicy::of_disrupted) {
            Some(DisruptionOutcome::Ignored) => None,
            Some(DisruptionOutcome::Fatal) => Some(0),
            Some(DisruptionOutcome::Counted) | None => Some(failures),
        };
        let index_limit = spec.backoff_limit_per_index.map(count);
        let started = !spec.suspend || status.start_time.is_some();
        let controller_spec = ControllerSpec::Job { finished, started, failures_left, index_limit };
        let replicas = if finished || spec.suspend { 0 } else { replicas };
        Ok(Some(
            CommonFields { metadata, template: spec.template, replicas, observed: None, controller_spec }.controller(),
        ))
    }
}

/// What matters of a `CronJob`'s spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CronSpec {
    #[serde(default)]
    job_template: JobTemplate,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct JobTemplate {
    #[serde(default)]
    spec: JobTemplateSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct JobTemplateSpec {
    #[serde(default)]
    template: PartialTemplate,
}

/// Of what none matters.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct NoFields {}

impl FromPartial<batch::CronJob> for Controller {
    type Partial = PartialObject<batch::CronJob, CronSpec, NoFields>;

    fn from_partial(partial: Self::Partial) -> Result<Option<Self>, String> {
        let template = partial.spec.job_template.spec.template;
        let controller_spec = ControllerSpec::CronJob;
        Ok(Some(
            CommonFields { metadata: partial.metadata, template, replicas: 0, observed: None, controller_spec }
                .controller(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::operator::watch::partial::DecodedObject;

    fn read<K>(spec: &Value, status: &Value) -> Controller
    where
        Controller: FromPartial<K>,
    {
        let metadata = json!({"name": "w", "namespace": "n", "generation": 3, "resourceVersion": "5",
            "annotations": {"rempart.dev/sensitivity": "high", "kubectl.kubernetes.io/last": "x"}});
        let object = json!({"metadata": metadata, "spec": spec, "status": status});
        serde_json::from_value::<DecodedObject<K, Controller>>(object).unwrap().value.unwrap().unwrap()
    }

    fn template() -> Value {
        json!({
            "metadata": {"annotations": {"rempart.dev/workload-sensitivity": "high", "rempart.dev/migration": "m1"}},
            "spec": {"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "c"}]},
        })
    }

    fn assert_common(found: &Controller) {
        assert_eq!(found.statement.sensitivity.as_deref(), Some("high"));
        assert_eq!(found.template_statements.workload.sensitivity.as_deref(), Some("high"));
        assert_eq!(found.migration.as_deref(), Some("m1"));
        assert_eq!(found.node_requirements.selector, [("disk".to_owned(), "ssd".to_owned())].into());
        assert_eq!(found.version, 5);
    }

    #[test]
    fn what_is_read_of_a_deployment() {
        let spec = json!({"replicas": 7, "paused": true, "template": template(),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%", "maxUnavailable": "30%"}}});
        let status = json!({"observedGeneration": 2, "replicas": 8, "updatedReplicas": 3, "availableReplicas": 6,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]});
        let found = read::<apps::Deployment>(&spec, &status);
        assert_common(&found);
        assert_eq!((found.replicas, found.observed), (7, false));
        let strategy = RolloutStrategy::Rolling { surge: 3, unavailable: 2 };
        let controller_spec =
            ControllerSpec::Deployment { paused: true, strategy, total: 8, updated: 3, available: 6, stuck: true };
        assert_eq!(found.spec, controller_spec);
        let found = read::<apps::Deployment>(&json!({}), &json!({"observedGeneration": 3}));
        assert_eq!((found.replicas, found.observed), (1, true));
        assert!(!read::<apps::Deployment>(&json!({}), &json!({})).observed, "nobody has seen it yet");
    }

    #[test]
    fn surge_rounds_up_and_unavailable_down_and_one_of_them_lets_it_go_on() {
        let percent = |text: &str| json!(text);
        for (replicas, surge, unavailable, expected) in [
            (4, json!(1), json!(0), (1, 0)),
            (10, percent("25%"), percent("25%"), (3, 2)),
            (1, percent("25%"), percent("25%"), (1, 0)),
            (1, json!(0), percent("25%"), (0, 1)),
            (3, percent("0%"), percent("10%"), (0, 1)),
            (3, percent("100%"), percent("100%"), (3, 3)),
            (0, percent("25%"), percent("25%"), (0, 1)),
        ] {
            let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable});
            let spec = json!({"replicas": replicas, "strategy": {"rollingUpdate": rolling}});
            let ControllerSpec::Deployment { strategy, .. } = read::<apps::Deployment>(&spec, &json!({})).spec else {
                panic!()
            };
            let expected = RolloutStrategy::Rolling { surge: expected.0, unavailable: expected.1 };
            assert_eq!(strategy, expected, "{spec}");
        }
        let spec = json!({"replicas": 8});
        let ControllerSpec::Deployment { strategy, .. } = read::<apps::Deployment>(&spec, &json!({})).spec else {
            panic!()
        };
        assert_eq!(strategy, RolloutStrategy::Rolling { surge: 2, unavailable: 2 });
        let recreate = json!({"strategy": {"type": "Recreate"}});
        let ControllerSpec::Deployment { strategy, .. } = read::<apps::Deployment>(&recreate, &json!({})).spec else {
            panic!()
        };
        assert_eq!(strategy, RolloutStrategy::Recreate);
    }

    #[test]
    fn what_is_read_of_the_others_of_its_group() {
        let spec = json!({"replicas": 2, "template": template(), "updateStrategy": {"type": "OnDelete"}});
        let status = json!({"observedGeneration": 3, "desiredNumberScheduled": 9});
        let found = read::<apps::StatefulSet>(&spec, &status);
        assert_common(&found);
        assert_eq!(
            (found.replicas, found.spec),
            (2, ControllerSpec::StatefulSet { on_delete: true, first_updated: 0, last_ordinal: 1, rolling: false })
        );
        let found = read::<apps::DaemonSet>(&spec, &status);
        assert_common(&found);
        assert_eq!((found.replicas, found.spec), (9, ControllerSpec::DaemonSet { on_delete: true, updated: 0 }));
        let found = read::<apps::ReplicaSet>(&spec, &status);
        assert_common(&found);
        assert_eq!((found.replicas, found.spec), (2, ControllerSpec::ReplicaSet));
        let rolling = read::<apps::StatefulSet>(&json!({"updateStrategy": {"type": "RollingUpdate"}}), &json!({}));
        assert_eq!(
            rolling.spec,
            ControllerSpec::StatefulSet { on_delete: false, first_updated: 0, last_ordinal: 0, rolling: false }
        );
        let partition =
            json!({"replicas": 4, "ordinals": {"start": 3}, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
        let partitioned = read::<apps::StatefulSet>(&partition, &json!({}));
        assert_eq!(
            partitioned.spec,
            ControllerSpec::StatefulSet { on_delete: false, first_updated: 5, last_ordinal: 6, rolling: false }
        );
    }

    #[test]
    fn a_job_bears_so_many_failures() {
        let on = |action: &str, condition: &str| json!({"rules": [{"action": action, "onPodConditions": [{"type": condition, "status": "True"}]}]});
        let by_code = |action: &str, operator: &str, values: serde_json::Value| {
            let codes = json!({"action": action, "onExitCodes": {"operator": operator, "values": values}});
            let ignored = on("Ignore", "DisruptionTarget")["rules"][0].clone();
            json!({"podFailurePolicy": {"rules": [codes, ignored]}})
        };
        for (spec, status, replicas, controller_spec) in [
            (json!({}), json!({}), 1, (false, true, Some(6))),
            (json!({"backoffLimit": 4}), json!({"failed": 1}), 1, (false, true, Some(3))),
            (json!({"backoffLimit": 1}), json!({"failed": 3}), 1, (false, true, Some(0))),
            (json!({"podFailurePolicy": on("Ignore", "DisruptionTarget")}), json!({}), 1, (false, true, None)),
            (json!({"podFailurePolicy": on("FailJob", "DisruptionTarget")}), json!({}), 1, (false, true, Some(0))),
            (json!({"podFailurePolicy": on("Ignore", "ConfigIssue")}), json!({}), 1, (false, true, Some(6))),
            (json!({"podFailurePolicy": on("FailIndex", "DisruptionTarget")}), json!({}), 1, (false, true, Some(0))),
            // What its process ends with comes first, as far as that can be what SIGTERM and SIGKILL leave it with.
            (by_code("FailJob", "In", json!([42])), json!({}), 1, (false, true, None)),
            (by_code("FailJob", "In", json!([42, 143])), json!({}), 1, (false, true, Some(0))),
            (by_code("FailJob", "In", json!([137])), json!({}), 1, (false, true, Some(0))),
            (by_code("FailJob", "NotIn", json!([0, 42])), json!({}), 1, (false, true, Some(0))),
            (by_code("FailIndex", "NotIn", json!([0])), json!({}), 1, (false, true, Some(0))),
            (by_code("Count", "NotIn", json!([0])), json!({}), 1, (false, true, Some(6))),
            (by_code("Ignore", "NotIn", json!([0])), json!({}), 1, (false, true, None)),
            (by_code("FailJob", "NotIn", json!([0, 137, 143])), json!({}), 1, (false, true, None)),
            (json!({"parallelism": 4, "completions": 6}), json!({"succeeded": 3}), 3, (false, true, Some(6))),
            (json!({"parallelism": 4, "suspend": true}), json!({}), 0, (false, false, Some(6))),
            (json!({}), json!({"conditions": [{"type": "Complete", "status": "True"}]}), 0, (true, true, Some(6))),
            (json!({}), json!({"conditions": [{"type": "Failed", "status": "True"}]}), 0, (true, true, Some(6))),
            (json!({}), json!({"conditions": [{"type": "Failed", "status": "False"}]}), 1, (false, true, Some(6))),
        ] {
            let found = read::<batch::Job>(&spec, &status);
            let (finished, started, failures_left) = controller_spec;
            assert_eq!(
                found.spec,
                ControllerSpec::Job { finished, started, failures_left, index_limit: None },
                "{spec} {status}"
            );
            assert_eq!((found.replicas, found.observed), (replicas, true), "{spec} {status}");
        }
        assert_common(&read::<batch::Job>(&json!({"template": template()}), &json!({})));
    }

    #[test]
    fn a_job_that_counts_by_index_bears_so_many_failures_of_each() {
        let spec = json!({"completionMode": "Indexed", "backoffLimitPerIndex": 1, "backoffLimit": i32::MAX});
        let found = read::<batch::Job>(&spec, &json!({"failed": 1}));
        let failures_left = Some(u32::try_from(i32::MAX).unwrap() - 1);
        let expected = ControllerSpec::Job { finished: false, started: true, failures_left, index_limit: Some(1) };
        assert_eq!(found.spec, expected);
    }

    #[test]
    fn the_template_of_a_cron_job_is_further_down() {
        let spec = json!({"jobTemplate": {"metadata": {"annotations": {"rempart.dev/sensitivity": "unheard"}},
            "spec": {"template": template()}}});
        let found = read::<batch::CronJob>(&spec, &json!({}));
        assert_common(&found);
        assert_eq!(found.spec, ControllerSpec::CronJob);
    }

    #[test]
    fn what_is_left_of_earlier_rollouts_is_of_no_concern() {
        let uid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        let owner =
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": uid, "controller": true}]);
        for (owners, replicas, pods, observed, kept) in [
            (&owner, 0, 0, 2, false),
            (&owner, 0, 0, 1, true),
            (&owner, 0, 1, 2, true),
            (&owner, 1, 0, 2, true),
            (&json!([]), 0, 0, 2, true),
        ] {
            let object = json!({
                "metadata": {"name": "d-1", "namespace": "n", "generation": 2, "ownerReferences": owners},
                "spec": {"replicas": replicas}, "status": {"replicas": pods, "observedGeneration": observed},
            });
            let said = object.to_string();
            let seen: DecodedObject<apps::ReplicaSet, Controller> = serde_json::from_value(object).unwrap();
            assert_eq!(seen.value.unwrap().is_some(), kept, "{said}");
        }
    }

    #[test]
    fn a_strategy_that_cannot_be_read_is_told() {
        let spec = json!({"strategy": {"rollingUpdate": {"maxSurge": "some"}}});
        let object = json!({"metadata": {"name": "w"}, "spec": spec});
        let seen: DecodedObject<apps::Deployment, Controller> = serde_json::from_value(object).unwrap();
        assert_eq!(seen.fault(), Some("\"some\" is neither a number nor a percentage"));
    }
}
