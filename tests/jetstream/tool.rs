//! Programs of Debian's packages `nats-server` and `postgresql`.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
};

/// The paths of the programs that a test needs.
pub(crate) struct Tools {
    pub(crate) nats_server: PathBuf,
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
    /// Of util-linux: starts a program that ends with its parent, and as another user.
    pub(crate) setpriv: PathBuf,
}

impl Tools {
    /// If one of them is missing, the test prints that past libtest's capture, and ends.
    pub(crate) fn find() -> Option<Self> {
        Some(Self {
            nats_server: find("nats-server", "nats-server")?,
            initdb: find("initdb", "postgresql")?,
            postgres: find("postgres", "postgresql")?,
            setpriv: find("setpriv", "util-linux")?,
        })
    }
}

fn find(name: &str, package: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    // Debian installs the server's programs outside of `PATH`, in a directory per version.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let found = folders.iter().map(|folder| folder.join(name)).find(|it| it.is_file());
    if found.is_none() {
        let log = format!("\nSKIPPED: no `{name}`; install Debian's package `{package}`\n");
        _ = io::stderr().write_all(log.as_bytes());
    }
    found
}
