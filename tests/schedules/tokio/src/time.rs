//! Time that passes only when a schedule advances it: a task that waits for a lost wake-up waits for ever, and is
//! detected.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    marker::PhantomPinned,
    ops::{Add, AddAssign, Sub},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use pin_project_lite::pin_project;
use schedules_std::step::step;

/// Since the start of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(Duration);

#[derive(Default)]
struct Clock {
    now: Duration,
    next: u64,
    sleeps: BTreeMap<(Instant, u64), Waker>,
}

thread_local! {
    /// One per schedule, whose tasks all run on one thread of the operating system.
    static CLOCK: RefCell<Clock> = RefCell::default();
}

pub(crate) fn reset() {
    let before = CLOCK.take();
    drop(before);
}

/// Advances time, and wakes one sleep after the other.
pub fn pass(time: Duration) {
    let end = Instant::now() + time;
    loop {
        step();
        let woken = CLOCK.with_borrow_mut(|clock| {
            let due = clock.sleeps.first_entry().filter(|sleep| sleep.key().0 <= end)?;
            let ((deadline, _), waker) = due.remove_entry();
            clock.now = clock.now.max(deadline.0);
            Some(waker)
        });
        match woken {
            Some(waker) => waker.wake(),
            None => break,
        }
    }
    CLOCK.with_borrow_mut(|clock| clock.now = clock.now.max(end.0));
}

impl Instant {
    /// This moment.
    pub fn now() -> Self {
        CLOCK.with_borrow(|clock| Self(clock.now))
    }

    /// An instant of the process's clock, which is unrelated to this one.
    pub fn into_std(self) -> std::time::Instant {
        std::time::Instant::now()
    }

    /// The time since then.
    pub fn elapsed(&self) -> Duration {
        Self::now().duration_since(*self)
    }

    /// The difference to the other instant, or zero.
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The same.
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }

    /// Adds a duration, if the result can be represented.
    pub fn checked_add(&self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    /// Subtracts a duration, if the result can be represented.
    pub fn checked_sub(&self, time: Duration) -> Option<Self> {
        self.0.checked_sub(time).map(Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        self.0 += time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0 - time)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

pin_project! {
    /// Waits for an instant.
    #[derive(Debug)]
    pub struct Sleep {
        deadline: Instant,
        entry: Option<(Instant, u64)>,
        // Not `Unpin`, like tokio's: code that would need it does not compile here either.
        #[pin]
        pinned: PhantomPinned,
    }

    impl PinnedDrop for Sleep {
        fn drop(this: Pin<&mut Self>) {
            forget(this.project().entry);
        }
    }
}

/// Waits for a duration.
pub fn sleep(time: Duration) -> Sleep {
    sleep_until(Instant::now().checked_add(time).unwrap_or(Instant(Duration::MAX)))
}

/// Waits until an instant.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, entry: None, pinned: PhantomPinned }
}

impl Sleep {
    /// Its deadline.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Sets another deadline.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.project();
        forget(this.entry);
        *this.deadline = deadline;
    }
}

fn forget(entry: &mut Option<(Instant, u64)>) {
    let Some(entry) = entry.take() else { return };
    // The clock is gone when the thread of a failed schedule ends.
    let waker = CLOCK.try_with(|clock| clock.borrow_mut().sleeps.remove(&entry));
    drop(waker);
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        step();
        if self.is_elapsed() {
            return Poll::Ready(());
        }
        let this = self.project();
        forget(this.entry);
        *this.entry = Some(CLOCK.with_borrow_mut(|clock| {
            clock.next += 1;
            let entry = (*this.deadline, clock.next);
            clock.sleeps.insert(entry, cx.waker().clone());
            entry
        }));
        Poll::Pending
    }
}

pin_project! {
    /// Ends a future at an instant.
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep,
    }
}

/// The time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

/// Ends the future after a duration.
pub fn timeout<F: Future>(time: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(time) }
}

/// Ends the future at an instant.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep_until(deadline) }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.future.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        this.sleep.poll(cx).map(|()| Err(Elapsed))
    }
}
