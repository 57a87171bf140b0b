//! The live tasks.

use crate::registry::snapshot::Tasks;

/// Returns the live tasks of the process as a tree: the tasks of groups, pools and maps that have not ended, and the
/// bodies of `#[supervised::main]` and of tests.
///
/// ```
/// use tokio_supervised::{Pool, TaskError, supervised, tasks};
///
/// #[supervised(name = "idle")]
/// async fn idle() -> Result<(), TaskError> {
///     std::future::pending().await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(8);
/// pool.spawn(|token| idle(token)).await?;
/// let tasks = tasks();
/// let task = tasks.iter().find(|task| task.name == "idle").unwrap();
/// assert_eq!((task.depth, task.spawned_at.file()), (0, file!()));
/// println!("{tasks}");
/// # Ok(())
/// # }
/// ```
///
/// prints
///
/// ```text
/// task           state      age  spawned at       waits at
/// idle (task 1)  waiting  14 µs  src/main.rs:11:6
/// ```
///
/// A task that is pending has the line of its `.await` in the last column, and how long it has waited there. If it waits
/// in another supervised call, the chain of calls is shown: `handle src/http.rs:41 → store src/store.rs:88, 12.3 s`. See
/// [`LiveTask::frames`](crate::LiveTask::frames).
///
/// A run that is awaited inline is not a task, but a part of the task that awaits it; `stats()` counts it. The tasks of
/// a [`map`](crate::map()) are its workers, under the name of the function.
///
/// The tasks are read one after another while they continue. The call takes the lock of each group and pool for the
/// time of a copy, and well under a second for a million tasks. Callable from any thread.
#[must_use]
pub fn tasks() -> Tasks {
    crate::registry::snapshot::tasks()
}
