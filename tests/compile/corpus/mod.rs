//! The expander on real code: each `async fn` with a body in the sources of well-known crates.
//!
//! 1. Each function is expanded as if it had the attribute: nothing panics, and the output parses and has the
//!    function's name and parameters.
//! 2. Refusals are reported by message; `CORPUS_REPORT=FILE` writes each refused function to a file. Whether a
//!    refusal is right must be judged by a reader. `CORPUS_SEEDS=FOLDER` writes every function as a seed for the
//!    fuzzer.
//! 3. At least 98 % of the `.await`s get a mark with their line. `compiled.rs` compiles functions with their marks.
//! 4. The sources are those of the lock file and, for the ignored test, those of `MORE` and its dependencies. None
//!    of them is stored here.

mod compiled;
mod expanded;
mod functions;
mod lines;
mod report;
mod sources;

use std::{path::Path, thread};

use quote::ToTokens;
use report::Report;

/// Crates with much async code; each in its newest version.
const MORE: &[&str] = &[
    "async-nats",
    "aws-config",
    "kube",
    "lapin",
    "mongodb",
    "octocrab",
    "opendal",
    "quinn",
    "redis",
    "sea-orm",
    "serenity",
    "sqlx",
    "tokio-postgres",
    "tonic",
];

#[test]
fn each_function_of_the_crates_that_are_built_here_expands() {
    let report = look(sources::of_this_workspace());
    assert!(
        report.crates > 100 && report.functions > 100,
        "too few functions were checked: {report}"
    );
}

#[test]
#[ignore = "long: fetches some hundred crates"]
fn each_function_of_many_well_known_crates_expands() {
    let mut crates = sources::of_this_workspace();
    crates.extend(sources::of_crates(MORE));
    crates.sort();
    crates.dedup();
    let report = look(crates);
    assert!(report.functions > 5_000, "too few functions were checked: {report}");
}

fn look(crates: Vec<sources::Crate>) -> Report {
    if let Ok(folder) = std::env::var("CORPUS_SEEDS") {
        std::fs::create_dir_all(folder).expect("the seed directory can be created");
    }
    let work = move || {
        let mut report = Report::default();
        for source in &crates {
            report.crates += 1;
            sources::each_file(&source.folder, &mut |path| look_at_file(source, path, &mut report));
        }
        report
    };
    // The stack size of a compiler thread: an overflow here would occur there too.
    let thread = thread::Builder::new().stack_size(8 << 20).spawn(work);
    let report = thread.expect("a thread starts").join().expect("the corpus is read to its end");
    println!("{report}");
    if let Ok(path) = std::env::var("CORPUS_REPORT") {
        std::fs::write(path, report.refused_functions()).expect("the report is written");
    }
    assert!(report.faults.is_empty(), "{:#?}", report.faults);
    assert!(report.lines.unmarked() <= 0.02, "{}", report.lines);
    report
}

fn look_at_file(source: &sources::Crate, path: &Path, report: &mut Report) {
    let Ok(text) = std::fs::read_to_string(path) else { return };
    if !text.contains("async") {
        return;
    }
    let Some(found) = functions::functions(&text) else {
        report.unreadable += 1;
        return;
    };
    report.fragments += found.fragments;
    let seeds = std::env::var("CORPUS_SEEDS");
    let file = path.strip_prefix(&source.folder).unwrap_or(path);
    for item in found.items {
        let (name, output) = (&item.sig.ident, item.sig.output.to_token_stream());
        let place = format!("{} {} fn {name} {output}", source.name, file.display());
        report.lines.add(&item);
        report.add(&place, expanded::judge(&item));
        if let Ok(folder) = &seeds {
            let seed = Path::new(folder).join(report.functions.to_string());
            let text = format!("#[supervised()] {}", item.to_token_stream());
            std::fs::write(seed, text).expect("the seed directory exists");
        }
    }
}
