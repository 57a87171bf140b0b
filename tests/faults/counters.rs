//! After a test, nothing is left of its functions.
//!
//! 1. Every run that was started has ended, and none runs or waits (`stats()`).
//! 2. None of their tasks is listed (`tasks()`).
//! 3. The arguments of their runs are dropped.
//! 4. Every permit is free, and none is duplicated.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Waker},
};

use testkit::counters::Done;
use tokio_supervised::{stats, tasks};

use crate::load::{Load, Loads};

/// A run that holds its permit until it is dropped.
pub(crate) type Holding = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) fn holding<F>(call: F) -> Holding
where
    F: Future<Output: Send> + Send + 'static,
{
    Box::pin(async move {
        _ = call.await;
    })
}

type Limited = (&'static str, usize, fn(Load) -> Holding);

pub(crate) struct Counters {
    /// Every function that the test runs; no other test runs them.
    names: &'static [&'static str],
    /// The limit of each function that has one, and how to hold one of its permits.
    limited: Vec<Limited>,
    alive: Arc<AtomicUsize>,
}

impl Counters {
    pub(crate) fn of(names: &'static [&'static str]) -> Self {
        Self { names, limited: Vec::new(), alive: Arc::default() }
    }

    pub(crate) fn limited(
        mut self,
        name: &'static str,
        limit: usize,
        hold: fn(Load) -> Holding,
    ) -> Self {
        assert!(self.names.contains(&name));
        self.limited.push((name, limit, hold));
        self
    }

    pub(crate) fn loads(&self) -> Loads {
        Loads::new(&self.alive)
    }

    /// The discrepancies, if any.
    pub(crate) fn complaint(&self) -> Option<String> {
        for task in stats().into_iter().filter(|task| self.names.contains(&task.name)) {
            if let Some(complaint) = Done::of(&task).complaint() {
                return Some(format!("{}: {complaint}", task.name));
            }
        }
        if let Some(row) = tasks().iter().find(|row| self.names.contains(&row.name)) {
            return Some(format!("a row is left: {row}"));
        }
        let alive = self.alive.load(SeqCst);
        (alive > 0).then(|| format!("{alive} loads are not dropped"))
    }

    /// Everything has ended: checks the counters, and takes every permit.
    #[track_caller]
    pub(crate) fn must_balance(&self, when: &str) {
        if let Some(complaint) = self.complaint() {
            panic!("{when}: {complaint}");
        }
        // Some of them have a timeout, which needs the clock of a runtime.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        for (name, limit, hold) in &self.limited {
            let mut cx = Context::from_waker(Waker::noop());
            let mut holding: Vec<_> = (0..=*limit).map(|_| hold(self.loads().held())).collect();
            for run in &mut holding {
                assert!(run.as_mut().poll(&mut cx).is_pending());
            }
            let (running, waiting) = stats()
                .into_iter()
                .filter(|task| task.name == *name)
                .fold((0, 0), |(running, waiting), task| {
                    (running + task.running, waiting + task.waiting)
                });
            assert_eq!((running, waiting), (*limit as u64, 1), "{when}: the permits of {name}");
        }
    }
}
