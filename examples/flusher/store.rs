//! The buffer and its file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write, stdout},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{task::spawn_blocking, time::sleep};

use crate::{arguments::Arguments, buffer::Buffer};

/// State shared by the reader and the flushes: see [`Buffer`] for the locking.
pub(crate) struct Store {
    pub(crate) buffer: Buffer,
    file: Arc<Mutex<File>>,
    flushes: AtomicU64,
    verbose: bool,
    takes: Duration,
    panic_on: Vec<u64>,
}

impl Store {
    pub(crate) fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let path = &arguments.output;
        let opened = open(path);
        let (file, end) = opened.with_context(|| format!("cannot open `{}`", path.display()))?;
        Ok(Self {
            buffer: Buffer::new(end),
            file: Arc::new(Mutex::new(file)),
            flushes: AtomicU64::new(0),
            verbose: arguments.verbose,
            takes: arguments.flush_takes(),
            panic_on: arguments.panic_on.clone(),
        })
    }

    /// Writes the contents of the buffer.
    ///
    /// It stays in the buffer until it is on the disk. A flush that fails or panics anywhere has changed
    /// nothing but the end of the file: the next one writes the same lines to the same place.
    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        let Some(batch) = self.buffer.batch() else { return Ok(()) };
        let number = self.flushes.fetch_add(1, Relaxed) + 1;
        self.log(format_args!("flush {number} starts"))?;
        let panics = self.panic_on.contains(&number);
        let end = if panics { batch.bytes.len() / 2 } else { batch.bytes.len() };
        let (file, bytes) = (self.file.clone(), batch.bytes[..end].to_vec());
        spawn_blocking(move || write(&file, batch.begin, &bytes)).await??;
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        assert!(!panics, "flush {number} was to panic");
        self.buffer.remove(&batch);
        self.log(format_args!("flush {number} ended"))
    }

    fn log(&self, what: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
        if self.verbose {
            writeln!(stdout(), "{what}")?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut end = file.seek(SeekFrom::End(0))?;
    if end > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            // A line that was being written when a process was killed must not absorb the next one.
            file.write_all(b"\n")?;
            end += 1;
        }
    }
    Ok((file, end))
}

/// On a blocking thread.
fn write(file: &Mutex<File>, begin: u64, bytes: &[u8]) -> io::Result<()> {
    // A panic in here leaves the file as any failed write does.
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(begin))?;
    file.write_all(bytes)?;
    file.sync_data()
}
