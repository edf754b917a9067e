//! `rempart admission-policies`: the mutations that the chart installs.

use std::path::PathBuf;

use clap::Parser;

use super::output;
use crate::admission::installed;

/// Prints the mutating admission policies that the chart installs, or writes them into directories
///
/// The chart writes its labels where the text says ${LABELS}. What each PlacementPolicy is given besides is in the cluster:
/// kubectl get validatingadmissionpolicies -l rempart.dev/policy=NAME -o yaml
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart admission-policies | less\n  rempart admission-policies charts/rempart/files/admission"
)]
pub(super) struct AdmissionPoliciesCommand {
    /// Directories to write them into; standard output when there are none
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
}

impl AdmissionPoliciesCommand {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        output::print_or_write(&[installed::render()?], "", &self.directories)
    }
}
