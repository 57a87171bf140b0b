//! The directory for the bodies, and the record of accepted ones.

use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use axum::body::Bytes;
use tokio::task::spawn_blocking;

/// Shared by all requests and all saves: names are given out by an atomic counter, and each file has one
/// writer.
pub(crate) struct Store {
    directory: PathBuf,
    /// Unique to this process, also among processes that use the directory at other times.
    prefix: String,
    names: AtomicU64,
    not_saved: AtomicU64,
}

impl Store {
    /// Creates the directory if it does not exist.
    pub(crate) fn open(directory: &Path) -> anyhow::Result<Self> {
        let made = fs::create_dir_all(directory);
        made.with_context(|| format!("cannot make the directory `{}`", directory.display()))?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let random = RandomState::new().hash_one(std::process::id());
        Ok(Self {
            directory: directory.to_owned(),
            prefix: format!("{:010}-{random:016x}", started.as_secs()),
            names: AtomicU64::new(0),
            not_saved: AtomicU64::new(0),
        })
    }

    /// A name that no other body has.
    pub(crate) fn next_name(&self) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number:08}", self.prefix)
    }

    /// How many accepted bodies are not known to be on disk.
    pub(crate) fn not_saved(&self) -> u64 {
        self.not_saved.load(Ordering::Relaxed)
    }

    /// Its file exists completely or not at all, even after a power failure.
    fn write(&self, name: &str, body: &[u8]) -> io::Result<()> {
        let partial = self.directory.join(format!(".{name}.part"));
        let written = File::create_new(&partial)
            .and_then(|mut file| {
                file.write_all(body)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&partial, self.directory.join(name)));
        if written.is_err() {
            // Report the first error.
            _ = fs::remove_file(&partial);
        }
        written?;
        // The rename is in the directory, which has its own cache.
        File::open(&self.directory)?.sync_all()
    }
}

/// A body that was answered with 202: on disk when it is dropped, or named on standard error.
pub(crate) struct Accepted {
    store: Arc<Store>,
    name: String,
    body: Bytes,
    is_saved: bool,
}

impl Accepted {
    pub(crate) fn new(store: Arc<Store>, name: String, body: Bytes) -> Self {
        Self { store, name, body, is_saved: false }
    }

    /// Writes it on a blocking thread.
    ///
    /// Dropped at its `.await`, the file may or may not be written: its state is reported as unknown.
    pub(crate) async fn save(mut self) -> io::Result<()> {
        let (store, name, body) = (self.store.clone(), self.name.clone(), self.body.clone());
        spawn_blocking(move || store.write(&name, &body)).await??;
        self.is_saved = true;
        Ok(())
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        if !self.is_saved {
            self.store.not_saved.fetch_add(1, Ordering::Relaxed);
            // Not `eprintln!`, which panics if standard error is closed.
            let (name, bytes) = (&self.name, self.body.len());
            _ = writeln!(io::stderr(), "not known to be saved: {name} ({bytes} bytes)");
        }
    }
}
