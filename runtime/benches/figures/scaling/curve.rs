//! A cost at several sizes.

use crate::{
    contest::{self, Contender},
    settings::Settings,
    spread::Spread,
};

/// Ratios above this need an explanation.
const FLAT: f64 = 1.5;

/// One round at one size, with its setup.
pub(super) type Round<'a> = Box<dyn FnMut() + 'a>;

/// Measures each size in turns with the first one, which `at` makes once. A round is `units` of work at
/// every size.
pub(super) fn draw<'a>(
    what: &str,
    settings: &Settings,
    units: u64,
    sizes: &[usize],
    at: impl Fn(usize) -> Round<'a>,
) {
    println!("\n{what}");
    let (first, others) = sizes.split_first().expect("a curve has points");
    let mut first_round = at(*first);
    let mut first_is_printed = false;
    for size in others {
        let mut round = at(*size);
        let contenders = vec![
            Contender::new("first", "", &mut first_round),
            Contender::new("this", "", &mut round),
        ];
        let times = contest::hold(settings, what, contenders, settings.rounds, units);
        if !first_is_printed {
            print(*first, &times.nanos("first"), &Spread::exactly(1.0), "");
            first_is_printed = true;
        }
        let ratio = times.ratio("this", "first").time;
        let word = match ratio.median > FLAT {
            false => "flat",
            true if ratio.p10 > FLAT => "grows",
            true => "grows, or noise: see the spread",
        };
        print(*size, &times.nanos("this"), &ratio, word);
    }
}

fn print(size: usize, nanos: &Spread, ratio: &Spread, word: &str) {
    let (shown, spread) = (ratio.median, ratio.shown(2));
    println!("    {size:>9} {:>12.1} ns {shown:>8.2} {spread:<16} {word}", nanos.median);
}
