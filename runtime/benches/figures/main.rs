//! The figures of the crate, as ratios to hand-written code.
//!
//! ```text
//! cargo bench -p supervised-benches                     all of them
//! cargo bench -p supervised-benches -- --quick          fewer and shorter rounds
//! cargo bench -p supervised-benches -- scaling          what grows with the number of functions, tasks, threads, …; not in `all`
//! cargo bench -p supervised-benches -- inline           only one of `inline`, `fan-out`, `spawn`, `memory`, `size`, `threads`
//! ```
//!
//! Each contender and its baseline alternate in one process over many rounds. A ratio is the median of the rounds' own
//! ratios: a slow phase of the machine slows both sides of it. This is why the harness is not criterion or divan, which
//! measure one side to its end, then the other.

// Thirty-two functions, each awaiting the next one, are one type.
#![recursion_limit = "256"]
#![expect(
    clippy::disallowed_methods,
    reason = "what the crate is measured against is written by hand"
)]

mod allocations;
mod bytes;
mod contest;
mod fan_out;
mod inline;
mod memory;
mod on_threads;
mod report;
mod scaling;
mod settings;
mod size;
mod spawn;
mod spread;
mod threads;

use settings::Settings;

fn main() {
    let settings = Settings::of_this_process();
    println!(
        "{} cores, {} rounds of each contest; `over bare` is without the cost of the bare call, and after
`no` stands what a contender does not give: a token that stops it, panics caught, a bound on what runs
at once, metrics (counts and durations), and what else its line says",
        settings.cores, settings.rounds
    );
    if settings.wants("inline") {
        inline::run(&settings);
    }
    if settings.wants("fan-out") {
        fan_out::run(&settings);
    }
    if settings.wants("spawn") {
        spawn::run(&settings);
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
    if settings.names("scaling") {
        scaling::run(&settings);
    }
    report::summary();
}
