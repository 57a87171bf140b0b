//! The tasks of a pool that did not finish, as an error that prints as text.

use std::{error::Error, fmt, io, time::Duration};

use crate::{
    error::UnfinishedScope,
    registry::fold::{self, Line, fold},
    registry::live::LiveTask,
    telemetry::events::MOST_NAMED,
};

/// The tasks that a [`Pool`](crate::Pool) or a [`Services`](crate::Services) did not finish:
/// [`drain`](crate::pool::Pool::drain) had to cancel or abort them, their runtime dropped them, or a service did not
/// stop in its time.
///
/// `Display` and `Debug` write the same text, in up to 64 lines: one for each task. Of more than 11 tasks of one function
/// that wait at one line, those after the tenth share a line with their count. If the error of
/// [`#[supervised::main]`](macro@crate::supervised::main)'s body is or carries one, the process exits with 75. Its
/// `source` says where the pool, or the `Services`, was created.
///
/// ```
/// # use std::{future::pending, time::Duration};
/// # use tokio_supervised::{Pool, TaskError, supervised};
/// #[supervised]
/// async fn save() -> Result<(), TaskError> {
///     pending().await
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(8);
/// pool.spawn(save).await?;
/// let unfinished = pool.drain(Duration::from_secs(2)).await.unwrap_err();
/// assert_eq!(unfinished.cut()[0].name, "save");
/// assert!(unfinished.to_string().starts_with("1 task was cut short:\n  save (task "));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Unfinished(Box<Found>);

#[derive(Clone)]
struct Found {
    grace: Duration,
    /// Those that still ran at the end of the grace, then those whose own grace had passed.
    tasks: Vec<LiveTask>,
    cut: Vec<LiveTask>,
    /// Of each task in `tasks`, then in `cut`.
    reasons: Vec<UnfinishedReason>,
    /// Tasks that were cut short beyond those in `cut`.
    more_cut: usize,
    reserved: usize,
    scope: UnfinishedScope,
}

/// An unfinished task, with its state at that time.
#[derive(Clone)]
pub(crate) struct UnfinishedTask {
    pub(crate) task: LiveTask,
    pub(crate) why: UnfinishedReason,
}

/// Why a task did not finish.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UnfinishedReason {
    /// It still ran at the end of the drain's grace. It is aborted, if it can be.
    StillRan,
    /// It was dropped because it had not stopped within its own grace.
    OwnGrace(Option<Duration>),
    /// It stopped when its token fired.
    Cancelled,
    /// It was aborted, because the pool had aborted its tasks before.
    Aborted,
    /// Its runtime, or its `LocalSet`, dropped it.
    RuntimeGone,
    /// Its poll panicked outside of all boundaries: no error could be made of a panic, for example.
    PollPanicked,
}

impl fmt::Display for UnfinishedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.line(), f)
    }
}

impl UnfinishedTask {
    fn line(&self) -> UnfinishedLine<'_> {
        UnfinishedLine { task: &self.task, why: self.why }
    }
}

impl UnfinishedReason {
    /// Whether the pool has cancelled or aborted the task.
    pub(crate) fn is_of_pool(self) -> bool {
        matches!(self, Self::StillRan | Self::Cancelled | Self::Aborted)
    }

    fn did_not_stop(self) -> bool {
        matches!(self, Self::StillRan | Self::OwnGrace(_))
    }
}

impl Unfinished {
    pub(crate) fn new(
        grace: Duration,
        found: Vec<UnfinishedTask>,
        more_cut: usize,
        reserved: usize,
        scope: UnfinishedScope,
    ) -> Self {
        let (mut unfinished, cut): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| found.why.did_not_stop());
        unfinished.sort_by_key(|found| found.why != UnfinishedReason::StillRan);
        let reasons = unfinished.iter().chain(&cut).map(|found| found.why).collect();
        let tasks_of = |found: Vec<UnfinishedTask>| found.into_iter().map(|found| found.task);
        Self(Box::new(Found {
            grace,
            tasks: tasks_of(unfinished).collect(),
            cut: tasks_of(cut).collect(),
            reasons,
            more_cut,
            reserved,
            scope,
        }))
    }

    /// The tasks that did not stop within the grace, or within their own, in no particular order.
    ///
    /// They were aborted, except tasks that block a thread, which cannot be aborted.
    #[must_use]
    pub fn tasks(&self) -> &[LiveTask] {
        &self.0.tasks
    }

    /// The tasks that were cut short: they stopped when the drain cancelled them, or their runtime dropped them.
    ///
    /// Of tasks that were dropped before the pool was closed, the first 64.
    #[must_use]
    pub fn cut(&self) -> &[LiveTask] {
        &self.0.cut
    }

    /// Slots that were reserved and neither used nor dropped: accepted work that never arrived.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.0.reserved
    }

    /// The time that the drain had: less than the given grace if main's grace ended earlier.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.0.grace
    }

    /// The tasks with a reason of that kind.
    fn lines(&self, is_kind: impl Fn(UnfinishedReason) -> bool) -> Vec<UnfinishedLine<'_>> {
        let tasks = self.0.tasks.iter().chain(&self.0.cut).zip(&self.0.reasons);
        let lines = tasks.map(|(task, why)| UnfinishedLine { task, why: *why });
        lines.filter(|line| is_kind(line.why)).collect()
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text { f, room: MOST_NAMED, sections: 0 };
        let grace = Millis(self.0.grace);
        let still_ran = self.lines(|why| why == UnfinishedReason::StillRan);
        text.section(&still_ran, 0, |f, count| {
            write!(f, "{} did not stop within {grace:?}:", Count(count, "task"))
        })?;
        let overdue = self.lines(|why| matches!(why, UnfinishedReason::OwnGrace(_)));
        text.section(&overdue, 0, |f, count| {
            let own = if count == 1 { "its own grace" } else { "their own graces" };
            write!(f, "{} did not stop within {own}:", Count(count, "task"))
        })?;
        let cut = self.lines(|why| !why.did_not_stop());
        text.section(&cut, self.0.more_cut, |f, count| {
            let was = if count == 1 { "was" } else { "were" };
            write!(f, "{} {was} cut short:", Count(count, "task"))
        })?;
        let was = if self.0.reserved == 1 { "was" } else { "were" };
        let slots = Count(self.0.reserved, "reserved slot");
        match (self.0.reserved, text.sections) {
            (0, _) => Ok(()),
            (_, 0) => write!(text.f, "{slots} {was} not used within {grace:?}"),
            _ => write!(text.f, "\nand {slots} {was} not used"),
        }
    }
}

/// Prints the text of `Display`, since a `main` that returns a `Result` prints its error with `Debug`.
impl fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Unfinished {
    /// Returns where the pool, or the `Services`, was created.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.scope)
    }
}

/// Its kind is `Other`: `TimedOut` and `Interrupted` would make callers try again.
impl From<Unfinished> for io::Error {
    fn from(unfinished: Unfinished) -> Self {
        Self::other(unfinished)
    }
}

/// Rounded: a grace that main cut short is not a round number.
struct Millis(Duration);

impl fmt::Debug for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(exact) = *self;
        let rounded = exact.checked_add(Duration::from_micros(500)).and_then(|more| {
            let below = Duration::from_nanos(u64::from(more.subsec_nanos()) % 1_000_000);
            more.checked_sub(below)
        });
        fmt::Debug::fmt(&rounded.unwrap_or(exact), f)
    }
}

/// `1 task`, `2 tasks`.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        let plural = if *count == 1 { "" } else { "s" };
        write!(f, "{count} {what}{plural}")
    }
}

/// A text in sections, with a line for each task as long as there is room.
struct Text<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    room: usize,
    sections: usize,
}

impl Text<'_, '_> {
    fn section(
        &mut self,
        lines: &[UnfinishedLine<'_>],
        more: usize,
        title: impl FnOnce(&mut fmt::Formatter<'_>, usize) -> fmt::Result,
    ) -> fmt::Result {
        let count = lines.len() + more;
        if count == 0 {
            return Ok(());
        }
        if self.sections > 0 {
            self.f.write_str("\n")?;
        }
        self.sections += 1;
        title(self.f, count)?;
        let folded = folded(lines, self.room);
        for line in &folded.lines {
            write!(self.f, "\n  {line}")?;
        }
        self.room -= folded.lines.len();
        match folded.left_out + more {
            0 => Ok(()),
            left_out => write!(self.f, "\n  and {left_out} more"),
        }
    }
}

/// Folds the lines of alike tasks that did not finish for the same reason.
fn folded<'a>(lines: &[UnfinishedLine<'a>], most: usize) -> fold::Lines<UnfinishedLine<'a>> {
    fold(lines, most, |line| line.task, |line| line.why)
}

/// One task, and why it did not finish.
#[derive(Clone, Copy)]
struct UnfinishedLine<'a> {
    task: &'a LiveTask,
    why: UnfinishedReason,
}

impl fmt::Display for UnfinishedLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            UnfinishedReason::StillRan => fmt::Display::fmt(self.task, f),
            why => self.task.line(f, why, "waited"),
        }
    }
}

impl fmt::Display for Line<UnfinishedLine<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(line) => fmt::Display::fmt(line, f),
            Self::More(alike, UnfinishedLine { why: UnfinishedReason::StillRan, .. }) => {
                write!(f, "… {alike}")
            }
            Self::More(alike, UnfinishedLine { why, .. }) => write!(f, "… {alike}: {why}"),
        }
    }
}

/// What became of the task.
impl fmt::Display for UnfinishedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StillRan => f.write_str("still ran"),
            Self::OwnGrace(Some(grace)) => write!(f, "dropped after its grace of {grace:?}"),
            Self::OwnGrace(None) => f.write_str("dropped after its grace"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Aborted => f.write_str("aborted"),
            Self::RuntimeGone => f.write_str("dropped with its runtime"),
            Self::PollPanicked => f.write_str("its poll panicked"),
        }
    }
}

/// The tasks of a pool that one log event names.
pub(crate) struct Lines {
    /// The total, including tasks that are not named.
    pub(crate) count: usize,
    /// Those that did not stop, one after the other.
    pub(crate) unfinished: String,
    /// Those that were cut short, one after the other.
    pub(crate) cut: String,
}

impl Lines {
    pub(crate) fn of(found: &[UnfinishedTask], more_cut: usize) -> Self {
        let lines = found.iter().map(UnfinishedTask::line);
        let (unfinished, cut): (Vec<_>, Vec<_>) = lines.partition(|line| line.why.did_not_stop());
        let mut room = MOST_NAMED;
        Self {
            count: found.len() + more_cut,
            unfinished: joined(&unfinished, &mut room, 0),
            cut: joined(&cut, &mut room, more_cut),
        }
    }
}

/// The text of a list in an event, which takes from the room for lines.
fn joined(lines: &[UnfinishedLine<'_>], room: &mut usize, more: usize) -> String {
    let folded = folded(lines, *room);
    *room -= folded.lines.len();
    let mut texts: Vec<_> = folded.lines.iter().map(ToString::to_string).collect();
    let left_out = folded.left_out + more;
    if left_out > 0 {
        texts.push(format!("and {left_out} more"));
    }
    texts.join("; ")
}

/// The text of the tasks that a dropped pool has left.
pub(crate) fn left(found: &[UnfinishedTask]) -> String {
    let lines: Vec<_> = found.iter().map(UnfinishedTask::line).collect();
    let mut room = MOST_NAMED;
    joined(&lines, &mut room, 0)
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::registry::live::TaskState;

    fn found(why: UnfinishedReason) -> UnfinishedTask {
        let age = Duration::from_secs(3);
        UnfinishedTask {
            task: LiveTask { age, ..LiveTask::example("save", TaskState::Stopping) },
            why,
        }
    }

    fn unfinished(found: Vec<UnfinishedTask>, more: usize, reserved: usize) -> Unfinished {
        Unfinished::new(
            Duration::from_secs(2),
            found,
            more,
            reserved,
            UnfinishedScope::Pool(Location::caller()),
        )
    }

    fn text(found: Vec<UnfinishedTask>, more: usize, reserved: usize) -> Vec<String> {
        let text = unfinished(found, more, reserved).to_string();
        let place = |line: &str| line.split(", spawned at").next().unwrap_or(line).to_owned();
        text.lines().map(place).collect()
    }

    #[test]
    fn each_way_not_to_finish_has_its_section() {
        let half = Duration::from_millis(500);
        let all = [
            UnfinishedReason::Cancelled,
            UnfinishedReason::StillRan,
            UnfinishedReason::OwnGrace(Some(half)),
            UnfinishedReason::Aborted,
            UnfinishedReason::RuntimeGone,
            UnfinishedReason::PollPanicked,
        ];
        assert_eq!(
            text(all.map(found).to_vec(), 0, 2),
            [
                "1 task did not stop within 2s:",
                "  save: stopping, 3.0 s old",
                "1 task did not stop within its own grace:",
                "  save: dropped after its grace of 500ms, 3.0 s old",
                "4 tasks were cut short:",
                "  save: cancelled, 3.0 s old",
                "  save: aborted, 3.0 s old",
                "  save: dropped with its runtime, 3.0 s old",
                "  save: its poll panicked, 3.0 s old",
                "and 2 reserved slots were not used",
            ]
        );
        assert_eq!(text(vec![], 0, 1), ["1 reserved slot was not used within 2s"]);
        let graces = [(999_987_982, "1s"), (498_400_001, "498ms"), (0, "0ns")];
        for (nanos, text) in graces {
            assert_eq!(format!("{:?}", Millis(Duration::from_nanos(nanos))), text);
        }
        assert_eq!(format!("{:?}", Millis(Duration::MAX)), format!("{:?}", Duration::MAX));
    }

    #[test]
    fn a_text_folds_alike_tasks() {
        let many = [
            vec![found(UnfinishedReason::StillRan); 60],
            vec![found(UnfinishedReason::Cancelled); 12],
            vec![found(UnfinishedReason::Aborted); 2],
        ]
        .concat();
        let lines = text(many.clone(), 3, 0);
        assert_eq!(lines.len(), 2 + 11 + 11 + 2 + 1);
        assert_eq!(lines[11], "  … 50 × save, oldest 3.0 s");
        assert_eq!(lines[12], "17 tasks were cut short:");
        assert_eq!(lines[23], "  … 2 × save, oldest 3.0 s: cancelled");
        assert_eq!(lines[24..26], ["  save: aborted, 3.0 s old"; 2]);
        assert_eq!(lines[26], "  and 3 more");
        let lines = Lines::of(&many, 3);
        assert_eq!((lines.count, lines.unfinished.matches("save").count()), (77, 11));
        assert!(lines.unfinished.ends_with("; … 50 × save, oldest 3.0 s"), "{}", lines.unfinished);
        assert_eq!(lines.cut.matches("save").count(), 13);
        assert!(lines.cut.ends_with("; and 3 more"), "{}", lines.cut);
    }

    #[test]
    fn a_text_has_64_lines_and_counts_the_other_tasks() {
        let name = |number: usize| -> &'static str { format!("save {number}").leak() };
        let many = |why, count| {
            (0..count).map(move |number| {
                let UnfinishedTask { task, why } = found(why);
                UnfinishedTask { task: LiveTask { name: name(number), ..task }, why }
            })
        };
        let many: Vec<_> = many(UnfinishedReason::StillRan, 60)
            .chain(many(UnfinishedReason::Cancelled, 10))
            .collect();
        let lines = text(many.clone(), 3, 0);
        assert_eq!(lines.len(), 2 + 64 + 1);
        assert_eq!(lines[61], "13 tasks were cut short:");
        assert_eq!(lines[66], "  and 9 more");
        let lines = Lines::of(&many, 3);
        assert_eq!((lines.count, lines.unfinished.matches("save").count()), (73, 60));
        assert!(lines.cut.matches("save").count() == 4 && lines.cut.ends_with("; and 9 more"));
    }

    #[test]
    fn its_text_survives_an_io_error() {
        let unfinished = unfinished(vec![found(UnfinishedReason::Cancelled)], 0, 0);
        let text = unfinished.to_string();
        assert_eq!(format!("{unfinished:?}"), text);
        let error = io::Error::from(unfinished);
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::Other, text.clone()));
        assert!(error.get_ref().is_some_and(|error| error.is::<Unfinished>()));
        let source = error.source().expect("the pool").to_string();
        assert!(source.starts_with("the pool was created at ") && !text.contains(&source));
    }
}
