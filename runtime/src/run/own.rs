//! The token of a body's own: how a spawned body gets a child of the token that its call was given.
//!
//! A body that takes the token could fire it, and so cancel its siblings. The run makes the child before its first
//! poll, watches it, and hands it to the body in the poll in which the body starts: the body begins with
//! [`own_token`]. Only a run knows whether it was spawned, and only the body has the place for the token.
//!
//! Invariants
//!
//! 1. What is handed over is taken at once: no other body is polled between [`hand_over`] and the first statement of
//!    the body. A body that was handed nothing finds nothing.
//! 2. A call that is awaited where it was made pays for one test of a flag, and only if it was given an owned token.
//!
//! `tests/composition/tokens.rs` checks 1, for each form of a body and each way to spawn it.

use std::{any::Any, cell::Cell};

use crate::{panic, panic::Caught, token::AsToken};
use tokio_util::sync::CancellationToken;

std::thread_local! {
    /// Whether `HANDED` holds a token. Nothing in it has to be dropped, so that reading it is cheap.
    static IS_HANDED: Cell<bool> = const { Cell::new(false) };
    static HANDED: Cell<Option<CancellationToken>> = const { Cell::new(None) };
    /// Whether the closure of a spawn or a map is being called.
    static IN_CLOSURE: Cell<bool> = const { Cell::new(false) };
}

/// The token that a body uses: its own child in a spawned run, else the one that it was given.
///
/// The first statement of each body whose function has [`take_token`](crate::function::Policy::take_token).
#[inline]
pub fn own_token<T: AsToken>(given: T) -> T {
    given.or_own()
}

/// The same for a parameter whose type is written as that of an owned token. Any type will do: of one that is no token's,
/// the error is that of the call, and the body adds none.
#[inline]
pub fn own_given_token<T: Any>(given: T) -> T {
    let mut given = Some(given);
    if let Some(token) = (&mut given as &mut dyn Any).downcast_mut::<Option<CancellationToken>>() {
        if let Some(own) = take() {
            *token = Some(own);
        }
    }
    given.expect("it was put there above")
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

/// Puts a child in the place of the token.
#[cold]
pub(super) fn replace<T: AsToken>(token: &mut Option<T>) {
    let child = token.as_ref().map(T::child);
    *token = child;
}

/// Hands a token to the body that is polled next.
#[cold]
pub(super) fn hand_over(token: &CancellationToken) {
    let token = token.clone();
    let handed = HANDED.try_with(move |handed| handed.set(Some(token)));
    IS_HANDED.set(handed.is_ok());
}

#[inline]
pub(crate) fn take() -> Option<CancellationToken> {
    if IS_HANDED.get() { take_handed() } else { None }
}

#[cold]
fn take_handed() -> Option<CancellationToken> {
    IS_HANDED.set(false);
    HANDED.try_with(Cell::take).ok().flatten()
}
