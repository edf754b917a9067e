//! Manifests of the load's workloads, with their budgets, claims and volumes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::workload::{LoadKind, LoadWorkload, REPLICAS};

impl LoadKind {
    /// The version and kind of its objects.
    pub(in super::super) fn api(self) -> (&'static str, &'static str) {
        match self {
            Self::Deployment => ("apps/v1", "Deployment"),
            Self::StatefulSet => ("apps/v1", "StatefulSet"),
            Self::DaemonSet => ("apps/v1", "DaemonSet"),
            Self::Job | Self::IndexedJob => ("batch/v1", "Job"),
            Self::CronJob => ("batch/v1", "CronJob"),
        }
    }

    /// Its name in paths.
    pub(in super::super) fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Job | Self::IndexedJob => "jobs",
            Self::CronJob => "cronjobs",
        }
    }
}

impl LoadWorkload {
    /// Path of its collection in the API.
    pub(in super::super) fn path(&self) -> String {
        let (version, _) = self.kind.api();
        format!("/apis/{version}/namespaces/{}/{}", self.namespace, self.kind.plural())
    }

    /// The object.
    pub(in super::super) fn object(&self) -> Value {
        let (version, kind) = self.kind.api();
        let annotations: BTreeMap<_, _> = self.annotations.iter().copied().collect();
        let labels = json!({"chaos.example/load": "yes", "chaos.example/reverted": self.reverted.to_string()});
        json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": {
                "name": self.name, "namespace": self.namespace, "annotations": annotations, "labels": labels,
            },
            "spec": self.spec(),
        })
    }

    fn template(&self) -> Value {
        let mut annotations = BTreeMap::new();
        if self.kind.ends() {
            annotations.insert("lab.rempart.dev/runs-for", format!("{}ms", self.runs_for.as_millis()));
        }
        let claimed = json!([{"name": "data", "persistentVolumeClaim": {"claimName": self.name}}]);
        let volumes = if self.claim && self.kind == LoadKind::Deployment { claimed } else { json!([]) };
        json!({
            "metadata": {"labels": {"app": self.name, "chaos.example/load": "yes"}, "annotations": annotations},
            "spec": {
                "restartPolicy": if self.kind.ends() { "Never" } else { "Always" },
                "containers": [{"name": "main", "image": "example.test/none"}],
                "terminationGracePeriodSeconds": 0,
                "volumes": volumes,
            },
        })
    }

    fn spec(&self) -> Value {
        let (selector, replicas) = (json!({"matchLabels": {"app": self.name}}), self.replicas);
        let template = self.template();
        match self.kind {
            LoadKind::Deployment => {
                json!({"replicas": replicas, "selector": selector, "strategy": self.strategy, "template": template})
            }
            LoadKind::StatefulSet => {
                let claims = if self.claim { json!([claim("data")]) } else { json!([]) };
                json!({
                    "replicas": replicas, "selector": selector, "serviceName": self.name, "template": template,
                    "podManagementPolicy": "Parallel", "volumeClaimTemplates": claims,
                    "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
                })
            }
            LoadKind::DaemonSet => {
                json!({"selector": selector, "updateStrategy": self.strategy, "template": template})
            }
            // A node that is cut off is no fault of the Job's.
            LoadKind::Job => {
                json!({"completions": replicas, "parallelism": 2, "backoffLimit": 50, "template": template})
            }
            LoadKind::IndexedJob => json!({
                "completions": replicas, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 0,
                "template": template,
            }),
            LoadKind::CronJob => {
                let job = json!({
                    "metadata": {"labels": {"chaos.example/load": "yes"}},
                    "spec": {"backoffLimit": 50, "template": template},
                });
                json!({
                    "schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": job,
                    "successfulJobsHistoryLimit": 1,
                })
            }
        }
    }

    /// Its budget, if it has one.
    pub(in super::super) fn disruption_budget(&self) -> Option<Value> {
        self.budget.then(|| {
            json!({
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": self.name}}},
            })
        })
    }

    /// The claim that its pods name themselves; those of a `StatefulSet` are made for each.
    pub(in super::super) fn volume_claim(&self) -> Option<Value> {
        (self.claim && self.kind == LoadKind::Deployment).then(|| claim(&self.name))
    }

    /// A volume for each of its claims, which any node can have.
    pub(in super::super) fn volumes(&self) -> Vec<Value> {
        let claims: Vec<String> = match self.kind {
            LoadKind::Deployment if self.claim => vec![self.name.clone()],
            LoadKind::StatefulSet if self.claim => {
                (0..REPLICAS).map(|ordinal| format!("data-{}-{ordinal}", self.name)).collect()
            }
            _ => vec![],
        };
        let volume = |claim: String| {
            json!({
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": format!("{}-{claim}", self.namespace)},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "1Gi"},
                    "claimRef": {"namespace": self.namespace, "name": claim},
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": "",
                    "nfs": {"server": "127.0.0.1", "path": "/"},
                },
            })
        };
        claims.into_iter().map(volume).collect()
    }
}

/// A claim that the pods of one node may have at a time.
fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
        },
    })
}
