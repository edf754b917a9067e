//! Command line: the arguments as typed, and the command that they choose.
//!
//! Takes the arguments of the process, and returns its exit code. Nothing is decided here.

mod admission_policies;
mod audit;
mod catalogue;
mod check;
mod cluster;
mod complete;
mod completion;
mod crds;
mod doctor;
mod doctor_cluster;
mod drill;
mod explain;
mod failure;
mod impact;
mod input;
mod lint;
mod output;
mod passed_over;
mod plan;
mod progress;
mod release;
mod render;
mod run;
mod schemas;
mod stats;

use std::process::ExitCode;

use crate::{operator::error_chain::ErrorChain, terminal::visible};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// What ends a command that could not judge.
pub const COULD_NOT_JUDGE: u8 = 2;
/// What ends a command that found what it was asked to fail on.
pub const FOUND: u8 = 1;

/// Places Kubernetes workloads on the node pools of sovereign clouds according to how sensitive their data is.
#[derive(Debug, Parser)]
#[command(name = "rempart", version, propagate_version = true, max_term_width = 100)]
pub struct CommandLine {
    #[command(subcommand)]
    command: CommandChoice,
}

#[derive(Debug, Subcommand)]
enum CommandChoice {
    Plan(plan::PlanCommand),
    Explain(explain::ExplainCommand),
    Impact(impact::ImpactCommand),
    Drill(drill::DrillCommand),
    Lint(lint::LintCommand),
    Doctor(doctor::DoctorCommand),
    Audit(audit::AuditCommand),
    Catalogue(catalogue::CatalogueCommand),
    Complete(complete::CompleteCommand),
    Release(release::ReleaseCommand),
    Check(check::CheckCommand),
    Run(run::RunCommand),
    RunAdmission(run::RunAdmissionCommand),
    Crds(crds::CrdsCommand),
    AdmissionPolicies(admission_policies::AdmissionPoliciesCommand),
    Schemas(schemas::SchemasCommand),
    Completion(completion::CompletionCommand),
}

/// How kubectl finds a plugin.
const PLUGIN: &str = "kubectl-rempart";

impl CommandLine {
    /// What was typed on the command line of this process. Called `kubectl-rempart`, it speaks of itself as kubectl does.
    #[must_use]
    pub fn typed() -> Self {
        let mut command = Self::command();
        let called = std::env::args_os().next();
        let called = called.as_ref().map(std::path::Path::new).and_then(|path| path.file_stem()?.to_str());
        if called == Some(PLUGIN) {
            let spoken = |help: &clap::builder::StyledStr| help.to_string().replace("rempart ", "kubectl rempart ");
            command = command.bin_name("kubectl rempart").mut_subcommands(|command| {
                let examples = command.get_after_help().map(spoken);
                command.after_help(examples.unwrap_or_default())
            });
        }
        let matches = command.get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what was asked, and says how it went.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        let (ended, otherwise) = match self.command {
            CommandChoice::Plan(plan) => (plan.execute(), COULD_NOT_JUDGE),
            CommandChoice::Explain(explain) => (explain.execute(), COULD_NOT_JUDGE),
            CommandChoice::Impact(impact) => (impact.execute(), COULD_NOT_JUDGE),
            CommandChoice::Drill(drill) => (drill.execute(), COULD_NOT_JUDGE),
            CommandChoice::Lint(lint) => (lint.execute(), COULD_NOT_JUDGE),
            CommandChoice::Doctor(doctor) => (doctor.execute(), COULD_NOT_JUDGE),
            CommandChoice::Audit(audit) => (audit.execute(), COULD_NOT_JUDGE),
            CommandChoice::Catalogue(catalogue) => (catalogue.execute(), COULD_NOT_JUDGE),
            CommandChoice::Complete(complete) => (complete.execute(), COULD_NOT_JUDGE),
            CommandChoice::Release(release) => (release.execute(), COULD_NOT_JUDGE),
            CommandChoice::Check(check) => (check.execute(), COULD_NOT_JUDGE),
            CommandChoice::Run(run) => (run.execute().map(|()| ExitCode::SUCCESS), 1),
            CommandChoice::RunAdmission(run) => (run.execute().map(|()| ExitCode::SUCCESS), 1),
            CommandChoice::Crds(crds) => (crds.execute().map(|()| ExitCode::SUCCESS), 1),
            CommandChoice::AdmissionPolicies(policies) => (policies.execute().map(|()| ExitCode::SUCCESS), 1),
            CommandChoice::Schemas(schemas) => (schemas.execute().map(|()| ExitCode::SUCCESS), 1),
            CommandChoice::Completion(completion) => (completion.execute().map(|()| ExitCode::SUCCESS), 1),
        };
        ended.unwrap_or_else(|error| {
            output::complain(&format!("rempart: {}\n", visible(&ErrorChain(error.as_ref()).to_string())));
            ExitCode::from(otherwise)
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        super::CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in super::CommandLine::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{}", command.get_name());
        }
    }
}
