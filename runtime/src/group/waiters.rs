//! The spawns of a group that wait for a slot or a permit.
//!
//! A `select!` may keep a spawn without polling it while its task joins the group. If no task is left, the join wakes
//! the waiting spawns: a spawn that is then polled has responded. If none responds within [`RESPONSE_TIME`], the join
//! closes the group, and the spawns are refused. While one responds, the join waits for it, and wakes them again each
//! `RESPONSE_TIME`. In a runtime without timers it waits for them without a limit.
//!
//! Invariant: a waiter is listed until its spawn ends, and its waker is cloned, called and dropped outside of the lock.

use std::{collections::BTreeMap, num::NonZero, task::Waker, time::Duration};

use crate::{error::TaskError, function::TaskSpec};

/// How long a woken spawn may take until it is polled.
pub(crate) const RESPONSE_TIME: Duration = Duration::from_secs(1);

/// The spawns that wait, by their numbers.
pub(crate) struct Waiters<E> {
    waiters: BTreeMap<NonZero<u64>, Waiter<E>>,
    next: NonZero<u64>,
}

pub(crate) struct Waiter<E> {
    pub(crate) spec: &'static TaskSpec,
    pub(crate) error: fn(TaskError) -> E,
    waker: Option<Waker>,
    /// Polled since it was last woken by the join.
    polled: bool,
}

impl<E> Waiters<E> {
    pub(crate) const fn new() -> Self {
        Self { waiters: BTreeMap::new(), next: NonZero::<u64>::MIN }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Adds a spawn that starts to wait; returns its number.
    pub(crate) fn add(
        &mut self,
        spec: &'static TaskSpec,
        error: fn(TaskError) -> E,
    ) -> NonZero<u64> {
        let number = self.next;
        self.next = number.saturating_add(1);
        self.waiters.insert(number, Waiter { spec, error, waker: None, polled: true });
        number
    }

    pub(crate) fn remove(&mut self, number: NonZero<u64>) -> Option<Waiter<E>> {
        self.waiters.remove(&number)
    }

    /// Records the poll of a spawn. Returns its previous waker.
    pub(crate) fn set_polled(&mut self, number: NonZero<u64>, waker: Waker) -> Option<Waker> {
        let waiter = self.waiters.get_mut(&number)?;
        waiter.polled = true;
        waiter.waker.replace(waker)
    }

    /// Requests a poll of each spawn. Returns the wakers to call.
    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        let take = |waiter: &mut Waiter<E>| {
            waiter.polled = false;
            waiter.waker.take()
        };
        self.waiters.values_mut().filter_map(take).collect()
    }

    pub(crate) fn any_polled(&self) -> bool {
        self.waiters.values().any(|waiter| waiter.polled)
    }

    pub(crate) fn first(&self) -> Option<&Waiter<E>> {
        self.waiters.values().next()
    }
}
