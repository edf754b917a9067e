//! `rempart-lab`: a real control plane on a bare machine.

fn main() -> std::process::ExitCode {
    rempart_lab::cli::main()
}
