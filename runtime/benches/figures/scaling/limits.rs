//! Small limits and large ones.

use std::{
    future::{Future, pending},
    hint::black_box,
    pin::Pin,
    task::{Context, Waker},
};

use tokio::{runtime::Builder, task::yield_now};
use tokio_supervised::{
    __private::{Policy, TaskSpec, output, supervise},
    CancellationToken, SupervisedOutput as _, TaskError, map, supervised,
};

use super::{
    curve,
    functions::{Returns, call},
};
use crate::settings::Settings;

const SIZES: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

#[supervised]
async fn yielding(n: u64) -> Result<u64, TaskError> {
    yield_now().await;
    Ok(black_box(n))
}

/// Runs that hold a permit for as long as they are kept.
fn holders<'a>(
    spec: &'static TaskSpec,
    token: &'a CancellationToken,
    count: usize,
) -> Vec<Pin<Box<dyn Future<Output = Returns> + 'a>>> {
    let hold = |_| {
        let mut run = Box::pin(supervise(spec, token, output(Returns::by_shape), pending()));
        let polled = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "the permit was free");
        run as Pin<Box<dyn Future<Output = Returns> + 'a>>
    };
    (0..count).map(hold).collect()
}

pub(super) fn run(settings: &Settings) {
    let runtime = Builder::new_current_thread().build();
    let runtime = &runtime.expect("the operating system gives a runtime");
    let (token, calls) = (&CancellationToken::new(), settings.calls / 2);
    let what = "limit of a function: one run, which takes the last permit";
    curve::draw(what, settings, calls, &SIZES, |limit| {
        let spec = TaskSpec::new(format!("limit {limit}").leak(), Policy::DEFAULT.limit(limit));
        let spec: &'static TaskSpec = Box::leak(Box::new(spec));
        let others = holders(spec, token, limit - 1);
        Box::new(move || {
            runtime.block_on(async {
                for n in 0..calls {
                    _ = black_box(call(spec, token, n).await);
                }
            });
            black_box(&others);
        })
    });
    let runtime = &settings.all_cores();
    let items = settings.items / 2;
    let what = "limit of a map: one item, which yields once";
    curve::draw(what, settings, items, &SIZES, |limit| {
        Box::new(move || {
            let all = map(token, 0..items, yielding).limit(limit);
            let results = runtime.block_on(all).expect("no item fails");
            assert_eq!(results.len() as u64, items);
        })
    });
}
