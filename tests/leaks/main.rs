//! What is left behind is found, named, and nothing else is: `#[supervised::test]` and `LeakCheck`.
//!
//! A test under the attribute that is to fail says `#[should_panic]`; where more of its message matters than a
//! part, another test calls it as the plain function that it has become.

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "what is left behind is what nobody should write")]

mod check;
mod ends;
mod hundred;
mod left_behind;
mod message;
mod no_leak;
mod paused;
mod starved;
mod support;
