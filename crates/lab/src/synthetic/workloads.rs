//! Workloads as Helm renders them: about a kilobyte each, most of it irrelevant to placement.

use std::fmt::Write as _;

use super::{
    policies::{CATEGORIES, LEVELS},
    sampling::{pick, roll},
};
use rempart_core::workload::WorkloadKind;

/// Scheduling constraints of a few workloads' own, as lines of their pod specs.
const WISHES: [&str; 5] = [
    "nodeSelector:\n  kubernetes.io/arch: amd64\n",
    "nodeSelector:\n  node.example/disk: nvme\n",
    "nodeSelector:\n  rempart.node-restriction.kubernetes.io/region: region-0-0\n",
    // Which the policies deny to all but the least sensitive.
    "nodeSelector:\n  rempart.node-restriction.kubernetes.io/provider: cloud-9\n",
    "affinity:\n  nodeAffinity:\n    requiredDuringSchedulingIgnoredDuringExecution:\n      nodeSelectorTerms:\n        - \
     matchExpressions:\n            - key: rempart.node-restriction.kubernetes.io/provider\n              operator: \
     In\n              values:\n                - cloud-0\n                - cloud-3\n",
];

/// The workload at `index`, in `namespace`.
pub(super) fn workload(index: usize, namespace: &str) -> String {
    let kind = kind(index);
    let name = format!("app-{index:05}");
    let mut text = format!(
        "---\n# Source: {name}/templates/{}.yaml\napiVersion: {}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: \
         {namespace}\n  labels:\n    app.kubernetes.io/name: {name}\n    app.kubernetes.io/managed-by: Helm\n",
        kind.as_str().to_lowercase(),
        kind.api_version(),
    );
    text.push_str(&said(index));
    text.push_str("spec:\n");
    let spec = pod_spec(index, &name, namespace);
    let labels = format!(
        "metadata:\n  annotations:\n    checksum/config: sha256-{:016x}\n  labels:\n    app.kubernetes.io/name: {name}\n",
        roll(u64::MAX, index, 26)
    );
    let template = format!("{labels}spec:\n{}", indented(&spec, 2));
    match kind {
        WorkloadKind::Pod | WorkloadKind::Templated(_) => text.push_str(&indented(&spec, 2)),
        WorkloadKind::Job => {
            text.push_str("  backoffLimit: 3\n  template:\n");
            text.push_str(&indented(&template, 4));
        }
        WorkloadKind::CronJob => {
            text.push_str("  schedule: \"15 3 * * *\"\n  jobTemplate:\n    spec:\n      template:\n");
            text.push_str(&indented(&template, 8));
        }
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::ReplicaSet => {
            if kind != WorkloadKind::DaemonSet {
                let _ = writeln!(text, "  replicas: {}", 1 + index % 3);
            }
            if kind == WorkloadKind::StatefulSet {
                let _ = writeln!(text, "  serviceName: {name}");
            }
            let _ = writeln!(text, "  selector:\n    matchLabels:\n      app.kubernetes.io/name: {name}\n  template:");
            text.push_str(&indented(&template, 4));
        }
    }
    text
}

/// All kinds, as often as teams use them.
fn kind(index: usize) -> WorkloadKind {
    match roll(20, index, 20) {
        0..3 => WorkloadKind::StatefulSet,
        3 => WorkloadKind::DaemonSet,
        4 => WorkloadKind::CronJob,
        5 => WorkloadKind::Job,
        6 => WorkloadKind::ReplicaSet,
        7 => WorkloadKind::Pod,
        _ => WorkloadKind::Deployment,
    }
}

/// The annotations of the workload at `index`: half of them say a level, an eighth categories too, and one in a hundred
/// a level that there is not.
fn said(index: usize) -> String {
    let mut lines = String::new();
    if index % 100 == 99 {
        lines.push_str("    rempart.dev/sensitivity: confidential\n");
    } else if let Some(level) = pick(&LEVELS, index, 21).filter(|_| roll(2, index, 22) == 0) {
        let _ = writeln!(lines, "    rempart.dev/sensitivity: {level}");
    }
    if roll(8, index, 25) == 0 {
        let one = pick(&CATEGORIES, index, 23).unwrap_or_default();
        let two = pick(&CATEGORIES, index, 24).unwrap_or_default();
        let both = if one == two { one.to_owned() } else { format!("{one},{two}") };
        let _ = writeln!(lines, "    rempart.dev/categories: {both}");
    }
    if lines.is_empty() { lines } else { format!("  annotations:\n{lines}") }
}

fn pod_spec(index: usize, name: &str, namespace: &str) -> String {
    let mut text = format!(
        "serviceAccountName: {name}
containers:
  - name: main
    image: \"registry.example/{namespace}/{name}:1.{}.{}\"
    args:
      - --listen=0.0.0.0:8080
    env:
      - name: DATABASE_HOST
        value: \"postgres.{namespace}.svc\"
      - name: POD_NAME
        valueFrom:
          fieldRef:
            fieldPath: metadata.name
    ports:
      - name: http
        containerPort: 8080
    readinessProbe:
      httpGet:
        path: /readyz
        port: http
    resources:
      limits:
        memory: 256Mi
      requests:
        cpu: 100m
        memory: 128Mi
",
        index % 9,
        index % 30,
    );
    // One in eight.
    if let Some(wish) = WISHES.get(index % 40) {
        text.push_str(wish);
    }
    text
}

/// Every line of `text`, `width` columns further in.
fn indented(text: &str, width: usize) -> String {
    let mut wider = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let _ = writeln!(wider, "{:width$}{line}", "");
    }
    wider
}
