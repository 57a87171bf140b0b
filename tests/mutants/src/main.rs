//! Mutation testing without a build for each mutant.
//!
//! `cargo-mutants` builds anew for each fault; here all of them are built at once, each behind a question that is
//! answered by the environment variable `MUTANT`. The faults are of the kinds that `cargo-mutants` knows: another
//! operator, a negation less, a match guard that is always or never true, an arm that is missing, a function that
//! does nothing. What a test never reaches is known from one run, and is not run.
//!
//! ```text
//! supervised-mutants prepare FOLDER           puts the faults into FOLDER/{macros,runtime}/src, a copy, and lists them
//! supervised-mutants run LIST RESULTS FILTER BINARY…
//!                                             runs the tests with each fault whose place contains FILTER
//! ```
//!
//! `.ci/mutants` makes the copy, builds it and runs it.
//!
//! Not looked at: `const fn`, constants, the inside of macro calls, `Debug`, and tests.

mod faults;
mod prepare;
mod run;

use std::{env, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match &arguments[..] {
        ["prepare", folder] => prepare::prepare(Path::new(folder)),
        ["run", list, results, filter, binaries @ ..] if !binaries.is_empty() => {
            run::run(Path::new(list), Path::new(results), filter, binaries);
        }
        _ => {
            eprintln!("prepare FOLDER, or run LIST RESULTS FILTER BINARY…");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
