//! Reports a poll that blocks its worker, while it lasts.
//!
//! A separate thread checks the current poll of each thread. It is no task: it also reports a poll that blocks the only
//! worker.
//!
//! Invariants, checked by `tests/process/blocked.rs` and by the tests below
//!
//! 1. Each poll that takes longer than the limit is reported once, however many mains watch it: an event for each check
//!    would fill the log.
//! 2. Time in which the code could not run does not count: the process was stopped, and its thread waited for a
//!    processor. Otherwise a laptop that wakes up, a debugger or an overloaded machine would have every task reported.
//!    The two add up: the watch oversleeps while the process is stopped, and its own waits for a processor are
//!    subtracted from that. A wait that has not ended counts too, although no reading has it yet. (`tests/soak`, the
//!    long form)
//! 3. The subscriber and the callback are called without a lock, and their panic ends neither the thread nor the
//!    program.

use std::{
    io,
    sync::{
        Arc, Weak,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    clock::Ticks,
    context::polls::{SystemThread, ThreadPolls, Times, Watch},
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
    let mut polls = Polls { limit, threads: Vec::new() };
    let own = SystemThread::current();
    let mut before = Look::now(&own);
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(pause) {
        let look = Look::now(&own);
        let blocked = polls.look(watch.threads(), look.since(&before, pause));
        before = look;
        if !blocked.is_empty() {
            report(&blocked, on_blocked);
            // A report may take long: it is no pause.
            before = Look::now(&own);
        }
    }
}

/// When the thread of the watch looked.
struct Look {
    at: Instant,
    /// If the system says so.
    times: Option<Times>,
}

/// The time between two looks.
#[derive(Clone, Copy)]
struct Interval {
    end: Instant,
    length: Duration,
    /// How long the process was stopped.
    stopped: Duration,
}

impl Look {
    fn now(own: &SystemThread) -> Self {
        Self { at: Instant::now(), times: own.times() }
    }

    fn since(&self, before: &Self, pause: Duration) -> Interval {
        let length = self.at - before.at;
        let overslept = length.saturating_sub(pause);
        let stopped = match since(before.times, self.times) {
            Some(times) => overslept.saturating_sub(times.waited),
            // A machine that is busy may delay the watch by another pause.
            None => overslept.saturating_sub(pause),
        };
        Interval { end: self.at, length, stopped }
    }
}

impl Interval {
    /// How long a poll could not run that began in the interval, if its thread waited that long for a processor.
    fn lost_by_new(&self, elapsed: Duration, waited: Duration) -> Duration {
        // Nobody knows which part of the wait came before the poll: its share is estimated.
        let share = elapsed.as_secs_f64() / self.length.as_secs_f64();
        self.stopped.min(elapsed) + waited.mul_f64(share.min(1.0))
    }

    /// How long a thread was idle at the end of the interval that was idle for `before` at its start.
    fn idle(&self, times: Times, before: Duration) -> Duration {
        let length = self.length.saturating_sub(self.stopped);
        if times.ran.is_zero() && times.waited.is_zero() {
            return before + length;
        }
        // A wait before the interval has ended, and is in the reading now.
        length.saturating_sub(times.ran + times.waited.saturating_sub(before))
    }
}

/// How a thread has spent its time between two readings.
fn since(before: Option<Times>, now: Option<Times>) -> Option<Times> {
    Some(now?.since(before?))
}

/// A poll is reported at most a quarter of the limit late; twice that if its thread has just slept, and runs or waits again.
fn pause(limit: Duration) -> Duration {
    (limit / 4).clamp(Duration::from_millis(5), Duration::from_millis(250))
}

/// The threads and polls of the last look.
struct Polls {
    limit: Duration,
    threads: Vec<Seen>,
}

/// A thread, as of the last look.
struct Seen {
    /// Weak: the watch forgets a thread that has ended.
    thread: Weak<ThreadPolls>,
    times: Option<Times>,
    /// Until the last look, how long it neither ran nor is known to have waited for a processor: it slept, or it waits.
    idle: Duration,
    poll: Option<Poll>,
}

/// A poll, and how long it could not run.
#[derive(Clone, Copy)]
struct Poll {
    since: Ticks,
    lost: Duration,
}

/// A poll that has taken longer than the limit, and how long.
struct Blocked {
    since: Ticks,
    time: Duration,
    thread: Option<u64>,
}

impl Polls {
    /// Checks the current polls, at the end of `interval`. Returns those to report.
    fn look(&mut self, threads: Vec<Arc<ThreadPolls>>, interval: Interval) -> Vec<Blocked> {
        let mut before = std::mem::take(&mut self.threads);
        let mut blocked = Vec::new();
        for thread in threads {
            let known = before.iter().position(|seen| seen.thread.as_ptr() == Arc::as_ptr(&thread));
            let mut seen = match known {
                Some(at) => before.swap_remove(at),
                None => Seen {
                    thread: Arc::downgrade(&thread),
                    times: None,
                    idle: Duration::ZERO,
                    poll: None,
                },
            };
            if let Some((since, time)) = seen.look(&thread, interval) {
                if seen.has_blocked(&thread, time, self.limit) && thread.report_once(since) {
                    let thread = thread.thread.number();
                    blocked.push(Blocked { since, time, thread });
                }
            }
            self.threads.push(seen);
        }
        blocked
    }
}

impl Seen {
    /// Checks the thread, at the end of `interval`. Returns the start of its poll and how long the poll could run.
    fn look(&mut self, thread: &ThreadPolls, interval: Interval) -> Option<(Ticks, Duration)> {
        let before = std::mem::replace(&mut self.times, thread.thread.times());
        let times = since(before, self.times);
        self.idle = times.map_or(Duration::ZERO, |times| interval.idle(times, self.idle));
        let waited = times.unwrap_or_default().waited;
        let before = self.poll.take();
        let since = thread.since()?;
        // As of the end of the interval: the process may have been stopped since.
        let elapsed = Duration::from_nanos(since.elapsed_nanos());
        let elapsed = elapsed.saturating_sub(interval.end.elapsed());
        if elapsed < SHORT {
            return None;
        }
        let lost = match before {
            Some(poll) if poll.since == since => poll.lost + interval.stopped + waited,
            _ => interval.lost_by_new(elapsed, waited),
        };
        self.poll = Some(Poll { since, lost });
        Some((since, elapsed.saturating_sub(lost)))
    }

    /// Whether the poll has blocked its thread for so long. A wait for a processor that has not ended is in no reading:
    /// a thread that does not sleep may have waited for as long as it was idle.
    fn has_blocked(&self, thread: &ThreadPolls, time: Duration, limit: Duration) -> bool {
        time >= limit && (time - self.idle.min(time) >= limit || !thread.thread.is_runnable())
    }
}

/// Counts and logs the polls whose tasks are still in them, and calls `on_blocked` for each.
fn report(blocked: &[Blocked], on_blocked: Option<&OnBlocked>) {
    let records = snapshot::live();
    for Blocked { since, time, thread } in blocked {
        let Some(record) = records.iter().find(|record| record.polled_since() == *since) else {
            continue;
        };
        record.spec().metrics().record_slow_poll();
        let task = LiveTask::of(record);
        let title = TaskTitle { name: task.name, label: task.label() };
        let waited_at = Waits::latest(record).map(|waits| waits.to_string());
        let waited_at = waited_at.as_deref();
        events::blocks_worker(&title, task.id, task.spawned_at, waited_at, *time, *thread);
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
    fn look_in_a_poll(stopped: Duration, mut done: impl FnMut(&[Blocked], Duration) -> bool) {
        let watch = Watch::start();
        let started = Ticks::now();
        let _poll = WatchedPoll::start(started, OnThread::Worker);
        let mut polls = Polls { limit: LIMIT, threads: Vec::new() };
        loop {
            let interval = Interval { end: Instant::now(), length: LIMIT, stopped };
            let mut blocked = polls.look(watch.threads(), interval);
            blocked.retain(|blocked| blocked.since == started);
            if done(&blocked, Duration::from_nanos(started.elapsed_nanos())) {
                return;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_that_has_ended_is_forgotten() {
        let watch = Watch::start();
        let mut polls = Polls { limit: LIMIT, threads: Vec::new() };
        let mut look = || {
            let interval = Interval { end: Instant::now(), length: LIMIT, stopped: Duration::ZERO };
            polls.look(watch.threads(), interval);
            polls.threads.iter().map(|seen| seen.thread.clone()).collect::<Vec<_>>()
        };
        let (polled, has_polled) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            drop(WatchedPoll::start(Ticks::now(), OnThread::Worker));
            polled.send(ThreadPolls::own()).expect("the test waits for it");
            _ = ends.recv();
        });
        let own = has_polled.recv().expect("the thread sends its own");
        assert!(look().iter().any(|seen| Weak::ptr_eq(seen, &own)));
        drop(end);
        thread.join().expect("it does not panic");
        assert!(own.upgrade().is_none(), "only the thread and the registry know it");
        assert!(!look().iter().any(|seen| Weak::ptr_eq(seen, &own)));
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
    fn a_wait_of_the_watch_is_no_stop_of_the_process() {
        let millis = Duration::from_millis;
        let look = |after: u64, waited: Option<u64>| {
            let times = |waited| Times { ran: millis(3), waited: millis(waited) };
            let start = Look { at: Instant::now(), times: waited.map(|_| times(7)) };
            let end =
                Look { at: start.at + millis(after), times: waited.map(|more| times(7 + more)) };
            let interval = end.since(&start, millis(250));
            assert_eq!(interval.length, millis(after));
            interval.stopped
        };
        assert_eq!(look(250, Some(0)), millis(0));
        assert_eq!(look(2_750, Some(0)), millis(2_500));
        assert_eq!(look(2_750, Some(400)), millis(2_100));
        assert_eq!(look(650, Some(400)), millis(0));
        // The system does not count the waits.
        assert_eq!(look(500, None), millis(0));
        assert_eq!(look(2_750, None), millis(2_250));
    }

    #[test]
    fn a_new_poll_lost_its_share_of_the_waits() {
        let millis = Duration::from_millis;
        let interval =
            Interval { end: Instant::now(), length: millis(400), stopped: millis(2_500) };
        assert_eq!(interval.lost_by_new(millis(100), millis(80)), millis(100 + 20));
        assert_eq!(interval.lost_by_new(millis(3_000), millis(80)), millis(2_500 + 80));
    }

    #[test]
    fn a_wait_that_has_not_ended_is_idle_time() {
        let millis = Duration::from_millis;
        let interval = Interval { end: Instant::now(), length: millis(250), stopped: millis(0) };
        let idle = |ran, waited, before| {
            interval.idle(Times { ran: millis(ran), waited: millis(waited) }, millis(before))
        };
        // It computes, with waits that have ended.
        assert_eq!(idle(250, 0, 0), millis(0));
        assert_eq!(idle(50, 200, 0), millis(0));
        // It waits since before the interval, and then runs.
        assert_eq!(idle(0, 0, 0), millis(250));
        assert_eq!(idle(0, 0, 250), millis(500));
        assert_eq!(idle(100, 650, 500), millis(0));
        // It ran, and waits or sleeps again.
        assert_eq!(idle(10, 540, 500), millis(200));
    }

    #[test]
    fn the_pause_is_a_quarter_of_the_limit_within_bounds() {
        let millis = Duration::from_millis;
        let pauses = [1, 100, 1_000, 60_000].map(|limit| pause(millis(limit)));
        assert_eq!(pauses, [5, 25, 250, 250].map(millis));
    }
}
