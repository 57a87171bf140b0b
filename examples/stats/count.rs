//! Counts one file into the statistics that all files share.

use std::{ffi::OsString, io, sync::Arc};

use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, stdin},
};
use tokio_supervised::supervised;

use crate::statistics::Statistics;

/// The size of one read, and the memory that a file needs, however long its lines are.
const CHUNK: usize = 64 * 1024;

/// Counts the words of every line. Files that are being read count into the statistics together.
#[supervised(limit = 16, name = "count")]
pub(crate) async fn count(statistics: Arc<dyn Statistics>, source: OsString) -> io::Result<()> {
    if source == "-" {
        count_lines(stdin(), &*statistics).await
    } else {
        count_lines(File::open(source).await?, &*statistics).await
    }
}

async fn count_lines(
    mut from: impl AsyncRead + Unpin,
    statistics: &dyn Statistics,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut line = Line::default();
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            line.end_of_input(statistics);
            return Ok(());
        }
        for &byte in &chunk[..read] {
            line.add(byte, statistics);
        }
    }
}

/// The partial line, which may span several chunks.
#[derive(Default)]
struct Line {
    words: u64,
    started: bool,
    in_word: bool,
}

impl Line {
    fn add(&mut self, byte: u8, statistics: &dyn Statistics) {
        if byte == b'\n' {
            statistics.record(self.words);
            *self = Self::default();
            return;
        }
        let in_word = !byte.is_ascii_whitespace();
        self.words += u64::from(in_word && !self.in_word);
        self.in_word = in_word;
        self.started = true;
    }

    /// The last line may have no line end.
    fn end_of_input(&self, statistics: &dyn Statistics) {
        if self.started {
            statistics.record(self.words);
        }
    }
}
