//! `lxc-fleet`: see `lxc-fleet(1)`.

fn main() -> std::process::ExitCode {
    breakit::tool::main("lxc-fleet", lxc_fleet::run::run)
}
