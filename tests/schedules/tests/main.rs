//! Groups, pools and maps in many orders.
//!
//! Each test is a small program, drawn from a seed, and one order of its steps, drawn from the same seed. The
//! assertions hold in every order; if a task waits for ever, the schedule ends as a deadlock. `SEED=…` repeats one,
//! `SCHEDULES=…` sets how many are explored per test.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod explore;

#[allow(dead_code, unreachable_pub, missing_docs, reason = "other tests need the rest")]
#[path = "../../testkit/src/counters.rs"]
mod counters;
mod drain;
#[allow(dead_code, unreachable_pub, missing_docs, reason = "other tests need the rest")]
#[path = "../../testkit/src/ends.rs"]
mod ends;
mod group;
mod limit;
mod map;
mod order;
mod pool;
mod record;
mod repeats;
mod restart;
mod shield;
mod stop;
