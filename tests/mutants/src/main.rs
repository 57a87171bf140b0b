//! Mutation testing without a build for each mutant.
//!
//! `cargo-mutants` builds anew for each fault; here all of them are built at once, each behind a question that is
//! answered by the environment variable `MUTANT`. The faults are of the kinds that `cargo-mutants` knows: another
//! operator, a negation less, a match guard that is always or never true, an arm that is missing, a function that
//! does nothing. Each test is run once by itself, which tells what it reaches: a fault is met by those tests alone.
//!
//! ```text
//! supervised-mutants prepare FOLDER           puts the faults into FOLDER/{macros,runtime}/src, a copy, and lists them
//! supervised-mutants run FOLDER RESULTS FILTER BINARY…
//!                                             runs the tests with each fault whose place contains FILTER
//! ```
//!
//! `.ci/mutants` makes the copy, builds it and runs it. `equivalent.txt` lists what no test can tell, with reasons;
//! `unviable.txt` where no fault compiles; `ui_alone.txt` those of the macros that `tests/ui` kills and no unit test,
//! for a reader: `.ci/mutants macros` tells them as survivors.
//!
//! Not looked at: `const fn`, constants, the inside of macro calls, `Debug`, and tests.

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
