//! Explain targets: the workload, level or category that is asked about, as it is typed.
//!
//! Takes `KIND/NAME`, and returns the target or what to write instead.

use std::fmt;

use rempart_core::{name::quoted, workload::WorkloadKind};

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplainTarget {
    /// A workload.
    Workload {
        /// Its kind.
        kind: WorkloadKind,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A level, of whichever policies have it.
    Level(String),
    /// A category, of whichever policies have it.
    Category(String),
}

/// A text that names nothing that can be explained. Displays as what is wrong and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// Not of the form `KIND/NAME`.
    #[error("{0:?} is not KIND/NAME: write deployment/api, level/restricted or category/health")]
    Form(String),
    /// No kind of that name.
    #[error("{kind:?} is no kind that can be explained: {hint}")]
    Kind {
        /// What was written.
        kind: String,
        /// What to write instead.
        hint: String,
    },
}

/// Every word for a kind: the full one first, then what kubectl takes as well.
const KINDS: [(WorkloadKind, &[&str]); 7] = [
    (WorkloadKind::Deployment, &["deployment", "deployments", "deploy"]),
    (WorkloadKind::StatefulSet, &["statefulset", "statefulsets", "sts"]),
    (WorkloadKind::DaemonSet, &["daemonset", "daemonsets", "ds"]),
    (WorkloadKind::ReplicaSet, &["replicaset", "replicasets", "rs"]),
    (WorkloadKind::Job, &["job", "jobs"]),
    (WorkloadKind::CronJob, &["cronjob", "cronjobs", "cj"]),
    (WorkloadKind::Pod, &["pod", "pods", "po"]),
];

/// Words that are no kind of workload.
const OTHERS: [&str; 2] = ["level", "category"];

impl ExplainTarget {
    /// Reads `text`, as `deployment/api`, `sts/db`, `level/restricted` or `category/health`. Workloads are those of
    /// `namespace`.
    ///
    /// # Errors
    /// [`InvalidTarget`], with the nearest kind.
    pub fn parse(text: &str, namespace: &str) -> Result<Self, InvalidTarget> {
        let parts = text.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty());
        let (kind, name) = parts.ok_or_else(|| InvalidTarget::Form(quoted(text)))?;
        let word = kind.to_ascii_lowercase();
        if name.contains('/') {
            return Err(InvalidTarget::Form(quoted(text)));
        }
        match word.as_str() {
            "level" | "levels" => return Ok(Self::Level(name.to_owned())),
            "category" | "categories" => return Ok(Self::Category(name.to_owned())),
            _ => {}
        }
        // `kubectl get -o name` says the group too.
        let bare = |of: WorkloadKind| {
            let group = of.api_version().split_once('/').map_or("", |(group, _)| group);
            word.strip_suffix(group).and_then(|word| word.strip_suffix('.')).unwrap_or(&word)
        };
        match KINDS.iter().find(|(of, words)| words.contains(&bare(*of))) {
            Some((kind, _)) => {
                Ok(Self::Workload { kind: *kind, namespace: namespace.to_owned(), name: name.to_owned() })
            }
            None => Err(InvalidTarget::Kind { kind: quoted(kind), hint: hint(&word) }),
        }
    }
}

fn hint(word: &str) -> String {
    let full = KINDS.iter().filter_map(|(_, words)| words.first().copied()).chain(OTHERS);
    let all = KINDS.iter().flat_map(|(_, words)| words.iter().copied()).chain(OTHERS);
    let word = quoted(word);
    let likeness = |known: &str| strsim::jaro_winkler(known, &word);
    match all.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|best| likeness(best) > 0.85) {
        Some(best) => format!("perhaps {best} is meant"),
        None => format!("write one of {}", full.collect::<Vec<_>>().join(", ")),
    }
}

impl fmt::Display for ExplainTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload { kind, namespace, name } => {
                write!(f, "{} {namespace}/{name}", kind.as_str().to_ascii_lowercase())
            }
            Self::Level(name) => write!(f, "level {name}"),
            Self::Category(name) => write!(f, "category {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_typed_as_for_kubectl() {
        for (text, kind) in [
            ("deployment/api", WorkloadKind::Deployment),
            ("Deployment/api", WorkloadKind::Deployment),
            ("deployment.apps/api", WorkloadKind::Deployment),
            ("deploy/api", WorkloadKind::Deployment),
            ("sts/api", WorkloadKind::StatefulSet),
            ("ds/api", WorkloadKind::DaemonSet),
            ("rs/api", WorkloadKind::ReplicaSet),
            ("job/api", WorkloadKind::Job),
            ("cronjob.batch/api", WorkloadKind::CronJob),
            ("cj/api", WorkloadKind::CronJob),
            ("po/api", WorkloadKind::Pod),
        ] {
            let name = "api".to_owned();
            assert_eq!(
                ExplainTarget::parse(text, "n"),
                Ok(ExplainTarget::Workload { kind, namespace: "n".into(), name }),
                "{text}"
            );
        }
        assert_eq!(ExplainTarget::parse("level/restricted", "n"), Ok(ExplainTarget::Level("restricted".into())));
        assert_eq!(ExplainTarget::parse("category/health", "n"), Ok(ExplainTarget::Category("health".into())));
    }

    #[test]
    fn what_is_no_target_is_told_with_what_to_write() {
        for (text, told) in [
            ("api", r#""api" is not KIND/NAME: write deployment/api, level/restricted or category/health"#),
            (
                "deployment/",
                r#""deployment/" is not KIND/NAME: write deployment/api, level/restricted or category/health"#,
            ),
            (
                "deployment/a/b",
                r#""deployment/a/b" is not KIND/NAME: write deployment/api, level/restricted or category/health"#,
            ),
            ("deploymnet/api", r#""deploymnet" is no kind that can be explained: perhaps deployment is meant"#),
            (
                "deployment.batch/api",
                r#""deployment.batch" is no kind that can be explained: perhaps deployment is meant"#,
            ),
            (
                "lvl/top",
                r#""lvl" is no kind that can be explained: write one of deployment, statefulset, daemonset, replicaset, job, cronjob, pod, level, category"#,
            ),
        ] {
            assert_eq!(ExplainTarget::parse(text, "n").unwrap_err().to_string(), told);
        }
    }
}
