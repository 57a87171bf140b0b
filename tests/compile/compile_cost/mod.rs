//! What an annotated function costs its author's build: time, and bytes of the program.
//!
//! ```text
//! cargo test -p supervised-tests --test compile compile_cost -- --ignored --nocapture
//! ```
//!
//! 1. The same functions are written down as crates that differ in the attribute alone: none, `#[supervised]`,
//!    `#[tracing::instrument]`, and the latter with `skip_all`. Each function is called from a task, so that
//!    code is made of it.
//! 2. What they depend on is built before. Then the crates take turns, from scratch each time
//!    (`CARGO_INCREMENTAL=0`): for as many rounds as `ROUNDS` says, 5 where it is not set, with as many
//!    functions as `FUNCTIONS` says, else 500.
//! 3. What an attribute adds is told over the bare crate, and as a ratio to what `#[tracing::instrument]` adds:
//!    the median of the rounds' own ratios. It is a measurement, and fails only where something does not build.
//! 4. The goal is the wall clock's. Where the system tells it (Linux), the processor time of cargo and all that
//!    it started is beside it: other work on the machine hardly changes that.

mod clocks;
mod crates;
mod functions;
mod report;

use std::process::Command;

use clocks::{Clock, Taken};
use crates::{CRATES, Crates};
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

/// How long cargo took for one crate, what it depends on aside if that was built already.
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

fn number(variable: &str, otherwise: usize) -> usize {
    let set = std::env::var(variable).ok();
    set.map_or(otherwise, |set| set.parse().expect("a number of functions or rounds"))
}

#[test]
#[ignore = "long: measures for minutes, with the machine for itself"]
fn an_annotated_function_costs_its_build_no_more_than_one_with_a_span() {
    let (functions, rounds) = (number("FUNCTIONS", 500), number("ROUNDS", 5));
    println!("{functions} functions, {rounds} rounds; what each attribute adds to a bare function");
    let crates = Crates::write(functions);
    let builds =
        [("check", Build::Check), ("build", Build::Debug), ("build --release", Build::Release)];
    for (title, how) in builds {
        let mut wall = Times::new(title, "wall clock", functions);
        let mut processor = Times::new(title, "processor time", functions);
        for round in 0..=rounds {
            let mut order: Vec<usize> = (0..CRATES.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            let mut taken = [Taken::default(); CRATES.len()];
            for at in order {
                taken[at] = build(&crates, CRATES[at].name, how);
            }
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
