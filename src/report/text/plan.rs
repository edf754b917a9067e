//! Plan report for people: what needs attention, what is refused, and where every workload may run.

use std::collections::BTreeMap;

use super::{ReportDetail, few, not_judged, requirements, rows, wishes};
use crate::report::{
    entries::{EntryOutcome, ObjectName, OutcomeCounts, ReportEntry},
    location::IgnoredKinds,
};
use crate::terminal::{TextLayout, TextPage, Tone};
use rempart_core::{
    admission::AdmissionRefusal,
    plan::{Plan, PolicyRefusal},
    text::counted,
    workload::WorkloadKind,
};

/// How many entries a list has at most.
const MOST: usize = 50;

/// How many objects or nodes an entry names.
const NAMED: usize = 6;

/// Says `plan` at the length of `detail`.
#[must_use]
pub fn plan(plan: &Plan<'_>, ignored: &IgnoredKinds, layout: TextLayout, detail: ReportDetail) -> String {
    let mut page = super::page(layout);
    let entries = ReportEntry::of(plan);
    let (lost, unknown, refused, stuck) = sort_out(plan, &entries);
    let held = entries.iter().filter_map(|entry| match entry {
        ReportEntry::Workload(_, planned) => Some((entry.object(), plan.pinned_above(planned)?)),
        ReportEntry::Namespace(_) => None,
    });
    let held: Vec<_> = held.map(|(object, pinned)| format!("{object}: {pinned}")).collect();

    if !lost.is_empty() || !unknown.is_empty() {
        page.ruled_heading("Needs attention at once");
        for line in lost.iter().take(MOST) {
            page.item("!", line, Tone::Bad);
        }
        more(&mut page, lost.len());
        unknown.print(&mut page, "!");
    }
    refused.print_under(&mut page, "Refused by admission");
    stuck.print_under(&mut page, "Unplaceable");
    if !held.is_empty() {
        page.ruled_heading("Held by their volumes, should their level be raised");
        for line in held.iter().take(MOST) {
            page.item("·", line, Tone::Plain);
        }
        more(&mut page, held.len());
    }
    not_judged::print(&mut page, ignored);
    wishes::print_shortfalls(&mut page, plan);
    rows::print(&mut page, plan);
    requirements::print(&mut page, plan, detail);
    wishes::print_scores(&mut page, plan);
    page.close(&summary(plan, ignored));
    page.into_text()
}

/// What each list tells: `DaemonSet`s that lose pods, objects that ask for what no policy has, what else is refused, and
/// what would stay pending.
fn sort_out(
    plan: &Plan<'_>,
    entries: &[ReportEntry<'_>],
) -> (Vec<String>, GroupedMessages, GroupedMessages, GroupedMessages) {
    let (mut lost, mut unknown, mut refused, mut stuck) =
        (Vec::new(), GroupedMessages::default(), GroupedMessages::default(), GroupedMessages::default());
    for entry in entries {
        let object = entry.object();
        if let ReportEntry::Workload(_, planned) = entry
            && let Some(reach) = plan.reach(planned).filter(|reach| !reach.lost.is_empty())
        {
            lost.push(format!("{object}: any pod of it ends at once on {}", few(&reach.lost, NAMED)));
        }
        let refusals = entry.refusals();
        if refusals.iter().any(|refused| asks_for_nothing_known(plan, refused)) {
            unknown.add(spoken(entry, plan, refusals), &object);
        } else if entry.fate() == EntryOutcome::Refused {
            refused.add(entry.message(plan), &object);
        }
        if entry.fate() == EntryOutcome::Unplaceable {
            stuck.add(entry.message(plan), &object);
        }
    }
    (lost, unknown, refused, stuck)
}

/// Whether an object asks for a level or category that is of no policy at all.
fn asks_for_nothing_known(plan: &Plan<'_>, refused: &PolicyRefusal<'_>) -> bool {
    let mut policies = plan.inventory.world.policies.values();
    match &refused.refusal {
        AdmissionRefusal::UnknownLevel { value, .. } => !policies.any(|policy| policy.levels.rank(value).is_some()),
        AdmissionRefusal::UnknownCategory { value, .. } => {
            !policies.any(|policy| policy.categories.contains_key(value.as_str()))
        }
        AdmissionRefusal::TooLong { .. }
        | AdmissionRefusal::Misplaced { .. }
        | AdmissionRefusal::NamespaceSilent { .. }
        | AdmissionRefusal::NodeName { .. } => false,
    }
}

/// The message of `entry`; where only policies that are not in force find fault, what they would say.
fn spoken(entry: &ReportEntry<'_>, plan: &Plan<'_>, refusals: &[PolicyRefusal<'_>]) -> String {
    match (entry, refusals.first()) {
        (ReportEntry::Workload(_, planned), Some(refused)) if entry.fate() != EntryOutcome::Refused => {
            let kind: WorkloadKind = planned.workload.identity.kind;
            let PolicyRefusal { policy, refusal, .. } = refused;
            format!("{} (policy {} is in {})", refusal.told_of(kind), policy.name, policy.mode)
        }
        _ => entry.message(plan),
    }
}

/// Messages in the order in which they first come up, each with the objects that it is about.
#[derive(Default)]
struct GroupedMessages {
    messages: Vec<(String, Vec<String>)>,
    places: BTreeMap<String, usize>,
}

impl GroupedMessages {
    fn add(&mut self, message: String, object: &ObjectName<'_>) {
        let place = *self.places.entry(message).or_insert_with_key(|message| {
            self.messages.push((message.clone(), Vec::new()));
            self.messages.len().saturating_sub(1)
        });
        if let Some((_, objects)) = self.messages.get_mut(place) {
            objects.push(object.to_string());
        }
    }

    fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn print_under(&self, page: &mut TextPage, title: &str) {
        if !self.is_empty() {
            page.ruled_heading(title);
            self.print(page, "·");
        }
    }

    fn print(&self, page: &mut TextPage, mark: &str) {
        for (message, objects) in self.messages.iter().take(MOST) {
            page.item(mark, &format!("{}: {message}", few(objects, NAMED)), Tone::Plain);
        }
        more(page, self.messages.len());
    }
}

/// Says how many of `all` entries were left out.
fn more(page: &mut TextPage, all: usize) {
    let left_out = all.saturating_sub(MOST);
    if left_out > 0 {
        page.say(&format!("And {left_out} more; -o json lists each."), Tone::Faint);
    }
}

/// `12 workloads: 9 placeable, 1 unplaceable, 1 refused, 1 unrestricted; 4 objects of other kinds passed over (…).`
fn summary(plan: &Plan<'_>, ignored: &IgnoredKinds) -> String {
    let tally = OutcomeCounts::of(plan, ignored);
    let namespaces = plan.namespaces.iter().filter(|namespace| namespace.in_force()).count();
    let refused = tally.refused.saturating_sub(namespaces);
    let fates = format!(
        "{}: {} placeable, {} unplaceable, {refused} refused, {} unrestricted",
        counted(plan.workloads.len(), "workload", "workloads"),
        tally.placeable,
        tally.unplaceable,
        tally.unrestricted
    );
    let mut parts = vec![fates];
    if namespaces > 0 {
        parts.push(format!("{} refused", counted(namespaces, "namespace", "namespaces")));
    }
    parts.extend(not_judged::summary(ignored));
    if tally.ignored > 0 {
        let kinds = ignored.kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
        let objects = if tally.ignored == 1 { "object of another kind" } else { "objects of other kinds" };
        parts.push(format!("{} {objects} passed over ({})", tally.ignored, few(kinds, 8)));
    }
    parts.join("; ")
}
