//! `rempart release`: frees what selects by keys that nobody demands, before or after Rempart leaves a cluster.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, value_parser};

use super::{FOUND, cluster, input, output};
use crate::{
    release::{
        ReleaseSurvey,
        cluster::{ReleaseLimits, free, list},
        short_keys, survey,
    },
    terminal::visible,
};
use rempart_core::text::counted;

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
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the asynchronous runtime does not start")?
            .block_on(self.release())
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
        let limits = ReleaseLimits {
            at: input::at(None),
            at_a_time: usize::from(self.at_a_time),
            patience: Duration::from_secs(self.timeout),
        };
        let mut unsaid = None;
        let failed = free(&client, &found.templates, limits, &mut |line| {
            unsaid = unsaid.take().or(output::print(&format!("{}\n", visible(&line))).err());
        })
        .await;
        if let Some(error) = unsaid {
            return Err(error);
        }
        // Somebody may have put keys back meanwhile.
        let left = survey(&list(&client).await?);
        for held in &left.templates {
            let owner = held.owner.as_ref().map_or_else(
                || "whoever declares it, as a GitOps repository".to_owned(),
                |owner| format!("its owner, {owner},"),
            );
            output::warn(&format!("{} selects by {} again: {owner} puts it back", held.name(), held.short_keys()));
        }
        let is_done = failed == 0 && left.holds_nothing();
        let freed = found.templates.len().saturating_sub(failed);
        output::print(&format!("{} freed", counted(freed, "template", "templates")))?;
        output::print(if is_done { "; nothing selects by a key that nobody demands.\n" } else { ".\n" })?;
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
        counted(found.nodes, "node", "nodes"),
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
