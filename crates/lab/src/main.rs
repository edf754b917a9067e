//! Entry point of `rempart-lab`.

fn main() -> std::process::ExitCode {
    rempart_lab::cli::main()
}
