//! What the line of each `.await` adds to the build time of a function.

use super::{
    Build,
    crates::{Crates, WITH_LINES},
    in_turn, number,
    report::Spread,
};

/// How much longer a function may build.
const MOST: f64 = 1.1;

/// In processor time, without what an empty program takes.
#[test]
#[ignore = "long: measures for minutes"]
fn a_function_with_lines_builds_as_fast_as_one_without() {
    let (functions, rounds) = (number("FUNCTIONS", 500), number("ROUNDS", 7));
    println!("{functions} functions, {rounds} rounds; with lines, compared with `lines = false`");
    let [lines, no_lines, empty] = &WITH_LINES;
    let kinds = [(lines, functions), (no_lines, functions), (empty, 0)];
    let crates = Crates::write("compile_cost_of_lines", &kinds);
    for (title, how) in [("check", Build::Check), ("build", Build::Debug)] {
        let mut times = Vec::new();
        for round in 0..=rounds {
            let [lines, no_lines, empty] =
                in_turn(&crates, WITH_LINES.each_ref(), how, round).map(|taken| taken.processor);
            // The first round has built the dependencies.
            if round > 0 {
                times.push([lines - empty, no_lines - empty]);
            }
        }
        let millis =
            |at: usize| Spread::of(times.iter().map(|time| time[at] * 1000.0 / functions as f64));
        let ratio = Spread::of(times.iter().map(|[lines, no_lines]| lines / no_lines));
        let met = if ratio.median <= MOST { "met" } else { "NOT MET" };
        println!("\ncargo {title}, processor time of a function");
        println!("  {:<22} {} ms", "with lines", millis(0));
        println!("  {:<22} {} ms", "without", millis(1));
        println!("  * ratio                {ratio} goal <= {MOST}: {met}");
    }
}
