//! `make install` and `make uninstall`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use breakit_tests::Folder;
use breakit_tests::process::{built, run, shell};

fn files(below: &Path) -> BTreeSet<String> {
    let found = run(&mut shell(&format!("cd {} && find . -type f", below.display()))).expect(0);
    found.stdout.lines().map(str::to_string).collect()
}

#[test]
fn what_is_installed_runs_and_uninstalling_removes_exactly_that() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = Folder::new("install");
    let (dir, prefix) = (folder.path(), folder.file("usr"));
    std::fs::create_dir_all(prefix.join("bin")).unwrap();
    std::fs::write(prefix.join("bin/somebody-elses"), "").unwrap();
    let script = |name: &str| root.join("scripts").join(name).display().to_string();

    run(&mut shell(&format!("{} {} {}", script("install"), built().display(), prefix.display())))
        .expect(0);
    let installed = files(dir);
    for tool in ["lxc-fleet", "partition", "slownet", "workload", "histcheck"] {
        for file in [
            format!("./usr/bin/{tool}"),
            format!("./usr/share/man/man1/{tool}.1"),
            format!("./usr/share/bash-completion/completions/{tool}"),
            format!("./usr/share/zsh/site-functions/_{tool}"),
            format!("./usr/share/fish/vendor_completions.d/{tool}.fish"),
        ] {
            assert!(installed.contains(&file), "{file} is not in {installed:?}");
        }
        let version = format!("{}/bin/{tool} --version", prefix.display());
        assert!(run(&mut shell(&version)).expect(0).stdout.starts_with(tool));
    }

    run(&mut shell(&format!("{} {}", script("uninstall"), prefix.display()))).expect(0);
    let left = files(dir);
    assert_eq!(left, BTreeSet::from(["./usr/bin/somebody-elses".to_string()]));
}
