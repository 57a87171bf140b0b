//! Reports a poll that blocks its worker, while it lasts.
//!
//! A separate thread looks at the current poll of each thread. It is no task: it also reports a poll that blocks the only
//! worker.
//!
//! Invariants, checked by `tests/process/blocked.rs` and by the tests below
//!
//! 1. Each poll that takes longer than the limit is reported once, however many mains watch it: an event for each look
//!    would fill the log.
//! 2. Time in which the code could not run does not count: the process was stopped, or its thread waited for a
//!    processor. Otherwise a laptop that wakes up, a debugger or an overloaded machine would have every task reported.
//! 3. The subscriber and the callback are called without a lock, and their panic ends neither the thread nor the
//!    program.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    clock::Ticks,
    context::polls::{ThreadPolls, Watch},
    panic::quietly,
    registry::{live::LiveTask, snapshot, waits::Waits},
    telemetry::events,
    tuning::TaskTitle,
};

/// A shorter poll is not looked at.
const SHORT: Duration = Duration::from_millis(1);

/// The code that a program runs for each reported poll.
pub(crate) type OnBlocked = Box<dyn Fn(&LiveTask) + Send>;

/// Watches the polls of all threads until it is dropped.
pub(crate) struct BlockedWatch {
    /// Its end ends the thread.
    _stop: mpsc::Sender<()>,
}

impl BlockedWatch {
    /// Starts the thread, which reports polls that take longer than `limit`.
    pub(crate) fn start(limit: Duration, on_blocked: Option<OnBlocked>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let watch = Watch::start();
        let thread = thread::Builder::new().name("supervised-blocked".to_owned());
        thread.spawn(move || run(&watch, limit, on_blocked.as_ref(), &stopped))?;
        Ok(Self { _stop: stop })
    }
}

fn run(watch: &Watch, limit: Duration, on_blocked: Option<&OnBlocked>, stop: &mpsc::Receiver<()>) {
    let pause = pause(limit);
    let mut polls = Polls { limit, seen: Vec::new() };
    let mut looked = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(pause) {
        // A pause that is twice as long was stopped with the process.
        let overslept = looked.elapsed().saturating_sub(2 * pause);
        let blocked = polls.look(watch.threads(), overslept);
        if !blocked.is_empty() {
            report(&blocked, on_blocked);
        }
        // A report may take long: it is no pause.
        looked = Instant::now();
    }
}

/// A poll is reported at most a quarter of the limit late.
fn pause(limit: Duration) -> Duration {
    (limit / 4).clamp(Duration::from_millis(5), Duration::from_millis(250))
}

/// The polls that were current at the last look.
struct Polls {
    limit: Duration,
    seen: Vec<Seen>,
}

/// One poll.
struct Seen {
    thread: Arc<ThreadPolls>,
    since: Ticks,
    /// How long the process was stopped meanwhile.
    stopped: Duration,
    /// How long its thread had waited for a processor at the first look.
    waited: Option<Duration>,
}

/// A poll that has taken longer than the limit, and how long.
struct Blocked {
    since: Ticks,
    time: Duration,
}

impl Polls {
    /// Looks at the current polls. Returns those that are to be reported.
    fn look(&mut self, threads: Vec<Arc<ThreadPolls>>, overslept: Duration) -> Vec<Blocked> {
        let mut before = std::mem::take(&mut self.seen);
        for thread in threads {
            let Some(since) = thread.since() else { continue };
            if Duration::from_nanos(since.elapsed_nanos()) < SHORT {
                continue;
            }
            let known = before
                .iter()
                .position(|seen| seen.since == since && Arc::ptr_eq(&seen.thread, &thread));
            let mut seen = match known {
                Some(at) => before.swap_remove(at),
                None => Seen {
                    waited: thread.waited_for_processor(),
                    thread,
                    since,
                    stopped: Duration::ZERO,
                },
            };
            // Only what falls into the poll.
            let elapsed = Duration::from_nanos(since.elapsed_nanos());
            seen.stopped = (seen.stopped + overslept).min(elapsed);
            self.seen.push(seen);
        }
        let blocked = self.seen.iter().filter_map(|seen| {
            let time = seen.time();
            let is_blocked = time >= self.limit && seen.thread.report_once(seen.since);
            is_blocked.then_some(Blocked { since: seen.since, time })
        });
        blocked.collect()
    }
}

impl Seen {
    /// How long the poll has taken, without the time in which it could not run.
    fn time(&self) -> Duration {
        let all = Duration::from_nanos(self.since.elapsed_nanos());
        let waited = match (self.waited, self.thread.waited_for_processor()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => Duration::ZERO,
        };
        all.saturating_sub(self.stopped.max(waited))
    }
}

/// Counts and logs the polls whose tasks are still in them, and calls `on_blocked` for each.
fn report(blocked: &[Blocked], on_blocked: Option<&OnBlocked>) {
    let records = snapshot::live();
    for Blocked { since, time } in blocked {
        let Some(record) = records.iter().find(|record| record.polled_since() == *since) else {
            continue;
        };
        record.spec().metrics().record_slow_poll();
        let task = LiveTask::of(record);
        let title = TaskTitle { name: task.name, label: task.label() };
        let waited_at = Waits::latest(record).map(|waits| waits.to_string());
        events::blocks_worker(&title, task.id, task.spawned_at, waited_at.as_deref(), *time);
        if let Some(on_blocked) = on_blocked {
            quietly(|| on_blocked(&task));
        }
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;
    use crate::context::{polls::WatchedPoll, tree::OnThread};

    const LIMIT: Duration = Duration::from_millis(20);

    /// Looks until `done` says so, while this thread is in a poll.
    fn look_in_a_poll(overslept: Duration, mut done: impl FnMut(&[Blocked], Duration) -> bool) {
        let watch = Watch::start();
        let started = Ticks::now();
        let _poll = WatchedPoll::start(started, OnThread::Worker);
        let mut polls = Polls { limit: LIMIT, seen: Vec::new() };
        loop {
            let mut blocked = polls.look(watch.threads(), overslept);
            blocked.retain(|blocked| blocked.since == started);
            if done(&blocked, Duration::from_nanos(started.elapsed_nanos())) {
                return;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_long_poll_is_reported_once() {
        let mut reports = 0;
        look_in_a_poll(Duration::ZERO, |blocked, elapsed| {
            reports += blocked.len();
            assert!(blocked.iter().all(|blocked| blocked.time >= LIMIT));
            // The thread may have waited for a processor.
            reports > 0 && elapsed > 10 * LIMIT
        });
        assert_eq!(reports, 1);
    }

    #[test]
    fn the_time_in_which_the_process_was_stopped_does_not_count() {
        look_in_a_poll(Duration::from_secs(1), |blocked, elapsed| {
            assert!(blocked.is_empty());
            elapsed > 3 * LIMIT
        });
    }

    #[test]
    fn the_pause_is_a_quarter_of_the_limit_within_bounds() {
        let millis = Duration::from_millis;
        let pauses = [1, 100, 1_000, 60_000].map(|limit| pause(millis(limit)));
        assert_eq!(pauses, [5, 25, 250, 250].map(millis));
    }
}
