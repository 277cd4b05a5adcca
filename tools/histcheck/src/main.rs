//! `histcheck`: see `histcheck(1)`.

fn main() -> std::process::ExitCode {
    breakit::tool::main("histcheck", histcheck::run::run)
}
