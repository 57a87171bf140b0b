//! Programs that are not Rust's. A test that starts one is ignored (`#[ignore = "needs …"]`), and run by `.ci/run` where
//! the program is.

use std::{env, fs, path::PathBuf};

/// The first of these programs that is in the PATH, or among PostgreSQL's. Panics if there is none.
#[track_caller]
pub fn find(names: &[&str]) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    // Debian keeps the server's programs out of the PATH, a folder for each version.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let mut all = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
    let found = all.find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no {} in the PATH", names.join(", ")))
}
