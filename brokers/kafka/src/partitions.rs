//! The messages of each partition that are not settled, and the offset up to which all are.
//!
//! Invariants
//!
//! 1. The offset of a partition is that of its first message that has not ended: a commit says that all before it are
//!    done. (`an_offset_waits_for_the_slowest_before_it`)
//! 2. A message that is returned, or whose delivery is dropped, has not ended: it is delivered again, and the offset stays
//!    before it. (`a_returned_message_holds_the_offset_until_its_next_end`)
//! 3. A partition is idle when none of its messages runs: one that waits for its next attempt has nothing to finish.
//!    (`a_waiting_message_delays_no_rebalance`)
//! 4. A delivery from before a partition was given away changes nothing of the same partition after it has come back.
//!    (`a_delivery_from_before_a_rebalance_changes_nothing`)

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::delivery::KafkaMessage;

/// How many messages behind the first unsettled one a partition may start.
const MOST_STARTED: usize = 1_000;

/// Shared by the thread that polls and the deliveries.
#[derive(Default)]
pub(crate) struct Partitions {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    partitions: HashMap<i32, Partition>,
    /// Messages that are delivered again, by the time at which they are due.
    waiting: BTreeMap<(Instant, i32, i64), KafkaMessage>,
    generations: u64,
}

#[derive(Default)]
struct Partition {
    /// Another one each time that the partition is assigned.
    generation: u64,
    /// The messages from the first one that has not ended.
    started: BTreeMap<i64, Progress>,
    /// Where the next member starts.
    offset: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Running,
    Waiting,
    Ended,
}

/// A running message. If it is dropped, it is delivered again.
pub(crate) struct Running {
    partitions: Arc<Partitions>,
    generation: u64,
    message: Option<KafkaMessage>,
}

impl Partitions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message was read, or is delivered again.
    pub(crate) fn start(self: &Arc<Self>, message: KafkaMessage) -> Running {
        let mut state = self.state();
        let State { partitions, generations, .. } = &mut *state;
        let partition = partitions.entry(message.partition()).or_insert_with(|| {
            *generations += 1;
            Partition { generation: *generations, ..Partition::default() }
        });
        partition.started.insert(message.offset(), Progress::Running);
        let generation = partition.generation;
        drop(state);
        Running { partitions: self.clone(), generation, message: Some(message) }
    }

    /// The next message whose wait is over.
    pub(crate) fn due(&self, now: Instant) -> Option<KafkaMessage> {
        let mut state = self.state();
        let first = state.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// When the next message is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.state().waiting.first_key_value().map(|(key, _)| key.0)
    }

    /// Whether some partition has started enough messages.
    pub(crate) fn is_full(&self) -> bool {
        self.state().partitions.values().any(|partition| partition.started.len() >= MOST_STARTED)
    }

    /// Where the next members start, for partitions in which something has ended.
    pub(crate) fn offsets(&self) -> Vec<(i32, i64)> {
        let state = self.state();
        let partitions = state.partitions.iter();
        partitions.filter_map(|(number, partition)| Some((*number, partition.offset?))).collect()
    }

    /// Waits until none of these has a running message. Returns whether that happened in time.
    pub(crate) fn wait_until_idle(&self, partitions: &[i32], limit: Duration) -> bool {
        let is_busy = |state: &mut State| {
            let of = partitions.iter().filter_map(|number| state.partitions.get(number));
            of.flat_map(|partition| partition.started.values()).any(|it| *it == Progress::Running)
        };
        let waited = self.changed.wait_timeout_while(self.state(), limit, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Another member has them: what still runs here ends without effect on the offset.
    pub(crate) fn forget(&self, partitions: &[i32]) {
        let mut state = self.state();
        for number in partitions {
            state.partitions.remove(number);
        }
        let (dropped, kept) = std::mem::take(&mut state.waiting)
            .into_iter()
            .partition(|((_, number, _), _)| partitions.contains(number));
        let _: &BTreeMap<_, _> = &dropped;
        state.waiting = kept;
        drop(state);
        drop(dropped);
    }
}

impl Running {
    /// Its effect exists, or it was given up.
    pub(crate) fn end(mut self) {
        if let Some(message) = self.message.take() {
            self.set(&message, Progress::Ended, |_| {});
        }
    }

    /// It is delivered again at `due`.
    pub(crate) fn again(&mut self, due: Instant) {
        let Some(mut message) = self.message.take() else { return };
        message.delivered = message.delivered.saturating_add(1);
        let key = (due, message.partition(), message.offset());
        let kept = message.clone();
        self.set(&message, Progress::Waiting, move |state| {
            state.waiting.insert(key, kept);
        });
    }

    /// Changes the state of its message, unless the partition was given away.
    fn set(&self, message: &KafkaMessage, progress: Progress, then: impl FnOnce(&mut State)) {
        let mut state = self.partitions.state();
        let partition = state.partitions.get_mut(&message.partition());
        let Some(partition) = partition.filter(|it| it.generation == self.generation) else {
            return;
        };
        partition.started.insert(message.offset(), progress);
        while let Some(first) = partition.started.first_entry() {
            if *first.get() != Progress::Ended {
                break;
            }
            partition.offset = Some(*first.key() + 1);
            first.remove();
        }
        then(&mut state);
        drop(state);
        self.partitions.changed.notify_all();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.again(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(partitions: &Arc<Partitions>, partition: i32, offset: i64) -> Running {
        partitions.start(KafkaMessage::test(partition, offset))
    }

    #[test]
    fn an_offset_waits_for_the_slowest_before_it() {
        let partitions = Arc::new(Partitions::default());
        let [first, second, third] = [7, 8, 12].map(|offset| running(&partitions, 3, offset));
        second.end();
        assert_eq!(partitions.offsets(), []);
        first.end();
        assert_eq!(partitions.offsets(), [(3, 9)]);
        third.end();
        assert_eq!(partitions.offsets(), [(3, 13)]);
    }

    #[test]
    fn a_returned_message_holds_the_offset_until_its_next_end() {
        let partitions = Arc::new(Partitions::default());
        let [first, second] = [0, 1].map(|offset| running(&partitions, 0, offset));
        drop(first);
        second.end();
        assert_eq!(partitions.offsets(), []);
        let again = partitions.due(Instant::now()).unwrap();
        assert_eq!((again.offset(), again.delivered), (0, 2));
        partitions.start(again).end();
        assert_eq!(partitions.offsets(), [(0, 2)]);
    }

    #[test]
    fn a_waiting_message_delays_no_rebalance() {
        let partitions = Arc::new(Partitions::default());
        let mut first = running(&partitions, 0, 0);
        assert!(!partitions.wait_until_idle(&[0], Duration::ZERO));
        let hour = Instant::now() + Duration::from_secs(3_600);
        first.again(hour);
        assert!(partitions.wait_until_idle(&[0, 1], Duration::ZERO));
        assert!(partitions.due(Instant::now()).is_none());
        assert_eq!(partitions.next_due(), Some(hour));
        partitions.forget(&[0]);
        assert_eq!(partitions.next_due(), None);
    }

    #[test]
    fn a_delivery_from_before_a_rebalance_changes_nothing() {
        let partitions = Arc::new(Partitions::default());
        let [ends, is_dropped] = [5, 6].map(|offset| running(&partitions, 0, offset));
        running(&partitions, 1, 5).end();
        partitions.forget(&[0]);
        let [first, second] = [5, 6].map(|offset| running(&partitions, 0, offset));
        ends.end();
        drop(is_dropped);
        assert_eq!((partitions.offsets(), partitions.next_due()), (vec![(1, 6)], None));
        first.end();
        second.end();
        let mut offsets = partitions.offsets();
        offsets.sort_unstable();
        assert_eq!(offsets, [(0, 7), (1, 6)]);
    }

    #[test]
    fn a_partition_far_ahead_of_its_offset_is_full() {
        let partitions = Arc::new(Partitions::default());
        let slow = running(&partitions, 0, 0);
        (1..1_000).for_each(|offset| running(&partitions, 0, offset).end());
        assert!(partitions.is_full());
        slow.end();
        assert!(!partitions.is_full());
    }
}
