//! Counts this program's cases and divides by their units.

use testkit::callgrind::count as count_parts;

use crate::{
    baseline::{Cost, Costs},
    cases,
};

/// The argument of the run that is counted.
pub(crate) const COUNTED: &str = "--counted";

/// The cost of one unit, by case; `None` without valgrind.
pub(crate) fn count() -> Option<Costs> {
    let parts = count_parts(&[COUNTED.to_owned()])?.parts;
    assert_eq!(
        parts.len(),
        cases::ALL.len() * cases::PARTS,
        "callgrind writes a count at each mark"
    );
    let costs = cases::ALL.iter().zip(parts.chunks(cases::PARTS)).map(|(case, parts)| {
        let more = parts[cases::DOUBLE].beyond(parts[cases::SINGLE]);
        let cost = Cost {
            instructions: (more.instructions + case.units / 2) / case.units,
            locked: more.locked as f64 / case.units as f64,
        };
        (case.name.to_owned(), cost)
    });
    Some(costs.collect())
}
