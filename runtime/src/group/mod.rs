//! Tasks that succeed or fail together.

pub(crate) mod spawn;
pub(crate) mod state;
pub(crate) mod waiters;

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    budget,
    error::TaskError,
    run::future::{Supervised, SupervisedFuture},
};
use crate::{
    group::spawn::{HandleSpawn, Spawn},
    group::state::GroupState,
    tasks::admission::Slots,
    tasks::blocking::Blocking,
    tasks::spawner::{OnThisThread, OnWorkers},
};

/// Tasks that succeed or fail together: the first failure cancels the rest, and [`join`](Group::join) returns it when
/// every task has ended.
///
/// For the components of a program, the parts of a request, and items from a channel whose results are needed.
///
/// ```
/// use tokio_supervised::{CancellationToken, Group, TaskError, supervised};
///
/// #[supervised]
/// async fn square(n: u64) -> Result<u64, TaskError> {
///     Ok(n * n)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// let group = Group::new(&CancellationToken::new());
/// for n in 1..=3 {
///     group.spawn(move |token| square(token, n)).await;
/// }
/// assert_eq!(group.join().await?, [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
///
/// A task that waits for a slot of the full group that it runs in would deadlock: the spawn of its
/// [handle](GroupHandle::spawn) returns [`Rejected`](crate::Rejected), which names the chain. Set no limit on a group
/// whose tasks spawn siblings.
///
/// A group's tasks have one value type `T` and one error type `E`; a function that returns `()` counts as one that
/// returns `Result<(), TaskError>`, and [`err_into`](crate::run::future::Supervised::err_into) converts an error that
/// differs. For a value that differs, wrap the call in a [`task!`](crate::task): `task!("count", |token| ->
/// anyhow::Result<()> { count(token).await.map(drop) })`.
///
/// Nothing outlives the group. Dropped without a join, it cancels and aborts its tasks, warns unless its token had fired,
/// and logs its first failure.
///
/// Shared between threads freely; each spawn and each end takes a short lock.
///
/// # Comparison to `Pool` and `map`
///
/// | | `Group` | [`Pool`](crate::Pool) | [`map`](crate::map()) |
/// |---|---|---|---|
/// | tasks | any functions with one result type | any functions | one function over an iterator or a stream |
/// | a failure | cancels the rest | is logged, affects no other | cancels the rest; with `settled`, `results` or `unordered`, affects no other |
/// | results | in the order of the spawns | of each task, if its `PoolTask` is awaited | in the order of the items, or as they finish |
/// | ends | at `join` | at `drain`, after its callers | when it is awaited |
/// | cancelled by | the token that it was made with | the drain | the token that it was made with |
/// | endless tasks | yes | no: the drain would wait | no |
///
/// # Comparison to `JoinSet`
///
/// A [`JoinSet`](tokio::task::JoinSet) runs any future, and returns each result as soon as its task ends. A group bounds
/// its tasks, cancels them on the first failure, keeps the order of the results, and returns a panic as an error with its
/// location. Use a `JoinSet` if you handle results one by one.
///
/// Go's `errgroup` is closest (`WithContext`, `SetLimit`). A group also catches panics, keeps results, and wakes a blocked
/// spawn if it is cancelled. Trio's nurseries have the same scope rule.
#[must_use = "a group that is dropped cancels its tasks: `join` it"]
pub struct Group<T, E> {
    shared: Arc<GroupState<T, E>>,
}

impl<T, E> Group<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// A group whose tasks stop when `token` fires.
    ///
    /// Its tasks get a child of the token: the group cancels only them, not the rest of the program.
    #[track_caller]
    pub fn new(token: &CancellationToken) -> Self {
        Self { shared: Arc::new(GroupState::new(token.child_token(), Location::caller())) }
    }

    /// At most `limit` tasks at once: [`spawn`](Self::spawn) waits for a slot. Without it there is no
    /// bound.
    ///
    /// # Panics
    ///
    /// If `limit` is 0, or the group has handles or tasks already.
    #[track_caller]
    pub fn limit(mut self, limit: usize) -> Self {
        self.configure().slots = Slots::bounded(limit);
        self
    }

    /// The longest that a task may take to stop once the group is cancelled; then it is dropped. A
    /// task's own `grace` can only shorten it.
    ///
    /// # Panics
    ///
    /// If the group has handles or tasks already.
    #[track_caller]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.configure().grace = Some(grace);
        self
    }

    /// Any exit, even `Ok`, stops the rest: for tasks that only make sense together, such as a reader and the task that
    /// flushes what it read. The cancellations that follow are not failures.
    ///
    /// The components of a program are [`Services`](crate::Services): they have an order and names, and need not end
    /// together.
    ///
    /// # Panics
    ///
    /// If the group has handles or tasks already.
    #[track_caller]
    pub fn until_first_exit(mut self) -> Self {
        self.configure().until_first_exit = true;
        self
    }

    #[track_caller]
    fn configure(&mut self) -> &mut GroupState<T, E> {
        Arc::get_mut(&mut self.shared)
            .expect("a `Group` must be configured before it has handles or tasks")
    }

    /// The token of the group. It fires when the given token fires, and on the first failure.
    ///
    /// A producer that stops with it wastes no items. Otherwise it takes items that a failed group only refuses:
    ///
    /// ```
    /// use tokio_supervised::{CancellationToken, Group, supervised};
    ///
    /// #[supervised]
    /// async fn store(n: u32) -> anyhow::Result<()> {
    ///     anyhow::ensure!(n != 3, "disk full");
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let token = CancellationToken::new();
    /// # let (items, mut rx) = tokio::sync::mpsc::channel(16);
    /// # tokio::spawn(async move { for n in 0..1_000 { _ = items.send(n).await; } });
    /// let group = Group::new(&token).limit(4);
    /// while let Some(Some(n)) = group.token().run_until_cancelled(rx.recv()).await {
    ///     group.spawn(|token| store(token, n)).await;
    /// }
    /// assert_eq!(group.join().await.unwrap_err().to_string(), "disk full");
    /// # }
    /// ```
    ///
    /// Cancel it to stop the tasks of the group and nothing else.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.shared.tasks.token
    }

    /// A handle that its tasks can spawn siblings with.
    pub fn handle(&self) -> GroupHandle<T, E> {
        GroupHandle { shared: self.shared.clone() }
    }

    /// Waits for a slot of the group and a permit of the function, then spawns. Returns a handle of the task.
    ///
    /// The [`TaskHandle`](crate::TaskHandle) cancels the task alone, and may be dropped. If nothing was spawned, it
    /// [says so](crate::TaskHandle::is_refused); the reason is the error of the [`join`](Self::join).
    ///
    /// The closure is called at once, with the group's token; the future that it makes is lazy, and `'static`: pass
    /// owned values, and the token as it was given (`move |token| work(token, job)`). Once the group is cancelled, the
    /// closure is not called, a spawn that waits ends, and nothing is spawned: the [`join`](Self::join) returns an
    /// error, and one `WARN` at the join, or at the drop of the group, says how many spawns were refused and why. A
    /// panic of the closure is a failure like any other, and so is a spawn that would deadlock itself: for a permit
    /// that a run around it holds, or for a slot of the full group that it is in. A body that takes the token gets a
    /// child of the group's at its first poll: firing it cancels no sibling.
    ///
    /// A spawn that waits for both keeps its place in both queues, and takes both as soon as both are free. After 8
    /// missed turns it holds the next one that is free until it has the other: for at most 10 ms, then, after a rest as
    /// long, the other one for at most 20 ms, and so on, twice as long each time. While runs end it is therefore
    /// admitted, and a run with the permit that spawns into the same group is delayed by a factor of two at most. In
    /// a runtime without timers it holds nothing: it is admitted when both are free at once.
    ///
    /// Poll it until it is ready, or drop it. A spawn that is kept and not polled, such as one in a `select!` by
    /// reference, keeps its place in the queues, and the slot and the permit once it was granted them: others wait
    /// until it is dropped. A hold ends at a poll, too.
    ///
    /// # Panics
    ///
    /// When it is awaited outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, nothing is spawned.
    #[track_caller]
    pub fn spawn<S, F>(&self, task: F) -> Spawn<'_, T, E, S>
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture<Value = T, Error = E> + Send + 'static,
    {
        Spawn::of::<OnWorkers, _>(&self.shared, task)
    }

    /// Like [`spawn`](Self::spawn), for a future that is not `Send`: the task stays on this thread.
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
    /// # use tokio_supervised::{CancellationToken, Group, TaskError, supervised};
    /// use std::rc::Rc;
    ///
    /// #[supervised]
    /// async fn count(words: Rc<str>) -> Result<usize, TaskError> {
    ///     tokio::task::yield_now().await;
    ///     Ok(words.split(' ').count())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), TaskError> {
    /// let local = tokio::task::LocalSet::new();
    /// let counts = local.run_until(async {
    ///     let group = Group::new(&CancellationToken::new());
    ///     group.spawn_local(|token| count(token, "two words".into())).await;
    ///     group.join().await
    /// });
    /// assert_eq!(counts.await?, [2]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_local<S, F>(&self, task: F) -> Spawn<'_, T, E, S>
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture<Value = T, Error = E> + 'static,
    {
        Spawn::of::<OnThisThread, _>(&self.shared, task)
    }

    /// Like [`spawn`](Self::spawn), for a closure that blocks: it runs on a blocking thread of tokio.
    ///
    /// `name` labels it in metrics, events and errors; there is one set of counters for each name and place of the
    /// call. The closure gets the group's token, and has to check it between steps: nothing can abort a closure that
    /// has started. The [`join`](Group::join) waits for it, however long it takes.
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
    /// # use tokio_supervised::{CancellationToken, Group, TaskError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), TaskError> {
    /// let group: Group<u64, TaskError> = Group::new(&CancellationToken::new());
    /// group.spawn_blocking("sum", |token| Ok((1..=4).take_while(|_| !token.is_cancelled()).sum())).await;
    /// assert_eq!(group.join().await?, [10]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F>(
        &self,
        name: &'static str,
        work: F,
    ) -> Spawn<'_, T, E, Supervised<Blocking<F>>>
    where
        F: FnOnce(CancellationToken) -> Result<T, E> + Send + 'static,
        E: From<TaskError>,
    {
        Spawn::of_blocking(&self.shared, name, work)
    }

    /// Waits until every task has ended, and returns their values in the order of their spawns.
    ///
    /// Until then the group keeps the values, and nothing else of a task that has ended: a `Group<(), _>` may live as
    /// long as the program. Failures after the first are logged at `WARN`, at most 10 a second of one function, and
    /// the rest as one line a second; cancellations at `DEBUG`. An error that a closure of `spawn_blocking` returns
    /// is logged without text.
    ///
    /// It also waits for the spawns of handles that wait for a slot or a permit, as long as someone polls them. A
    /// spawn that is kept and not polled (in a `select!` by reference) does not hold it: if no task is left, and none
    /// of the spawns that wait is polled for 1 s, they are refused, and their callers get
    /// [`SpawnError::Joined`](crate::tasks::refused::SpawnError::Joined). If the token has fired by then, the join returns the
    /// [`Cancelled`](crate::Cancelled) of the first of them.
    ///
    /// # Errors
    ///
    /// The first failure, recorded before the cancellation that it triggers: of a task, of a closure given to `spawn`,
    /// or a [`Cancelled`](crate::Cancelled) if a spawn was refused because the token had fired. After
    /// [`until_first_exit`](Self::until_first_exit) the first real error, and a cancellation only if it came from
    /// outside. A task that its [handle](crate::TaskHandle) has stopped is no failure, and has no value.
    ///
    /// # Panics
    ///
    /// If the failure of a task or a spawn cannot be converted into `E`: its `From<TaskError>` panics, and panics again
    /// for that panic.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, so is the group: its tasks are cancelled and aborted.
    pub async fn join(self) -> Result<Vec<T>, E> {
        budget::spent().await;
        self.shared.close_when_finished().await;
        self.shared.take_results()
    }
}

impl<T, E> Drop for Group<T, E> {
    fn drop(&mut self) {
        self.shared.on_drop();
    }
}

impl<T, E> fmt::Debug for Group<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("tasks", &self.shared.tasks.lock().tasks())
            .finish_non_exhaustive()
    }
}

/// Spawns into a [`Group`] from anywhere, including its own tasks.
///
/// The group's `join` waits for the tasks that were spawned through a handle; after the join, or the drop of the group,
/// a spawn is refused.
pub struct GroupHandle<T, E> {
    shared: Arc<GroupState<T, E>>,
}

impl<T, E> GroupHandle<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// The token of the group: see [`Group::token`].
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.shared.tasks.token
    }

    /// Like [`Group::spawn`], but returns why nothing was spawned: code that has a handle does not see the result of the
    /// `join`.
    ///
    /// A panic of the closure is a failure of the group, as with [`Group::spawn`], and not an error here. A refusal
    /// is not one of the spawns that the group logs; the `join` of a cancelled group is an `Err` all the same.
    ///
    /// ```
    /// use tokio_supervised::{CancellationToken, Group, GroupHandle, SpawnError, TaskError, supervised};
    ///
    /// #[supervised]
    /// async fn fetch(page: u32) -> Result<u32, TaskError> {
    ///     Ok(page)
    /// }
    ///
    /// #[supervised]
    /// async fn crawl(siblings: GroupHandle<u32, TaskError>) -> Result<u32, TaskError> {
    ///     for page in 1..=4 {
    ///         if siblings.spawn(move |token| fetch(token, page)).await.is_err() {
    ///             break; // the group is cancelled
    ///         }
    ///     }
    ///     Ok(0)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), TaskError> {
    /// let group = Group::new(&CancellationToken::new());
    /// let handle = group.handle();
    /// group.spawn(|token| crawl(token, handle.clone())).await;
    /// assert_eq!(group.join().await?, [0, 1, 2, 3, 4]);
    /// assert!(matches!(handle.spawn(|token| fetch(token, 5)).await, Err(SpawnError::Joined)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SpawnError::Joined`](crate::tasks::refused::SpawnError::Joined) after the join;
    /// [`SpawnError::Cancelled`](crate::tasks::refused::SpawnError::Cancelled) if the group is cancelled, also by its
    /// drop; [`SpawnError::Rejected`](crate::tasks::refused::SpawnError::Rejected) if the call would deadlock itself:
    /// for a permit that a run around it holds, or for a slot of the full group that it is in.
    ///
    /// # Panics
    ///
    /// When it is awaited outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, nothing is spawned.
    #[track_caller]
    pub fn spawn<S, F>(&self, task: F) -> HandleSpawn<'_, T, E, S>
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture<Value = T, Error = E> + Send + 'static,
    {
        HandleSpawn(Spawn::of::<OnWorkers, _>(&self.shared, task))
    }

    /// Like [`Group::spawn_local`], but returns why nothing was spawned, as [`spawn`](Self::spawn) does.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// When it is awaited outside a [`LocalSet`](tokio::task::LocalSet) or a
    /// [`LocalRuntime`](tokio::runtime::LocalRuntime); a current-thread runtime alone is neither.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, nothing is spawned.
    #[track_caller]
    pub fn spawn_local<S, F>(&self, task: F) -> HandleSpawn<'_, T, E, S>
    where
        F: FnOnce(CancellationToken) -> S,
        S: SupervisedFuture<Value = T, Error = E> + 'static,
    {
        HandleSpawn(Spawn::of::<OnThisThread, _>(&self.shared, task))
    }

    /// Like [`Group::spawn_blocking`], but returns why nothing was spawned, as [`spawn`](Self::spawn) does.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// When it is awaited outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, nothing is spawned.
    #[track_caller]
    pub fn spawn_blocking<F>(
        &self,
        name: &'static str,
        work: F,
    ) -> HandleSpawn<'_, T, E, Supervised<Blocking<F>>>
    where
        F: FnOnce(CancellationToken) -> Result<T, E> + Send + 'static,
        E: From<TaskError>,
    {
        HandleSpawn(Spawn::of_blocking(&self.shared, name, work))
    }
}

impl<T, E> Clone for GroupHandle<T, E> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T, E> fmt::Debug for GroupHandle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupHandle")
            .field("tasks", &self.shared.tasks.lock().tasks())
            .finish_non_exhaustive()
    }
}
