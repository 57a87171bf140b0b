//! Many functions, called in turn.
//!
//! Ten thousand annotated ones would compile for minutes: what the attribute makes of each, a static
//! description and one call, is made at run time.

use std::{cell::Cell, hint::black_box};

use tokio::runtime::Builder;
use tokio_supervised::{
    __private::{Policy, TaskSpec, output, supervise},
    CancellationToken, Supervised, SupervisedOutput as _, TaskError,
};

use super::curve;
use crate::settings::Settings;

const SIZES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// A step that meets all of a size, in an order which no processor foresees.
const STRIDE: usize = 7_919;

pub(super) type Returns = Result<u64, TaskError>;

/// A call of the function that `spec` describes.
pub(super) fn call<'a>(
    spec: &'static TaskSpec,
    token: &'a CancellationToken,
    n: u64,
) -> Supervised<impl Future<Output = Returns>, &'a CancellationToken> {
    let returns = output::<Returns>(Returns::by_shape);
    supervise(spec, token, returns, async move { Ok(black_box(n)) })
}

/// The hand-written lines of a run: counters of starts and ends, and the time it took.
#[derive(Default)]
#[repr(align(128))]
struct Counters {
    started: Cell<u64>,
    ended: [Cell<u64>; 7],
    durations: [Cell<u64>; 24],
}

impl Counters {
    fn count(&self) {
        for counter in [&self.started, &self.ended[0], &self.durations[0], &self.durations[23]] {
            counter.set(black_box(counter.get() + 1));
        }
    }
}

pub(super) fn run(settings: &Settings) {
    let runtime = Builder::new_current_thread().build();
    let runtime = &runtime.expect("the operating system gives a runtime");
    let token = &CancellationToken::new();
    let calls = settings.calls / 2;
    let specs: Vec<&'static TaskSpec> = (0..SIZES[4])
        .map(|at| &*Box::leak(Box::new(TaskSpec::new(format!("{at}").leak(), Policy::DEFAULT))))
        .collect();
    let specs = &specs;
    curve::draw("functions, all called in turn: one run", settings, calls, &SIZES, |size| {
        Box::new(move || {
            runtime.block_on(async {
                let mut at = 0;
                for n in 0..calls {
                    at = (at + STRIDE) % size;
                    _ = black_box(call(specs[at], token, n).await);
                }
            });
        })
    });
    let counters: Vec<Box<Counters>> = specs.iter().map(|_| Box::default()).collect();
    let counters = &counters;
    let what = "functions, the same by hand: their counters alone, beyond the caches";
    curve::draw(what, settings, calls, &SIZES, |size| {
        Box::new(move || {
            let mut at = 0;
            for _ in 0..calls {
                at = (at + STRIDE) % size;
                counters[at].count();
            }
        })
    });
}
