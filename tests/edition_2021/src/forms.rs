//! Every form of a supervised function, as users write them.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt::{Debug, Display},
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
};

use tokio_supervised::{CancellationToken, Group, TaskError, supervised, task};

/// Nothing in, nothing out.
#[supervised]
pub async fn unit() {}

/// A body of one line.
#[supervised]
#[rustfmt::skip]
pub async fn one_line(n: u32) -> Result<u32, TaskError> { Ok(n) }

/// Without a token.
#[supervised(limit = 16, name = "plain", timeout = "10s")]
pub async fn plain(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(n)
}

/// A token that is borrowed or owned.
///
/// # Errors
///
/// When the token fires.
#[supervised(grace = "5s")]
pub async fn lent(token: &CancellationToken, n: u32) -> Result<u32, TaskError> {
    if token.is_cancelled() {
        return Ok(0);
    }
    plain(token, n).await
}

/// An owned token.
#[supervised]
pub async fn given(token: CancellationToken, n: u32) -> Result<u32, TaskError> {
    plain(token, n).await
}

/// A token whose type has another name.
#[supervised(token = stop, on_cancel = "drop")]
pub async fn renamed(stop: &Stop, n: u32) -> Result<u32, TaskError> {
    plain(stop, n).await
}

/// Another name of the token's type.
pub type Stop = CancellationToken;

/// A body that only panics.
///
/// # Panics
///
/// Always.
#[supervised]
pub async fn panics() -> Result<u32, TaskError> {
    panic!("failed as requested")
}

/// A body that never ends by itself.
#[supervised]
pub async fn forever() -> Result<(), TaskError> {
    loop {
        std::future::pending::<()>().await;
    }
}

/// As many parameters as clippy allows, and the token.
#[supervised]
#[allow(clippy::many_single_char_names)]
pub async fn seven(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) -> Result<u8, TaskError> {
    Ok(a + b + c + d + e + f + g)
}

/// A private function.
#[supervised]
async fn private() -> Result<(), TaskError> {
    Ok(())
}

/// A function that is visible in this crate.
#[supervised]
pub(crate) async fn for_the_crate(token: &CancellationToken) -> Result<(), TaskError> {
    private(token).await
}

/// Calls the functions that are not public.
#[supervised]
pub async fn calls_private(token: &CancellationToken) -> Result<(), TaskError> {
    for_the_crate(token).await
}

/// Patterns, `mut`, `_`, `ref`, `@`.
#[supervised]
pub async fn patterns(
    (first, mut second): (u32, u32),
    _: String,
    mut third: u32,
    Point { x, .. }: Point,
    all @ [fourth, ..]: [u32; 2],
    ref fifth: u32,
) -> Result<u32, TaskError> {
    second += 1;
    third += 1;
    Ok(first + second + third + x + fourth + all[1] + fifth)
}

/// A point.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// The x coordinate.
    pub x: u32,
    /// The y coordinate.
    pub y: u32,
}

/// Parameters under `cfg`, and parameters with attributes.
#[supervised]
pub async fn attributes(
    #[cfg(any())] absent: u32,
    #[cfg(panic = "unwind")] present: u32,
    #[allow(unused_variables)] unused: u32,
) -> Result<u32, TaskError> {
    Ok(present)
}

/// A token behind a parameter under `cfg`.
#[supervised]
pub async fn attributes_before_the_token(
    #[cfg(any())] absent: u32,
    token: &CancellationToken,
) -> Result<bool, TaskError> {
    Ok(token.is_cancelled())
}

/// Inner attributes.
#[supervised]
pub async fn inner_attributes(n: u32) -> Result<u32, TaskError> {
    #![allow(unused_variables)]
    let unused = 1;
    Ok(n)
}

/// Generics, bounds, constants.
#[supervised]
pub async fn generic<T, const N: usize>(items: [T; N]) -> Result<Vec<String>, TaskError>
where
    T: Display + Send,
{
    Ok(items.iter().map(ToString::to_string).collect())
}

/// Explicit lifetimes.
#[supervised]
pub async fn explicit<'a, 'b>(
    longer: &'a str,
    shorter: &'b str,
) -> Result<(&'a str, &'b str), TaskError> {
    Ok((longer, shorter))
}

/// Elided lifetimes.
#[supervised]
pub async fn elided(text: &str) -> Result<&str, TaskError> {
    Ok(text.trim())
}

/// A lifetime inside a type.
#[supervised]
pub async fn anonymous(text: std::str::Chars<'_>, other: &str) -> Result<usize, TaskError> {
    Ok(text.count() + other.len())
}

/// An argument of `impl Trait` type.
#[supervised]
pub async fn impl_argument(shown: impl Display, n: impl Into<u32>) -> Result<String, TaskError> {
    Ok(format!("{shown} {}", n.into()))
}

/// The same inside other types.
#[supervised]
pub async fn impl_arguments_inside(
    shown: Vec<impl Display>,
    f: impl FnOnce(u32) -> u32,
    boxed: Box<dyn Fn() -> u32 + '_>,
) -> Result<u32, TaskError> {
    let lengths: usize = shown.iter().map(|shown| shown.to_string().len()).sum();
    Ok(f(boxed()) + u32::try_from(lengths).unwrap_or_default())
}

/// A result of `impl Trait` type.
#[supervised]
pub async fn impl_result(items: &[u32]) -> Result<impl Iterator<Item = u32> + '_, TaskError> {
    Ok(items.iter().map(|n| n * 2))
}

/// A result of `impl Trait` type that borrows nothing. Without the bound it would borrow the token.
#[supervised]
pub async fn impl_result_of_its_own(
    n: u32,
) -> Result<impl Iterator<Item = u32> + 'static, TaskError> {
    Ok(0..n)
}

/// Constants with the names of parameters.
pub mod constants {
    #![allow(non_upper_case_globals)]

    use tokio_supervised::{CancellationToken, TaskError, supervised, task};

    /// A constant with the name of the inserted parameter is documented.
    pub const token: u32 = 1;

    /// A static with such a name.
    pub static shutdown: u32 = 2;

    /// An inserted token.
    #[supervised]
    pub async fn inserted(n: u32) -> Result<u32, TaskError> {
        Ok(token + shutdown + n)
    }

    /// An inserted token that the body keeps.
    #[supervised(restart = "on-failure")]
    pub async fn restarting(n: u32) -> Result<u32, TaskError> {
        Ok(token + shutdown + n)
    }

    /// A token with a name chosen by the user.
    #[supervised]
    pub async fn lent(stop: &CancellationToken) -> Result<u32, TaskError> {
        task!("inserted", |_| -> Result<u32, TaskError> { Ok(token) })(stop.clone()).await
    }

    /// A method.
    #[derive(Debug)]
    pub struct Held(u32);

    impl Held {
        /// Creates one.
        #[supervised]
        pub async fn new() -> Result<Self, TaskError> {
            Ok(Self(token))
        }

        /// Adds.
        #[supervised]
        pub async fn add(&self, n: u32) -> Result<u32, TaskError> {
            Ok(self.0 + n)
        }
    }
}

/// A result with a lifetime, and a boxed error.
#[supervised]
pub async fn boxed_error<'a>(
    map: &'a BTreeMap<String, u32>,
    key: &str,
) -> Result<&'a u32, Box<dyn std::error::Error + Send + Sync>> {
    map.get(key).ok_or_else(|| key.into())
}

/// An `io::Error`.
#[supervised]
pub async fn io_error() -> io::Result<()> {
    Err(io::ErrorKind::NotFound.into())
}

/// `?`, and an early `return`.
#[supervised]
pub async fn early(text: &str) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
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
#[supervised]
pub async fn tail_borrows(items: Mutex<Vec<u32>>) -> Result<usize, TaskError> {
    Ok(items.lock().expect("the lock is not poisoned").len())
}

/// The last expression matches on what borrows from a parameter.
///
/// # Panics
///
/// If a holder of the lock panicked.
#[supervised]
#[allow(clippy::option_if_let_else)]
pub async fn tail_matches(items: Mutex<Vec<u32>>) -> Result<u32, TaskError> {
    match items.lock().expect("the lock is not poisoned").first() {
        Some(n) => Ok(*n),
        None => Ok(0),
    }
}

/// The same without a value.
///
/// # Panics
///
/// If a holder of the lock panicked.
#[supervised]
pub async fn tail_of_nothing(items: Mutex<Vec<u32>>) {
    if let Some(n) = items.lock().expect("the lock is not poisoned").first_mut() {
        *n += 1;
    }
}

/// Calls itself.
#[supervised]
pub async fn recursive(token: &CancellationToken, n: u32) -> Result<u32, TaskError> {
    if n == 0 {
        return Ok(0);
    }
    Ok(1 + Box::pin(recursive(token, n - 1)).await?)
}

/// Calls itself through a box that hides the type.
#[must_use]
pub fn hidden(
    token: &CancellationToken,
    n: u32,
) -> Pin<Box<dyn Future<Output = Result<u32, TaskError>> + Send + '_>> {
    Box::pin(through_a_box(token, n))
}

#[supervised]
async fn through_a_box(token: &CancellationToken, n: u32) -> Result<u32, TaskError> {
    if n == 0 {
        return Ok(0);
    }
    Ok(1 + hidden(token, n - 1).await?)
}

/// An unsafe function.
///
/// # Safety
///
/// No precondition: nothing in it is unsafe.
#[supervised]
pub async unsafe fn unsafe_one(n: u32) -> Result<u32, TaskError> {
    Ok(n)
}

/// A future that is not `Send`.
#[supervised]
pub async fn not_send(n: u32) -> Result<u32, TaskError> {
    let cell = Cell::new(n);
    let held = &cell;
    std::future::ready(()).await;
    Ok(held.get())
}

/// Raw names.
#[supervised]
pub async fn r#match(r#type: u32) -> Result<u32, TaskError> {
    Ok(r#type)
}

/// Methods.
#[derive(Debug, Default)]
pub struct Counter {
    /// The count.
    pub count: u32,
}

impl Counter {
    /// Borrows.
    #[supervised]
    pub async fn get(&self) -> Result<&u32, TaskError> {
        Ok(&self.count)
    }

    /// Borrows, with a token.
    #[supervised]
    pub async fn get_with(&self, token: &CancellationToken, more: u32) -> Result<u32, TaskError> {
        plain(token, self.count + more).await
    }

    /// Borrows mutably.
    #[supervised]
    pub async fn add(&mut self, n: u32) -> Result<&mut Self, TaskError> {
        self.count += n;
        Ok(self)
    }

    /// Takes `self` by value.
    #[supervised]
    pub async fn take(self) -> Result<u32, TaskError> {
        Ok(self.count)
    }

    /// Takes `self` by value and changes it.
    #[supervised]
    pub async fn changed(mut self) -> Result<Self, TaskError> {
        self.count += 1;
        Ok(self)
    }

    /// Takes `self` in an `Arc`.
    #[supervised]
    pub async fn shared(self: Arc<Self>, token: &CancellationToken) -> Result<u32, TaskError> {
        plain(token, self.count).await
    }

    /// Takes `self` in a box and changes it.
    #[supervised]
    pub async fn boxed(mut self: Box<Self>, n: u32) -> Result<Box<Self>, TaskError> {
        self.count += n;
        Ok(self)
    }

    /// Borrows, with an explicit type.
    #[supervised]
    #[allow(clippy::needless_arbitrary_self_type)]
    pub async fn written_out<'a>(self: &'a Self, other: &str) -> Result<&'a u32, TaskError> {
        let _ = other.len();
        Ok(&self.count)
    }

    /// Takes a pinned `self`.
    #[supervised]
    pub async fn pinned(self: Pin<&mut Self>, n: u32) -> Result<u32, TaskError> {
        Ok(self.count + n)
    }

    /// Does not use `self`.
    #[supervised]
    #[allow(clippy::unused_self)]
    pub async fn idle(&self) -> Result<(), TaskError> {
        Ok(())
    }

    /// Has no receiver.
    #[supervised]
    pub async fn new(count: u32) -> Result<Self, TaskError> {
        Ok(Self { count })
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
    #[supervised]
    async fn save(&self, token: CancellationToken, n: u32) -> Result<u32, TaskError> {
        plain(token, self.count + n).await
    }
}

/// A trait without requirements.
#[allow(async_fn_in_trait)]
pub trait Load {
    /// Loads.
    async fn load(&mut self, token: CancellationToken) -> Result<u32, TaskError>;

    /// Loads twice.
    #[supervised]
    async fn load_twice(&mut self, token: CancellationToken) -> Result<u32, TaskError> {
        let first = self.load(token.clone()).await?;
        Ok(first + self.load(token).await?)
    }
}

impl Load for Counter {
    #[supervised(limit = 2)]
    async fn load(&mut self, token: CancellationToken) -> Result<u32, TaskError> {
        self.count += 1;
        plain(token, self.count).await
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
    #[supervised]
    pub async fn held(&self) -> Result<&'a T, TaskError> {
        Ok(self.held)
    }

    /// Shows it.
    #[supervised]
    pub async fn show(&self, prefix: &str) -> Result<String, TaskError> {
        Ok(format!("{prefix}{:?}", self.held))
    }
}

/// Foreign futures and bodies in a group.
///
/// # Errors
///
/// When the token fires.
pub async fn tasks(token: &CancellationToken) -> Result<Vec<u32>, TaskError> {
    let group = Group::new(token);
    let three = Arc::new(3);
    group.spawn(task!("ready", |_| std::future::ready(Ok(1)))).await;
    group.spawn(task!("body", |_| -> Result<u32, TaskError> { Ok(2) })).await;
    group
        .spawn(task!("captures", timeout = "1s", |token| -> Result<u32, TaskError> {
            plain(&token, *three).await
        }))
        .await;
    group.spawn(task!("async", limit = 2, |token| async move { plain(token, 4).await })).await;
    group.join().await
}

/// The entry point as a function that a test can call.
pub mod entry {
    use tokio_supervised::{CancellationToken, TaskError, supervised};

    /// Starts.
    #[supervised::main(flavor = "current_thread", grace = "5s")]
    pub async fn main(token: CancellationToken) -> Result<(), TaskError> {
        super::plain(&token, 1).await?;
        Ok(())
    }

    /// Starts without a token.
    #[supervised::main(worker_threads = 1)]
    pub async fn without_a_token() {}
}
