//! Clearances of the catalogue: what the example pools are cleared for by the policies to begin with.
//!
//! Takes the chart, rendered with every policy, and its example pools, and returns a table in Markdown for each policy. The
//! code that judges is the operator's own.

use std::{fmt::Write as _, fs, path::Path};

use rempart::{
    diagnostic::source::SourceMap,
    gather::{GatherSettings, GatheredObjects},
    manifest::read::read,
};
use rempart_core::{
    clearance::{ClearanceInput, Judge, PoolClearance},
    instant::CalendarDay,
    policy::Policy,
    reason::Reason,
};

use super::{CATALOGUE, ChartRenderer, GeneratedFile, section};
use crate::{LabError, Result};

/// The day that is judged at: verdicts change by themselves, and a file that is compared must not.
const DAY: &str = "2026-11-28";
/// Where the tables begin in the README.
const BEGIN: &str = "<!-- Generated from the chart and examples/pools.yaml by `make manifests`. Do not edit. -->\n";
/// The policies of the chart, in the order of the tables.
const POLICIES: [&str; 4] = ["state", "health", "gdpr", "seal"];

/// The README of the catalogue, as `file` has it, with its tables.
pub(super) fn readme(root: &Path, renderer: &ChartRenderer, file: GeneratedFile) -> Result<GeneratedFile> {
    let enabled = POLICIES.map(|policy| format!("--set=policies.{policy}.enabled=true"));
    let catalogue = renderer.template_of(CATALOGUE, enabled)?;
    let path = root.join(CATALOGUE).join("examples/pools.yaml");
    let pools = fs::read_to_string(&path).map_err(LabError::file("read", path))?;
    let text = section::replace(&file.text, BEGIN, &tables(catalogue, pools)?)?;
    Ok(GeneratedFile { text, ..file })
}

/// A table for each policy.
fn tables(catalogue: String, pools: String) -> Result<String> {
    let mut sources = SourceMap::default();
    let files = [sources.add("the chart, rendered", catalogue), sources.add("examples/pools.yaml", pools)];
    let mut gathered = GatheredObjects::new("default");
    for file in files {
        read(file, sources.text(file), &mut |found| gathered.take(file, found));
    }
    let located = gathered.into_inventory(&GatherSettings::default());
    if located.is_faulty() {
        let told: Vec<_> = located.diagnostics.iter().map(|found| found.message.as_str()).collect();
        return Err(LabError::Unsupported(format!("the catalogue cannot be judged: {}", told.join("; "))));
    }
    let day = CalendarDay::parse(DAY).map_err(|error| LabError::Unsupported(error.to_string()))?;
    let world: &ClearanceInput = &located.inventory.world;
    let judge = Judge::new(world);
    let clearances: Vec<_> = judge.pools(day.starts()).collect();
    let mut text = format!("As of {DAY}, by the facts of this chart.");
    if let Some(next) = judge.next_changes(day.starts()).values().min() {
        // A String takes all that is written.
        let _ = write!(text, " The next of these verdicts changes by itself at {next}.");
    }
    text.push('\n');
    for name in POLICIES {
        let policy = world.policies.values().find(|policy| policy.name.as_str() == name);
        let policy = policy.ok_or_else(|| LabError::Unsupported(format!("the chart has no policy {name}")))?;
        let _ = write!(text, "\n{}", table(policy, &clearances));
    }
    Ok(text)
}

/// What each pool is cleared for by `policy`, or why it is not.
fn table(policy: &Policy, pools: &[PoolClearance<'_>]) -> String {
    let levels: Vec<_> = policy.levels.iter().map(|level| level.name.to_string()).collect();
    let categories = policy.categories.keys().map(|name| format!("+ {name}"));
    let columns: Vec<_> = levels.into_iter().chain(categories).collect();
    let mut text =
        format!("| policy `{}` | {} |\n|---|{}\n", policy.name, columns.join(" | "), "---|".repeat(columns.len()));
    for pool in pools {
        let Some(clearance) = pool.policies.iter().find(|found| found.policy().name == policy.name) else { continue };
        let levels = (0..policy.levels.iter().len()).map(|rank| cell(clearance.reasons(rank)));
        let categories = policy.categories.keys().map(|name| cell(clearance.category_reasons(name)));
        let cells: Vec<_> = levels.chain(categories).collect();
        let offer = format!("{}/{}", pool.pool.provider, pool.pool.offer);
        let _ = writeln!(text, "| `{}` ({offer}) | {} |", pool.pool.name, cells.join(" | "));
    }
    text
}

/// A mark where there is no reason to reject, or the reasons' codes.
fn cell<'a>(reasons: impl Iterator<Item = Reason<'a>>) -> String {
    let mut codes: Vec<_> = reasons.map(|reason| reason.code().to_string()).collect();
    codes.sort_unstable();
    codes.dedup();
    if codes.is_empty() { "✔".to_owned() } else { codes.join(", ") }
}
