//! Tasks of a schedule.
//!
//! Invariant: a wake-up or an abort that arrives while a future is polled is not lost. The engine keeps one flag
//! per task, which a poll that waits for a lock consumes: a task that must be polled again would sleep.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use pin_project_lite::pin_project;
use shuttle::future::AbortHandle;
pub use shuttle::future::yield_now;
use shuttle_engine::current;
pub use tokio::task::{JoinSet, LocalSet, coop, futures};

/// The number of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(usize);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many tasks of the schedule have not ended, except the first one, which may wait for that.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static TASKS: Mutex<Vec<AbortHandle>> = Mutex::new(Vec::new());
static WAITS: Mutex<Option<Waker>> = Mutex::new(None);

static NEXT: AtomicUsize = AtomicUsize::new(1);

shuttle::thread_local! {
    static ID: Cell<Option<Id>> = Cell::new(None);
}

/// The number of the current task.
pub fn try_id() -> Option<Id> {
    current::try_get_current_task()?;
    ID.try_with(Cell::get).ok().flatten()
}

/// A handle that can be awaited. Dropping it detaches the task.
#[derive(Debug)]
pub struct JoinHandle<T> {
    inner: shuttle::future::JoinHandle<()>,
    task: Spawned,
    output: Arc<Output<T>>,
}

/// The output of a task. The engine would drop one that nobody takes after the thread-locals of the task; tokio drops it
/// in the task, or where the handle is dropped.
#[derive(Debug)]
struct Output<T> {
    value: Mutex<Option<T>>,
    is_detached: AtomicBool,
}

impl<T> Output<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { value: Mutex::new(None), is_detached: AtomicBool::new(false) })
    }

    fn put(&self, value: T) {
        let before = self.value().replace(value);
        drop(before);
        if self.is_detached.load(SeqCst) {
            drop(self.take());
        }
    }

    fn take(&self) -> Option<T> {
        self.value().take()
    }

    fn value(&self) -> MutexGuard<'_, Option<T>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.output.is_detached.store(true, SeqCst);
        drop(self.output.take());
    }
}

/// A task, shared by itself and its handle.
#[derive(Clone, Debug)]
pub(crate) struct Spawned {
    id: Id,
    is_aborted: Arc<AtomicBool>,
}

/// The error of an aborted task.
pub type JoinError = shuttle::future::JoinError;

impl<T> JoinHandle<T> {
    /// The number of the task.
    pub fn id(&self) -> Id {
        self.task.id
    }

    /// Drops the task at its next `.await`.
    pub fn abort(&self) {
        self.inner.abort();
        // Not a step of the schedule in between: a task that observes only the first of the two would be polled in a loop.
        self.task.is_aborted.store(true, SeqCst);
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(pin!(&mut self.inner).poll(cx));
        let taken =
            || self.output.take().expect("the output of a task that has ended is taken once");
        Poll::Ready(ended.map(|()| taken()))
    }
}

/// Spawns a task on its own thread.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (task, output) = (Spawned::new(), Output::new());
    let stored = output.clone();
    let future = async move { stored.put(future.await) };
    of(shuttle::future::spawn(remembering(future, Some(task.clone()))), task, output)
}

/// Like [`spawn`], without `Send`.
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (task, output) = (Spawned::new(), Output::new());
    let stored = output.clone();
    let future = async move { stored.put(future.await) };
    of(shuttle::future::spawn_local(remembering(future, Some(task.clone()))), task, output)
}

/// The same for a closure.
pub fn spawn_blocking<F, R>(run: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    spawn(async { run() })
}

fn of<T>(
    inner: shuttle::future::JoinHandle<()>,
    task: Spawned,
    output: Arc<Output<T>>,
) -> JoinHandle<T> {
    tasks().push(inner.abort_handle());
    JoinHandle { inner, task, output }
}

impl Spawned {
    fn new() -> Self {
        LIVE.fetch_add(1, SeqCst);
        Self { id: Id(NEXT.fetch_add(1, SeqCst)), is_aborted: Arc::default() }
    }
}

/// The next task is the first one again.
pub(crate) fn reset() {
    LIVE.store(0, SeqCst);
    NEXT.store(1, SeqCst);
    tasks().clear();
}

/// Waits until all tasks but the first have ended.
pub(crate) async fn all_ended() {
    poll_fn(|cx| {
        *waits() = Some(cx.waker().clone());
        if LIVE.load(SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    // Their futures are dropped. Their thread-locals are dropped too, once they have finished.
    while tasks().iter().any(|task| !task.is_finished()) {
        yield_now().await;
    }
}

fn tasks() -> MutexGuard<'static, Vec<AbortHandle>> {
    TASKS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn waits() -> MutexGuard<'static, Option<Waker>> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

pin_project! {
    /// Keeps wake-ups that arrive during a poll.
    pub(crate) struct Remembering<F> {
        #[pin]
        future: F,
        task: Option<Spawned>,
        woken: Option<Arc<Woken>>,
    }

    impl<F> PinnedDrop for Remembering<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.task.is_some() && LIVE.fetch_sub(1, SeqCst) == 1 {
                let waker = waits().take();
                waker.into_iter().for_each(Waker::wake);
            }
        }
    }
}

pub(crate) fn remembering<F: Future>(future: F, task: Option<Spawned>) -> Remembering<F> {
    Remembering { future, task, woken: None }
}

#[derive(Debug)]
struct Woken {
    flag: AtomicBool,
    task: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.flag.store(true, SeqCst);
        self.task.wake_by_ref();
    }
}

impl<F: Future> Future for Remembering<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let woken = this.woken.get_or_insert_with(|| {
            ID.with(|id| id.set(this.task.as_ref().map(|task| task.id)));
            Arc::new(Woken { flag: AtomicBool::new(false), task: cx.waker().clone() })
        });
        woken.flag.store(false, SeqCst);
        let polled = this.future.poll(&mut Context::from_waker(&Waker::from(woken.clone())));
        let is_aborted = this.task.as_ref().is_some_and(|task| task.is_aborted.load(SeqCst));
        if polled.is_pending() && (woken.flag.load(SeqCst) || is_aborted) {
            cx.waker().wake_by_ref();
        }
        polled
    }
}
