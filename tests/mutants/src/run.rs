//! Runs the tests with one fault after the other.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::{
    each::each,
    tests::{End, Tests},
};

/// Continues an earlier run: faults in `results` are skipped.
///
/// `equivalent` lists the undetectable faults, with the reason, one per line: `file: function: what: why`.
pub(crate) fn run(list: &Path, equivalent: &Path, results: &Path, filter: &str, binaries: &[&str]) {
    let list = fs::read_to_string(list).expect("the list exists");
    let known = fs::read_to_string(results).unwrap_or_default();
    let known: HashSet<_> = known.lines().filter_map(place).collect();
    let todo: Vec<_> = list
        .lines()
        .filter(|line| line.contains(filter))
        .map(|line| line.split_once(' ').expect("a number and a place"))
        .filter(|(_, of)| !known.contains(of))
        .collect();
    if !todo.is_empty() {
        let file = OpenOptions::new().append(true).create(true).open(results);
        let file = Mutex::new(file.expect("results are writable"));
        let tests = Tests::look(binaries);
        each(todo, |(number, of)| {
            let line = match tests.with(number.parse().expect("a number")) {
                End::Killed(by) => format!("killed {of}\tby {by}"),
                End::TimedOut(by) => format!("timed-out {of}\tby {by}"),
                End::Survived => format!("survived {of}"),
                End::NotReached => format!("not-reached {of}"),
            };
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(file, "{line}").expect("results are writable");
            println!("{line}");
        });
    }
    let equivalent = fs::read_to_string(equivalent).expect("the list exists, even if empty");
    report(&fs::read_to_string(results).unwrap_or_default(), &equivalent);
}

/// `file:line what in function` of a line of results.
fn place(line: &str) -> Option<&str> {
    let (_, of) = line.split_once(' ')?;
    Some(of.split('\t').next().unwrap_or(of))
}

fn report(results: &str, equivalent: &str) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in results.lines() {
        let (end, of) = line.split_once(' ').expect("an outcome and a place");
        let lives = matches!(end, "survived" | "not-reached");
        let end = if lives && is_equivalent(of, equivalent) { "equivalent" } else { end };
        if matches!(end, "survived" | "not-reached") {
            println!("{end}: {of}");
        }
        *counts.entry(end).or_default() += 1;
    }
    let of = |end| counts.get(end).copied().unwrap_or_default();
    let killed = of("killed") + of("timed-out");
    let viable = killed + of("survived") + of("not-reached");
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let share = 100.0 * killed as f64 / viable.max(1) as f64;
    println!("{counts:?}: {killed} of {viable} killed, {share:.1} %");
}

/// Lines move: a fault is identified by its file, its function and its description.
fn is_equivalent(of: &str, equivalent: &str) -> bool {
    let Some((file, rest)) = of.split_once(':') else { return false };
    let Some((_, rest)) = rest.split_once(' ') else { return false };
    let Some((what, function)) = rest.rsplit_once(" in ") else { return false };
    equivalent.lines().any(|line| line.starts_with(&format!("{file}: {function}: {what}: ")))
}

#[cfg(test)]
mod checks {
    use super::*;

    const EQUIVALENT: &str = "a/b.rs: f: || for &&: both are the same there\n";

    #[test]
    fn an_equivalent_mutant_is_recognised_after_its_line_moved() {
        assert!(is_equivalent("a/b.rs:17 || for && in f", EQUIVALENT));
        assert!(!is_equivalent("a/b.rs:17 || for && in g", EQUIVALENT));
        assert!(!is_equivalent("a/b.rs:17 no ! in f", EQUIVALENT));
    }

    #[test]
    fn a_place_does_not_depend_on_the_killing_test() {
        assert_eq!(place("killed a/b.rs:17 no ! in f\tby a::test"), Some("a/b.rs:17 no ! in f"));
        assert_eq!(place("survived a/b.rs:17 no ! in f"), Some("a/b.rs:17 no ! in f"));
    }
}
