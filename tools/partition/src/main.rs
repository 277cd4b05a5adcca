//! `partition`: see `partition(1)`.

fn main() -> std::process::ExitCode {
    breakit::exit::main("partition", partition::run::run)
}
