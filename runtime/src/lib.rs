//! One attribute turns an async function into a task that is safe to run in production.
#![deny(unsafe_code)]

mod cause;
mod clock;
mod error;
mod events;
mod inspect;
mod lifecycle;
mod limit;
mod metrics;
mod outcome;
mod panic;
mod run;
mod scope;
mod spec;
mod token;

pub use cause::{Cause, Signal};
pub use error::{Cancelled, Rejected, TaskError, TimedOut};
pub use inspect::{TaskStats, stats};
pub use metrics::Histogram;
pub use outcome::Outcome;
pub use panic::{Panic, PanicLocation};
pub use run::{ErrInto, Supervised, SupervisedFuture, output::SupervisedOutput};
pub use scope::{Group, GroupHandle, Map, Settled, Spawn, map};
pub use token::AsToken;
pub use tokio_supervised_macros::{supervised, task};
pub use tokio_util::sync::CancellationToken;

/// The attributes beside `#[supervised]`: `use tokio_supervised::supervised;` brings them all.
pub mod supervised {
    pub use tokio_supervised_macros::main;
}

/// What generated code calls. Not part of the API: it changes in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        lifecycle::main::{MainOptions, main},
        run::{
            output::{
                ByAnyError, ByAnything, ByError, ByResult, BySharedError, Probe, always_ok,
                inferred, output, refused,
            },
            supervise,
        },
        spec::{Policy, TaskSpec},
    };
}
