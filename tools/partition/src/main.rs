//! `partition`: see `partition(1)`.

fn main() -> std::process::ExitCode {
    breakit::tool::main("partition", partition::run::run)
}
