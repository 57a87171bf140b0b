//! The programs of the Debian packages `nats-server` and `postgresql`.

use std::path::PathBuf;

use testkit::tools::find;

/// The paths of the programs that the tests need.
pub(crate) struct Tools {
    pub(crate) nats_server: PathBuf,
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
    /// Of util-linux: starts a program that ends with its parent, as another user.
    pub(crate) setpriv: PathBuf,
}

impl Tools {
    /// Finds the programs. Panics if one is missing.
    pub(crate) fn find() -> Self {
        Self {
            nats_server: find(&["nats-server"]),
            initdb: find(&["initdb"]),
            postgres: find(&["postgres"]),
            setpriv: find(&["setpriv"]),
        }
    }
}
