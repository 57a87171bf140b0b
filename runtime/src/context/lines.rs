//! The line at which each pending run waits.
//!
//! The attribute puts marks into a body, which store the line of the next `.await` in a thread-local. A run that is
//! pending keeps the last one, and writes it into the record of its task, at its depth among the runs of the task.
//!
//! Invariants
//!
//! 1. A run sees only the marks that its body passes in the current poll: [`enter`] clears the thread-local, and [`exit`]
//!    restores the mark of the caller. Otherwise a caller would show a line of the function that it calls.
//!    (`a_caller_keeps_its_line_while_a_call_is_ready`)
//! 2. A frame below a run is shown only if a call pended in the last poll of that run, and has not been dropped since.
//!    Otherwise a chain would end in a call that has returned. (`a_call_that_has_returned_is_not_shown`) A task that is
//!    polled inside another one does not change what the outer one knows: [`enter_task`] and [`leave_task`].
//!    (`a_task_that_drives_others_keeps_its_chain`)
//! 3. A mark names its file by 12 bits of a hash. An `async` block may be polled by a run of a function in another file:
//!    a line is never shown with a file of another hash. (`a_block_polled_elsewhere_shows_its_own_file`)
//! 4. The time of a wait starts again with each mark: a loop that waits at one line shows its last wait.
//!    (`a_loop_shows_the_time_of_its_last_wait`)
//! 5. Other threads may read the frames while a poll writes them. A reader checks before and after the read that the
//!    task is pending. If a complete poll happened meanwhile, the frames may belong to two different waits. Each frame is
//!    one atomic, so that a name never gets the line of another function.
//!
//! The tests are in `tests/spec/behaviour/lines.rs`.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{
    clock::{AtomicTicks, Ticks},
    function::TaskSpec,
    sync::atomic64::AtomicU64,
};

/// The bits of a mark that hold the line.
const LINE_BITS: u32 = 20;

/// The file of a body, as its marks know it: the upper bits of a mark.
#[derive(Clone, Copy)]
pub struct File(u32);

impl File {
    /// Hashes a path.
    #[must_use]
    pub const fn of(path: &str) -> Self {
        let bytes = path.as_bytes();
        // FNV-1a, folded.
        let mut hash: u32 = 0x811c_9dc5;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
            at += 1;
        }
        Self((hash ^ (hash >> LINE_BITS)) << LINE_BITS)
    }
}

/// A line and its file.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark(u32);

impl Mark {
    /// Of a run that has passed no mark.
    pub(crate) const NONE: Self = Self(0);

    const fn new(file: File, line: u32) -> Self {
        Self(file.0 | (line & ((1 << LINE_BITS) - 1)))
    }

    fn line(self) -> Option<u32> {
        Some(self.0 & ((1 << LINE_BITS) - 1)).filter(|line| *line > 0)
    }

    fn is_in(self, path: &str) -> bool {
        self.0 >> LINE_BITS == File::of(path).0 >> LINE_BITS
    }
}

std::thread_local! {
    /// The last mark that the innermost run has passed in its current poll.
    static PASSED: Cell<Mark> = const { Cell::new(Mark::NONE) };
    /// The last run that was pending in the current poll of a task: its depth, and its address.
    static PENDED: Pended = const {
        Pended { depth: Cell::new(NONE), run: Cell::new(0), own: Cell::new(OwnLine::NONE) }
    };
}

struct Pended {
    depth: Cell<usize>,
    run: Cell<usize>,
    /// The line of the run that the task drives, until the task takes it.
    own: Cell<OwnLine>,
}

/// The line of the pending run that a task drives, in one word: the mark, and above it three flags.
#[derive(Clone, Copy)]
pub(crate) struct OwnLine(u64);

impl OwnLine {
    const NONE: Self = Self(0);
    const IS_PENDING: u64 = 1 << 32;
    /// It has passed a mark in this poll.
    const MOVED: u64 = 1 << 33;
    /// It waits in a call that has written its own frame.
    const IN_CALL: u64 = 1 << 34;

    #[inline]
    fn new(mark: Mark, moved: bool, in_call: bool) -> Self {
        let flags = Self::IS_PENDING | u64::from(moved) << 33 | u64::from(in_call) << 34;
        Self(u64::from(mark.0) | flags)
    }

    #[inline]
    fn mark(self) -> Mark {
        Mark(self.0 as u32)
    }

    #[inline]
    fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
}

/// No run was pending.
const NONE: usize = usize::MAX;

/// Stores the line of the next `.await`; called by the expansion of the attribute.
// Always inlined: it is one store.
#[inline(always)]
pub fn store(file: File, line: u32) {
    // Not `set`, which would also check whether the thread-local is initialised.
    PASSED.with(|passed| passed.set(Mark::new(file, line)));
}

/// Stores the line of an `.await`, and returns its operand; called by the expansion of the attribute.
#[inline(always)]
pub fn at<T>(file: File, line: u32, operand: T) -> T {
    store(file, line);
    operand
}

/// Enters a body. Returns the mark of the code around, for [`exit`].
#[inline]
pub(crate) fn enter() -> Mark {
    PASSED.replace(Mark::NONE)
}

/// Exits a body. Returns the last mark that it has passed in this poll, [`Mark::NONE`] if none.
#[inline]
pub(crate) fn exit(outer: Mark) -> Mark {
    PASSED.replace(outer)
}

/// Begins a poll of a task: no run in it has been pending yet. Returns the last pending run of the code around, for
/// [`leave_task`].
#[inline]
pub(crate) fn enter_task() -> OuterRun {
    PENDED.with(|pended| {
        pended.own.set(OwnLine::NONE);
        OuterRun { depth: pended.depth.replace(NONE), run: pended.run.get() }
    })
}

/// Ends a poll of a task, which may be inside the poll of another one.
#[inline]
pub(crate) fn leave_task(OuterRun { depth, run }: OuterRun) {
    PENDED.with(|pended| {
        pended.depth.set(depth);
        pended.run.set(run);
    });
}

/// The last pending run of the code around a task.
pub(crate) struct OuterRun {
    depth: usize,
    run: usize,
}

/// Ends a poll of a task. Returns the line of its run, if that is pending.
#[inline]
pub(crate) fn exit_task() -> Option<OwnLine> {
    let own = PENDED.with(|pended| pended.own.replace(OwnLine::NONE));
    own.has(OwnLine::IS_PENDING).then_some(own)
}

/// Leaves the line of the pending run that a task drives for [`exit_task`]. `run` is its address.
#[inline]
pub(crate) fn leave_own(mark: Mark, moved: bool, run: usize) {
    PENDED.with(|pended| {
        pended.own.set(OwnLine::new(mark, moved, pended.depth.get() == 1));
        pended.depth.set(0);
        pended.run.set(run);
    });
}

/// A run that was pending before has ended, or was dropped.
#[inline]
pub(crate) fn ended(run: usize) {
    PENDED.with(|pended| {
        if pended.run.get() == run {
            pended.depth.set(NONE);
        }
    });
}

/// How many frames of a task are kept.
const MOST_FRAMES: usize = 8;

/// The runs of a pending task, the outermost first.
pub(crate) struct Frames {
    each: [AtomicU64; MOST_FRAMES],
    /// How many there are, also if not all are kept.
    count: AtomicU8,
    /// When the wait began.
    since: AtomicTicks,
}

/// The number of a function, and the line that its run waits at.
#[derive(Clone, Copy)]
struct Frame {
    spec: u32,
    mark: Mark,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            each: [const { AtomicU64::new(0) }; MOST_FRAMES],
            count: AtomicU8::new(0),
            since: AtomicTicks::new(Ticks::NEVER),
        }
    }

    /// Writes the line of the run that the task drives. `now` is the start of the poll.
    #[inline]
    pub(crate) fn set_own(&self, spec: &'static TaskSpec, own: OwnLine, now: Ticks) {
        let frame = Frame { spec: spec.number(), mark: own.mark() };
        let count = if own.has(OwnLine::IN_CALL) { None } else { Some(1) };
        self.write(0, frame, count, own.has(OwnLine::MOVED), now);
    }

    /// Writes the line of a call that is pending, at its depth among the runs of the task. `run` is its address.
    pub(crate) fn set_call(
        &self,
        depth: usize,
        (spec, mark): (&'static TaskSpec, Mark),
        moved: bool,
        run: usize,
        now: Ticks,
    ) {
        let below = PENDED.with(|pended| {
            pended.run.set(run);
            pended.depth.replace(depth)
        });
        // Otherwise the calls inside have written theirs in this poll.
        let count = (below != depth + 1).then_some(depth + 1);
        self.write(depth, Frame { spec: spec.number(), mark }, count, moved, now);
    }

    /// Forgets all frames: the task drives another run.
    #[inline]
    pub(crate) fn clear(&self) {
        self.count.store(0, Ordering::Relaxed);
    }

    /// Writes a frame, and the number of all if it is given. A wait begins if the run has moved, or something has
    /// changed. Only the task itself writes.
    #[inline]
    fn write(&self, depth: usize, frame: Frame, count: Option<usize>, mut moved: bool, now: Ticks) {
        if let Some(place) = self.each.get(depth) {
            let frame = u64::from(frame.spec) << 32 | u64::from(frame.mark.0);
            moved = moved || place.load(Ordering::Relaxed) != frame;
            place.store(frame, Ordering::Relaxed);
        }
        if let Some(count) = count {
            let count = u8::try_from(count).unwrap_or(u8::MAX);
            moved = moved || self.count.load(Ordering::Relaxed) != count;
            self.count.store(count, Ordering::Relaxed);
        }
        if moved {
            self.since.store(now);
        }
    }

    /// The frames of a task that is pending, and when it began to wait.
    pub(crate) fn read(&self) -> (Vec<(&'static TaskSpec, Option<Place>)>, usize, Ticks) {
        let count = usize::from(self.count.load(Ordering::Relaxed));
        let frames = self.each.iter().take(count).map_while(|frame| {
            let frame = frame.load(Ordering::Relaxed);
            let mark = Mark(frame as u32);
            let spec = TaskSpec::numbered((frame >> 32) as u32)?;
            Some((spec, Place::of(spec, mark)))
        });
        let frames: Vec<_> = frames.collect();
        let hidden = count.saturating_sub(frames.len());
        (frames, hidden, self.since.load())
    }
}

/// A line of a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

impl Place {
    /// The place of a mark that a run of the function has passed.
    fn of(spec: &'static TaskSpec, mark: Mark) -> Option<Self> {
        let line = mark.line()?;
        let own = spec.place().file();
        if mark.is_in(own) {
            return Some(Self { file: own, line });
        }
        // An `async` block of another function's body. Its file is known if no other has the same hash.
        let mut found = None;
        for spec in TaskSpec::all() {
            let file = spec.place().file();
            if mark.is_in(file) && found.replace(file).is_some_and(|other| other != file) {
                return None;
            }
        }
        found.map(|file| Self { file, line })
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_mark_has_a_line_and_a_file() {
        let mark = Mark::new(File::of("src/http.rs"), 41);
        assert_eq!(mark.line(), Some(41));
        assert!(mark.is_in("src/http.rs") && !mark.is_in("src/store.rs"));
        assert_eq!(Mark::NONE.line(), None);
    }

    #[test]
    fn a_line_never_changes_the_file() {
        let mark = Mark::new(File::of("src/http.rs"), u32::MAX);
        assert!(mark.is_in("src/http.rs"));
    }
}
