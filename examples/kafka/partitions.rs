//! The running messages of each partition, and the offset up to which all are done.
//!
//! Invariants
//!
//! 1. The offset of a partition is that of its first message that has not ended: a commit says that all
//!    before it is done.
//! 2. A message that was given up on (its task was dropped) never ends: the offset stays before it.
//! 3. A partition is idle when none of its messages is running; tasks that wait for that are woken.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Shared by the thread that takes messages and the tasks that end them, behind one short lock.
#[derive(Default)]
pub(crate) struct Partitions {
    of: Mutex<HashMap<i32, Partition>>,
    changed: Condvar,
}

#[derive(Default)]
struct Partition {
    /// The messages from the first one that has not ended.
    started: BTreeMap<i64, State>,
    /// The next offset for the next member that has the partition.
    offset: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    Ended,
    GivenUp,
}

/// A running message. If it is dropped before its end, it was given up on.
pub(crate) struct UnderWay {
    partitions: Arc<Partitions>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    ended: bool,
}

impl Partitions {
    fn of(&self) -> MutexGuard<'_, HashMap<i32, Partition>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message was taken.
    pub(crate) fn start(self: &Arc<Self>, partition: i32, offset: i64) -> UnderWay {
        self.of().entry(partition).or_default().started.insert(offset, State::UnderWay);
        UnderWay { partitions: self.clone(), partition, offset, ended: false }
    }

    fn set(&self, partition: i32, offset: i64, state: State) {
        let mut of = self.of();
        let Some(partition) = of.get_mut(&partition) else { return };
        if let Some(entry) = partition.started.get_mut(&offset) {
            *entry = state;
        }
        while let Some(first) = partition.started.first_entry() {
            if *first.get() != State::Ended {
                break;
            }
            partition.offset = Some(*first.key() + 1);
            first.remove();
        }
        drop(of);
        self.changed.notify_all();
    }

    /// The offsets at which the next members start, for partitions in which something has ended.
    pub(crate) fn offsets(&self) -> Vec<(i32, i64)> {
        let of = self.of();
        of.iter().filter_map(|(number, partition)| Some((*number, partition.offset?))).collect()
    }

    /// Waits until none of these is running; returns whether that happened in time.
    pub(crate) fn wait_until_idle(&self, partitions: &[i32], limit: Duration) -> bool {
        let is_busy = |of: &mut HashMap<i32, Partition>| {
            partitions.iter().filter_map(|number| of.get(number)).any(Partition::is_busy)
        };
        let waited = self.changed.wait_timeout_while(self.of(), limit, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Another member has them: messages that still run here end without effect on the offset.
    pub(crate) fn forget(&self, partitions: &[i32]) {
        let mut of = self.of();
        for number in partitions {
            of.remove(number);
        }
    }
}

impl Partition {
    fn is_busy(&self) -> bool {
        self.started.values().any(|state| *state == State::UnderWay)
    }
}

impl UnderWay {
    /// Its effect was written.
    pub(crate) fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let state = if self.ended { State::Ended } else { State::GivenUp };
        self.partitions.set(self.partition, self.offset, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_waits_for_the_slowest_before_it() {
        let partitions = Arc::new(Partitions::default());
        let [first, second, third] = [7, 8, 12].map(|offset| partitions.start(3, offset));
        second.ended();
        assert_eq!(partitions.offsets(), []);
        first.ended();
        assert_eq!(partitions.offsets(), [(3, 9)]);
        third.ended();
        assert_eq!(partitions.offsets(), [(3, 13)]);
    }

    #[test]
    fn an_abandoned_message_holds_the_offset_but_blocks_no_wait() {
        let partitions = Arc::new(Partitions::default());
        let [first, second] = [0, 1].map(|offset| partitions.start(0, offset));
        assert!(!partitions.wait_until_idle(&[0], Duration::ZERO));
        drop(first);
        second.ended();
        assert!(partitions.wait_until_idle(&[0, 1], Duration::ZERO));
        assert_eq!(partitions.offsets(), []);
    }

    #[test]
    fn a_partition_that_another_member_has_is_forgotten() {
        let partitions = Arc::new(Partitions::default());
        let late = partitions.start(0, 5);
        partitions.start(1, 5).ended();
        partitions.forget(&[0]);
        late.ended();
        assert_eq!(partitions.offsets(), [(1, 6)]);
    }
}
