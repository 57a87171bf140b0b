//! Where cargo stores the sources of crates.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// A crate of the registry.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

/// The packages in the lock file of this workspace.
pub(crate) fn of_this_workspace() -> Vec<Crate> {
    packages(Path::new(env!("CARGO_MANIFEST_DIR")), &["--locked"])
}

/// The newest versions of some crates and of their dependencies.
pub(crate) fn of_crates(names: &[&str]) -> Vec<Crate> {
    let folder = tempfile::tempdir().expect("the directory of the manifest can be created");
    let dependencies: String = names.iter().map(|name| format!("{name} = \"*\"\n")).collect();
    let manifest = format!(
        "[package]\nname = \"corpus\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]\n{dependencies}"
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("the manifest is written");
    fs::write(folder.path().join("lib.rs"), "").expect("the crate is written");
    packages(folder.path(), &[])
}

/// The packages by cargo's metadata; cargo fetches missing ones.
fn packages(folder: &Path, options: &[&str]) -> Vec<Crate> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1"])
        .args(options)
        .current_dir(folder)
        .output()
        .expect("cargo runs");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("the metadata lists packages");
    packages
        .iter()
        // A package of the workspace has no source.
        .filter(|package| package["source"].is_string())
        .map(|package| {
            let text =
                |key: &str| package[key].as_str().expect("a package has this field").to_owned();
            let manifest = PathBuf::from(text("manifest_path"));
            Crate {
                name: format!("{} {}", text("name"), text("version")),
                folder: manifest.parent().expect("a manifest is in a directory").to_owned(),
            }
        })
        .collect()
}

/// The Rust files of a directory, in order.
pub(crate) fn each_file(folder: &Path, look: &mut impl FnMut(&Path)) {
    let entries = fs::read_dir(folder).expect("the directory is readable");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            each_file(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path);
        }
    }
}
