//! `workload`: see `workload(1)`.

fn main() -> std::process::ExitCode {
    breakit::tool::main("workload", workload::run::run)
}
