//! Mutation testing without a build for each mutant.
//!
//! `cargo-mutants` builds once per fault. Here all faults are built at once, each behind a check of the environment
//! variable `MUTANT`. The faults are of the kinds of `cargo-mutants`: another operator, a removed negation, a match
//! guard that is always or never true, a removed arm, a function without effect. Each test is run once by itself to
//! record what it reaches, and a fault is run with only those tests.
//!
//! ```text
//! supervised-mutants prepare FOLDER           puts the faults into FOLDER/{macros,runtime}/src, a copy, and lists them
//! supervised-mutants run FOLDER RESULTS FILTER BINARY…
//!                                             runs the tests with each fault whose place contains FILTER
//! ```
//!
//! `.ci/mutants` creates the copy, builds it and runs it. `equivalent.txt` lists faults that no test can detect,
//! with reasons; `unviable.txt` lists places at which no fault compiles; `ui_alone.txt`, for a reader, those of the
//! macros that `tests/ui` detects and no unit test: `.ci/mutants macros` reports them as survivors.
//!
//! Skipped: `const fn`, constants, the inside of macro calls, `Debug`, and tests.

mod each;
mod faults;
mod prepare;
mod run;
mod tests;

use std::{env, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match &arguments[..] {
        ["prepare", folder] => prepare::prepare(Path::new(folder)),
        ["run", folder, results, filter, binaries @ ..] if !binaries.is_empty() => {
            let folder = Path::new(folder);
            let (list, equivalent) = (folder.join("order.txt"), folder.join("equivalent.txt"));
            run::run(&list, &equivalent, Path::new(results), filter, binaries);
        }
        _ => {
            eprintln!("prepare FOLDER, or run FOLDER RESULTS FILTER BINARY…");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
