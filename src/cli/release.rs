//! `rempart release`: frees what selects by keys that nobody demands, before or after Rempart leaves a cluster.

use std::{process::ExitCode, time::Duration};

use clap::{Parser, value_parser};

use super::{FOUND, cluster, output};
use crate::{
    release::{
        ReleaseSurvey,
        cluster::{ReleaseLimits, free, list},
        short_keys, survey,
    },
    terminal::visible,
};
use rempart_core::text::counted;

/// API servers refresh admission policies and bindings every second; twice that is safe.
const ADMISSION_PROPAGATION: Duration = Duration::from_secs(2);

/// Frees pod templates of keys that no policy demands, so that nothing waits for them once Rempart is gone
///
/// Delete the policies first, while the operator runs. Then this takes their keys from the templates that still select by
/// them, a few rollouts at a time. It works without the operator and without our kinds too: whoever uninstalled first runs
/// it afterwards.
///
/// What nobody makes anew by a template is named: Jobs that have started and pods of their own.
///
/// Exit code: 0 when nothing is left, 1 when something is, 2 when the cluster could not be asked.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart release --dry-run\n  rempart release --at-a-time 1\n  rempart release --check && helm uninstall rempart -n rempart-system"
)]
pub(super) struct ReleaseCommand {
    /// Changes nothing, and says what would be freed
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,

    /// Changes nothing, and says whether Rempart can leave: no policy exists, and nothing selects by such a key
    #[arg(long)]
    check: bool,

    /// So many workloads are rolled out at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = value_parser!(u16).range(1..))]
    at_a_time: u16,

    /// So many seconds a rollout may take before the next ones begin all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,

    /// The kubeconfig context to take instead of the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ReleaseCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        cluster::block_on(self.release())
    }

    async fn release(self) -> anyhow::Result<ExitCode> {
        let client = cluster::client(self.context.as_deref()).await?;
        let found = survey(&list(&client).await?);
        if self.check {
            return check(&found);
        }
        say_what_is_there(&found)?;
        if self.dry_run {
            return Ok(if found.holds_nothing() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) });
        }
        let limits =
            ReleaseLimits { at_a_time: usize::from(self.at_a_time), patience: Duration::from_secs(self.timeout) };
        let mut unsaid = None;
        let mut tell = |line: String| {
            unsaid = unsaid.take().or(output::print(&format!("{}\n", visible(&line))).err());
        };
        let mut failed = free(&client, &found.templates, limits, &mut tell).await;
        let mut left = survey(&list(&client).await?);
        if !left.templates.is_empty() {
            // API servers act for a moment on the admission of a policy that has just gone.
            tokio::time::sleep(ADMISSION_PROPAGATION).await;
            failed = free(&client, &left.templates, limits, &mut tell).await;
            left = survey(&list(&client).await?);
        }
        if let Some(error) = unsaid {
            return Err(error);
        }
        // Somebody may have put keys back meanwhile.
        for held in &left.templates {
            let owner = held.owner.as_ref().map_or_else(
                || "whoever declares it, as a GitOps repository, may put it back".to_owned(),
                |owner| format!("its owner, {owner}, may put it back"),
            );
            output::warn(&format!("{} still selects by {}: {owner}", held.name(), held.short_keys()));
        }
        if !left.former.is_empty() {
            let names: Vec<_> = left.former.iter().map(String::as_str).collect();
            output::warn(&format!("pods of a former template are left of {}", names.join(", ")));
        }
        let freed = found.templates.len().saturating_sub(failed);
        output::print(&format!("{} freed and rolled out", counted(freed, "template", "templates")))?;
        let is_done = left.holds_nothing();
        output::print(if is_done { "; nothing selects by a key that nobody demands.\n" } else { ".\n" })?;
        if freed > 0 {
            output::print(
                "`kubectl rollout undo` brings a former template back, keys included: release it again then.\n",
            )?;
        }
        Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}

/// Says whether Rempart can leave.
fn check(found: &ReleaseSurvey) -> anyhow::Result<ExitCode> {
    if found.is_clear() {
        output::print("no policy exists, and nothing selects by a key that nobody demands: Rempart can leave.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    output::complain(&format!(
        "Rempart cannot leave yet: {}. To uninstall it all the same, `helm uninstall --no-hooks`: the stamps of {} stay, \
         nodes that join later carry none, and no pod with such a key runs on those.\n",
        visible(&found.obstacles().join(". ")),
        counted(found.stamped, "node", "nodes"),
    ));
    Ok(ExitCode::from(FOUND))
}

fn say_what_is_there(found: &ReleaseSurvey) -> anyhow::Result<()> {
    if !found.policies.is_empty() {
        output::warn(&format!(
            "{} still there, and what is demanded by it stays: {}",
            counted(found.policies.len(), "PlacementPolicy is", "PlacementPolicies are"),
            found.policies.join(", ")
        ));
    }
    if !found.ending.is_empty() {
        output::warn(&format!(
            "being deleted, and what is demanded by it stays until it is gone: {}",
            found.ending.join(", ")
        ));
    }
    let mut lines = vec![format!(
        "{} by keys that nobody demands; {} such stamps.",
        counted(found.templates.len(), "pod template selects", "pod templates select"),
        counted(found.nodes, "node carries", "nodes carry"),
    )];
    lines.extend(found.templates.iter().map(|held| format!("  {}: {}", held.name(), held.short_keys())));
    if !found.fixed.is_empty() || !found.pods.is_empty() {
        lines.push("Cannot be changed: wait for their end, or delete them and make them again:".to_owned());
        let rest = found.fixed.iter().chain(&found.pods);
        lines.extend(rest.map(|(name, keys)| format!("  {name}: {}", short_keys(keys))));
    }
    lines.push(String::new());
    output::print(&lines.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n"))
}
