//! The queue: a file of lines.

use std::{collections::HashSet, io, path::Path, time::Duration};

use tokio::{
    fs::File,
    io::{AsyncBufReadExt, BufReader},
    time::sleep,
};

/// How often the end of the file is checked for more. A reader of a file is not notified when it grows; a queue on a
/// server would notify it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The offset of a message in the file: its name.
pub(crate) type Offset = u64;

/// A line of the queue, without its line end.
pub(crate) struct Message {
    pub(crate) offset: Offset,
    pub(crate) text: Vec<u8>,
}

pub(crate) struct Queue {
    lines: BufReader<File>,
    /// The partial line that is being read, and its offset.
    line: Vec<u8>,
    offset: Offset,
    /// The acknowledged offsets of earlier starts, as far as they are still ahead.
    acknowledged: HashSet<Offset>,
    follow: bool,
}

impl Queue {
    pub(crate) async fn open(
        path: &Path,
        acknowledged: HashSet<Offset>,
        follow: bool,
    ) -> io::Result<Self> {
        let lines = BufReader::new(File::open(path).await?);
        Ok(Self { lines, line: Vec::new(), offset: 0, acknowledged, follow })
    }

    /// The next message that is not acknowledged; `None` at the end, unless it follows.
    ///
    /// Dropped while it waits, it has taken none.
    pub(crate) async fn take(&mut self) -> io::Result<Option<Message>> {
        loop {
            self.lines.read_until(b'\n', &mut self.line).await?;
            if self.line.last() != Some(&b'\n') {
                if !self.follow {
                    return Ok(None);
                }
                sleep(LOOK_AGAIN).await;
                continue;
            }
            let (offset, mut text) = (self.offset, std::mem::take(&mut self.line));
            self.offset += text.len() as Offset;
            text.pop();
            if !self.acknowledged.remove(&offset) {
                return Ok(Some(Message { offset, text }));
            }
        }
    }
}
