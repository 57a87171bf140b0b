//! Programs of Debian's package `prometheus`.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The path of a program; if it is missing, the test prints that past libtest's capture, and ends.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file());
    if found.is_none() {
        let said = format!("\nSKIPPED: no `{name}`; install Debian's package `prometheus`\n");
        _ = io::stderr().write_all(said.as_bytes());
    }
    found
}

/// The alert rules for users to copy, and their test.
pub(crate) fn rules(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/prometheus").join(file)
}
