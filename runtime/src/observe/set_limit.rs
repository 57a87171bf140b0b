//! Sets limits at run time, before the functions run and while they do.

use std::fmt;

use crate::{
    function::{MOST_PENDING, Named, TaskSpec},
    registry::SCOPES,
};

/// Sets the limit of every supervised function of that name that has one.
///
/// For a function that has run, this changes its limit now. A larger limit admits waiting calls at once. A smaller one
/// stops nothing: runs beyond it continue, and no run starts until enough of them have ended. A running
/// [`map`](crate::map()) without its own limit follows both.
///
/// If no function of that name has run, the limit is kept, and applies at the first run: a program can set its limits at
/// its start. A function is then found to have no `limit` only when it runs; the limit that was kept has no effect on it.
///
/// ```
/// # use tokio_supervised::{supervised, set_limit, stats, CancellationToken, SetLimit, TaskError};
/// #[supervised(limit = 16)]
/// async fn resize() -> Result<(), TaskError> { Ok(()) }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = || stats().iter().find(|task| task.name == "resize").and_then(|task| task.limit);
/// assert_eq!(set_limit("resize", 4)?, SetLimit::Pending);
/// resize(&CancellationToken::new()).await?;
/// assert_eq!(limit(), Some(4));
/// assert_eq!(set_limit("resize", 8)?, SetLimit::Applied);
/// assert_eq!(limit(), Some(8));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If `limit` is 0, if functions of that name have run and none of them has a `limit` in its attribute, or if no function
/// of that name has run and limits are kept for 1,024 other names. Nothing is changed then.
pub fn set_limit(name: &str, limit: usize) -> Result<SetLimit, SetLimitError> {
    let error = |reason| Err(SetLimitError { name: name.into(), reason });
    if limit == 0 {
        return error(Reason::Zero);
    }
    let named = match TaskSpec::named_for_limit(name, limit) {
        Named::Listed(named) => named,
        Named::Pending => return Ok(SetLimit::Pending),
        Named::TooMany => return error(Reason::TooMany),
    };
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
    Ok(SetLimit::Applied)
}

/// When a limit that [`set_limit`] has set applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetLimit {
    /// Now.
    Applied,
    /// At the first run: no function of that name has run.
    Pending,
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
    TooMany,
    Unlimited,
}

impl fmt::Display for SetLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.reason {
            Reason::Zero => {
                write!(f, "the limit of `{name}` must not be 0: no task could run")
            }
            Reason::TooMany => write!(
                f,
                "the limit of `{name}` is not kept: no function of that name has run, and the limits of {MOST_PENDING} others are kept already"
            ),
            Reason::Unlimited => {
                write!(f, "`{name}` has no `limit` to change: add one to its attribute")
            }
        }
    }
}

impl std::error::Error for SetLimitError {}
