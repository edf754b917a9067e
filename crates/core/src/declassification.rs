//! Declassification: which changes of what an object says lower its sensitivity, as one policy has it.
//!
//! Takes what a namespace or workload said before a request and what it says by it, and gives the first [`Lowering`]. The
//! twin of the expressions of the validations `declassify-namespaces` and `declassify-workloads`, which run inside the API
//! server. Whether the user may do so, by the verb [`VERB`] on the policy, is the API server's to say.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};
use core::fmt;

use super::{
    keys,
    name::{LevelName, quoted},
    policy::{EnforcementMode, Policy},
    selector::Labels,
    sensitivity::{ControllerStatements, SensitivityStatement},
    text::{ListDisplay, QuotedDisplay},
    workload::WorkloadKind,
};

/// The verb on a `PlacementPolicy` that a user needs for what lowers.
pub const VERB: &str = "declassify";
/// The role of the chart that gives it.
pub const CLUSTER_ROLE: &str = "rempart-declassifier";
/// So many categories of one annotation or label are told apart; no policy has more than half as many.
pub const MOST_CATEGORIES: usize = 64;

/// Where something is said that a request lowers. Displays as messages call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementPlace {
    /// The key of the label or annotation.
    pub key: &'static str,
    /// Where its pod template is, for an annotation of that.
    pub template: Option<&'static str>,
    is_label: bool,
}

impl fmt::Display for StatementPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, template, is_label } = self;
        write!(f, "{} {key}", noun(*is_label))?;
        template.map_or(Ok(()), |template| write!(f, " of {template}"))
    }
}

fn noun(is_label: bool) -> &'static str {
    if is_label { "label" } else { "annotation" }
}

/// What a request lowers. Displays as the API server says it of the object to a user who may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lowering<'a> {
    /// The namespace would come out of the policy.
    OutOfScope {
        /// The labels that change, of those by which the policy selects.
        labels: Vec<&'a str>,
    },
    /// A level would fall.
    Level {
        /// Where.
        place: StatementPlace,
        /// The level that was said.
        from: &'a LevelName,
        /// Whether an unknown level, which counts as the highest, was among what was said.
        unknown: bool,
        /// The one that is said then; nothing where none is.
        to: Option<&'a LevelName>,
    },
    /// A category would be said no more.
    Category {
        /// Where it was.
        place: StatementPlace,
        /// Which, in part.
        name: String,
    },
}

impl Lowering<'_> {
    /// It in the words that `user` reads who may not do so, and by which `policy`.
    #[must_use]
    pub fn told_to<'t>(&'t self, user: &'t str, policy: &'t Policy) -> impl fmt::Display + 't {
        LoweringDisplay { lowering: self, user, policy: policy.name.as_str() }
    }
}

struct LoweringDisplay<'a> {
    lowering: &'a Lowering<'a>,
    user: &'a str,
    policy: &'a str,
}

impl fmt::Display for LoweringDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lowering, user, policy } = self;
        let noun = match lowering {
            Lowering::OutOfScope { labels } => {
                write!(f, "label {} would take it out of PlacementPolicy {policy}", ListDisplay(labels.iter()))?;
                "label"
            }
            Lowering::Level { place, from, unknown, to } => {
                let counts = if *unknown { ", as which an unknown level counts," } else { "" };
                let to = to.map_or("none", LevelName::as_str);
                write!(f, "{place} would lower its level from {from}{counts} to {to}")?;
                noun(place.is_label)
            }
            Lowering::Category { place, name } => {
                write!(f, "{place} would drop category {}", QuotedDisplay(name))?;
                noun(place.is_label)
            }
        };
        write!(
            f,
            ": that needs the verb {VERB} on PlacementPolicy {policy}, which user {user} does not have; leave the {noun} as \
             it was, or ask somebody to whom ClusterRole {CLUSTER_ROLE} is bound"
        )
    }
}

/// What stands in one place before a request and by it.
#[derive(Clone, Copy)]
struct Change<'a> {
    place: StatementPlace,
    before: Option<&'a str>,
    now: Option<&'a str>,
}

impl Policy {
    /// What a request lowers that gives a namespace, which this policy governs by the labels `before`, the labels `now`.
    #[must_use]
    pub fn lowered_of_namespace<'a>(&'a self, before: &'a Labels, now: &'a Labels) -> Option<Lowering<'a>> {
        if !self.namespaces.matches(now) {
            let mut labels: Vec<_> = self.namespaces.keys().filter(|key| before.get(*key) != now.get(*key)).collect();
            labels.sort_unstable();
            labels.dedup();
            return Some(Lowering::OutOfScope { labels });
        }
        let change = |key| Change {
            place: StatementPlace { key, template: None, is_label: true },
            before: before.get(key).map(String::as_str),
            now: now.get(key).map(String::as_str),
        };
        let fallen = self.fallen(&[change(keys::SENSITIVITY)]);
        fallen.or_else(|| self.dropped(&[change(keys::CATEGORIES)], '.'))
    }

    /// What a request lowers of a workload of `kind`, which said what stands in `before`, and says what stands in `now`.
    /// Without a statement of its own it is one whose owner speaks for its pods.
    ///
    /// Two things are looked at. What the workload says is the highest of its own annotation and its template's. What its
    /// template gives to pods is the highest of the mirror and the template's own; that counts but where the mirror says what
    /// the workload does, since then admission has put it so, in whosever request.
    #[must_use]
    pub fn lowered_of_workload<'a>(
        &'a self,
        kind: WorkloadKind,
        before: ControllerStatements<'a>,
        now: ControllerStatements<'a>,
    ) -> Option<Lowering<'a>> {
        type Field = fn(&SensitivityStatement) -> Option<&str>;
        let template = kind.template_at();
        let groups = |own: &'static str, mirror: &'static str, field: Field| -> Vec<Vec<Change<'a>>> {
            let change = |key, template, before: &'a SensitivityStatement, now: &'a SensitivityStatement| Change {
                place: StatementPlace { key, template, is_label: false },
                before: field(before),
                now: field(now),
            };
            let of_template = change(own, template, &before.template.pod, &now.template.pod);
            let mirrored = change(mirror, template, &before.template.workload, &now.template.workload);
            let given = vec![mirrored, of_template];
            match before.own.zip(now.own) {
                None => vec![given],
                Some((said, says)) => {
                    let in_step = mirrored.now == field(says);
                    let first = vec![change(own, None, said, says), of_template];
                    if in_step { vec![first] } else { vec![first, given] }
                }
            }
        };
        let levels = groups(keys::SENSITIVITY, keys::WORKLOAD_SENSITIVITY, |said| said.sensitivity.as_deref());
        let categories = groups(keys::CATEGORIES, keys::WORKLOAD_CATEGORIES, |said| said.categories.as_deref());
        let fallen = levels.iter().find_map(|group| self.fallen(group));
        fallen.or_else(|| categories.iter().find_map(|group| self.dropped(group, ',')))
    }

    /// What a level is worth: never less than the minimum. An unknown one counts as the highest where pods of it are
    /// refused: it may have been that before an edit of the policy. One that is new is not this judgement's to refuse.
    fn worth(&self, level: Option<&str>, is_new: bool) -> usize {
        let minimum = self.levels.minimum_rank();
        let Some(level) = level else { return minimum };
        match self.levels.rank(level) {
            Some(rank) => rank.max(minimum),
            None if is_new || self.mode == EnforcementMode::Enforce => self.levels.iter().len().saturating_sub(1),
            None => minimum,
        }
    }

    /// The level that falls by all of `changes` together.
    fn fallen(&self, changes: &[Change<'_>]) -> Option<Lowering<'_>> {
        let before = |change: &Change<'_>| self.worth(change.before, false);
        let now = |change: &Change<'_>| self.worth(change.now, change.now != change.before);
        let from = changes.iter().map(before).max()?;
        let to = changes.iter().map(now).max().filter(|to| *to < from)?;
        let fallen = changes.iter().find(|change| before(change) > now(change))?;
        let is_unknown = |level| self.levels.rank(level).is_none();
        let unknown =
            self.mode == EnforcementMode::Enforce && changes.iter().filter_map(|change| change.before).any(is_unknown);
        let says = changes.iter().any(|change| change.now.is_some());
        Some(Lowering::Level {
            place: fallen.place,
            from: &self.levels.at(from)?.name,
            unknown,
            to: self.levels.at(to).filter(|_| says).map(|level| &level.name),
        })
    }

    /// The first category that all of `changes` together drop. Where pods of it are refused, one that the policy does not
    /// know counts too.
    fn dropped(&self, changes: &[Change<'_>], separator: char) -> Option<Lowering<'static>> {
        let names = |joined: Option<&str>| -> Vec<String> {
            joined
                .map(|joined| joined.splitn(MOST_CATEGORIES, separator).map(ToOwned::to_owned).collect())
                .unwrap_or_default()
        };
        let now: Vec<String> = changes.iter().flat_map(|change| names(change.now)).collect();
        let counts = |name: &String| {
            !name.is_empty()
                && !now.contains(name)
                && (self.mode == EnforcementMode::Enforce || self.categories.contains_key(name.as_str()))
        };
        changes.iter().find_map(|change| {
            let name = names(change.before).into_iter().find(counts)?;
            Some(Lowering::Category { place: change.place, name: quoted(&name) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{Level, LevelRequirements, OnClearanceLoss, PolicyLevels},
        selector::{Selector, SelectorOperator},
        sensitivity::TemplateStatements,
    };

    fn policy(mode: EnforcementMode) -> Policy {
        let level = |name: &&str| Level {
            name: LevelName::parse(name).unwrap(),
            require: None::<LevelRequirements>,
            on_loss: OnClearanceLoss::default(),
            scheduling: crate::scheduling::LevelScheduling::default(),
        };
        let levels = ["public", "internal", "secret"].iter().map(level).collect();
        Policy {
            name: crate::name::PolicyName::parse("state").unwrap(),
            mode,
            terminating: false,
            namespaces: Selector::new(vec![("team".to_owned(), SelectorOperator::Exists)]),
            requires_namespace_level: false,
            levels: PolicyLevels::new(levels, "internal").unwrap(),
            categories: [(crate::name::CategoryName::parse("health").unwrap(), None)].into(),
            exceptions: alloc::collections::BTreeMap::new(),
        }
    }

    fn labels(entries: &[(&str, &str)]) -> Labels {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        entries.iter().map(own).chain([("team".to_owned(), "a".to_owned())]).collect()
    }

    /// What of a namespace's labels is lowered, without the remedy.
    fn of_namespace(policy: &Policy, before: &[(&str, &str)], now: &[(&str, &str)]) -> String {
        let (before, now) = (labels(before), labels(now));
        let lowering = policy.lowered_of_namespace(&before, &now);
        let told = lowering.map(|found| alloc::format!("{}", found.told_to("mallory", policy)));
        told.map(|told| told.split(':').next().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn what_is_lowered_of_a_namespace() {
        type Entries = &'static [(&'static str, &'static str)];
        const LEVEL: &str = keys::SENSITIVITY;
        const CATEGORIES: &str = keys::CATEGORIES;
        let policy = policy(EnforcementMode::Enforce);
        let falls = |from, to| alloc::format!("label {LEVEL} would lower its level from {from} to {to}");
        let drops = |name| alloc::format!("label {CATEGORIES} would drop category \"{name}\"");
        let table: [(Entries, Entries, String); 11] = [
            (&[(LEVEL, "secret")], &[(LEVEL, "internal")], falls("secret", "internal")),
            (&[(LEVEL, "internal")], &[], falls("internal", "none")),
            (&[(LEVEL, "public")], &[], String::new()),
            (&[], &[(LEVEL, "public")], String::new()),
            (&[(LEVEL, "internal")], &[(LEVEL, "secret")], String::new()),
            (&[(LEVEL, "top")], &[(LEVEL, "internal")], falls("secret, as which an unknown level counts,", "internal")),
            (&[(LEVEL, "top")], &[(LEVEL, "secret")], String::new()),
            // That it is unknown others say.
            (&[(LEVEL, "secret")], &[(LEVEL, "top")], String::new()),
            (&[(CATEGORIES, "health")], &[(CATEGORIES, "finance")], drops("health")),
            (&[(CATEGORIES, "finance")], &[(CATEGORIES, "health")], drops("finance")),
            (&[(CATEGORIES, "health")], &[(CATEGORIES, "finance.health")], String::new()),
        ];
        for (before, now, expected) in table {
            assert_eq!(of_namespace(&policy, before, now), expected, "{before:?} {now:?}");
        }
        let moved = policy
            .lowered_of_namespace(&labels(&[]), &Labels::new())
            .map(|found| found == Lowering::OutOfScope { labels: vec!["team"] });
        assert_eq!(moved, Some(true));
    }

    #[test]
    fn a_correction_is_no_lowering_where_the_policy_only_warns() {
        let policy = policy(EnforcementMode::Warn);
        for now in ["internal", "public", "secret", "typo-again"] {
            assert_eq!(of_namespace(&policy, &[(keys::SENSITIVITY, "intrenal")], &[(keys::SENSITIVITY, now)]), "");
        }
        assert_eq!(of_namespace(&policy, &[(keys::CATEGORIES, "helth")], &[(keys::CATEGORIES, "health")]), "");
        assert_ne!(of_namespace(&policy, &[(keys::SENSITIVITY, "secret")], &[]), "");
    }

    fn says(level: Option<&str>) -> SensitivityStatement {
        SensitivityStatement { sensitivity: level.map(Into::into), categories: None }
    }

    #[test]
    fn what_is_lowered_of_a_workload() {
        type Said = (Option<Option<&'static str>>, Option<&'static str>, Option<&'static str>);
        const S: Option<&str> = Some("secret");
        let policy = policy(EnforcementMode::Enforce);
        // Of the workload itself, of its template, and of the mirror: as it was, as it is, and the place that is lowered.
        let table: [(Said, Said, &str); 9] = [
            ((Some(S), None, S), (Some(None), None, None), "annotation rempart.dev/sensitivity"),
            // Admission could not follow, and the workload's own word falls all the same.
            ((Some(S), None, S), (Some(None), None, S), "annotation rempart.dev/sensitivity"),
            ((Some(S), None, S), (Some(None), S, None), ""),
            ((Some(None), S, None), (Some(None), None, None), "annotation rempart.dev/sensitivity of spec.template"),
            // The mirror goes by admission, in whosever request, once the workload does not say it any more.
            ((Some(None), None, S), (Some(None), None, None), ""),
            ((Some(S), None, S), (Some(S), None, None), "annotation rempart.dev/workload-sensitivity of spec.template"),
            ((Some(S), S, None), (Some(S), None, None), "annotation rempart.dev/sensitivity of spec.template"),
            // Where the owner speaks, nobody puts the mirror back.
            ((None, None, S), (None, None, None), "annotation rempart.dev/workload-sensitivity of spec.template"),
            ((None, S, S), (None, None, S), ""),
        ];
        for (before, now, expected) in table {
            let read = |(own, pod, workload): Said| {
                (own.map(says), TemplateStatements { workload: says(workload), pod: says(pod) })
            };
            let ((own, template), (own_now, template_now)) = (read(before), read(now));
            let of = |own, template| ControllerStatements { own, template };
            let lowering = policy.lowered_of_workload(
                WorkloadKind::Deployment,
                of(own.as_ref(), &template),
                of(own_now.as_ref(), &template_now),
            );
            let place = match lowering {
                Some(Lowering::Level { place, .. }) => alloc::format!("{place}"),
                _ => String::new(),
            };
            assert_eq!(place, expected, "{before:?} {now:?}");
        }
    }
}
