//! Whole programs beside the same by hand: row 13.
//!
//! The servers are separate processes, on loopback: this program again, with the argument [`SERVE`]. Both sides of a
//! comparison take turns in short rounds.

mod load;
mod pages;
mod process;
mod servers;

use std::{env, time::Duration};

use crate::{
    report::{self, Goal},
    settings::Settings,
    spread::{Ratio, Spread},
};

/// The argument of a process that serves, and what it serves.
const SERVE: &str = "--serve";
const SUPERVISED: &str = "supervised";
const BY_HAND: &str = "by-hand";
const PAGES: &str = "pages";

/// Serves, if this process is one of this module's. Returns whether it is.
pub(crate) fn is_asked() -> bool {
    let mut arguments = env::args().skip_while(|argument| argument != SERVE).skip(1);
    match arguments.next().as_deref() {
        Some(SUPERVISED) => servers::supervised(),
        Some(BY_HAND) => servers::by_hand(),
        Some(PAGES) => pages::serve(),
        _ => return false,
    }
    true
}

/// One side of a comparison in one round.
struct Round {
    /// Units a second.
    throughput: f64,
    /// Of the latencies, if they are measured.
    p99: Option<Duration>,
    /// Of the process in question, for each unit; `None` where the system does not say it.
    processor_time: Option<Duration>,
}

/// Runs both sides in each round, after one that does not count, and turns the order around each time.
fn alternate(rounds: usize, mut sides: [Box<dyn FnMut() -> Round + '_>; 2]) -> Vec<[Round; 2]> {
    let mut both = |round: usize| {
        let [ours, hand] = &mut sides;
        match round % 2 {
            0 => [ours(), hand()],
            _ => {
                let hand = hand();
                [ours(), hand]
            }
        }
    };
    (0..=rounds).map(&mut both).skip(1).collect()
}

/// The ratio of ours to the other side, round by round; `None` if one of the rounds lacks the figure.
fn ratio(rounds: &[[Round; 2]], figure: Figure) -> Option<Ratio> {
    let ratios: Option<Vec<f64>> =
        rounds.iter().map(|[ours, other]| Some(figure(ours)? / figure(other)?)).collect();
    Some(Ratio { time: Spread::of(ratios?.into_iter()), counts: None })
}

/// A figure of a round, if it has it.
type Figure = fn(&Round) -> Option<f64>;

fn throughput(round: &Round) -> Option<f64> {
    Some(round.throughput)
}

fn p99(round: &Round) -> Option<f64> {
    Some(round.p99?.as_secs_f64())
}

fn processor_time(round: &Round) -> Option<f64> {
    Some(round.processor_time?.as_secs_f64())
}

fn print(what: &str, rounds: &[[Round; 2]], sides: [&str; 2]) {
    let figures: [(Figure, f64, &str); 3] = [
        (throughput, 1.0, "a second"),
        (p99, 1e6, "us p99"),
        (processor_time, 1e6, "us of a processor for each"),
    ];
    for (at, side) in sides.into_iter().enumerate() {
        let middle = |(figure, scale, unit): (Figure, f64, &str)| {
            let values: Option<Vec<f64>> = rounds.iter().map(|round| figure(&round[at])).collect();
            let median = Spread::of(values?.into_iter()).median * scale;
            Some(format!("{median:>9.1} {unit}"))
        };
        let shown: Vec<String> = figures.into_iter().filter_map(middle).collect();
        println!("    {:<62} {}", format!("{what}: {side}"), shown.join(", "));
    }
}

pub(crate) fn run(settings: &Settings) {
    report::row(13, "whole programs on loopback, beside the same by hand");
    let rounds = load::rounds(settings);
    let what = "TCP server";
    print(what, &rounds, ["supervised", "TaskTracker + Semaphore + token by hand"]);
    for (figure, of, goal) in [
        ("throughput", throughput as Figure, Goal::AtLeast(0.98)),
        ("p99", p99, Goal::AtMost(1.03)),
        ("its processor time", processor_time, Goal::AtMost(1.03)),
    ] {
        report_ratio(&format!("{what}: {figure} to by hand"), ratio(&rounds, of), Some(goal));
    }
    let rounds = pages::rounds(settings);
    let what = format!("{} pages, 16 at once", pages::PAGES);
    print(&what, &rounds, ["map", "futures buffered"]);
    for (figure, of) in
        [("throughput", throughput as Figure), ("its processor time", processor_time)]
    {
        report_ratio(&format!("{what}: {figure} to futures buffered"), ratio(&rounds, of), None);
    }
}

fn report_ratio(what: &str, ratio: Option<Ratio>, goal: Option<Goal>) {
    match (ratio, goal) {
        (Some(ratio), Some(goal)) => report::ratio(what, &ratio, goal),
        (Some(ratio), None) => report::ratio_alone(what, &ratio),
        (None, Some(goal)) => report::count(what, None, goal),
        (None, None) => {}
    }
}
