//! The end of a thread: destructors of thread-locals use the crate after its own thread-locals are destroyed.

use std::{cell::RefCell, sync::mpsc, task::Poll, thread};

use tokio_supervised::{CancellationToken, Outcome, TaskError, supervised};

use testkit::{outcomes_of, poll_once, stats_of};

/// Runs a closure when it is dropped.
struct AtDrop(Box<dyn FnOnce()>);

impl Drop for AtDrop {
    fn drop(&mut self) {
        std::mem::replace(&mut self.0, Box::new(|| {}))();
    }
}

thread_local! {
    static LAST: RefCell<Option<AtDrop>> = const { RefCell::new(None) };
}

/// Runs the closure on a thread, and again after its thread-locals are destroyed: the first one created is dropped
/// last.
fn now_and_at_the_end<R: Send + 'static>(code: fn() -> R) -> [R; 2] {
    let (sender, receiver) = mpsc::channel();
    let ends = thread::spawn(move || {
        let at_the_end = sender.clone();
        let at_the_end = move || at_the_end.send(code()).unwrap();
        LAST.with(|last| last.replace(Some(AtDrop(Box::new(at_the_end)))));
        sender.send(code()).unwrap();
    });
    ends.join().unwrap();
    [receiver.recv().unwrap(), receiver.recv().unwrap()]
}

#[test]
fn a_call_is_made_and_counted() {
    #[supervised(name = "thread end: outer")]
    async fn outer(token: &CancellationToken) -> Result<u32, TaskError> {
        Ok(1 + inner(token).await?)
    }
    #[supervised(name = "thread end: inner", limit = 1)]
    async fn inner() -> Result<u32, TaskError> {
        Ok(2)
    }

    let polled = now_and_at_the_end(|| poll_once(outer(&CancellationToken::new())));
    assert!(polled.iter().all(|polled| matches!(polled, Poll::Ready(Ok(3)))), "{polled:?}");
    for name in ["thread end: outer", "thread end: inner"] {
        let stats = stats_of(name);
        assert_eq!((stats.started, stats.running, stats.waiting), (2, 0, 0), "{name}");
        assert_eq!(outcomes_of(name), [(Outcome::Ok, 2)], "{name}");
    }
}

#[test]
fn a_panic_is_caught_and_a_dropped_call_counted() {
    #[supervised(name = "thread end: panics")]
    async fn panics() -> Result<(), TaskError> {
        panic!("panic at the end of the thread")
    }
    #[supervised(name = "thread end: dropped")]
    async fn dropped() -> Result<(), TaskError> {
        std::future::pending().await
    }

    let outcomes = now_and_at_the_end(|| {
        let token = CancellationToken::new();
        assert!(poll_once(dropped(&token)).is_pending());
        let Poll::Ready(Err(error)) = poll_once(panics(&token)) else { panic!("it has panicked") };
        error.outcome()
    });
    assert_eq!(outcomes, [Outcome::Panicked; 2]);
    assert_eq!(outcomes_of("thread end: dropped"), [(Outcome::Dropped, 2)]);
    assert_eq!(outcomes_of("thread end: panics"), [(Outcome::Panicked, 2)]);
}
