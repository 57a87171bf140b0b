//! The token's ways in: lent or given.

use tokio_util::sync::CancellationToken;

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

    /// The token, where it was given: for who can use it again, since each clone and each drop takes its lock.
    #[doc(hidden)]
    fn into_given(self) -> Option<CancellationToken> {
        None
    }
}

impl AsToken for CancellationToken {
    fn as_token(&self) -> &CancellationToken {
        self
    }

    fn into_given(self) -> Option<CancellationToken> {
        Some(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsToken> AsToken for &T {
    fn as_token(&self) -> &CancellationToken {
        T::as_token(self)
    }
}
