//! `rempart completion`: what a shell needs to complete commands and options.

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use super::{CommandLine, output};

/// Prints the completions of a shell
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  source <(rempart completion bash)\n  rempart completion zsh > \"${fpath[1]}/_rempart\"\n  rempart completion fish > ~/.config/fish/completions/rempart.fish"
)]
pub(super) struct CompletionCommand {
    /// The shell
    #[arg(value_enum)]
    shell: KnownShell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

impl CompletionCommand {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let shell = match self.shell {
            KnownShell::Bash => Shell::Bash,
            KnownShell::Zsh => Shell::Zsh,
            KnownShell::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut CommandLine::command(), "rempart", &mut script);
        output::stream(|out| out.write_all(&script))
    }
}
