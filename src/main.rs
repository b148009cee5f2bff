//! The `weightsmith` binary.

fn main() -> std::process::ExitCode {
    weightsmith::cli::main()
}
