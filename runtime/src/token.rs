//! The token's ways in: lent or given.

use tokio_util::sync::CancellationToken;

use crate::run::own;

mod sealed {
    pub trait Sealed {}
    impl Sealed for tokio_util::sync::CancellationToken {}
    impl<T: Sealed + ?Sized> Sealed for &T {}
}

/// A [`CancellationToken`], lent (`&token`) or given (`token`).
///
/// What a supervised function takes first: `fetch(&token, url)` inside another function,
/// `|token| fetch(token, url)` where the future has to be `'static`. Lending costs nothing; a given
/// token is one more handle on the same token. The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cancellation token",
    label = "a supervised function takes the token first",
    note = "lend the token that this code was given: `f(&token, …)`"
)]
pub trait AsToken: sealed::Sealed + Clone {
    /// The token itself.
    fn as_token(&self) -> &CancellationToken;

    /// Whether it is a handle of its own, which a child of the token can take the place of.
    #[doc(hidden)]
    const IS_OWNED: bool = false;

    /// The token, where it was given: for who can use it again, since each clone and each drop takes its lock.
    #[doc(hidden)]
    fn into_given(self) -> Option<CancellationToken> {
        None
    }

    /// Becomes a handle on the second token, if it is one on the first and is owned.
    #[doc(hidden)]
    fn renew(&mut self, _from: &CancellationToken, _to: &CancellationToken) {}

    /// A child of an owned token; the same token if it is lent.
    #[doc(hidden)]
    #[must_use]
    fn child(&self) -> Self {
        self.clone()
    }

    /// The token that its run hands to a body, if it does; else this one. See `run::own`.
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
        own::take().unwrap_or(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsToken> AsToken for &T {
    fn as_token(&self) -> &CancellationToken {
        T::as_token(self)
    }
}
