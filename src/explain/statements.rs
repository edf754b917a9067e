//! The part that tells what is said of a workload, by whom, and what each policy makes of it.

use std::collections::BTreeMap;

use super::locator::SourceLocator;
use crate::gather::WorkloadOrigin;
use crate::terminal::{StyledText, TextPage};
use rempart_core::{
    admission::{AdmissionRefusal, SensitivitySource},
    instant::Timestamp,
    keys,
    name::{PolicyName, quoted},
    plan::{EffectiveLevel, Plan, PlannedWorkload, WorkloadJudgement},
    policy::{EnforcementMode, Policy},
    sensitivity::{PodSensitivity, SILENT, SensitivityStatement},
    workload::WorkloadKind,
};

/// All that is said about one workload, and where.
pub(super) struct Said<'a> {
    /// The workload, judged.
    planned: &'a PlannedWorkload<'a>,
    origin: &'a WorkloadOrigin,
    sensitivity: PodSensitivity<'a>,
    at: Timestamp,
    locate: SourceLocator<'a>,
}

impl<'a> Said<'a> {
    /// What is said about `planned`, which stands at `origin`.
    pub(super) fn new(
        plan: &Plan<'a>,
        planned: &'a PlannedWorkload<'a>,
        origin: &'a WorkloadOrigin,
        locate: SourceLocator<'a>,
    ) -> Self {
        let namespace = plan.inventory.namespaces.get(&planned.workload.identity.namespace);
        let sensitivity = planned.workload.sensitivity(namespace.map_or(SILENT, |namespace| &namespace.statement));
        Self { planned, origin, sensitivity, at: plan.at, locate }
    }

    fn each(&self) -> impl Iterator<Item = (SensitivitySource, &'a SensitivityStatement)> + '_ {
        self.sensitivity.statements()
    }

    /// Tells it.
    pub(super) fn tell(&self, page: &mut TextPage, policies: &BTreeMap<PolicyName, Policy>) {
        page.heading("What is said");
        self.statements(page);
        let judgement = &self.planned.judgement;
        if judgement.exempt {
            page.line(2, StyledText::of("no policy hears it"));
            return;
        }
        for policy in policies.values() {
            page.gap();
            match judgement.policies.iter().find(|levelled| levelled.policy.name == policy.name) {
                Some(levelled) => {
                    self.levelled(page, levelled);
                    self.refusals(page, policy);
                }
                None if judgement.refusals.iter().any(|refused| refused.policy.name == policy.name) => {
                    self.refused(page, policy);
                }
                None => self.ungoverned(page, policy),
            }
        }
    }

    fn statements(&self, page: &mut TextPage) {
        let namespace = &self.planned.workload.identity.namespace;
        let mut silent = Vec::new();
        for source in [SensitivitySource::Namespace, SensitivitySource::Workload, SensitivitySource::Pod] {
            let who = self.called(source);
            let mut nothing = true;
            for (_, statement) in self.each().filter(|(found, _)| *found == source) {
                let said = [(keys::SENSITIVITY, &statement.sensitivity), (keys::CATEGORIES, &statement.categories)];
                for (key, value) in said.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))) {
                    nothing = false;
                    let place = self.locate.said(self.origin, namespace, source, key);
                    page.line(2, StyledText::of(format!("{who} says {key}: {:?}", quoted(value))).at(place));
                }
            }
            // A pod of nobody's has no workload that could say anything.
            if nothing
                && !(source == SensitivitySource::Workload && self.planned.workload.identity.kind == WorkloadKind::Pod)
            {
                silent.push(who);
            }
        }
        for key in &self.planned.workload.misplaced {
            let place = self.locate.said(self.origin, namespace, SensitivitySource::Default, key);
            page.line(2, StyledText::of(format!("spec.jobTemplate says {key}, which reaches no pod")).at(place));
        }
        if !silent.is_empty() {
            let verb = if silent.len() == 1 { "says" } else { "say" };
            page.line(2, StyledText::default().faint(format!("{} {verb} nothing", together(&silent))));
        }
        if !self.planned.judgement.namespace_known {
            let text = format!("namespace {namespace} was not read, and is taken to say nothing and to have no labels");
            page.line(2, StyledText::default().faint(text));
        }
    }

    /// Who `source` is to this workload.
    fn called(&self, source: SensitivitySource) -> String {
        let identity = &self.planned.workload.identity;
        match (source, identity.kind) {
            (SensitivitySource::Namespace, _) => format!("namespace {}", identity.namespace),
            (SensitivitySource::Workload, WorkloadKind::Pod) => "its workload".to_owned(),
            (SensitivitySource::Workload, kind) => format!("the {kind}"),
            (SensitivitySource::Pod, WorkloadKind::Pod) => "the Pod".to_owned(),
            (SensitivitySource::Pod, _) => "its pod template".to_owned(),
            (SensitivitySource::Default | SensitivitySource::Minimum, _) => "nobody".to_owned(),
        }
    }

    fn name(&self, policy: &Policy) -> StyledText {
        StyledText::default().strong(format!("policy {}", policy.name)).at(self.locate.policy(policy, "metadata.name"))
    }

    fn levelled(&self, page: &mut TextPage, levelled: &EffectiveLevel<'a>) {
        let EffectiveLevel { policy, level, rank, source, exception, .. } = levelled;
        let count = policy.levels.iter().len();
        page.line(2, self.name(policy).then(format!(" makes of it level {level}, {}", among(*rank, count))));
        let (why, place) = self.why(policy, *rank, *source);
        page.line(4, StyledText::of(why).at(place));
        if !policy.levels.demands_at(*rank) {
            page.line(4, StyledText::of(format!("level {level} requires nothing")));
        }
        if let Some((name, found)) = exception.and_then(|name| policy.exceptions.get_key_value(name)) {
            let top = policy.levels.at(found.rank).map(|level| level.name.to_string()).unwrap_or_default();
            let pools = rempart_core::text::FewDisplay(found.pools.iter());
            let text = match found.end(self.at) {
                Some(_) => {
                    format!("under exception {name}: pools cleared for level {top}, and until {} {pools}", found.until)
                }
                None => format!(
                    "under exception {name}, which ended with {}: pools cleared for level {top} alone",
                    found.until
                ),
            };
            page.line(4, StyledText::of(text).at(self.locate.policy(policy, "spec.exceptions")));
        }
        self.categories(page, policy, &self.planned.judgement);
        self.mode(page, policy);
        if policy.mode != EnforcementMode::Enforce {
            let text = format!("--policy {} tells how the pools fare by it", policy.name);
            page.line(4, StyledText::default().faint(text));
        }
    }

    /// Why it is the level at `rank` that counts, and where the policy says so, if it does.
    fn why(&self, policy: &Policy, rank: usize, source: SensitivitySource) -> (String, Option<String>) {
        if source == SensitivitySource::Default {
            let text = "nobody says a level, so the policy's defaultLevel counts".to_owned();
            return (text, self.locate.policy(policy, "spec.defaultLevel"));
        }
        if source == SensitivitySource::Minimum {
            let text = "the policy's minimumLevel counts, which is above all that is said".to_owned();
            return (text, self.locate.policy(policy, "spec.minimumLevel"));
        }
        let said: Vec<(SensitivitySource, usize)> = self
            .each()
            .filter_map(|(who, statement)| Some((who, policy.levels.rank(statement.sensitivity.as_deref()?)?)))
            .collect();
        let agreeing = said.iter().filter(|(_, found)| *found == rank).map(|(who, _)| self.called(*who));
        let agreeing: Vec<String> = agreeing.collect();
        let lower: Vec<String> = said
            .iter()
            .filter(|(_, found)| *found < rank)
            .filter_map(|(who, found)| Some(format!("{} of {}", policy.levels.at(*found)?.name, self.called(*who))))
            .collect();
        let verb = if agreeing.len() == 1 { "says" } else { "say" };
        let says = format!("{} {verb} so", together(&agreeing));
        let text = if lower.is_empty() {
            says
        } else {
            format!("{says}; that outdoes {}, because the most sensitive counts", together(&lower))
        };
        (text, None)
    }

    fn categories(&self, page: &mut TextPage, policy: &Policy, judgement: &WorkloadJudgement<'a>) {
        for category in &judgement.categories {
            let Some((_, require)) = policy.categories.get_key_value(category.as_str()) else { continue };
            let says = |(source, statement): (SensitivitySource, &SensitivityStatement)| {
                let separator = if source == SensitivitySource::Namespace { '.' } else { ',' };
                let joined = statement.categories.as_deref()?;
                joined.split(separator).any(|name| name == category.as_str()).then(|| self.called(source))
            };
            let who: Vec<String> = self.each().filter_map(says).collect();
            let verb = if who.len() == 1 { "says" } else { "say" };
            let nothing = if require.is_none() { "; it requires nothing" } else { "" };
            let text = format!("and category {category}: {} {verb} so{nothing}", together(&who));
            page.line(4, StyledText::of(text).at(self.locate.category(policy, category)));
        }
    }

    /// What the mode means, where the policy does not place.
    fn mode(&self, page: &mut TextPage, policy: &Policy) {
        let means = match policy.mode {
            EnforcementMode::Enforce => return,
            EnforcementMode::Warn => "whoever applies it is warned of what is wrong, and nothing is placed or refused",
            EnforcementMode::Audit => {
                "what is wrong is reported and nobody is warned, and nothing is placed or refused"
            }
        };
        let text = format!("it is in {}: {means}", policy.mode);
        page.line(4, StyledText::of(text).at(self.locate.policy(policy, "spec.mode")));
    }

    fn refused(&self, page: &mut TextPage, policy: &Policy) {
        let verb =
            if policy.mode == EnforcementMode::Enforce { "refuses" } else { "would refuse, if it were in Enforce," };
        page.line(2, self.name(policy).then(format!(" {verb} what is said")));
        self.refusals(page, policy);
        self.mode(page, policy);
    }

    /// What `policy` refuses, and where it stands.
    fn refusals(&self, page: &mut TextPage, policy: &Policy) {
        let workload = self.planned.workload;
        for refused in self.planned.judgement.refusals.iter().filter(|refused| refused.policy.name == policy.name) {
            let refusal = &refused.refusal;
            let text = StyledText::mark(false).then(refusal.told_of(workload.identity.kind));
            page.line(4, text.at(self.place(refusal)));
        }
    }

    /// Where what is refused stands.
    pub(super) fn place(&self, refusal: &AdmissionRefusal<'_>) -> Option<String> {
        let source = refusal.source().unwrap_or(SensitivitySource::Default);
        let namespace = &self.planned.workload.identity.namespace;
        match refusal.key() {
            Some(key) => self.locate.said(self.origin, namespace, source, key),
            None => self.locate.at(self.origin.file, self.origin.node_name?),
        }
    }

    fn ungoverned(&self, page: &mut TextPage, policy: &Policy) {
        let namespace = &self.planned.workload.identity.namespace;
        let why = format!("which its namespaceSelector does not match: {}", policy.namespaces);
        let phrase = StyledText::default()
            .strong(format!("policy {}", policy.name))
            .then(format!(" does not govern namespace {namespace}, {why}"));
        page.line(2, phrase.at(self.locate.policy(policy, "spec.namespaceSelector")));
    }
}

/// `a, b and c`.
fn together(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// How sensitive the level at `rank` of `count` is.
fn among(rank: usize, count: usize) -> String {
    match rank.saturating_add(1) {
        1 if count == 1 => "its only one".to_owned(),
        1 => format!("the least sensitive of {count}"),
        top if top == count => format!("the most sensitive of {count}"),
        place => format!("{place} of {count} from the least sensitive"),
    }
}
