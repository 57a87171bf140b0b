//! The cost of an annotated function in build time and in bytes of the program.
//!
//! ```text
//! cargo test -p supervised-tests --test compile compile_cost -- --ignored --nocapture
//! ```
//!
//! 1. The same functions are generated as crates that differ only in the attribute: none, `#[supervised]`,
//!    `#[tracing::instrument]`, and the latter with `skip_all`. Each function is called from a task, so that code
//!    is generated for it.
//! 2. The dependencies are built before. Then the crates are built in turn, from scratch each time
//!    (`CARGO_INCREMENTAL=0`), for `ROUNDS` rounds (default: 5) with `FUNCTIONS` functions (default: 500).
//! 3. The cost of an attribute is reported relative to the bare crate, and as a ratio to the cost of
//!    `#[tracing::instrument]`: the median of the ratios of the rounds. It is a measurement, and fails only if a
//!    build fails.
//! 4. `lines` compares supervised functions with and without the line of each `.await`.
//! 5. The goal of 3 is in wall-clock time. On Linux, the processor time of cargo and its children is reported beside it,
//!    since it hardly depends on other load.

mod clocks;
mod crates;
mod functions;
mod lines;
mod report;

use std::process::Command;

use clocks::{Clock, Taken};
use crates::{CRATES, Crates, Kind};
use report::Times;

#[derive(Clone, Copy)]
enum Build {
    Check,
    Debug,
    Release,
}

impl Build {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Check => &["check"],
            Self::Debug => &["build"],
            Self::Release => &["build", "--release"],
        }
    }
}

/// How long cargo took for one crate, without dependencies that were already built.
fn build(crates: &Crates, name: &str, build: Build) -> Taken {
    crates.touch(name);
    let clock = Clock::start();
    let output = Command::new(env!("CARGO"))
        .args(build.arguments())
        .args(["--quiet", "--offline", "--package", name, "--target-dir"])
        .arg(crates.target())
        .current_dir(crates.folder())
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    clock.stop()
}

/// Builds each crate once, in an order that changes with the round.
fn in_turn<const N: usize>(
    crates: &Crates,
    kinds: [&Kind; N],
    how: Build,
    round: usize,
) -> [Taken; N] {
    let mut order: Vec<usize> = (0..N).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    let mut taken = [Taken::default(); N];
    for at in order {
        taken[at] = build(crates, kinds[at].name, how);
    }
    taken
}

fn number(variable: &str, otherwise: usize) -> usize {
    let set = std::env::var(variable).ok();
    set.map_or(otherwise, |set| set.parse().expect("a number of functions or rounds"))
}

#[test]
#[ignore = "long: measures for minutes, with the machine for itself"]
fn an_annotated_function_builds_as_fast_as_an_instrumented_one() {
    let (functions, rounds) = (number("FUNCTIONS", 500), number("ROUNDS", 5));
    println!(
        "{functions} functions, {rounds} rounds; the cost of each attribute, compared with a bare function"
    );
    let crates = Crates::write("compile_cost", &CRATES.each_ref().map(|kind| (kind, functions)));
    let builds =
        [("check", Build::Check), ("build", Build::Debug), ("build --release", Build::Release)];
    for (title, how) in builds {
        let mut wall = Times::new(title, "wall clock", functions);
        let mut processor = Times::new(title, "processor time", functions);
        for round in 0..=rounds {
            let taken = in_turn(&crates, CRATES.each_ref(), how, round);
            // The first round has built the dependencies.
            if round > 0 {
                wall.add(taken.map(|taken| taken.wall));
                processor.add(taken.map(|taken| taken.processor));
            }
        }
        print!("{wall}{processor}");
    }
    print!("{}", report::Sizes::of(&crates, functions));
}
