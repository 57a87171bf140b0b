//! What the owner and the handles of a task have requested, whether its result is awaited, and how it ended.
//!
//! Invariants
//!
//! 1. A wait for the end sets its flag before it checks for the end, and the end is recorded in the same word: one of the
//!    two sees the other. Otherwise a wait could sleep forever. (`context/control/loom.rs`)
//! 2. A task ends once, and its outcome does not change. Otherwise two waits could return different outcomes.
//! 3. A request after the end changes nothing: its record may still be referred to. (`tests/spec/behaviour/handle.rs`)

use std::pin::pin;

use crate::{
    outcome::Outcome,
    panic::quietly,
    sync::{
        Notify, OnceLock,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
};

#[cfg(all(test, supervised_loom))]
mod loom;

/// The next poll drops the task.
const ABORTED: u32 = 1;
/// A handle has cancelled the task.
const CANCELLED: u32 = 1 << 1;
/// A handle was the first to cancel or abort it.
const BY_HANDLE: u32 = 1 << 2;
/// Nobody awaits the result of the task: it logs its own failure.
const UNAWAITED: u32 = 1 << 3;
/// Someone waits for the end.
const WATCHED: u32 = 1 << 4;
/// The record has the token of the body.
const HAS_TOKEN: u32 = 1 << 5;
const ENDED: u32 = 1 << 6;
/// A handle was the first to abort it, maybe after a cancellation.
const ABORTED_BY_HANDLE: u32 = 1 << 7;
/// The outcome of a task that has ended is in the bits from here on.
const OUTCOME: u32 = 8;

pub(crate) struct Control {
    flags: AtomicU32,
    /// How a run that was dropped before it had ended was counted: its index, plus one.
    dropped_as: AtomicU8,
    /// Created by the first wait for the end.
    ended: OnceLock<Box<Notify>>,
}

/// What was requested of a task, as it was at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Requests(u32);

impl Requests {
    #[inline]
    pub(crate) fn is_aborted(self) -> bool {
        self.0 & ABORTED != 0
    }

    /// Whether a handle has cancelled the task.
    #[inline]
    pub(crate) fn is_cancelled(self) -> bool {
        self.0 & CANCELLED != 0
    }

    /// Whether a handle was the first to cancel or abort the task.
    #[inline]
    pub(crate) fn is_by_handle(self) -> bool {
        self.0 & BY_HANDLE != 0
    }

    /// Whether a handle was the first to abort the task. Its scope, or the token of its pool, may have cancelled it before.
    #[inline]
    pub(crate) fn is_aborted_by_handle(self) -> bool {
        self.0 & ABORTED_BY_HANDLE != 0
    }

    /// Whether there is none.
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.0 & (ABORTED | CANCELLED) == 0
    }
}

impl Control {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { flags: AtomicU32::new(0), dropped_as: AtomicU8::new(0), ended: OnceLock::new() }
    }

    #[inline]
    pub(crate) fn requests(&self) -> Requests {
        Requests(self.flags.load(Ordering::Acquire))
    }

    pub(super) fn abort(&self) {
        self.flags.fetch_or(ABORTED, Ordering::AcqRel);
    }

    /// Returns whether the task has not ended. `is_stopping`: its scope was cancelled before.
    pub(super) fn abort_by_handle(&self, is_stopping: bool) -> bool {
        self.request(|flags| {
            let is_first = !is_stopping && flags & (ABORTED | CANCELLED) == 0;
            let is_abort_first = flags & ABORTED == 0;
            ABORTED
                | if is_first { BY_HANDLE } else { 0 }
                | if is_abort_first { ABORTED_BY_HANDLE } else { 0 }
        })
    }

    /// Returns whether the task has not ended.
    pub(super) fn cancel_by_handle(&self) -> bool {
        self.request(|flags| if flags & ABORTED == 0 { CANCELLED | BY_HANDLE } else { 0 })
    }

    fn request(&self, request: impl Fn(u32) -> u32) -> bool {
        let with = |flags| (flags & ENDED == 0).then(|| flags | request(flags));
        self.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, with).is_ok()
    }

    /// The record has the token of the body from now on. Returns what was requested until now.
    pub(super) fn keep_token(&self) -> Requests {
        Requests(self.flags.fetch_or(HAS_TOKEN, Ordering::AcqRel))
    }

    /// The task logs its own failure from now on. Orders nothing: a task that misses it returns its result, and the
    /// drop of that logs the failure.
    #[inline]
    pub(crate) fn set_unawaited(&self) {
        self.flags.fetch_or(UNAWAITED, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_unawaited(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & UNAWAITED != 0
    }

    pub(super) fn set_dropped_as(&self, outcome: Outcome) {
        self.dropped_as.store(code(outcome), Ordering::Relaxed);
    }

    pub(super) fn dropped_as(&self) -> Option<Outcome> {
        outcome(self.dropped_as.load(Ordering::Relaxed).into())
    }

    /// Records the end, and wakes those that wait for it. Returns whether the record has the token of the body.
    #[inline]
    pub(super) fn set_ended(&self, outcome: Outcome) -> bool {
        let ended = ENDED | u32::from(code(outcome)) << OUTCOME;
        let before = self.flags.fetch_or(ended, Ordering::AcqRel);
        if before & WATCHED != 0 {
            self.notify();
        }
        before & HAS_TOKEN != 0
    }

    #[cold]
    fn notify(&self) {
        // It calls wakers, which are foreign code.
        self.ended.get().into_iter().for_each(|ended| _ = quietly(|| ended.notify_waiters()));
    }

    /// How the task ended, if it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        outcome(self.flags.load(Ordering::Acquire) >> OUTCOME)
    }

    /// Waits for the end of the task.
    pub(crate) async fn ended(&self) -> Outcome {
        loop {
            let mut ended = pin!(self.ended.get_or_init(|| Box::new(Notify::new())).notified());
            ended.as_mut().enable();
            let flags = self.flags.fetch_or(WATCHED, Ordering::AcqRel);
            if let Some(outcome) = outcome(flags >> OUTCOME) {
                return outcome;
            }
            ended.await;
        }
    }
}

/// The index of an outcome in `Outcome::ALL`, plus one.
fn code(outcome: Outcome) -> u8 {
    outcome as u8 + 1
}

fn outcome(code: u32) -> Option<Outcome> {
    Outcome::ALL.get(usize::try_from(code).ok()?.checked_sub(1)?).copied()
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_own_code() {
        for of in Outcome::ALL {
            assert_eq!(outcome(code(of).into()), Some(of));
        }
        assert_eq!(outcome(0), None);
    }
}
