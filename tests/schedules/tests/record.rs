//! The tests' own record of the tasks of one schedule, beside the runtime's counters.
//!
//! The counters are those of `core`: reading them is no step of a schedule.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    task::{JoinHandle, yield_now},
    time::pass,
};
use tokio_supervised::{CancellationToken, Pool};

pub(crate) use crate::ends::{Act, End, Failed};
use crate::{
    counters::{self, Done},
    explore::below,
};

pub(crate) const ENDING: &[Act] = &[Act::ok(0), Act::ok(1), Act::ok(2), Act::ok(3)];

pub(crate) const FAILING: &[Act] =
    &[Act::ok(0), Act::ok(2), Act::error(0), Act::error(1), Act::panic(1), Act::ON_CANCEL];

/// Of the bodies of one schedule.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) running: AtomicUsize,
    pub(crate) peak: AtomicUsize,
    pub(crate) started: AtomicUsize,
    over: AtomicBool,
}

/// A running body.
pub(crate) struct Running(Arc<Seen>);

impl Seen {
    pub(crate) fn enter(self: &Arc<Self>) -> Running {
        assert!(!self.over.load(SeqCst), "a body starts after everything has ended");
        self.started.fetch_add(1, SeqCst);
        self.peak.fetch_max(self.running.fetch_add(1, SeqCst) + 1, SeqCst);
        Running(self.clone())
    }

    /// Nothing runs, and nothing may start from now on.
    pub(crate) fn all_over(&self) {
        self.over.store(true, SeqCst);
        assert_eq!(self.running.load(SeqCst), 0, "bodies run after everything has ended");
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(SeqCst)
    }

    pub(crate) fn started(&self) -> usize {
        self.started.load(SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

/// The body of the tests' functions.
pub(crate) async fn act(
    token: &CancellationToken,
    number: usize,
    act: Act,
    seen: Arc<Seen>,
) -> Result<usize, Failed> {
    let _running = seen.enter();
    for _ in 0..act.turns {
        yield_now().await;
    }
    match act.end {
        End::Ok => Ok(number),
        End::Error => Err(Failed::Own { number, after_cancel: token.is_cancelled() }),
        // Without the hook: the panic is meant.
        End::Panic => std::panic::resume_unwind(Box::new("meant")),
        End::OnCancel => {
            token.cancelled().await;
            Ok(number)
        }
        End::Never => pending().await,
    }
}

/// The counters of a function. Reading them is not a step of a schedule.
pub(crate) struct Since(counters::Since);

impl Since {
    pub(crate) fn now(name: &'static str) -> Self {
        std::step::looking(|| Self(counters::Since::now(name)))
    }

    pub(crate) fn done(&self) -> Done {
        std::step::looking(|| self.0.done())
    }

    /// No run of the function is active or waiting, and every started run has ended.
    pub(crate) fn all_ended(&self) -> Done {
        std::step::looking(|| self.0.all_ended())
    }
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Asserts that exactly `limit` runs of a function can start. A run that has just ended may not have released its
/// permit yet.
pub(crate) async fn every_permit_is_back<F: Future>(limit: usize, run: impl Fn(Arc<Seen>) -> F) {
    let seen = Arc::new(Seen::default());
    let mut runs: Vec<_> = (0..limit).map(|_| Box::pin(run(seen.clone()))).collect();
    poll_fn(|cx| {
        runs.iter_mut().for_each(|run| assert!(run.as_mut().poll(cx).is_pending()));
        if seen.running.load(SeqCst) == limit { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    assert!(poll_once(run(seen.clone())).is_pending());
    assert_eq!(seen.peak(), limit, "at once");
}

/// Asserts that an idle pool has exactly as many slots as its limit says.
pub(crate) async fn every_slot_is_back(pool: &Pool) {
    let mut slots = Vec::new();
    for _ in 0..pool.limit() {
        slots.push(pool.reserve().await.expect("the pool is open"));
    }
    assert!(poll_once(pool.reserve()).is_pending(), "more than {}", pool.limit());
}

/// Advances time, step by step, until it is stopped.
pub(crate) struct Clock {
    stopped: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Clock {
    pub(crate) fn steps(step: Duration) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let is_stopped = stopped.clone();
        let task = tokio::spawn(async move {
            while !is_stopped.load(SeqCst) {
                some_turns().await;
                pass(step);
                yield_now().await;
            }
        });
        Self { stopped, task }
    }

    pub(crate) async fn stop(self) {
        self.stopped.store(true, SeqCst);
        self.task.await.expect("the clock is not aborted");
    }
}

/// Yields a few times, so that others may run.
pub(crate) async fn some_turns() {
    for _ in 0..below(6) {
        yield_now().await;
    }
}
