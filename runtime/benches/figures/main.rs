//! The figures of the crate, as ratios to hand-written code.
//!
//! ```text
//! cargo bench -p supervised-benches                        all of them
//! cargo bench -p supervised-benches --profile bench-lto    the same as a program with LTO has them
//! cargo bench -p supervised-benches -- --quick             fewer and shorter rounds
//! cargo bench -p supervised-benches -- scaling             what grows with the number of functions, tasks, threads, …; not in `all`
//! cargo bench -p supervised-benches -- inline              only one of `inline`, `fan-out`, `spawn`, `shield`, `panic`, `stack`,
//!                                                          `memory`, `size`, `threads`, `end-to-end`
//! ```
//!
//! Each contender and its baseline alternate in one process over many rounds. A ratio is the median of the rounds' own
//! ratios: a slow phase of the machine slows both sides of it. This is why the harness is not criterion or divan, which
//! measure one side to its end, then the other. Beside the times are the instructions and locked operations of each side,
//! which no other load of the machine changes: see `counts.rs`.

// Thirty-two functions, each awaiting the next one, are one type.
#![recursion_limit = "256"]
#![expect(
    clippy::disallowed_methods,
    reason = "what the crate is measured against is written by hand"
)]

mod allocations;
mod bytes;
mod contest;
mod counts;
mod end_to_end;
mod fan_out;
mod inline;
mod memory;
mod on_threads;
mod panics;
mod report;
mod scaling;
mod settings;
mod shield;
mod size;
mod spawn;
mod spread;
mod stack;
mod threads;

use counts::Counted;
use settings::{Profile, Settings};

fn main() {
    if panics::is_asked() || end_to_end::is_asked() {
        return;
    }
    let mut settings = Settings::of_this_process();
    println!(
        "profile {}
{} cores, {} rounds of each contest; `over bare` is without the cost of the bare call, and after
`no` stands what a contender does not give: a token that stops it, panics caught, a bound on what runs
at once, metrics (counts and durations), and what else its line says. Instructions and locked
operations (atomic read-modify-writes) are those of one unit on one thread, as callgrind counts them.",
        Profile::of_this_program().name(),
        settings.cores,
        settings.rounds
    );
    settings.counts = Counted::of(&settings);
    if settings.wants("inline") {
        inline::run(&settings);
    }
    if settings.wants("fan-out") {
        fan_out::run(&settings);
    }
    if settings.wants("spawn") {
        spawn::run(&settings);
    }
    if settings.wants("shield") {
        shield::run(&settings);
    }
    if settings.wants("panic") {
        panics::run(&settings);
    }
    if settings.wants("stack") {
        stack::run();
    }
    if settings.wants("memory") {
        memory::live(&settings);
        memory::flat(&settings);
    }
    if settings.wants("size") {
        size::run();
    }
    if settings.wants("threads") {
        threads::run(&settings);
    }
    if settings.wants("end-to-end") {
        end_to_end::run(&settings);
    }
    if settings.names("scaling") {
        scaling::run(&settings);
    }
    report::summary();
}
