//! Groups, pools and maps in many orders.
//!
//! Each test is a small program, drawn from a seed, and one order of its steps, drawn from the same seed. What holds
//! in every order is asserted; where a task waits for ever, the schedule ends as a deadlock. `SEED=…` repeats one,
//! `SCHEDULES=…` says how many are explored for each test.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod explore;

mod drain;
mod group;
mod limit;
mod map;
mod order;
mod pool;
mod repeats;
mod restart;
mod seen;
mod shield;
