//! Within a run, clones drop in the order of the parameters of a plain `async fn`. The originals drop after the
//! last run.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use tokio_supervised::{CancellationToken, TaskError};

/// The names of dropped values, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

/// Logs its name when it is dropped, and marks clones.
struct Noisy(String, Log);

impl Clone for Noisy {
    fn clone(&self) -> Self {
        Self(format!("run's {}", self.0), self.1.clone())
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        self.1.0.lock().expect("no drop panics").push(self.0.clone());
    }
}

impl Log {
    fn noisy(&self, name: &str) -> Noisy {
        Noisy(name.to_owned(), self.clone())
    }

    fn pair(&self, first: &str, second: &str) -> (Noisy, Noisy) {
        (self.noisy(first), self.noisy(second))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no drop panics"))
    }
}

/// Compiles the same functions plain and restarting.
macro_rules! both_ways {
    ($($item:item)*) => {
        mod plain {
            use super::*;
            $($item)*
        }
        mod restarting {
            use super::*;
            use tokio_supervised::supervised;
            $(#[supervised(restart = "on-failure")] $item)*
        }
    };
}

both_ways! {
    pub(super) async fn ready(
        first: Noisy,
        _: Noisy,
        (inner, _): (Noisy, Noisy),
        mut last: Noisy,
    ) -> Result<(), TaskError> {
        last.0.push('!');
        let _ = (&inner, &first);
        Ok(())
    }

    pub(super) async fn waits(
        _first: Noisy,
        _: Noisy,
        (_inner, _): (Noisy, Noisy),
    ) -> Result<(), TaskError> {
        pending().await
    }
}

fn of_the_run(dropped: Vec<String>) -> Vec<String> {
    let of_the_run = dropped.iter().filter_map(|name| name.strip_prefix("run's "));
    of_the_run.map(str::to_owned).collect()
}

fn poll_and_drop<F: Future>(future: F) {
    let mut future = Box::pin(future);
    _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

#[tokio::test]
async fn the_clones_of_a_run_drop_as_plain_parameters_do() {
    let (log, token) = (Log::default(), CancellationToken::new());
    let n = |name| log.noisy(name);
    poll_and_drop(plain::ready(n("a"), n("b"), log.pair("c", "d"), n("e")));
    let plain = log.take();
    poll_and_drop(restarting::ready(&token, n("a"), n("b"), log.pair("c", "d"), n("e")));
    assert_eq!(of_the_run(log.take()), plain);

    poll_and_drop(plain::waits(n("a"), n("b"), log.pair("c", "d")));
    let plain = log.take();
    poll_and_drop(restarting::waits(&token, n("a"), n("b"), log.pair("c", "d")));
    assert_eq!(of_the_run(log.take()), plain);
}

#[tokio::test]
async fn restart_arguments_drop_after_the_last_run() {
    let (log, token) = (Log::default(), CancellationToken::new());
    let call = restarting::waits(&token, log.noisy("a"), log.noisy("b"), log.pair("c", "d"));
    poll_and_drop(call);
    let dropped = log.take();
    assert_eq!(dropped.len(), 8);
    assert!(dropped[..4].iter().all(|name| name.starts_with("run's ")), "{dropped:?}");
}

#[tokio::test]
async fn restart_arguments_drop_at_the_end_of_the_call() {
    let (log, token) = (Log::default(), CancellationToken::new());
    let n = |name| log.noisy(name);
    let mut call = Box::pin(restarting::ready(&token, n("a"), n("b"), log.pair("c", "d"), n("e")));
    call.as_mut().await.unwrap();
    assert_eq!(log.take().len(), 10);
    drop(call);
    assert_eq!(log.take(), Vec::<String>::new());
    let fired = CancellationToken::new();
    fired.cancel();
    let mut call = Box::pin(restarting::ready(&fired, n("a"), n("b"), log.pair("c", "d"), n("e")));
    call.as_mut().await.unwrap_err();
    assert_eq!(log.take().len(), 10);
    drop(call);
}
