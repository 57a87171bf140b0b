//! What a group knows of its tasks.
//!
//! Invariants
//!
//! 1. The first failure is recorded before the cancellation that it triggers: no sibling's `Cancelled`
//!    can come first.
//! 2. `pending` counts the tasks and the spawns that wait. Only when it is 0 does `join` go on, and it
//!    closes the group under the same lock: nothing is spawned after it.
//! 3. No user code runs under the lock: values, errors and tasks are dropped outside, wakers called and cloned
//!    there.
//! 4. A waker that panics, of the joiner or of who waits for the token, harms no task and no count.
//!    (`tests/faults/wakers.rs`)
//! 5. What is entered while the group is dropped is aborted, or refused.
//!
//! `ledger/loom.rs` checks 1, 2 and 5 for every interleaving.

use std::{
    future::poll_fn,
    panic::Location,
    sync::{Arc, PoisonError, Weak},
    task::{Poll, Waker},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    slots::Slots,
    spares::{Spare, Spares},
};
use crate::{
    Cause, Outcome, events,
    panic::{Caught, drop_each_quietly, drop_quietly, quietly},
    registry::{self, HasTasks, Listed},
    run::{alarm::Alarm, row::Row, scope::Scope},
    span::TaskSpan,
    sync::{Mutex, MutexGuard, OnceLock},
};

#[cfg(all(test, supervised_loom))]
mod loom;

pub(super) struct Shared<T, E> {
    pub(super) token: CancellationToken,
    pub(super) scope: Arc<Scope>,
    /// The one that the group was made in: the spans of its tasks are inside.
    pub(super) span: TaskSpan,
    pub(super) slots: Slots,
    pub(super) grace: Option<Duration>,
    pub(super) until_first_exit: bool,
    place: &'static Location<'static>,
    /// From the first task on.
    seen: OnceLock<Seen>,
    state: Mutex<State<T, E>>,
}

/// What a scope has that has tasks.
struct Seen {
    alarm: Alarm,
    _listed: Listed<dyn HasTasks>,
}

struct State<T, E> {
    /// In the order of the spawns.
    tasks: Vec<Entry<T>>,
    running: usize,
    pending: usize,
    failure: Option<(Outcome, E)>,
    /// A spawn that the fired token refused.
    refused: Option<E>,
    /// A panic of an error's conversion: there is no `E` to tell it with, and the join panics.
    untold: Option<Caught>,
    /// The group has stopped itself because a task has ended.
    exited: bool,
    closed: bool,
    joiner: Option<Waker>,
    spares: Spares,
}

/// What nobody has taken is dropped one by one: two panics at once would abort the process.
impl<T, E> Drop for State<T, E> {
    fn drop(&mut self) {
        drop_each_quietly(std::mem::take(&mut self.tasks));
        drop_quietly(self.failure.take());
        drop_quietly(self.refused.take());
    }
}

enum Entry<T> {
    Running(Arc<Row>),
    Gave(T),
    GaveNothing,
}

/// Where a task stands in the ledger.
#[derive(Clone, Copy)]
pub(super) struct Index(usize);

impl<T, E> Shared<T, E> {
    pub(super) fn new(token: CancellationToken, place: &'static Location<'static>) -> Self {
        Self {
            scope: Scope::nested(token.clone()),
            token,
            span: TaskSpan::current(),
            seen: OnceLock::new(),
            slots: Slots::unbounded(),
            grace: None,
            until_first_exit: false,
            place,
            state: Mutex::new(State {
                tasks: Vec::new(),
                running: 0,
                pending: 0,
                failure: None,
                refused: None,
                untold: None,
                exited: false,
                closed: false,
                joiner: None,
                spares: Spares::default(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tasks(&self) -> usize {
        self.state().running
    }

    /// Wakes the tasks when the token fires; there from the first one on.
    pub(super) fn alarm(&self) -> Option<&Alarm> {
        self.seen.get().map(|seen| &seen.alarm)
    }

    /// A handle on the token for one more task, and a row if there is one to spare; `None` where the group
    /// takes nothing more.
    pub(super) fn token(&self) -> Option<(CancellationToken, Option<Arc<Row>>)> {
        if self.token.is_cancelled() {
            return None;
        }
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let Spare { token, row } = state.spares.take();
        drop(state);
        Some((token.unwrap_or_else(|| self.token.clone()), row))
    }

    /// A spawn begins to wait.
    pub(super) fn wait_begun(&self) {
        self.state().pending += 1;
    }

    /// A spawn that waited has ended, one way or the other.
    pub(super) fn wait_ended(&self) {
        let mut state = self.state();
        state.pending -= 1;
        wake_joiner(state);
    }

    /// Enters a task that is about to be spawned; `None` where the group is closed.
    pub(super) fn enter(self: &Arc<Self>, row: &Arc<Row>) -> Option<Index>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.seen.get_or_init(|| {
            let weak: Weak<Self> = Arc::downgrade(self);
            let alarm = Alarm::new(&self.token, &self.scope, weak);
            Seen { alarm, _listed: registry::list(self) }
        });
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.running += 1;
        state.pending += 1;
        state.tasks.push(Entry::Running(row.clone()));
        Some(Index(state.tasks.len() - 1))
    }

    /// A task has ended.
    pub(super) fn leave(
        &self,
        index: Index,
        task: &'static str,
        outcome: Outcome,
        result: Result<T, E>,
        token: Option<CancellationToken>,
    ) {
        let mut state = self.state();
        // Of a group that was dropped nobody takes the values: they are dropped here, and not where the last
        // reference to the group happens to be, which may be within someone's `cancel`.
        let (entry, error, unwanted) = match result {
            Ok(value) if state.closed => (Entry::GaveNothing, None, Some(value)),
            Ok(value) => (Entry::Gave(value), None, None),
            Err(error) => (Entry::GaveNothing, Some(error), None),
        };
        let row = match std::mem::replace(&mut state.tasks[index.0], entry) {
            Entry::Running(row) => Some(row),
            Entry::Gave(_) | Entry::GaveNothing => None,
        };
        let surplus_spare = state.spares.keep(Spare { token, row }, &self.token);
        let cause = match &error {
            Some(_) => Cause::SiblingFailed { task },
            None => Cause::SiblingExited { task },
        };
        let (stops, surplus) = match error {
            Some(error) => self.record(&mut state, outcome, error),
            None => (false, None),
        };
        let exits = self.until_first_exit && !state.exited && !self.token.is_cancelled();
        state.exited |= exits;
        if stops || exits || surplus.is_some() {
            drop(state);
            if stops || exits {
                self.stop(cause);
            }
            drop_quietly(surplus);
            state = self.state();
        }
        state.running -= 1;
        state.pending -= 1;
        wake_joiner(state);
        drop(surplus_spare);
        drop_quietly(unwanted);
    }

    /// A task has ended, and no error could be made of how.
    pub(super) fn leave_untold(&self, index: Index, task: &'static str, caught: Caught) {
        let mut state = self.state();
        state.tasks[index.0] = Entry::GaveNothing;
        state.untold.get_or_insert(caught);
        drop(state);
        self.stop(Cause::SiblingFailed { task });
        let mut state = self.state();
        state.running -= 1;
        state.pending -= 1;
        wake_joiner(state);
    }

    /// Cancels the rest; where they are cancelled already, that has a cause of its own.
    fn stop(&self, cause: Cause) {
        if !self.token.is_cancelled() {
            let rung = self.scope.cancel(cause, || quietly(|| self.token.cancel()));
            if let (false, Some(alarm)) = (rung, self.alarm()) {
                alarm.ring();
            }
        }
    }

    /// A closure panicked before there was a task.
    pub(super) fn fail(&self, task: &'static str, outcome: Outcome, error: E) {
        let mut state = self.state();
        let (stops, surplus) = self.record(&mut state, outcome, error);
        drop(state);
        if stops {
            self.stop(Cause::SiblingFailed { task });
        }
        drop_quietly(surplus);
    }

    /// A spawn was refused since the token has fired: the join must not pass for complete. One that came after
    /// the join is none of its business.
    pub(super) fn refuse(&self, error: E) {
        let mut state = self.state();
        let after = state.exited || state.closed;
        let surplus = if after { Some(error) } else { state.refused.replace(error) };
        drop(state);
        drop_quietly(surplus);
    }

    /// Records a failure, if it is the first; tells whether it stops the group, and gives back the
    /// error that nobody will see.
    fn record(&self, state: &mut State<T, E>, outcome: Outcome, error: E) -> (bool, Option<E>) {
        // What follows an exit is no failure; in such a group a real error beats a cancellation.
        let follows = state.exited && outcome == Outcome::Cancelled;
        let beats = |first: &Outcome| {
            self.until_first_exit && *first == Outcome::Cancelled && outcome != Outcome::Cancelled
        };
        match &state.failure {
            _ if follows => (false, Some(error)),
            None => {
                state.failure = Some((outcome, error));
                (true, None)
            }
            Some((first, _)) if beats(first) => {
                let before = state.failure.replace((outcome, error));
                (false, before.map(|(_, error)| error))
            }
            Some(_) => (false, Some(error)),
        }
    }

    /// Waits until nothing is pending, and closes the group.
    pub(super) async fn all_ended(&self) {
        poll_fn(|cx| {
            if self.closes_if_ended(self.state()) {
                return Poll::Ready(());
            }
            let joiner = cx.waker().clone();
            let mut state = self.state();
            let before = state.joiner.replace(joiner);
            let ended = self.closes_if_ended(state);
            drop(before);
            if ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn closes_if_ended(&self, mut state: MutexGuard<'_, State<T, E>>) -> bool {
        let ended = state.pending == 0;
        state.closed |= ended;
        ended
    }

    pub(super) fn take_results(&self) -> Result<Vec<T>, E> {
        let mut state = self.state();
        let tasks = std::mem::take(&mut state.tasks);
        let failure = state.failure.take().map(|(_, error)| error);
        let refused = state.refused.take();
        let untold = state.untold.take();
        drop(state);
        match (failure, untold) {
            (None, Some(caught)) => {
                drop_each_quietly(tasks);
                drop_quietly(refused);
                caught.resume()
            }
            (failure, _) => match failure.or(refused) {
                Some(error) => {
                    drop_each_quietly(tasks);
                    Err(error)
                }
                None => Ok(tasks.into_iter().filter_map(Entry::into_value).collect()),
            },
        }
    }

    /// The group is dropped: what still runs is cancelled and aborted.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.closed = true;
        let running = state.running;
        let mut values = Vec::new();
        let mut rows = Vec::new();
        for task in &mut state.tasks {
            // What runs is in the list until it has ended: an abort may not reach it.
            if let Entry::Running(row) = task {
                rows.push(row.clone());
            } else if let Entry::Gave(value) = std::mem::replace(task, Entry::GaveNothing) {
                values.push(value);
            }
        }
        drop(state);
        let was_cancelled = self.token.is_cancelled();
        self.stop(Cause::ScopeDropped);
        for row in rows {
            row.abort();
        }
        drop_each_quietly(values);
        if running > 0 && !was_cancelled {
            events::group_dropped(running, self.place);
        }
    }
}

impl<T: Send, E: Send> HasTasks for Shared<T, E> {
    fn rows(&self, into: &mut Vec<Arc<Row>>) {
        let state = self.state();
        let running = state.tasks.iter().filter_map(|entry| match entry {
            Entry::Running(row) => Some(row.clone()),
            Entry::Gave(_) | Entry::GaveNothing => None,
        });
        into.extend(running.take(state.running));
    }
}

fn wake_joiner<T, E>(mut state: MutexGuard<'_, State<T, E>>) {
    if state.pending > 0 {
        return;
    }
    if let Some(joiner) = state.joiner.take() {
        drop(state);
        quietly(|| joiner.wake());
    }
}

impl<T> Entry<T> {
    fn into_value(self) -> Option<T> {
        match self {
            Self::Gave(value) => Some(value),
            Self::Running(_) | Self::GaveNothing => None,
        }
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_spawn_that_meets_the_end_of_the_join_does_not_make_it_fail() {
        let group: Shared<u8, &str> = Shared::new(CancellationToken::new(), Location::caller());
        group.all_ended().await;
        assert!(group.token().is_none(), "it takes nothing more");
        group.refuse("a spawn through a handle, before the results are taken");
        assert_eq!(group.take_results(), Ok(vec![]));
    }
}
