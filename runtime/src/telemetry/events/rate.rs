//! A rate limit on events of one kind: at most 10 a second are logged for each function. The rest are counted, and
//! logged as one line a second.
//!
//! ```text
//! event 1 … 10: logged ── event 11 …: counted ── 1 s after event 1: one line with the count ── event: logged …
//! ```
//!
//! Invariants, checked by the tests below
//!
//! 1. Each event is logged or counted, once, and each count is logged: by the thread that the first counted event starts,
//!    by the next event of the function, or by [`flush_all`](crate::telemetry::events::flush_all) at the end of a drain, of `#[supervised::main]` and of
//!    `#[supervised::test]`. The end of any other `main` kills that thread: the counts of the last second are lost.
//!    (To flush at each join would log more than one line a second.)
//! 2. No subscriber is called under the lock.
//! 3. Without a subscriber of that level, nothing is counted and no thread is started.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tracing::{Dispatch, Level, dispatcher, level_filters::LevelFilter};

use crate::{panic::drop_quietly, telemetry::span::call_subscriber};

/// How many events of one function are logged in a window.
const MOST: u32 = 10;

const WINDOW: Duration = Duration::from_secs(1);

/// One kind of event.
pub(crate) struct Rate {
    level: Level,
    /// Logs the count of a function.
    summary: fn(task: &'static str, count: u64, within: Duration),
    windows: Mutex<Windows>,
}

struct Windows {
    /// By the name of the function.
    of: BTreeMap<&'static str, Window>,
    /// Whether a thread waits for the end of a window.
    watched: bool,
}

struct Window {
    since: Instant,
    logged: u32,
    counted: u64,
    /// The subscriber at the first counted event. It may be a thread-local one.
    listens: Option<Dispatch>,
}

/// The count of one function, to be logged.
struct Counted {
    task: &'static str,
    count: u64,
    within: Duration,
    listens: Option<Dispatch>,
}

/// The decision about an event.
struct Answer {
    admitted: bool,
    /// The count of the window before.
    before: Option<Counted>,
    /// The caller starts the thread.
    watch: bool,
}

impl Rate {
    pub(crate) const fn new(level: Level, summary: fn(&'static str, u64, Duration)) -> Self {
        let windows = Windows { of: BTreeMap::new(), watched: false };
        Self { level, summary, windows: Mutex::new(windows) }
    }

    /// Whether the caller logs its event. If not, the event is counted.
    pub(crate) fn admits(&'static self, task: &'static str) -> bool {
        if self.level > LevelFilter::current() {
            return true;
        }
        let Answer { admitted, before, watch } = self.answer(task, Instant::now());
        self.log(before);
        if watch {
            self.watch();
        }
        admitted
    }

    fn answer(&self, task: &'static str, now: Instant) -> Answer {
        let mut windows = self.windows();
        let Windows { of, watched } = &mut *windows;
        let new = || Window { since: now, logged: 0, counted: 0, listens: None };
        let window = of.entry(task).or_insert_with(new);
        let is_over = now.duration_since(window.since) >= WINDOW;
        let before = if is_over { window.take(task, now) } else { None };
        if is_over {
            (window.since, window.logged) = (now, 0);
        }
        if window.logged < MOST {
            window.logged += 1;
            return Answer { admitted: true, before, watch: false };
        }
        window.counted += 1;
        if window.listens.is_none() {
            window.listens = Some(dispatcher::get_default(Dispatch::clone));
        }
        Answer { admitted: false, before, watch: !std::mem::replace(watched, true) }
    }

    /// Starts the thread that logs the counts when their windows are over.
    fn watch(&'static self) {
        let named = thread::Builder::new().name("supervised-log".to_owned());
        let spawned = named.spawn(move || {
            while let Some(end) = self.next_end() {
                #[expect(clippy::disallowed_methods, reason = "a separate thread, without tasks")]
                thread::sleep(end.saturating_duration_since(Instant::now()));
                self.flush(Some(Instant::now()));
            }
        });
        if spawned.is_err() {
            // Without a thread, the next event of the function, or a flush, logs the count.
            self.windows().watched = false;
        }
    }

    /// The first end of the windows that have counted something.
    fn next_end(&self) -> Option<Instant> {
        let mut windows = self.windows();
        let counted = windows.of.values().filter(|window| window.counted > 0);
        let end = counted.map(|window| window.since + WINDOW).min();
        windows.watched = end.is_some();
        end
    }

    /// Whether [`flush`](Self::flush) has something to log.
    pub(crate) fn has_counted(&self) -> bool {
        self.windows().of.values().any(|window| window.counted > 0)
    }

    /// Logs the counts of the windows that have ended by then, or of all windows.
    pub(crate) fn flush(&self, by: Option<Instant>) {
        let now = by.unwrap_or_else(Instant::now);
        let mut windows = self.windows();
        let is_due = |window: &Window| by.is_none() || now.duration_since(window.since) >= WINDOW;
        let due = windows.of.iter_mut().filter(|(_, window)| is_due(window));
        let counted: Vec<_> = due.filter_map(|(task, window)| window.take(task, now)).collect();
        drop(windows);
        self.log(counted);
    }

    fn log(&self, counted: impl IntoIterator<Item = Counted>) {
        for Counted { task, count, within, listens } in counted {
            let log = || (self.summary)(task, count, within);
            call_subscriber(|| match &listens {
                Some(listens) => dispatcher::with_default(listens, log),
                None => log(),
            });
            // It may be the last reference to the subscriber.
            drop_quietly(listens);
        }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn take(&mut self, task: &'static str, now: Instant) -> Option<Counted> {
        let count = std::mem::take(&mut self.counted);
        let listens = self.listens.take();
        let within = now.duration_since(self.since);
        (count > 0).then_some(Counted { task, count, within, listens })
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    static LOGGED: Mutex<Vec<(&str, u64)>> = Mutex::new(Vec::new());

    fn logged(of: &str) -> Vec<u64> {
        let logged = LOGGED.lock().expect("no test fails under it");
        logged.iter().filter(|(task, _)| *task == of).map(|(_, count)| *count).collect()
    }

    fn rate() -> &'static Rate {
        let log =
            |task, count, _| LOGGED.lock().expect("no test fails under it").push((task, count));
        Box::leak(Box::new(Rate::new(Level::ERROR, log)))
    }

    fn admitted(rate: &Rate, task: &'static str, events: u32, now: Instant) -> u32 {
        let one = |_| {
            let Answer { admitted, before, .. } = rate.answer(task, now);
            rate.log(before);
            u32::from(admitted)
        };
        (0..events).map(one).sum()
    }

    #[test]
    fn ten_are_logged_in_a_second_and_the_others_counted() {
        let (rate, started) = (rate(), Instant::now());
        assert_eq!(admitted(rate, "counted", 25, started), 10);
        assert_eq!(admitted(rate, "another", 3, started), 3, "each function has its own");
        let almost = started + WINDOW - Duration::from_nanos(1);
        assert_eq!(admitted(rate, "counted", 5, almost), 0);
        rate.flush(Some(almost));
        assert!(logged("counted").is_empty());
        // The next window, whose first event logs the count.
        assert_eq!(admitted(rate, "counted", 11, started + WINDOW), 10);
        assert_eq!(logged("counted"), [20]);
        rate.flush(Some(started + WINDOW));
        assert_eq!(logged("counted"), [20], "its window is not over");
        rate.flush(None);
        rate.flush(None);
        assert_eq!(logged("counted"), [20, 1]);
    }

    #[test]
    fn the_last_count_is_logged_when_no_further_event_comes() {
        let (rate, started) = (rate(), Instant::now());
        let mut watch = false;
        for _ in 0..12 {
            watch |= rate.answer("the last", started).watch;
        }
        assert!(watch && !rate.answer("the last", started).watch, "one thread");
        rate.watch();
        while logged("the last").is_empty() {
            thread::yield_now();
        }
        assert_eq!(logged("the last"), [3]);
        while rate.windows().watched {
            thread::yield_now();
        }
    }

    #[test]
    fn nothing_is_counted_without_a_subscriber() {
        let rate = rate();
        assert!((0..100).all(|_| rate.admits("unheard")));
        assert!(rate.windows().of.is_empty());
    }
}
