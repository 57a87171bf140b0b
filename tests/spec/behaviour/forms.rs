//! The forms of `tests/edition_2021`, compiled and called in edition 2024.

#[path = "../../edition_2021/src/forms.rs"]
#[deny(
    warnings,
    single_use_lifetimes,
    unused_qualifications,
    clippy::all,
    clippy::nursery,
    clippy::pedantic
)]
// In a test target the public functions are unreachable, and some are unused.
#[allow(unreachable_pub, clippy::redundant_pub_crate)]
mod written;
use written as forms;

#[path = "../../edition_2021/tests/calls.rs"]
mod calls;

#[path = "../../edition_2021/src/restarts.rs"]
#[deny(
    warnings,
    single_use_lifetimes,
    unused_qualifications,
    clippy::all,
    clippy::nursery,
    clippy::pedantic
)]
#[allow(unreachable_pub)]
mod written_restarts;
use written_restarts as restarts;

#[path = "../../edition_2021/tests/restarts.rs"]
mod restart_calls;
