//! Errors and iterators whose methods panic when the runtime calls them, and a hook that panics.

use std::{error::Error, fmt, time::Duration};

use tokio::runtime::Builder;
use tokio_supervised::{
    CancellationToken, Outcome, Pool, TaskError, map, recent_panics, stats, supervised,
};

use crate::{
    counters::{Counters, holding},
    load::{Failed, Load},
};
use testkit::watched;

/// Panics in `Display` and in `source`.
enum Fragile {
    Itself(#[allow(dead_code, reason = "held for its drop")] Load),
    Converted(TaskError),
}

impl From<TaskError> for Fragile {
    fn from(error: TaskError) -> Self {
        Self::Converted(error)
    }
}

impl fmt::Display for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself(_) => panic!("panic in `Display`"),
            Self::Converted(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fragile")
    }
}

impl Error for Fragile {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Itself(_) => panic!("panic in `source`"),
            Self::Converted(error) => Some(error),
        }
    }
}

fn in_a_runtime(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
}

fn ended(name: &str, outcome: Outcome) -> u64 {
    stats().iter().filter(|task| task.name == name).map(|task| task.ended(outcome)).sum()
}

#[test]
fn an_error_whose_source_panics_is_a_panic_of_its_run() {
    #[supervised(name = "errors: source", limit = 1)]
    async fn gives(load: Load) -> Result<u32, Fragile> {
        Err(Fragile::Itself(load))
    }

    watched(|| {
        let counters = Counters::of(&["errors: source"]);
        let load = counters.loads().turns(0);
        in_a_runtime(async {
            let failed = gives(&CancellationToken::new(), load).await.unwrap_err();
            let Fragile::Converted(TaskError::Panicked(panic)) = failed else {
                panic!("not a panic");
            };
            assert_eq!(panic.message(), "panic in `source`");
        });
        assert_eq!(ended("errors: source", Outcome::Panicked), 1);
        counters.must_balance("a source that panics");
    });
}

/// Only `Display` of a generic error is called.
struct Undisplayable(#[allow(dead_code, reason = "held for its drop")] Load);

impl From<TaskError> for Undisplayable {
    fn from(error: TaskError) -> Self {
        panic!("{error}")
    }
}

impl fmt::Display for Undisplayable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("panic in `Display`")
    }
}

#[test]
fn a_pool_continues_after_an_error_whose_display_panics() {
    #[supervised(name = "errors: display", limit = 1)]
    async fn gives(load: Load) -> Result<u32, Undisplayable> {
        Err(Undisplayable(load))
    }

    watched(|| {
        let counters = Counters::of(&["errors: display"]);
        let loads = counters.loads();
        in_a_runtime(async {
            let pool = Pool::new(1);
            for _ in 0..3 {
                pool.spawn(|token| gives(token, loads.turns(0))).await.unwrap();
            }
            pool.drain(Duration::from_secs(60)).await.unwrap();
        });
        assert_eq!(ended("errors: display", Outcome::Error), 3);
        let caught = recent_panics();
        let it = caught.iter().find(|panic| panic.task() == "errors: display");
        assert_eq!(it.expect("the panic is caught and logged").message(), "panic in `Display`");
        counters.must_balance("an error that is displayed");
    });
}

/// Panics in `size_hint`.
struct OfUnknownLength(std::vec::IntoIter<Load>);

impl Iterator for OfUnknownLength {
    type Item = Load;

    fn next(&mut self) -> Option<Load> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        panic!("the length is unknown")
    }
}

#[test]
fn a_map_reads_an_iterator_whose_size_hint_panics() {
    #[supervised(name = "errors: length", limit = 2)]
    async fn work(load: Load) -> Result<u32, Failed> {
        load.carry().await
    }

    watched(|| {
        let counters = Counters::of(&["errors: length"])
            .limited("errors: length", 2, |load| holding(work(CancellationToken::new(), load)));
        let loads = counters.loads();
        in_a_runtime(async {
            let items: Vec<_> = (0..20).map(|turns| loads.turns(turns)).collect();
            let items = OfUnknownLength(items.into_iter());
            let done = map(&CancellationToken::new(), items, work).await.unwrap();
            assert_eq!(done, (0..20).collect::<Vec<_>>());
        });
        counters.must_balance("a length that panics");
    });
}
