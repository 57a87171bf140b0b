//! Every form of a restarting function, as users write them. Each fails once if it can.

use std::{
    cell::Cell,
    fmt::{Debug, Display},
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio_supervised::{CancellationToken, TaskError, supervised};

/// Counts runs over all clones.
#[derive(Clone, Debug, Default)]
pub struct Runs(Arc<AtomicU32>);

impl Runs {
    /// Panics at its first call.
    ///
    /// # Panics
    ///
    /// At the first call.
    pub fn fail_once(&self) {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first run fails");
    }
}

/// Nothing in, nothing out.
#[supervised(restart = "on-failure")]
pub async fn unit() {}

/// A body of one line.
#[supervised(restart = "on-failure")]
#[rustfmt::skip]
pub async fn one_line(runs: Runs) -> Result<(), TaskError> { runs.fail_once(); Ok(()) }

/// Without a token, with all arguments.
#[supervised(
    limit = 16,
    name = "restarts",
    timeout = "10s",
    restart = "always",
    backoff = "100ms..30s",
    max_restarts = "1/1m"
)]
pub async fn plain(runs: Runs, n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    runs.fail_once();
    Ok(n)
}

/// A token that is borrowed or owned.
#[supervised(restart = "on-failure", grace = "5s")]
pub async fn lent(token: &CancellationToken, runs: Runs) -> Result<bool, TaskError> {
    runs.fail_once();
    Ok(token.is_cancelled())
}

/// An owned token.
#[supervised(restart = "on-failure")]
pub async fn given(token: CancellationToken, runs: Runs) -> Result<bool, TaskError> {
    runs.fail_once();
    Ok(token.is_cancelled())
}

/// Patterns, `mut`, `_`, `ref`, `@`.
///
/// # Panics
///
/// If a run sees the changes of another one.
#[supervised(restart = "on-failure")]
pub async fn patterns(
    (first, mut second): (u32, u32),
    _: String,
    mut third: u32,
    Point { x, y }: Point,
    all @ [fourth, ..]: [u32; 2],
    ref fifth: u32,
    runs: Runs,
) -> Result<u32, TaskError> {
    second += 1;
    third += 1;
    assert!(y.is_empty(), "earlier runs have not changed it");
    runs.fail_once();
    Ok(first + second + third + x + fourth + all[1] + fifth)
}

/// A point.
#[derive(Clone, Debug)]
pub struct Point {
    /// The x coordinate.
    pub x: u32,
    /// The y coordinate.
    pub y: String,
}

/// Parameters under `cfg`, and parameters with attributes.
#[supervised(restart = "on-failure")]
pub async fn attributes(
    #[cfg(any())] absent: &mut u32,
    #[cfg(panic = "unwind")] present: u32,
    #[allow(unused_variables)] unused: u32,
    runs: Runs,
) -> Result<u32, TaskError> {
    runs.fail_once();
    Ok(present)
}

/// Generics, bounds, constants.
#[supervised(restart = "on-failure")]
pub async fn generic<T, const N: usize>(items: [T; N], runs: Runs) -> Result<String, TaskError>
where
    T: Display + Clone + Send,
{
    runs.fail_once();
    Ok(items.iter().map(ToString::to_string).collect())
}

/// Explicit and elided lifetimes.
#[supervised(restart = "on-failure")]
pub async fn lifetimes<'a>(
    text: &'a str,
    chars: std::str::Chars<'_>,
    runs: &Runs,
) -> Result<&'a str, TaskError> {
    runs.fail_once();
    Ok(&text[chars.count()..])
}

/// Arguments of `impl Trait` types.
#[supervised(restart = "on-failure")]
pub async fn impl_arguments(
    shown: Vec<impl Display + Clone>,
    f: impl FnOnce(u32) -> u32 + Clone,
    boxed: &Mutex<Box<dyn FnMut() -> u32 + '_>>,
    runs: Runs,
) -> Result<String, TaskError> {
    let called = boxed.lock().map_or(0, |mut boxed| boxed());
    runs.fail_once();
    Ok(format!("{}{}", f(called), shown.len()))
}

/// A result of `impl Trait` type.
#[supervised(restart = "on-failure")]
pub async fn impl_result(
    items: &[u32],
    runs: Runs,
) -> Result<impl Iterator<Item = u32> + '_, TaskError> {
    runs.fail_once();
    Ok(items.iter().map(|n| n * 2))
}

/// `?`, and an early `return`.
#[supervised(restart = "on-failure")]
pub async fn early(
    text: &str,
    runs: Runs,
) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    runs.fail_once();
    if text.is_empty() {
        return Ok(0);
    }
    Ok(text.parse::<u32>()?)
}

/// The last expression borrows from a parameter.
///
/// # Panics
///
/// If a holder of the lock panicked.
#[supervised(restart = "on-failure")]
pub async fn tail_borrows(items: Arc<Mutex<Vec<u32>>>, runs: Runs) -> Result<usize, TaskError> {
    runs.fail_once();
    Ok(items.lock().expect("the lock is not poisoned").len())
}

/// Calls itself.
#[supervised(restart = "on-failure")]
pub async fn recursive(token: &CancellationToken, n: u32) -> Result<u32, TaskError> {
    if n == 0 {
        return Ok(0);
    }
    Ok(1 + Box::pin(recursive(token, n - 1)).await?)
}

/// An unsafe function.
///
/// # Safety
///
/// No precondition: nothing in it is unsafe.
#[supervised(restart = "on-failure")]
pub async unsafe fn unsafe_one(runs: Runs) -> Result<(), TaskError> {
    runs.fail_once();
    Ok(())
}

/// A future that is not `Send`.
#[supervised(restart = "on-failure")]
pub async fn not_send(shared: Rc<Cell<u32>>, runs: Runs) -> Result<u32, TaskError> {
    let held = &shared;
    std::future::ready(()).await;
    runs.fail_once();
    Ok(held.get())
}

/// Raw names.
#[supervised(restart = "on-failure")]
pub async fn r#match(r#type: Runs) -> Result<(), TaskError> {
    r#type.fail_once();
    Ok(())
}

/// Methods.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    /// The count.
    pub count: u32,
    /// The runs of its methods.
    pub runs: Runs,
}

impl Counter {
    /// Borrows.
    #[supervised(restart = "on-failure")]
    pub async fn get(&self) -> Result<&u32, TaskError> {
        self.runs.fail_once();
        Ok(&self.count)
    }

    /// Borrows, with a token.
    #[supervised(restart = "on-failure")]
    pub async fn get_with(&self, token: &CancellationToken) -> Result<u32, TaskError> {
        lent(token, self.runs.clone()).await?;
        Ok(self.count)
    }

    /// Takes `self` by value.
    #[supervised(restart = "on-failure")]
    pub async fn take(self) -> Result<u32, TaskError> {
        self.runs.fail_once();
        Ok(self.count)
    }

    /// Takes `self` by value and changes it, also in macros and in closures.
    ///
    /// # Panics
    ///
    /// If a run sees the changes of another one.
    #[supervised(restart = "on-failure")]
    pub async fn changed(mut self, n: u32) -> Result<Self, TaskError> {
        let mut add = || self.count += n;
        add();
        assert!(self.count == n, "{self:?} was changed by an earlier run");
        self.runs.fail_once();
        Ok(self)
    }

    /// Takes `self` in an `Arc`.
    #[supervised(restart = "on-failure")]
    pub async fn shared(self: Arc<Self>, token: &CancellationToken) -> Result<u32, TaskError> {
        lent(token, self.runs.clone()).await?;
        Ok(self.count)
    }

    /// Takes `self` in a box and changes it.
    #[supervised(restart = "on-failure")]
    pub async fn boxed(mut self: Box<Self>) -> Result<Box<Self>, TaskError> {
        self.count += 1;
        self.runs.fail_once();
        Ok(self)
    }

    /// Borrows, with an explicit type.
    #[supervised(restart = "on-failure")]
    #[allow(clippy::needless_arbitrary_self_type)]
    pub async fn written_out<'a>(self: &'a Self, other: &str) -> Result<&'a u32, TaskError> {
        let _ = other.len();
        self.runs.fail_once();
        Ok(&self.count)
    }

    /// Takes a pinned `self`.
    #[supervised(restart = "on-failure")]
    pub async fn pinned(self: Pin<&Self>) -> Result<u32, TaskError> {
        self.runs.fail_once();
        Ok(self.count)
    }

    /// Does not use `self`.
    #[supervised(restart = "on-failure")]
    #[allow(clippy::unused_self)]
    pub async fn idle(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// A trait that requires `Send`.
pub trait Store {
    /// Saves.
    fn save(
        &self,
        token: CancellationToken,
        n: u32,
    ) -> impl Future<Output = Result<u32, TaskError>> + Send;
}

impl Store for Counter {
    #[supervised(restart = "on-failure")]
    async fn save(&self, token: CancellationToken, n: u32) -> Result<u32, TaskError> {
        lent(&token, self.runs.clone()).await?;
        Ok(self.count + n)
    }
}

/// A generic type.
#[derive(Debug)]
pub struct Holder<'a, T> {
    /// The value.
    pub held: &'a T,
}

impl<'a, T: Debug + Sync> Holder<'a, T> {
    /// Returns its borrow.
    #[supervised(restart = "on-failure")]
    pub async fn held(&self, runs: Runs) -> Result<&'a T, TaskError> {
        runs.fail_once();
        Ok(self.held)
    }
}
