//! The journal of ended messages.

use std::{collections::HashSet, fs, io};

use anyhow::Context as _;

use crate::{
    arguments::Paths,
    handle::WorkError,
    queue::{Message, Offset},
    records::Records,
};

/// The three files that the workers share, each behind its own lock.
pub(crate) struct Journal {
    done: Records,
    dead: Records,
    acknowledged: Records,
}

impl Journal {
    pub(crate) fn open(paths: &Paths, sync: bool) -> anyhow::Result<(Self, HashSet<Offset>)> {
        let open = |path| {
            let opened = Records::open(path, sync);
            opened.with_context(|| format!("cannot open `{}`", path.display()))
        };
        let journal = Self {
            done: open(&paths.done)?,
            dead: open(&paths.dead)?,
            acknowledged: open(&paths.acknowledged)?,
        };
        // The offsets that were acknowledged, read once the file is open and has no torn record.
        let text = fs::read_to_string(&paths.acknowledged)?;
        let offsets = text.lines().map(str::parse).collect::<Result<_, _>>();
        let offsets = offsets
            .with_context(|| format!("`{}` is no list of offsets", paths.acknowledged.display()))?;
        Ok((journal, offsets))
    }

    /// Writes the result of a message, then its acknowledgement, never in the opposite order. If the process is killed
    /// in between, the next start repeats the message, since it is not acknowledged.
    pub(crate) fn settle(
        &self,
        message: &Message,
        end: Result<String, WorkError>,
    ) -> io::Result<()> {
        match end {
            Ok(result) => self.done.append(format!("{result}\n").as_bytes())?,
            Err(error) => {
                let reason = error.to_string().replace(['\n', '\t'], " ");
                let mut line = format!("{}\t{reason}\t", message.offset).into_bytes();
                line.extend_from_slice(&message.text);
                line.push(b'\n');
                self.dead.append(&line)?;
            }
        }
        self.acknowledged.append(format!("{}\n", message.offset).as_bytes())
    }
}
