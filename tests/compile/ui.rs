//! Code that does not compile, and the compiler's messages: one refusal per case.
//!
//! The snapshots are those of the toolchain that the repository names. After a change of a message,
//! `TRYBUILD=overwrite cargo test -p supervised-tests --test compile ui` writes them; read each.
//!
//! With the component `rust-src` the compiler quotes the standard library at places in it; without it, it prints
//! only the place. The snapshots are made without it; if it is installed, the few cases with such a place are
//! skipped, by name.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn every_refusal_names_the_problem_and_the_remedy() {
    let cases = trybuild::TestCases::new();
    if !has_rust_src() {
        return cases.compile_fail("ui/cases/*/*.rs");
    }
    for case in all_cases() {
        let said = fs::read_to_string(case.with_extension("stderr")).unwrap_or_default();
        if said.contains("$RUST/") {
            println!("not tested, since `rust-src` is installed: {}", case.display());
        } else {
            cases.compile_fail(case);
        }
    }
}

fn all_cases() -> Vec<PathBuf> {
    let folders = fs::read_dir("ui/cases").unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let files = files.map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn has_rust_src() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output().unwrap();
    let sysroot = String::from_utf8(sysroot.stdout).unwrap();
    Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").exists()
}
