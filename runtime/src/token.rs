//! How a token reaches a supervised function, by reference or by value, and how a spawned body gets its own token.
//!
//! A body that takes the token could cancel it, and with it its siblings. So the run of a spawned body makes a child token
//! before its first poll, watches it, and hands it over in the poll in which the body starts; the body's first statement
//! is [`own_token`]. Only the run knows whether it was spawned, and only the body has the place for the token.
//!
//! Invariants
//!
//! 1. A token that is handed over is taken at once: no other body is polled between [`hand_over`] and the first
//!    statement of the body. A body to which none was handed over finds none. Otherwise a body would cancel another
//!    one's children. (`tests/spec/composition/tokens.rs`, for each form of a body and each way to spawn it)
//! 2. A call that is awaited inline pays for one test of a flag, and only if it was given an owned token.

use std::{any::Any, cell::Cell};

use tokio_util::sync::CancellationToken;

use crate::{panic, panic::Caught};

mod sealed {
    pub trait Sealed {}
    impl Sealed for tokio_util::sync::CancellationToken {}
    impl<T: Sealed + ?Sized> Sealed for &T {}
}

/// A [`CancellationToken`], by reference (`&token`) or by value (`token`).
///
/// The first argument of a supervised function: `fetch(&token, url)` inside another function, `|token| fetch(token,
/// url)` if the future has to be `'static`. A reference costs nothing; a value is one more handle to the same token.
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cancellation token",
    label = "a supervised function takes a token as its first argument",
    note = "pass the token of the calling function: `f(&token, …)`"
)]
pub trait AsToken: sealed::Sealed + Clone {
    /// The token itself.
    fn as_token(&self) -> &CancellationToken;

    /// Whether it is an owned handle, which a child of the token can replace.
    #[doc(hidden)]
    const IS_OWNED: bool = false;

    /// The token, if it was passed by value, to be reused: each clone and each drop takes its lock.
    #[doc(hidden)]
    fn into_given(self) -> Option<CancellationToken> {
        None
    }

    /// Becomes a handle on the second token, if it is one on the first and is owned.
    #[doc(hidden)]
    fn renew(&mut self, _from: &CancellationToken, _to: &CancellationToken) {}

    /// A child of an owned token; the same token if it is borrowed.
    #[doc(hidden)]
    #[must_use]
    fn child(&self) -> Self {
        self.clone()
    }

    /// The token that its run hands to a body, if it does; else this one. See [`own_token`].
    #[doc(hidden)]
    #[must_use]
    fn or_own(self) -> Self {
        self
    }
}

impl AsToken for CancellationToken {
    fn as_token(&self) -> &CancellationToken {
        self
    }

    const IS_OWNED: bool = true;

    fn into_given(self) -> Option<CancellationToken> {
        Some(self)
    }

    fn renew(&mut self, from: &CancellationToken, to: &CancellationToken) {
        if self == from {
            *self = to.clone();
        }
    }

    fn child(&self) -> Self {
        self.child_token()
    }

    #[inline]
    fn or_own(self) -> Self {
        take().unwrap_or(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsToken> AsToken for &T {
    fn as_token(&self) -> &CancellationToken {
        T::as_token(self)
    }
}

std::thread_local! {
    /// Whether `HANDED` holds a token. Nothing in it has to be dropped: reading it is cheap.
    static IS_HANDED: Cell<bool> = const { Cell::new(false) };
    static HANDED: Cell<Option<CancellationToken>> = const { Cell::new(None) };
    /// Whether the closure of a spawn or a map is being called.
    static IN_CLOSURE: Cell<bool> = const { Cell::new(false) };
}

/// Returns the token that a body uses: a child of the given token in a spawned run, otherwise the given token.
///
/// The first statement of each body whose function has [`take_token`](crate::function::Policy::take_token).
#[inline]
pub fn own_token<T: AsToken>(given: T) -> T {
    given.or_own()
}

/// Like [`own_token`], for a parameter whose written type is an owned token. Accepts any type: if it is not a token,
/// the call has the error, and the body adds none.
#[inline]
pub fn own_given_token<T: Any>(given: T) -> T {
    let mut given = Some(given);
    if let Some(token) = (&mut given as &mut dyn Any).downcast_mut::<Option<CancellationToken>>() {
        if let Some(own) = take() {
            *token = Some(own);
        }
    }
    given.expect("it was inserted above")
}

/// The token of a `task!` that makes its future in its closure: a child if a scope calls the closure.
#[must_use]
pub fn own_token_of_closure(given: CancellationToken) -> CancellationToken {
    if IN_CLOSURE.get() { given.child_token() } else { given }
}

/// Calls the closure of a spawn or of a map, under [`panic::catch`].
#[inline]
pub(crate) fn call_closure<R>(closure: impl FnOnce() -> R) -> Result<R, Caught> {
    let outer = IN_CLOSURE.replace(true);
    let made = panic::catch(closure);
    IN_CLOSURE.set(outer);
    made
}

/// The child that a body takes, and the token that it replaced: the scope reuses that, since a clone takes its lock.
pub struct ReplacedToken<'a> {
    pub(crate) child: &'a CancellationToken,
    pub(crate) given: CancellationToken,
}

/// Replaces an owned token by a child of it.
#[inline]
pub(crate) fn replace_with_child<T: AsToken>(token: &mut T) -> Option<ReplacedToken<'_>> {
    let child = token.child();
    let given = std::mem::replace(token, child).into_given()?;
    Some(ReplacedToken { child: token.as_token(), given })
}

/// Hands a token to the body that is polled next.
#[cold]
pub(crate) fn hand_over(token: &CancellationToken) {
    let token = token.clone();
    let handed = HANDED.try_with(move |handed| handed.set(Some(token)));
    IS_HANDED.set(handed.is_ok());
}

#[inline]
fn take() -> Option<CancellationToken> {
    if IS_HANDED.get() { take_handed() } else { None }
}

#[cold]
fn take_handed() -> Option<CancellationToken> {
    IS_HANDED.set(false);
    HANDED.try_with(Cell::take).ok().flatten()
}
