//! Changes limits while their functions run.

use std::fmt;

use crate::{function::TaskSpec, registry::SCOPES};

/// Changes the limit of every supervised function of that name that has run and has one.
///
/// A larger limit admits waiting calls at once. A smaller one stops nothing: runs beyond it continue, and no run starts
/// until enough of them have ended. A running [`map`](crate::map()) without its own limit follows both.
///
/// ```
/// # use tokio_supervised::{supervised, set_limit, stats, CancellationToken, TaskError};
/// #[supervised(limit = 16)]
/// async fn resize() -> Result<(), TaskError> { Ok(()) }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// resize(&CancellationToken::new()).await?;
/// set_limit("resize", 4)?;
/// assert_eq!(stats().iter().find(|task| task.name == "resize").unwrap().limit, Some(4));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If `limit` is 0, no function of that name has run yet, or none of them has a `limit` in its attribute. Nothing is
/// changed then.
pub fn set_limit(name: &str, limit: usize) -> Result<(), SetLimitError> {
    let error = |reason| Err(SetLimitError { name: name.into(), reason });
    if limit == 0 {
        return error(Reason::Zero);
    }
    let named: Vec<_> = TaskSpec::all().into_iter().filter(|spec| spec.name() == name).collect();
    if named.is_empty() {
        return error(Reason::Unknown);
    }
    let limits: Vec<_> = named.into_iter().filter_map(TaskSpec::limit).collect();
    if limits.is_empty() {
        return error(Reason::Unlimited);
    }
    for each in limits {
        each.resize(limit);
    }
    for scope in SCOPES.all() {
        scope.limit_changed();
    }
    Ok(())
}

/// Why [`set_limit`] changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLimitError {
    name: Box<str>,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Zero,
    Unknown,
    Unlimited,
}

impl fmt::Display for SetLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.reason {
            Reason::Zero => {
                write!(f, "the limit of `{name}` must not be 0: no task could run")
            }
            Reason::Unknown => write!(
                f,
                "no supervised function named `{name}` has run yet: set its limit after its first run"
            ),
            Reason::Unlimited => {
                write!(f, "`{name}` has no `limit` to change: add one to its attribute")
            }
        }
    }
}

impl std::error::Error for SetLimitError {}
