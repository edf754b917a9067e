//! Failure policy of a Job: what becomes of a pod of it that is disrupted.

use serde::Deserialize;

/// The `podFailurePolicy` of a Job.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FailurePolicy {
    #[serde(default)]
    rules: Vec<FailureRule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailureRule {
    action: String,
    #[serde(default)]
    on_pod_conditions: Vec<PodConditionPattern>,
    on_exit_codes: Option<ExitCodePattern>,
}

#[derive(Clone, Debug, Deserialize)]
struct ExitCodePattern {
    #[serde(default)]
    operator: String,
    #[serde(default)]
    values: Vec<i32>,
}

/// What a container ends with whose process knows nothing of SIGTERM, or is killed when its time is up.
const SIGNALLED: [i32; 2] = [143, 137];

impl FailureRule {
    /// Whether it may be the one for a pod that is disrupted. What its process makes of SIGTERM nobody knows; what it ends
    /// with where it makes nothing of it is known.
    fn may_apply_to_disrupted(&self) -> bool {
        let by_code = |codes: &ExitCodePattern| match codes.operator.as_str() {
            "NotIn" => SIGNALLED.iter().any(|code| !codes.values.contains(code)),
            _ => SIGNALLED.iter().any(|code| codes.values.contains(code)),
        };
        self.on_exit_codes.as_ref().is_some_and(by_code) || self.applies_to_disrupted()
    }

    /// Whether it applies to every pod that is disrupted.
    fn applies_to_disrupted(&self) -> bool {
        let pattern = |on: &PodConditionPattern| on.kind == "DisruptionTarget" && matches!(&*on.status, "" | "True");
        self.on_pod_conditions.iter().any(pattern)
    }
}

/// What becomes of a pod that is disrupted, as by an eviction; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DisruptionOutcome {
    /// It does not count.
    Ignored,
    /// It counts as a failure.
    Counted,
    /// With the pod the whole Job fails, or its index.
    Fatal,
}

#[derive(Clone, Debug, Deserialize)]
struct PodConditionPattern {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    status: String,
}

impl FailurePolicy {
    /// What becomes of a pod that is disrupted. The first rule that applies is the one; which of several may be the first
    /// depends on what its process ends with, and the worst is reckoned with.
    pub(super) fn of_disrupted(&self) -> DisruptionOutcome {
        let certain = self.rules.iter().position(FailureRule::applies_to_disrupted);
        let reached = certain.map_or(self.rules.len(), |certain| certain.saturating_add(1));
        let outcome = |rule: &FailureRule| match rule.action.as_str() {
            "Ignore" => DisruptionOutcome::Ignored,
            "FailJob" | "FailIndex" => DisruptionOutcome::Fatal,
            _ => DisruptionOutcome::Counted,
        };
        let possible = self.rules.iter().take(reached).filter(|rule| rule.may_apply_to_disrupted()).map(outcome);
        // None of them may apply.
        let rest = if certain.is_none() { Some(DisruptionOutcome::Counted) } else { None };
        possible.chain(rest).max().unwrap_or(DisruptionOutcome::Counted)
    }
}
