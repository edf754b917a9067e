//! Explain targets: the workload, level or category that is asked about, as it is typed.
//!
//! Takes `KIND/NAME`, and returns the target or what to write instead.

use std::fmt;

use rempart_core::{
    name::quoted,
    workload::{TemplatedKind, WorkloadKind},
};

use crate::gather::PodTemplateKinds;

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
    /// `namespace`. Kinds of others are those of `templates`; one of several templates of an object is named after it, as
    /// `leaderworkerset/llm/leaderWorkerTemplate.workerTemplate`.
    ///
    /// # Errors
    /// [`InvalidTarget`], with the nearest kind.
    pub fn parse(text: &str, namespace: &str, templates: &PodTemplateKinds) -> Result<Self, InvalidTarget> {
        let parts = text.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty());
        let (kind, name) = parts.ok_or_else(|| InvalidTarget::Form(quoted(text)))?;
        let word = kind.to_ascii_lowercase();
        if let Some(kind) = templated(&word, name, templates) {
            let kind = WorkloadKind::Templated(kind);
            return Ok(Self::Workload { kind, namespace: namespace.to_owned(), name: name.to_owned() });
        }
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
            None => Err(InvalidTarget::Kind { kind: quoted(kind), hint: hint(&word, templates) }),
        }
    }
}

/// The kind of others that `word` stands for, by that of its templates of which `name` ends in the way to it.
fn templated(word: &str, name: &str, templates: &PodTemplateKinds) -> Option<&'static TemplatedKind> {
    let (bare, group) = word.split_once('.').map_or((word, None), |(bare, group)| (bare, Some(group)));
    let part = name.split_once('/').map(|(_, part)| format!("spec.{part}"));
    let meant = |known: &&'static TemplatedKind| {
        let kind = known.kind.to_ascii_lowercase();
        let own = WorkloadKind::ALL.iter().any(|own| own.as_str() == known.kind);
        (bare == kind || bare.strip_suffix('s') == Some(&kind))
            && group.map_or(!own, |group| group == known.group)
            && match &part {
                Some(part) => known.is_one_of_several && is_instance(part, &known.template),
                None => !known.is_one_of_several,
            }
    };
    templates.iter().find(meant)
}

/// Whether `path` is the way `template` with the entries named that `[*]` stands for.
fn is_instance(path: &str, template: &str) -> bool {
    let mut rest = path;
    for (i, piece) in template.split("[*]").enumerate() {
        if i > 0 {
            let Some((_, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return false };
            rest = after;
        }
        let Some(after) = rest.strip_prefix(piece) else { return false };
        rest = after;
    }
    rest.is_empty()
}

fn hint(word: &str, templates: &PodTemplateKinds) -> String {
    let full = KINDS.iter().filter_map(|(_, words)| words.first().copied()).chain(OTHERS);
    let others: Vec<String> = templates.iter().map(|known| known.kind.to_ascii_lowercase()).collect();
    let all = KINDS.iter().flat_map(|(_, words)| words.iter().copied()).chain(OTHERS);
    let all = all.chain(others.iter().map(String::as_str));
    let word = quoted(word);
    let likeness = |known: &str| strsim::jaro_winkler(known, &word);
    let best = all.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|best| likeness(best) > 0.85);
    best.map_or_else(
        || {
            let full: Vec<_> = full.collect();
            format!("write one of {}; or a kind of others that makes pods, as rollout", full.join(", "))
        },
        |best| format!("perhaps {best} is meant"),
    )
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

    fn parse(text: &str) -> Result<ExplainTarget, InvalidTarget> {
        ExplainTarget::parse(text, "n", &PodTemplateKinds::default())
    }

    #[test]
    fn kinds_of_others_are_typed_by_kind_group_and_template() {
        let found = |text: &str| match parse(text) {
            Ok(ExplainTarget::Workload { kind: WorkloadKind::Templated(kind), name, .. }) => {
                format!("{}/{} {} {name}", kind.group, kind.kind, kind.template)
            }
            other => format!("{other:?}"),
        };
        for text in ["rollout/a", "rollouts/a", "rollout.argoproj.io/a"] {
            assert_eq!(found(text), "argoproj.io/Rollout spec.template a");
        }
        assert_eq!(found("statefulset.apps.kruise.io/a"), "apps.kruise.io/StatefulSet spec.template a");
        let worker = "leaderWorkerTemplate.workerTemplate";
        assert_eq!(
            found(&format!("leaderworkerset/llm/{worker}")),
            format!("leaderworkerset.x-k8s.io/LeaderWorkerSet spec.{worker} llm/{worker}")
        );
        let job = "replicatedJobs[0].template.spec.template";
        assert!(found(&format!("jobset/j/{job}")).ends_with(&format!(" j/{job}")));
        assert!(parse("leaderworkerset/llm").is_err() && parse("jobset/j/replicatedJobs").is_err());
    }

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
            assert_eq!(parse(text), Ok(ExplainTarget::Workload { kind, namespace: "n".into(), name }), "{text}");
        }
        assert_eq!(parse("level/restricted"), Ok(ExplainTarget::Level("restricted".into())));
        assert_eq!(parse("category/health"), Ok(ExplainTarget::Category("health".into())));
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
            ("rolout/api", r#""rolout" is no kind that can be explained: perhaps rollout is meant"#),
            (
                "lvl/top",
                r#""lvl" is no kind that can be explained: write one of deployment, statefulset, daemonset, replicaset, job, cronjob, pod, level, category; or a kind of others that makes pods, as rollout"#,
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), told);
        }
    }
}
