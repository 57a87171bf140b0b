//! Programs of Debian's packages `nats-server` and `postgresql`.

use std::path::PathBuf;

use testkit::tools::find;

/// Where the programs are that a test needs.
pub(crate) struct Tools {
    pub(crate) nats_server: PathBuf,
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
    /// Of util-linux: starts a program so that it ends with the one that started it, and as somebody else.
    pub(crate) setpriv: PathBuf,
}

impl Tools {
    /// Panics if one of them is missing.
    pub(crate) fn find() -> Self {
        Self {
            nats_server: find(&["nats-server"]),
            initdb: find(&["initdb"]),
            postgres: find(&["postgres"]),
            setpriv: find(&["setpriv"]),
        }
    }
}
