//! Where a pending task waits: the chain of its runs, each with the line of its `.await`.

use std::{fmt, time::Duration};

use crate::{
    context::{
        lines::Place,
        tree::{Activity, TaskRecord},
    },
    registry::{age::Age, name::Name},
};

/// One supervised call of a pending task, and the line that it waits at: see [`LiveTask::frames`](crate::LiveTask::frames).
///
/// `Display` writes `store src/store.rs:88`, or the name alone if the line is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwaitFrame {
    /// The `name` of its function.
    pub name: &'static str,
    /// The source file of the `.await`, as `file!()` writes it. `None` if the line is not known.
    pub file: Option<&'static str>,
    /// The line of the `.await`. `None` if it is not known: the function has `lines = false`, or the run has not reached
    /// an `.await` whose line is recorded.
    pub line: Option<u32>,
}

impl AwaitFrame {
    /// The place, if it is known.
    pub(crate) fn place(&self) -> Option<(&'static str, u32)> {
        self.file.zip(self.line)
    }
}

impl fmt::Display for AwaitFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Name(self.name))?;
        match self.place() {
            Some((file, line)) => write!(f, " {file}:{line}"),
            None => Ok(()),
        }
    }
}

/// The calls of a pending task, and how long it has been pending there.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    pub(crate) frames: Vec<AwaitFrame>,
    /// How many more calls there are inside.
    hidden: usize,
    pub(crate) since: Duration,
}

impl Waits {
    /// A wait at a line of a file.
    #[cfg(test)]
    pub(crate) fn at(name: &'static str, file: &'static str, line: u32) -> Self {
        let frame = AwaitFrame { name, file: Some(file), line: Some(line) };
        Self { frames: vec![frame], hidden: 0, since: Duration::from_secs(3) }
    }

    /// The wait of a task that is pending.
    pub(crate) fn of(record: &TaskRecord) -> Option<Self> {
        let found = Self::last(record)?;
        // A poll may have begun meanwhile.
        matches!(record.activity(), Activity::Pending).then_some(found)
    }

    /// The wait of a task that is pending, or has ended since.
    pub(crate) fn last(record: &TaskRecord) -> Option<Self> {
        matches!(record.activity(), Activity::Pending).then(|| Self::latest(record))?
    }

    /// The latest wait of a task, which may be in a poll since.
    pub(crate) fn latest(record: &TaskRecord) -> Option<Self> {
        let (frames, hidden, since) = record.frames().read();
        let frames: Vec<_> = frames
            .into_iter()
            .map(|(spec, place)| AwaitFrame {
                name: spec.name(),
                file: place.map(|Place { file, .. }| file),
                line: place.map(|Place { line, .. }| line),
            })
            .collect();
        let is_known = frames.iter().any(|frame| frame.line.is_some());
        let since = Duration::from_nanos(since.elapsed_nanos());
        is_known.then_some(Self { frames, hidden, since })
    }

    /// The innermost call whose line is known.
    pub(crate) fn innermost(&self) -> Option<&AwaitFrame> {
        self.frames.iter().rev().find(|frame| frame.line.is_some())
    }
}

/// `handle src/http.rs:41 → store src/store.rs:88`; of a single call only the place, since its name is the task's.
impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([only], 0) = (&*self.frames, self.hidden) {
            if let Some((file, line)) = only.place() {
                return write!(f, "{file}:{line}");
            }
        }
        for (at, frame) in self.frames.iter().enumerate() {
            if at > 0 {
                f.write_str(" → ")?;
            }
            fmt::Display::fmt(frame, f)?;
        }
        match self.hidden {
            0 => Ok(()),
            hidden => write!(f, " → … {hidden} deeper"),
        }
    }
}

/// The end of a line about a task: `, waits at src/orders.rs:31 for 12.3 s`.
pub(crate) struct AtLine<'a> {
    pub(crate) verb: &'static str,
    pub(crate) waits: Option<&'a Waits>,
}

impl fmt::Display for AtLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.waits {
            Some(waits) => write!(f, ", {} at {waits} for {}", self.verb, Age(waits.since)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &'static str, line: u32) -> AwaitFrame {
        AwaitFrame { name, file: Some("src/a.rs"), line: Some(line) }
    }

    fn text(frames: Vec<AwaitFrame>, hidden: usize) -> String {
        let waits = Waits { frames, hidden, since: Duration::from_millis(12_300) };
        AtLine { verb: "waits", waits: Some(&waits) }.to_string()
    }

    #[test]
    fn a_chain_names_each_call() {
        let chain = vec![frame("handle", 41), frame("store", 88)];
        assert_eq!(text(chain, 0), ", waits at handle src/a.rs:41 → store src/a.rs:88 for 12.3 s");
    }

    #[test]
    fn a_single_call_is_a_place() {
        assert_eq!(text(vec![frame("handle", 41)], 0), ", waits at src/a.rs:41 for 12.3 s");
    }

    #[test]
    fn a_chain_counts_the_calls_that_it_does_not_name() {
        let deep = text(vec![frame("handle", 41)], 3);
        assert_eq!(deep, ", waits at handle src/a.rs:41 → … 3 deeper for 12.3 s");
    }

    #[test]
    fn a_call_without_a_line_is_a_name() {
        let off = AwaitFrame { name: "quiet", file: None, line: None };
        let chain = text(vec![frame("handle", 41), off], 0);
        assert_eq!(chain, ", waits at handle src/a.rs:41 → quiet for 12.3 s");
    }
}
