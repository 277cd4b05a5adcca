//! `slownet`: see `slownet(1)`.

fn main() -> std::process::ExitCode {
    breakit::exit::main("slownet", slownet::run::run)
}
