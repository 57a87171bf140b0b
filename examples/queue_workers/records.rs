//! A file of lines that is only appended to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Lines that are written completely or not at all, whenever the process ends.
///
/// Shared between threads: each line is written under a lock, for the time of one `write`. A killed process loses
/// nothing that `write` has accepted, since the kernel has it then. A machine that loses power does, unless each line
/// is synced.
pub(crate) struct Records {
    tail: Mutex<Tail>,
    sync: bool,
}

struct Tail {
    file: File,
    /// The end of the last whole line. There is more only after a write that failed.
    whole: u64,
}

impl Records {
    /// Opens or creates the file. A torn last line, of a process that was killed in the middle of a write, is
    /// truncated: nothing has acted on it.
    pub(crate) fn open(path: &Path, sync: bool) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut tail = Tail { whole: end_of_last_line(&mut file)?, file };
        tail.cut()?;
        Ok(Self { tail: Mutex::new(tail), sync })
    }

    /// Writes one line, which ends in its line end.
    pub(crate) fn append(&self, line: &[u8]) -> io::Result<()> {
        debug_assert!(line.ends_with(b"\n"));
        // Poisoned by a panic between a write and its bookkeeping: `whole` is right, and the rest is truncated.
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.cut()?;
        tail.file.write_all(line)?;
        if self.sync {
            tail.file.sync_data()?;
        }
        tail.whole += line.len() as u64;
        Ok(())
    }
}

impl Tail {
    fn cut(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() > self.whole {
            self.file.set_len(self.whole)?;
        }
        Ok(())
    }
}

/// The length of the whole lines of the file, found from its end.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let begin = end.saturating_sub(4096);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        file.take(end - begin).read_to_end(&mut bytes)?;
        if let Some(at) = bytes.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}
