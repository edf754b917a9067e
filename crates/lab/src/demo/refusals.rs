//! Refusals: requests that the rules forbid, and the messages that their authors read.
//!
//! Each attempt names the rule that must refuse it, or that what it asks for is put back, and what must not have changed. One
//! that changes anything, or is refused by another rule, fails the demo.

use anyhow::{Result, bail, ensure};

use super::actors::{DemoActor, DemoActors};
use crate::{
    ControlPlane, ToolOutput,
    terminal::{TerminalOutput, TextStyle, ended},
};

/// What must become of a request.
#[derive(Clone, Copy, Debug)]
enum AttemptOutcome {
    /// It is refused by this rule, as it appears in the message.
    Refused(&'static str),
    /// It goes through, and what it may not change is put back before it is stored.
    PutBack,
}

/// A request that must change nothing.
struct RefusedAttempt {
    who: DemoActor,
    /// The attempt in a sentence.
    story: &'static str,
    arguments: Vec<&'static str>,
    /// What must become of it.
    outcome: AttemptOutcome,
    /// Arguments of kubectl that show what the attempt must not change.
    probe: &'static [&'static str],
}

/// A node of a pool that is cleared for nothing sensitive.
const CHEAP_NODE: &str = "scw-waw2-1";
const FORGED: &str = "clearance.rempart.node-restriction.kubernetes.io/state.secret=true";

async fn attempts(cluster: &ControlPlane, actors: &DemoActors) -> Result<Vec<RefusedAttempt>> {
    let DemoActors { officer, engineer, developer } = actors;
    let kubelet = format!("system:node:{CHEAP_NODE}");
    let kubelet = DemoActor::with_certificate(cluster, "kubelet", &kubelet, "system:nodes")?;
    let scheduler = DemoActor::with_token(cluster, "ministry", "bargain-scheduler").await?;
    let labels: &[&str] = &["get", "node", CHEAP_NODE, "-o", "jsonpath={.metadata.labels}"];
    Ok(vec![
        RefusedAttempt {
            who: developer.clone(),
            story: "A misspelt level is not taken for none.",
            arguments: vec!["apply", "-f", "deploy/demo-refused/misspelt-level.yaml"],
            outcome: AttemptOutcome::Refused(".workloads' with binding 'rempart."),
            probe: &["get", "deployment", "budget", "-n", "ministry", "--ignore-not-found"],
        },
        RefusedAttempt {
            who: developer.clone(),
            story: "Nor is a category that the policy does not have.",
            arguments: vec!["apply", "-f", "deploy/demo-refused/unknown-category.yaml"],
            outcome: AttemptOutcome::Refused(".workloads' with binding 'rempart."),
            probe: &["get", "cronjob", "statistics", "-n", "valmont", "--ignore-not-found"],
        },
        RefusedAttempt {
            who: engineer.clone(),
            story: "A namespace speaks for all that runs in it, so its label is checked as well.",
            arguments: vec!["label", "namespace", "valmont", "rempart.dev/sensitivity=Secret"],
            outcome: AttemptOutcome::Refused(".namespaces' with binding 'rempart."),
            probe: &["get", "namespace", "valmont", "-o", "jsonpath={.metadata.labels}"],
        },
        RefusedAttempt {
            who: developer.clone(),
            story: "A pod that names its node would pass the scheduler by.",
            arguments: vec!["apply", "-f", "deploy/demo-refused/node-name.yaml"],
            outcome: AttemptOutcome::Refused(".pods' with binding 'rempart."),
            probe: &["get", "pod", "shortcut", "-n", "ministry", "--ignore-not-found"],
        },
        RefusedAttempt {
            who: developer.clone(),
            story: "What was said of a pod cannot be unsaid while it runs.",
            arguments: vec!["annotate", "pod", "lab-import", "-n", "valmont", "rempart.dev/categories-"],
            outcome: AttemptOutcome::Refused(".pod-updates' with binding 'rempart."),
            probe: &["get", "pod", "lab-import", "-n", "valmont", "-o", "jsonpath={.metadata.annotations}"],
        },
        RefusedAttempt {
            who: scheduler,
            story: "A scheduler that some team runs, with every right of kube-scheduler, binds a pod to a cheap node.",
            arguments: vec!["create", "--validate=false", "-f", "deploy/demo-refused/binding.yaml"],
            outcome: AttemptOutcome::Refused(".bindings' with binding 'rempart."),
            probe: &["get", "pod", "bargain", "-n", "ministry", "-o", "jsonpath={.spec.nodeName}"],
        },
        RefusedAttempt {
            who: kubelet,
            story: "A node stamps itself. Kubernetes' own NodeRestriction is the first to object.",
            arguments: vec!["label", "node", CHEAP_NODE, FORGED],
            outcome: AttemptOutcome::Refused("is not allowed to modify labels"),
            probe: labels,
        },
        RefusedAttempt {
            who: engineer.clone(),
            story: "The cluster's administrator stamps a node by hand. Whatever else such a request asks for goes through, so that a \
                    provider may label its nodes; the stamp is put back before anything is stored.",
            arguments: vec!["label", "node", CHEAP_NODE, FORGED],
            outcome: AttemptOutcome::PutBack,
            probe: labels,
        },
        RefusedAttempt {
            who: officer.clone(),
            story: "A policy whose default is not one of its levels.",
            arguments: vec!["apply", "-f", "deploy/demo-refused/policy.yaml"],
            outcome: AttemptOutcome::Refused("spec.defaultLevel"),
            probe: &["get", "placementpolicy", "draft", "--ignore-not-found"],
        },
    ])
}

/// Sends every request, prints each command with its answer, and returns how many were refused, and what of how many was put back.
pub(super) async fn print(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
) -> Result<(usize, usize)> {
    let scheduler = "deploy/demo-refused/bargain-scheduler.yaml";
    actors.engineer.must(cluster, &["apply", "-f", scheduler]).await?;
    let pod = "deploy/demo-refused/bargain.yaml";
    actors.developer.must(cluster, &["apply", "-f", pod]).await?;

    let attempts = attempts(cluster, actors).await?;
    let put_back = attempts.iter().filter(|attempt| matches!(attempt.outcome, AttemptOutcome::PutBack)).count();
    let refused = attempts.len().saturating_sub(put_back);
    for (i, attempt) in attempts.into_iter().enumerate() {
        if i > 0 {
            terminal.gap()?;
        }
        let before = look(cluster, attempt.probe).await?;
        let answer = attempt.who.kubectl(cluster, &attempt.arguments).await?;
        terminal.say(attempt.story)?;
        terminal.command(&attempt.who.name, &format!("kubectl {}", attempt.arguments.join(" ")))?;
        match attempt.outcome {
            AttemptOutcome::Refused(_) => terminal.quote(&answer.stderr, TextStyle::Bad)?,
            AttemptOutcome::PutBack => terminal.quote(&answer.stdout, TextStyle::Plain)?,
        }
        attempt.check(&answer)?;
        let after = look(cluster, attempt.probe).await?;
        ensure!(before == after, "`{}` changed something: {before} → {after}", attempt.line());
    }

    actors.developer.must(cluster, &["delete", "-f", pod, "--ignore-not-found"]).await?;
    actors.engineer.must(cluster, &["delete", "-f", scheduler, "--ignore-not-found"]).await?;
    Ok((refused, put_back))
}

impl RefusedAttempt {
    fn line(&self) -> String {
        format!("kubectl {}", self.arguments.join(" "))
    }

    fn check(&self, answer: &ToolOutput) -> Result<()> {
        let rule = match self.outcome {
            AttemptOutcome::Refused(rule) => rule,
            AttemptOutcome::PutBack => {
                ensure!(
                    answer.status.success(),
                    "`{}` of {} was refused, and should have gone through without what it may not change: {}",
                    self.line(),
                    self.who.name,
                    answer.stderr
                );
                return Ok(());
            }
        };
        if answer.status.success() {
            bail!("`{}` of {} succeeded, and should have been refused", self.line(), self.who.name);
        }
        ensure!(
            answer.stderr.contains(rule),
            "`{}` of {} ended {} without a word of {rule}: {}",
            self.line(),
            self.who.name,
            ended(answer.status),
            answer.stderr
        );
        Ok(())
    }
}

async fn look(cluster: &ControlPlane, probe: &[&str]) -> Result<String> {
    DemoActor::administrator(cluster).must(cluster, probe).await
}
