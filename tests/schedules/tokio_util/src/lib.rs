//! `tokio-util` for the runtime under test: a token that the schedules know.

/// Tokens.
pub mod sync {
    pub use crate::{
        token::CancellationToken,
        wait::{WaitForCancellationFuture, WaitForCancellationFutureOwned},
    };
}

mod token;
mod wait;
