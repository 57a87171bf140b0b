//! A token that has fired while its waiters are still being woken one after the other.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
};

use tokio::sync::Notify;
use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, map, supervised};

use testkit::{in_time, outcomes_of, turn};

/// Blocks the thread that wakes it until it is released.
struct Holds {
    entered: mpsc::SyncSender<()>,
    leave: Mutex<mpsc::Receiver<()>>,
}

impl Wake for Holds {
    fn wake(self: Arc<Self>) {
        self.entered.send(()).unwrap();
        self.leave.lock().unwrap().recv().unwrap();
    }
}

/// A `cancel` that is blocked after the token has fired and before any later waiter is woken.
struct HeldUp {
    _waits: Pin<Box<dyn Future<Output = ()> + Send>>,
    entered: mpsc::Receiver<()>,
    leave: mpsc::SyncSender<()>,
}

impl HeldUp {
    fn at(token: &CancellationToken) -> Self {
        let ((enters, entered), (leave, left)) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
        let mut waits: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(token.clone().cancelled_owned());
        let waker = Waker::from(Arc::new(Holds { entered: enters, leave: Mutex::new(left) }));
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        Self { _waits: waits, entered, leave }
    }

    /// Fires the token on another thread. On return, it has fired.
    fn fire(&self, token: &CancellationToken) -> thread::JoinHandle<()> {
        let token = token.clone();
        let fires = thread::spawn(move || token.cancel());
        self.entered.recv().unwrap();
        fires
    }

    fn go_on(self, fires: thread::JoinHandle<()>) {
        self.leave.send(()).unwrap();
        fires.join().unwrap();
    }
}

#[tokio::test]
async fn another_wakeup_does_not_resume_a_task_whose_token_has_fired() {
    #[supervised(name = "cancel waker: something else")]
    async fn wait(something: Arc<Notify>, went_on: Arc<AtomicUsize>) -> Result<(), TaskError> {
        something.notified().await;
        went_on.fetch_add(1, SeqCst);
        Ok(())
    }
    #[supervised(name = "cancel waker: spawned after")]
    async fn start(started: Arc<AtomicUsize>) -> Result<(), TaskError> {
        started.fetch_add(1, SeqCst);
        Ok(())
    }

    let (root, something) = (CancellationToken::new(), Arc::new(Notify::new()));
    let (went_on, started) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let group = Group::new(&root);
    let mut held_up = None;
    let spawned = group.spawn(|token| {
        held_up = Some(HeldUp::at(&token));
        wait(token, something.clone(), went_on.clone())
    });
    spawned.await;
    turn().await;
    let held_up = held_up.unwrap();
    let fires = held_up.fire(&root);
    something.notify_one();
    for _ in 0..3 {
        turn().await;
    }
    group.spawn(|token| start(token, started.clone())).await;
    turn().await;
    assert_eq!((went_on.load(SeqCst), started.load(SeqCst)), (0, 0));
    held_up.go_on(fires);
    let error = in_time(group.join()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Cancelled);
    assert_eq!(outcomes_of("cancel waker: something else"), [(Outcome::Cancelled, 1)]);
}

#[tokio::test]
async fn a_fired_token_starts_nothing_after_many_calls() {
    #[supervised(name = "cancel waker: in a loop")]
    async fn count(started: Arc<AtomicUsize>) -> Result<(), TaskError> {
        started.fetch_add(1, SeqCst);
        Ok(())
    }

    let (token, started) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let held_up = HeldUp::at(&token);
    for _ in 0..1_000 {
        count(&token, started.clone()).await.unwrap();
    }
    let fires = held_up.fire(&token);
    let error = count(&token, started.clone()).await.unwrap_err();
    let of_a_map = map(&token, 0..3, {
        let started = started.clone();
        move |token, _| count(token, started.clone())
    });
    let of_a_map = in_time(of_a_map).await.unwrap_err();
    assert_eq!((error.outcome(), of_a_map.outcome()), (Outcome::Cancelled, Outcome::Cancelled));
    assert_eq!(started.load(SeqCst), 1_000);
    held_up.go_on(fires);
}

#[tokio::test]
async fn the_next_item_of_a_map_gets_no_fired_token() {
    #[supervised(name = "cancel waker: in a map")]
    async fn wait(
        token: CancellationToken,
        something: Arc<Notify>,
        had_fired: Arc<Mutex<Vec<bool>>>,
    ) -> Result<(), TaskError> {
        let fired = token.is_cancelled();
        something.notified().await;
        had_fired.lock().unwrap().push(fired);
        Ok(())
    }

    let (something, had_fired) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    let (of_a_run, mut runs) = tokio::sync::mpsc::unbounded_channel();
    let mapped = tokio::spawn({
        let (something, had_fired) = (something.clone(), had_fired.clone());
        let mapped = map(&CancellationToken::new(), 0..2, move |token, _| {
            of_a_run.send((HeldUp::at(&token), token.clone())).unwrap();
            wait(token, something.clone(), had_fired.clone())
        });
        mapped.limit(1).settled().into_future()
    });
    let (held_up, token) = runs.recv().await.unwrap();
    turn().await;
    let fires = held_up.fire(&token);
    something.notify_one();
    let second = in_time(runs.recv()).await.unwrap();
    something.notify_one();
    let results = in_time(mapped).await.unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(*had_fired.lock().unwrap(), [false, false]);
    drop(second);
    held_up.go_on(fires);
}
