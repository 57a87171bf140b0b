//! A bounded set of tasks that may outlive the code that spawned them.

pub(crate) mod drain;
pub(crate) mod options;
pub(crate) mod result;
pub(crate) mod slot;
pub(crate) mod spawn;
pub(crate) mod state;
pub(crate) mod task;
pub(crate) mod token;
pub(crate) mod unfinished;

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use crate::{
    budget,
    error::TaskError,
    function::limit::Limit,
    panic::drop_quietly,
    registry::pools,
    registry::unfinished::Unfinished,
    run::future::{Supervised, SupervisedFuture},
};
use crate::{
    pool::drain::Drained,
    pool::options::Options,
    pool::result::PoolTask,
    pool::slot::Slot,
    pool::spawn::{PoolSpawn, spawn_admitted},
    pool::state::{Handle, PoolState},
    pool::task::make_run,
    tasks::admission,
    tasks::blocking::{Blocking, blocking},
    tasks::refused::{Closed, LoggedError, SpawnError, TrySpawnError, ZeroLimit},
    tasks::spawner::{OnBlockingThread, OnThisThread, OnWorkers},
};
use tokio_util::sync::CancellationToken;

/// A bounded set of independent tasks, for work that outlives the request that started it.
///
/// For connections, queue messages and background jobs.
///
/// A failure is reported once, and affects no other task: returned by the [`PoolTask`] of the spawn if that is awaited,
/// logged at `ERROR` otherwise. If a function fails more than 10 times a second,
/// the other failures are counted and logged as one line. The pool has its own root token: the token of a request or of
/// main cancels none of its tasks. They end when the pool is [drained](Self::drain), or when the token of
/// [`stop_with`](Self::stop_with) fires. [`name`](Self::name) shows the pool in metrics, in [`tasks()`](crate::tasks()) and on
/// the ops page.
///
/// ```
/// use std::time::Duration;
/// use tokio_supervised::{Pool, TaskError, supervised};
///
/// #[supervised]
/// async fn store(_body: String) -> Result<(), TaskError> {
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(100);
/// pool.spawn(|token| store(token, "waits for a slot".into())).await?;
/// if pool.try_spawn(|token| store(token, "or not at all".into())).is_err() {
///     println!("503 Service Unavailable");
/// }
/// pool.drain(Duration::from_secs(10)).await?;
/// # Ok(())
/// # }
/// ```
///
/// `Clone` gives another handle to the same pool. [`#[supervised::main]`](macro@crate::supervised::main) drains the
/// pools that still exist when its body has ended, which excludes a pool in a variable of the body. If the last handle
/// is dropped earlier, the pool cancels and aborts its tasks and logs a `WARN` that names them. If it is dropped in a
/// task of the pool, that task is cancelled too; it is named unless it finishes by itself.
///
/// Each task of a pool finishes, fails, or is named in a `WARN`, even if its runtime shuts down, or if its poll panics
/// outside all boundaries, for example because converting a panic into the error type panics.
///
/// Shared between threads freely; each spawn and each end takes a short lock.
///
/// # Comparison to `Group`
///
/// A [`Group`](crate::Group) belongs to its caller: it is cancelled with the caller's token, its first failure cancels the
/// rest, and `join` returns the results. Put endless tasks such as tickers in a group: a drain waits for them until it
/// cancels them, and returns them as cut short. A [table](crate::Group#comparison-to-pool-and-map) compares both with
/// `map`.
///
/// # Comparison to `TaskTracker`
///
/// Both keep nothing of a task that has ended. A `TaskTracker` of tokio-util is unbounded, works on any executor, and its
/// `wait` takes as long as the slowest task. A pool is bounded, logs and counts failures and panics, and its drain ends in
/// time: it cancels, aborts and names what did not finish.
///
/// [`try_spawn`](Self::try_spawn) never waits, as `TryGo` of Go's `errgroup`.
#[derive(Clone)]
pub struct Pool {
    handle: Arc<Handle>,
}

impl Pool {
    /// Creates a pool of at most `limit` concurrent tasks.
    ///
    /// # Panics
    ///
    /// If `limit` is 0.
    #[must_use]
    #[track_caller]
    pub fn new(limit: usize) -> Self {
        let shared = PoolState::new(limit, Location::caller(), Options::default());
        Self { handle: Arc::new(Handle { shared }) }
    }

    /// Stops the tasks and closes the pool when `token` fires.
    ///
    /// For connections: each finishes what is in flight and returns as soon as the program stops, and not 5 s before the
    /// end of the drain.
    ///
    /// From then on [`spawn`](Self::spawn), [`reserve`](Self::reserve) and [`try_spawn`](Self::try_spawn) return
    /// [`Closed`], also if they were waiting. The token of each task fires, and its
    /// [`Cause`](crate::Cause) is the reason for which `token` was fired. A task that is spawned with a slot reserved
    /// earlier ends as cancelled, and is logged at `DEBUG`.
    ///
    /// [`drain`](Self::drain) then waits for the tasks. A task that ends because `token` fired counts as finished; a task
    /// that still runs at the end of the drain, or that did not stop within its own `grace` during the drain, does not.
    ///
    /// The pool never fires `token`. It spawns no task for this, and a pool that is dropped leaves nothing behind in
    /// `token`. If `token` has fired already, the pool is closed from the start. A second call replaces the token.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use tokio_supervised::{CancellationToken, Pool, TaskError, supervised};
    ///
    /// #[supervised]
    /// async fn connection(token: &CancellationToken) -> Result<(), TaskError> {
    ///     token.cancelled().await; // finish what is in flight, then return
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let token = CancellationToken::new();
    /// let pool = Pool::new(100).stop_with(&token); // main's token
    /// pool.spawn(connection).await?;
    /// token.cancel();
    /// assert!(pool.try_spawn(connection).is_err());
    /// assert_eq!(pool.drain(Duration::from_secs(10)).await?.tasks, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the pool has other handles, reserved slots or tasks, or was drained.
    #[must_use]
    #[track_caller]
    pub fn stop_with(self, token: &CancellationToken) -> Self {
        self.configured(|options| options.stop = Some(token.clone()))
    }

    /// Names the pool in metrics, in the tree of the live tasks, and on the ops page.
    ///
    /// The exporters have four series for each name: the gauges `supervised_pool_slots` (the limit),
    /// `supervised_pool_in_use` (slots of tasks, and reserved ones) and `supervised_pool_waiting` (spawns and reservations
    /// that wait for a slot), and the counter `supervised_pool_refused_total` (spawns and reservations that were refused:
    /// the pool was full or closed, or the call would have deadlocked itself). The label is `pool`. A pool without a name has
    /// no series. [`tasks`](crate::tasks()) shows the tasks of a named pool below it.
    ///
    /// The series of pools of one name are summed. They stay when the pools are gone, at zero but for the counter. Each name
    /// costs four series: choose few, fixed names, and not one for each client. A process keeps the series of 1,024 names;
    /// pools with later ones have none.
    ///
    /// ```
    /// use tokio_supervised::Pool;
    ///
    /// let pool = Pool::new(100).name("saves");
    /// assert!(format!("{pool:?}").contains("saves"));
    /// ```
    ///
    /// # Panics
    ///
    /// If the pool has other handles, reserved slots or tasks, or was drained.
    #[must_use]
    #[track_caller]
    pub fn name(self, name: &'static str) -> Self {
        self.configured(|options| options.name = Some(pools::named(name)))
    }

    /// How long before the end of a [`drain`](Self::drain) the tokens of its tasks fire. 5 s by default, or half of a
    /// grace below 10 s.
    ///
    /// If it is not shorter than the grace of a drain, the tokens fire at once.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use tokio_supervised::Pool;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::new(100).stopping(Duration::from_secs(1));
    /// pool.drain(Duration::from_secs(20)).await?; // its tasks run undisturbed for 19 s
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the pool has other handles, reserved slots or tasks, or was drained.
    #[must_use]
    #[track_caller]
    pub fn stopping(self, stopping: Duration) -> Self {
        self.configured(|options| options.stopping = Some(stopping))
    }

    /// Makes the pool again, with other options.
    #[track_caller]
    fn configured(mut self, change: impl FnOnce(&mut Options)) -> Self {
        let handle = Arc::get_mut(&mut self.handle).filter(|handle| handle.shared.is_unused());
        let shared = &handle.expect("a `Pool` must be configured before it is used").shared;
        let mut options = shared.options.clone();
        change(&mut options);
        let shared = PoolState::new(shared.limit.size(), shared.place, options);
        Self { handle: Arc::new(Handle { shared }) }
    }

    /// Waits for a slot of the pool and a permit of the function, then spawns. Returns the task, which can be awaited.
    ///
    /// Dropping the [`PoolTask`] lets the task continue; the pool then logs its failure.
    ///
    /// The closure is called at once, with the pool's token, unless the pool is closed; the future that it makes is
    /// lazy and `'static`: pass owned values, and the token as it was given, not lent. A spawn that waits for a slot
    /// and a permit is served as in [`Group::spawn`](crate::group::Group::spawn): neither is held for longer than a
    /// bounded time while it waits for the other. A panic of the closure is reported like a panic of a task: nothing is
    /// spawned, and the `PoolTask` returns it.
    ///
    /// Poll it until it is ready, or drop it. A spawn that is kept and not polled, such as one in a `select!` by
    /// reference, keeps its place in the queues, and the slot and the permit once it was granted them: others wait
    /// until it is dropped. A hold ends at a poll, too.
    ///
    /// A body that takes the token gets a child of the pool's at its first poll. A closure that cancels the pool's token
    /// itself cancels the tasks that run: later tasks get a new token, and one `WARN` says so.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Closed`] as soon as the pool is closed: nothing was spawned, and the run that waited is dropped.
    /// [`SpawnError::Rejected`] if the call would deadlock itself: a task for a slot of the full pool that it is in, a
    /// run for a permit that it, or a run that awaits it, holds. Spawn such work into another pool, or use
    /// [`try_spawn`](Self::try_spawn).
    ///
    /// # Panics
    ///
    /// When it is awaited outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, nothing is spawned.
    #[track_caller]
    pub fn spawn<S, F>(&self, task: F) -> PoolSpawn<'_, S::Value, S::Error, S>
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture + Send + 'static,
        S::Value: Send + 'static,
        S::Error: LoggedError + Send + 'static,
    {
        let spawn_fn = spawn_admitted::<_, OnWorkers>;
        PoolSpawn::new(&self.handle.shared, None, task, Location::caller(), spawn_fn)
    }

    /// Like [`spawn`](Self::spawn), for a future that is not `Send`: the task stays on this thread.
    ///
    /// # Errors
    ///
    /// Like [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// When it is awaited outside a [`LocalSet`](tokio::task::LocalSet) or a
    /// [`LocalRuntime`](tokio::runtime::LocalRuntime); a current-thread runtime alone is neither.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, nothing is spawned.
    ///
    /// ```
    /// # use tokio_supervised::{Pool, TaskError, supervised};
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    ///
    /// #[supervised]
    /// async fn add(sum: Rc<Cell<u32>>, n: u32) -> Result<(), TaskError> {
    ///     tokio::task::yield_now().await;
    ///     sum.set(sum.get() + n);
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sum = Rc::new(Cell::new(0));
    /// let pool = Pool::new(2);
    /// tokio::task::LocalSet::new().run_until(async {
    ///     for n in 1..=3 {
    ///         let sum = sum.clone();
    ///         pool.spawn_local(move |token| add(token, sum, n)).await?;
    ///     }
    ///     pool.drain(Duration::from_secs(1)).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// }).await?;
    /// assert_eq!(sum.get(), 6);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_local<S, F>(&self, task: F) -> PoolSpawn<'_, S::Value, S::Error, S>
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture + 'static,
        S::Value: 'static,
        S::Error: LoggedError + 'static,
    {
        let spawn_fn = spawn_admitted::<_, OnThisThread>;
        PoolSpawn::new(&self.handle.shared, None, task, Location::caller(), spawn_fn)
    }

    /// Like [`spawn`](Self::spawn), for a closure that blocks: it runs on a blocking thread of tokio.
    ///
    /// `name` labels it in metrics, events and errors; there is one set of counters for each name and place of the
    /// call. The closure returns a `Result`; if it cannot fail, return `Ok::<_, TaskError>(())`. It gets the pool's
    /// token, and has to check it between steps: nothing can abort a closure that has started. It counts as a task
    /// until it returns, and a [`drain`](Self::drain) that cannot wait so long names it.
    ///
    /// # Errors
    ///
    /// Like [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// When it is awaited outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, nothing is spawned.
    ///
    /// ```
    /// # use tokio_supervised::Pool;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::new(2);
    /// let path = std::env::temp_dir();
    /// pool.spawn_blocking("list", move |token| -> anyhow::Result<()> {
    ///     for entry in path.read_dir()? {
    ///         if token.is_cancelled() {
    ///             break;
    ///         }
    ///         entry?.metadata()?;
    ///     }
    ///     Ok(())
    /// }).await?;
    /// pool.drain(Duration::from_secs(10)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_blocking<T, E, F>(
        &self,
        name: &'static str,
        work: F,
    ) -> PoolSpawn<'_, T, E, Supervised<Blocking<F>>>
    where
        F: FnOnce(CancellationToken) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<TaskError> + LoggedError + Send + 'static,
    {
        let place = Location::caller();
        let task = |token| blocking(name, place, token, work);
        let spawn_fn = spawn_admitted::<_, OnBlockingThread>;
        PoolSpawn::new(&self.handle.shared, Some(name), task, place, spawn_fn)
    }

    /// Spawns if a slot and a permit are free, without waiting: for a server that answers 503 when it is full.
    ///
    /// The slot comes first: the closure is not called if the pool is full or closed. A refused call is not counted. A
    /// panic of the closure is reported like a panic of a task. Returns the task, as [`spawn`](Self::spawn) does.
    ///
    /// # Errors
    ///
    /// [`TrySpawnError::Full`] if no slot is free, or no permit of the function, regardless of its `on_full`;
    /// [`TrySpawnError::Closed`] if the pool is closed.
    ///
    /// # Panics
    ///
    /// If it spawns outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The task is spawned by the call. Dropping the `PoolTask` lets it continue.
    #[track_caller]
    pub fn try_spawn<S, F>(&self, task: F) -> Result<PoolTask<S::Value, S::Error>, TrySpawnError>
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture + Send + 'static,
        S::Value: Send + 'static,
        S::Error: LoggedError + Send + 'static,
    {
        let place = Location::caller();
        let pool = &self.handle.shared;
        let refuse = |task: F, error| {
            drop_quietly(task);
            pool.on_refused();
            Err(error)
        };
        if pool.is_closed() {
            return refuse(task, TrySpawnError::Closed);
        }
        let Some(slot) = Limit::try_acquire(&*pool.limit) else {
            return refuse(task, TrySpawnError::Full);
        };
        // The closure is called only if the run can be spawned: from here on a close waits for it.
        if let Err(closed) = pool.reserve() {
            return refuse(task, closed.into());
        }
        let slot = Slot::new(self.handle.clone(), slot);
        let (token, record) = slot.task_parts();
        let mut run = None;
        let spec = match make_run(token, task, &mut run) {
            Ok(spec) => spec,
            Err(panicked) => return Ok(PoolTask::not_spawned(panicked, S::error)),
        };
        let permit = spec.limit_before_run().map(Limit::try_acquire);
        if let Some(None) = permit {
            drop_quietly(run);
            pool.on_refused();
            return Err(TrySpawnError::Full);
        }
        if permit.is_some() {
            spec.local_metrics().record_wait(0);
        }
        Ok(slot.spawn_run(&mut run, record, permit.flatten(), place))
    }

    /// Waits for a slot of the pool. Work that is accepted with a reserved slot is done, even if the pool closes.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Closed`] as soon as the pool is closed; [`SpawnError::Rejected`] if a task would wait for a slot
    /// of the full pool that it is in. (Slots that the same code has reserved and holds are not considered.)
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, it loses its place in the queue and acquires nothing.
    pub async fn reserve(&self) -> Result<Slot, SpawnError> {
        budget::spent().await;
        let pool = &self.handle.shared;
        let wait =
            pool.closing.run_until_cancelled(admission::reserve(&pool.limit, &pool.tasks.scope));
        let reserved = match wait.await {
            None => Err(Closed::NO_TASK.into()),
            Some(Err(rejected)) => Err(rejected.into()),
            Some(Ok(slot)) => pool.reserve().map(|()| slot).map_err(SpawnError::from),
        };
        let slot = reserved.inspect_err(|_| pool.on_refused())?;
        Ok(Slot::new(self.handle.clone(), slot))
    }

    /// Closes the pool and waits for its tasks. Cancels and aborts tasks that do not finish in time.
    ///
    /// `grace` is the whole budget. Spawns and reservations that wait end at once, as closed. Tasks run undisturbed
    /// until 5 s before its end, or until half of a grace below 10 s, or as [`stopping`](Self::stopping) says. Then the
    /// pool cancels them by their tokens; at the end it aborts the remaining ones. A task's own `grace` can only shorten
    /// that. A grace of zero cancels the tasks, yields once, then aborts them.
    ///
    /// In the body of [`#[supervised::main]`](macro@crate::supervised::main), once the process has received a signal, a
    /// drain ends 0.5 s before main's grace does, or with half of main's grace if that is below 1 s: the body returns and
    /// reports before the process exits.
    ///
    /// It may be called again, and more than once at a time: a second drain continues the first, and returns the same. Of
    /// drains at the same time, the one whose grace ends first cuts the tasks. It counts in tokio's time. A task that
    /// drains its own pool blocks until it is cancelled.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] unless every task finished by itself. A task that returns its own result after its token has
    /// fired counts as finished. So does a task that waits for its restart, since its last run has ended and its failure
    /// is in the log, and a task that ends since the token of [`stop_with`](Self::stop_with) fired. The error names the tasks that the drain cut short or aborted, that were dropped after
    /// their own `grace`, that cannot be aborted because they block a thread, and that their runtime dropped earlier.
    /// One `WARN` names up to 64 of them.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that has its timer enabled, unless nothing is left to wait for.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the pool stays closed and its tasks continue to run. Call `drain` again to wait for
    /// them.
    pub async fn drain(&self, grace: Duration) -> Result<Drained, Unfinished> {
        self.handle.shared.drain(grace).await
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handle.shared.lock().tasks()
    }

    /// Whether every task has ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The limit of concurrent tasks.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.handle.shared.limit.size()
    }

    /// Changes the limit of concurrent tasks. A smaller limit stops no task; no task starts until fewer are running.
    ///
    /// # Errors
    ///
    /// If `limit` is 0: nothing would ever run. The limit is not changed then.
    pub fn set_limit(&self, limit: usize) -> Result<(), ZeroLimit> {
        if limit == 0 {
            return Err(ZeroLimit);
        }
        self.handle.shared.limit.resize(limit);
        Ok(())
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pool = f.debug_struct("Pool");
        if let Some(name) = self.handle.shared.options.name() {
            pool.field("name", &name);
        }
        pool.field("tasks", &self.len())
            .field("limit", &self.limit())
            .field("closed", &self.handle.shared.is_closed())
            .finish_non_exhaustive()
    }
}
