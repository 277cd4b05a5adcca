//! `workload`: see `workload(1)`.

fn main() -> std::process::ExitCode {
    breakit::exit::main("workload", workload::run::run)
}
