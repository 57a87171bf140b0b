//! Leaks are found and named, and nothing else is reported: `#[supervised::test]` and `LeakCheck`.
//!
//! A test under the attribute that must fail has `#[should_panic]`. If more than a part of its message matters,
//! another test calls it as the plain function that the attribute generates.

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "the tests leak tasks on purpose")]

mod check;
mod ends;
mod hundred;
mod leaking;
mod message;
mod no_leak;
mod paused;
mod starved;
mod support;
