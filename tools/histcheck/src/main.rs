//! `histcheck`: see `histcheck(1)`.

fn main() -> std::process::ExitCode {
    breakit::exit::main("histcheck", histcheck::run::run)
}
