//! `slownet`: see `slownet(1)`.

fn main() -> std::process::ExitCode {
    breakit::tool::main("slownet", slownet::run::run)
}
