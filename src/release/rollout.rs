//! Rollouts: whether a workload's controller has made all its pods by the latest template.

use serde_json::Value;

use crate::operator::write::TemplateKind;

/// How far the rollout of a workload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RolloutState {
    /// Its pods are made by the latest template, or what makes them does so in its own time, which is said.
    Done(Option<&'static str>),
    /// So many of so many pods are.
    UnderWay { updated: i64, wanted: i64 },
}

/// How far `object`, of `kind`, is.
pub(super) fn rollout(kind: TemplateKind, object: &Value) -> RolloutState {
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let is_seen = number("/status/observedGeneration").unwrap_or(0) >= number("/metadata/generation").unwrap_or(0);
    let state = |updated: i64, ready: i64, wanted: i64| {
        if is_seen && updated >= wanted && ready >= wanted {
            RolloutState::Done(None)
        } else {
            RolloutState::UnderWay { updated: if is_seen { updated.min(ready) } else { 0 }, wanted }
        }
    };
    let status = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
    match kind {
        TemplateKind::Deployment if object.pointer("/spec/paused") == Some(&Value::Bool(true)) => {
            RolloutState::Done(Some("its rollout is paused: its pods follow when somebody resumes it"))
        }
        TemplateKind::Deployment => {
            let wanted = number("/spec/replicas").unwrap_or(1);
            match state(status("updatedReplicas"), status("availableReplicas"), wanted) {
                // Some of the former template are still there.
                RolloutState::Done(_) if status("replicas") > status("updatedReplicas") => {
                    RolloutState::UnderWay { updated: wanted, wanted }
                }
                state => state,
            }
        }
        TemplateKind::StatefulSet | TemplateKind::DaemonSet
            if text("/spec/updateStrategy/type") == Some("OnDelete") =>
        {
            RolloutState::Done(Some("it replaces pods only when somebody deletes them"))
        }
        TemplateKind::StatefulSet => {
            let wanted = number("/spec/replicas").unwrap_or(1);
            let partition = number("/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
            match state(status("updatedReplicas"), status("readyReplicas"), wanted.saturating_sub(partition).max(0)) {
                RolloutState::Done(None) if partition > 0 => {
                    RolloutState::Done(Some("its partition keeps pods of the former template"))
                }
                state => state,
            }
        }
        TemplateKind::DaemonSet => {
            state(status("updatedNumberScheduled"), status("numberAvailable"), status("desiredNumberScheduled"))
        }
        TemplateKind::ReplicaSet => {
            RolloutState::Done(Some("its template is for new pods: delete its pods one by one"))
        }
        TemplateKind::Job | TemplateKind::CronJob => RolloutState::Done(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_is_done_when_all_pods_are_of_the_latest_template_and_ready() {
        let metadata = json!({"generation": 2});
        let deployment = |status: Value| json!({"metadata": metadata, "spec": {"replicas": 2}, "status": status});
        let under_way = |updated, wanted| RolloutState::UnderWay { updated, wanted };
        let cases = [
            (TemplateKind::Deployment, deployment(json!({})), under_way(0, 2)),
            (
                TemplateKind::Deployment,
                deployment(
                    json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
                ),
                under_way(0, 2),
            ),
            (
                TemplateKind::Deployment,
                deployment(
                    json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2}),
                ),
                under_way(2, 2),
            ),
            (
                TemplateKind::Deployment,
                deployment(
                    json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}),
                ),
                under_way(1, 2),
            ),
            (
                TemplateKind::Deployment,
                deployment(
                    json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
                ),
                RolloutState::Done(None),
            ),
            (
                TemplateKind::StatefulSet,
                json!({"metadata": metadata, "spec": {"replicas": 3},
                    "status": {"observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 3}}),
                under_way(1, 3),
            ),
            (
                TemplateKind::DaemonSet,
                json!({"metadata": metadata, "spec": {}, "status": {"observedGeneration": 2, "desiredNumberScheduled": 4,
                    "updatedNumberScheduled": 4, "numberAvailable": 4}}),
                RolloutState::Done(None),
            ),
            (
                TemplateKind::DaemonSet,
                json!({"metadata": metadata, "spec": {}, "status": {"observedGeneration": 2, "desiredNumberScheduled": 4,
                    "updatedNumberScheduled": 3, "numberAvailable": 4}}),
                under_way(3, 4),
            ),
            (TemplateKind::CronJob, json!({}), RolloutState::Done(None)),
        ];
        for (kind, object, expected) in cases {
            assert_eq!(rollout(kind, &object), expected, "{object}");
        }
    }

    #[test]
    fn what_goes_on_in_its_own_time_is_not_waited_for_and_said() {
        for (kind, spec) in [
            (TemplateKind::Deployment, json!({"paused": true})),
            (TemplateKind::StatefulSet, json!({"updateStrategy": {"type": "OnDelete"}})),
            (TemplateKind::DaemonSet, json!({"updateStrategy": {"type": "OnDelete"}})),
            (TemplateKind::StatefulSet, json!({"replicas": 1, "updateStrategy": {"rollingUpdate": {"partition": 2}}})),
            (TemplateKind::ReplicaSet, json!({})),
        ] {
            let state = rollout(kind, &json!({"spec": spec}));
            assert!(matches!(state, RolloutState::Done(Some(_))), "{kind:?}: {state:?}");
        }
    }
}
