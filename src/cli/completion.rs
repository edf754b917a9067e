//! `rempart completion`: what a shell needs to complete commands and options.

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use super::{Cli, output};

/// Prints the completions of a shell
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  source <(rempart completion bash)\n  rempart completion zsh > \"${fpath[1]}/_rempart\"\n  rempart completion fish > ~/.config/fish/completions/rempart.fish"
)]
pub(super) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Known,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let shell = match self.shell {
            Known::Bash => Shell::Bash,
            Known::Zsh => Shell::Zsh,
            Known::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "rempart", &mut script);
        output::stream(|out| out.write_all(&script))
    }
}
