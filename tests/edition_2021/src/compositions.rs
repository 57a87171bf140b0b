//! Supervised functions combined with code that rewrites, generates or calls functions.

use std::{
    fmt::Display,
    future::{Future, ready},
    time::Duration,
};

use tokio_supervised::{CancellationToken, TaskError, supervised};

/// Above: `#[tracing::instrument]` wraps the body, and each run is in its span.
#[tracing::instrument(skip_all)]
#[supervised(limit = 4)]
pub async fn instrumented_above(n: u32) -> Result<Option<&'static str>, TaskError> {
    ready(n).await;
    Ok(in_span())
}

/// Below.
#[supervised(limit = 4)]
#[tracing::instrument(skip_all)]
pub async fn instrumented_below(n: u32) -> Result<Option<&'static str>, TaskError> {
    ready(n).await;
    Ok(in_span())
}

/// With a token, a name and a level.
#[tracing::instrument(level = "info", name = "span", skip(token), err)]
#[supervised(grace = "1s")]
pub async fn instrumented_with_a_token(
    token: &CancellationToken,
    n: u32,
) -> Result<Option<&'static str>, TaskError> {
    instrumented_above(token, n).await?;
    Ok(in_span())
}

/// A token behind the attribute, below.
#[supervised(timeout = TIMEOUT)]
#[tracing::instrument(skip(token))]
pub async fn instrumented_below_with_a_token(
    token: &CancellationToken,
    n: u32,
) -> Result<Option<&'static str>, TaskError> {
    instrumented_below(token, n).await?;
    Ok(in_span())
}

mod facade {
    pub(super) use tokio_supervised as inner;
}

/// Below, if this crate has another path.
#[supervised(crate = "facade::inner")]
#[tracing::instrument]
pub async fn instrumented_below_by_another_path() -> Result<Option<&'static str>, TaskError> {
    ready(()).await;
    Ok(in_span())
}

const TIMEOUT: Duration = Duration::from_secs(10);

fn in_span() -> Option<&'static str> {
    tracing::Span::current().metadata().map(tracing::Metadata::name)
}

/// The largest number of concurrent runs of `shared`, over all instances.
pub const MOST: usize = 2;

/// All instances have one limit.
#[supervised(limit = MOST, on_full = "reject", timeout = TIMEOUT, name = "compositions: shared")]
pub async fn shared<T: Display, F>(shown: T, while_it_runs: F) -> Result<String, TaskError>
where
    F: Future<Output = ()>,
{
    while_it_runs.await;
    Ok(shown.to_string())
}

/// A trait of `async fn`.
#[allow(async_fn_in_trait)]
pub trait Plain {
    /// Does it.
    async fn plain(&self, token: CancellationToken, n: u32) -> Result<u32, TaskError>;

    /// Does it, whether the token is passed or not.
    async fn provided(&self, token: CancellationToken) -> Result<u32, TaskError> {
        self.plain(token, 1).await
    }
}

/// A trait that promises `Send`.
pub trait Promising {
    /// The result.
    type Given;

    /// Does it.
    fn promised(
        &self,
        token: CancellationToken,
        n: u32,
    ) -> impl Future<Output = Result<Self::Given, TaskError>> + Send;
}

/// A type that implements both.
#[derive(Clone, Copy, Debug)]
pub struct Worker<T>(pub T);

impl<T> Plain for Worker<T> {
    #[supervised(limit = 8)]
    async fn plain(&self, token: CancellationToken, n: u32) -> Result<u32, TaskError> {
        Ok(if token.is_cancelled() { 0 } else { n })
    }
}

impl<T: Copy + Into<u64> + Sync> Promising for Worker<T> {
    type Given = u64;

    #[supervised(timeout = TIMEOUT)]
    async fn promised(&self, token: CancellationToken, n: u32) -> Result<Self::Given, TaskError> {
        let more = if token.is_cancelled() { 0 } else { n };
        Ok(self.0.into() + u64::from(more))
    }
}

/// Two that call each other.
#[supervised]
pub async fn even(token: &CancellationToken, n: u32) -> Result<bool, TaskError> {
    match n {
        0 => Ok(true),
        n => Box::pin(odd(token.clone(), n - 1)).await,
    }
}

/// The other.
#[supervised]
pub async fn odd(token: CancellationToken, n: u32) -> Result<bool, TaskError> {
    match n {
        0 => Ok(false),
        n => Box::pin(even(&token, n - 1)).await,
    }
}

/// Everything that is allowed on a parameter.
#[supervised(restart = "on-failure", on_cancel = "drop")]
pub async fn on_parameters(
    #[allow(unused_variables)] token: &CancellationToken,
    #[cfg(not(any()))] there: u32,
    #[cfg(any())] absent: NoSuchType,
    #[cfg_attr(any(), no_such_attribute)]
    #[expect(unused_variables, reason = "used for its attribute only")]
    unused: u32,
) -> Result<u32, TaskError> {
    Ok(there)
}

/// An expectation on a parameter.
#[supervised]
pub async fn expected(
    #[expect(unused_variables, reason = "used for its attribute only")] unused: u32,
    #[expect(unused_mut, reason = "used for its attribute only")] mut unchanged: u32,
    #[expect(clippy::ptr_arg, reason = "the lint concerns its type, not its name")] text: &String,
) -> Result<u32, TaskError> {
    Ok(unchanged + u32::from(text.is_empty()))
}

/// The attribute is inside; its arguments and all parts of the function are fragments of each kind.
macro_rules! inside {
    (
        $(#[$meta:meta])*
        [$($argument:ident = $value:tt),*]
        $vis:vis $name:ident<$($generic:ident: $bound:path),*>($($parameter:pat => $ty:ty),*)
            -> $ret:ty $(where [$($where:tt)*])? $body:block
    ) => {
        $(#[$meta])*
        #[supervised($($argument = $value),*)]
        $vis async fn $name<$($generic: $bound),*>($($parameter: $ty),*) -> $ret
        $(where $($where)*)?
        $body
    };
}
inside! {
    /// Made.
    [limit = MOST, timeout = TIMEOUT]
    pub made_inside<T: Display>(token => &CancellationToken, (a, _) => (T, u32))
        -> Result<String, TaskError>
    where [for<'any> &'any T: Send]
    {
        Ok(format!("{a} {}", token.is_cancelled()))
    }
}

/// The attribute is outside; the function is passed unchanged.
macro_rules! outside {
    ($($written:tt)*) => { $($written)* };
}
outside! {
    /// Made.
    #[supervised(limit = MOST)]
    pub async fn made_outside(token: &CancellationToken, n: u32) -> Result<u32, TaskError> {
        even(token, n).await.map(u32::from)
    }
}

/// The attribute is passed in, and the function is inside.
macro_rules! under {
    ($(#[$meta:meta])* $name:ident $(, $statement:stmt)* => $value:literal) => {
        $(#[$meta])*
        pub async fn $name() -> Result<u32, TaskError> {
            $($statement;)*
            Ok($value)
        }
    };
}
under! {
    /// Made.
    #[supervised(limit = 1)]
    made_under, ready(()).await => 7
}

/// A body of which every token is passed separately, and a lifetime and a literal.
macro_rules! by_tokens {
    ($name:ident, $lifetime:lifetime, $label:literal, { $($body:tt)* }) => {
        /// Made.
        #[supervised(name = $label)]
        pub async fn $name<$lifetime>(text: &$lifetime str) -> Result<&$lifetime str, TaskError> {
            let _ = text;
            $($body)*
        }
    };
}
by_tokens!(made_by_tokens, 'a, "made", {
    // `text` is a name of the caller here, distinct from the parameter of the macro.
    Ok("of the caller's")
});
