//! No user code runs under a lock.
//!
//! A value whose every hook calls back into the crate goes through all operations. If a hook runs under a lock, it
//! deadlocks and the test does not finish.

use std::{
    cell::Cell,
    fmt,
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, resume_unwind},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    runtime::{Builder, Runtime},
    task::yield_now,
};
use tokio_supervised::{
    CancellationToken, Group, Pool, TaskError, map, recent_panics, set_limit, shield, stats,
    supervised, tasks,
};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

use testkit::watchdog::outcome;

type Look = Arc<dyn Fn() + Send + Sync>;

/// The hooks of one operation: they call everything, and what the operation adds.
#[derive(Clone, Default)]
struct Eyes {
    at: Arc<Mutex<Vec<Look>>>,
    calls: Arc<AtomicUsize>,
}

thread_local! {
    /// A hook does not call hooks.
    static LOOKS: Cell<bool> = const { Cell::new(false) };
}

impl Eyes {
    fn look(&self) {
        if LOOKS.replace(true) {
            return;
        }
        self.calls.fetch_add(1, SeqCst);
        _ = (tasks().to_string(), stats(), recent_panics());
        _ = set_limit("locks: limited", 1);
        let at = self.at.lock().unwrap().clone();
        for look in at {
            look();
        }
        LOOKS.set(false);
    }

    fn add(&self, look: impl Fn() + Send + Sync + 'static) {
        self.at.lock().unwrap().push(Arc::new(look));
    }
}

/// A value, an error, a payload, an iterator or a closure's capture that calls the hooks when it is dropped or
/// formatted.
struct Nosy(Eyes);

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.look();
    }
}

thread_local! {
    /// The hooks that the conversion of an error calls.
    static CONVERTS: Cell<Option<Eyes>> = const { Cell::new(None) };
}

fn eyes_of_this_thread() -> Option<Eyes> {
    let eyes = CONVERTS.take();
    CONVERTS.set(eyes.clone());
    eyes
}

struct Failure(Nosy);

impl From<TaskError> for Failure {
    fn from(_: TaskError) -> Self {
        let eyes = eyes_of_this_thread().unwrap_or_default();
        eyes.look();
        Self(Nosy(eyes))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.look();
        f.write_str("as asked")
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// An error whose conversion from a panic panics, with a payload that calls the hooks.
#[derive(Debug)]
struct Explodes;

impl From<TaskError> for Explodes {
    fn from(_: TaskError) -> Self {
        resume_unwind(Box::new(Nosy(eyes_of_this_thread().unwrap_or_default())))
    }
}

impl fmt::Display for Explodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("never made")
    }
}

impl std::error::Error for Explodes {}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Ends,
    Turns,
    Fails,
    Panics,
    Holds,
}

const ALL: [How; 8] = [
    How::Ends,
    How::Turns,
    How::Fails,
    How::Panics,
    How::Fails,
    How::Panics,
    How::Holds,
    How::Ends,
];

async fn work(how: How, nosy: Nosy) -> Result<Nosy, Failure> {
    match how {
        How::Ends => {}
        How::Turns => yield_now().await,
        How::Fails => return Err(Failure(nosy)),
        How::Panics => resume_unwind(Box::new(nosy)),
        How::Holds => pending().await,
    }
    Ok(nosy)
}

#[supervised(name = "locks: free")]
async fn free(how: How, nosy: Nosy) -> Result<Nosy, Failure> {
    work(how, nosy).await
}

#[supervised(name = "locks: limited", limit = 1)]
async fn limited(how: How, nosy: Nosy) -> Result<Nosy, Failure> {
    work(how, nosy).await
}

#[supervised(name = "locks: explodes")]
async fn explodes(nosy: Nosy) -> Result<Nosy, Explodes> {
    resume_unwind(Box::new(nosy))
}

/// An iterator that calls the hooks in each method.
struct Items(Nosy, std::vec::IntoIter<How>);

impl Items {
    fn all(eyes: &Eyes) -> Self {
        Self(Nosy(eyes.clone()), Vec::from(ALL).into_iter())
    }
}

impl Iterator for Items {
    type Item = How;

    fn next(&mut self) -> Option<How> {
        self.0.0.look();
        self.1.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.0.look();
        self.1.size_hint()
    }
}

/// The waker that the operation is polled with.
struct NosyWaker(Nosy, Waker);

impl Wake for NosyWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.0.look();
        self.1.wake_by_ref();
    }
}

/// A subscriber that calls the hooks for each span and event.
struct NosySubscriber(Eyes);

impl Subscriber for NosySubscriber {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.0.look();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.0.look();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {
        self.0.look();
    }

    fn event(&self, _: &Event<'_>) {
        self.0.look();
    }

    fn enter(&self, _: &Id) {
        self.0.look();
    }

    fn exit(&self, _: &Id) {
        self.0.look();
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.look();
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        self.0.look();
        true
    }
}

type Operation = Pin<Box<dyn Future<Output = ()> + Send>>;
type Begin = fn(CancellationToken, Eyes) -> Operation;

/// A group whose hooks use its handle and spawn through it.
fn group(token: &CancellationToken, eyes: &Eyes) -> Group<Nosy, Failure> {
    let group = Group::new(token);
    let (handle, nosy) = (group.handle(), eyes.clone());
    eyes.add(move || {
        _ = format!("{handle:?}");
        let mut spawn = pin!(handle.spawn(|token| free(token, How::Ends, Nosy(nosy.clone()))));
        _ = spawn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    });
    group
}

/// A pool whose hooks read it, change its limit and spawn into it.
fn pool(eyes: &Eyes) -> Pool {
    let pool = Pool::new(2);
    let (shared, nosy) = (pool.clone(), eyes.clone());
    eyes.add(move || {
        _ = format!("{shared:?} {}", shared.len());
        _ = shared.set_limit(2);
        _ = shared.try_spawn(|token| free(token, How::Ends, Nosy(nosy.clone())));
    });
    pool
}

const OPERATIONS: &[(&str, Begin)] = &[
    ("calls", |token, eyes| {
        Box::pin(async move {
            for how in [How::Ends, How::Turns, How::Fails, How::Panics] {
                drop(free(&token, how, Nosy(eyes.clone())).await);
                drop(limited(&token, how, Nosy(eyes.clone())).await);
            }
            _ = AssertUnwindSafe(explodes(&token, Nosy(eyes))).catch_unwind().await;
        })
    }),
    ("calls that wait for a permit", |token, eyes| {
        Box::pin(async move {
            let call = |how| limited(token.clone(), how, Nosy(eyes.clone()));
            let (a, b, c) = tokio::join!(call(How::Turns), call(How::Panics), call(How::Turns));
            drop((a, b, c));
        })
    }),
    ("calls whose limit is raised", |token, eyes| {
        Box::pin(async move {
            let call = |how| limited(token.clone(), how, Nosy(eyes.clone()));
            let raises = async {
                yield_now().await;
                // Its hooks make it smaller again.
                _ = set_limit("locks: limited", 3);
            };
            let (a, b, c, ()) =
                tokio::join!(call(How::Holds), call(How::Ends), call(How::Turns), raises);
            drop((a, b, c));
        })
    }),
    ("a section", |token, eyes| {
        Box::pin(async move {
            drop(shield(Duration::from_secs(9), |_| free(&token, How::Turns, Nosy(eyes))).await);
        })
    }),
    ("a group that is joined", |token, eyes| {
        Box::pin(async move {
            let group = group(&token, &eyes);
            for how in ALL {
                let nosy = Nosy(eyes.clone());
                _ = group.spawn(|token| free(token, how, nosy)).await;
            }
            drop(group.join().await);
        })
    }),
    ("a group with a limit", |token, eyes| {
        Box::pin(async move {
            let group: Group<Nosy, Failure> = Group::new(&token).limit(1);
            for how in [How::Turns, How::Ends, How::Turns] {
                let nosy = Nosy(eyes.clone());
                _ = group.spawn(|token| limited(token, how, nosy)).await;
            }
            drop(group.join().await);
        })
    }),
    ("a group that ends with its first task", |token, eyes| {
        Box::pin(async move {
            let group: Group<Nosy, Failure> = Group::new(&token).until_first_exit();
            for how in [How::Holds, How::Turns, How::Fails] {
                let nosy = Nosy(eyes.clone());
                _ = group.spawn(|token| free(token, how, nosy)).await;
            }
            drop(group.join().await);
        })
    }),
    ("a group that is dropped", |token, eyes| {
        Box::pin(async move {
            let group = group(&token, &eyes);
            for how in ALL {
                let nosy = Nosy(eyes.clone());
                _ = group.spawn(|token| free(token, how, nosy)).await;
            }
            yield_now().await;
            drop(group);
        })
    }),
    ("a group of closures that panic", |token, eyes| {
        Box::pin(async move {
            let group = group(&token, &eyes);
            for _ in 0..2 {
                let nosy = Nosy(eyes.clone());
                _ = group
                    .spawn(|token| {
                        if !token.is_cancelled() {
                            resume_unwind(Box::new(nosy));
                        }
                        free(token, How::Ends, nosy)
                    })
                    .await;
            }
            drop(group.join().await);
        })
    }),
    ("a group whose errors cannot be made", |token, eyes| {
        Box::pin(async move {
            let group: Group<Nosy, Explodes> = Group::new(&token);
            let handle = group.handle();
            eyes.add(move || _ = format!("{handle:?}"));
            for _ in 0..3 {
                let nosy = Nosy(eyes.clone());
                _ = group.spawn(|token| explodes(token, nosy)).await;
            }
            drop(AssertUnwindSafe(group.join()).catch_unwind().await);
        })
    }),
    ("a group of blocking closures", |token, eyes| {
        Box::pin(async move {
            let group = group(&token, &eyes);
            for fails in [false, true, true] {
                let nosy = Nosy(eyes.clone());
                let run = move |_| if fails { Err(Failure(nosy)) } else { Ok(nosy) };
                _ = group.spawn_blocking("locks: blocking", run).await;
            }
            drop(group.join().await);
        })
    }),
    ("a pool that is drained", |_, eyes| {
        Box::pin(async move {
            let pool = pool(&eyes);
            for how in ALL {
                let nosy = Nosy(eyes.clone());
                _ = pool.try_spawn(|token| free(token, how, nosy));
                yield_now().await;
            }
            _ = pool.drain(Duration::from_millis(10)).await;
        })
    }),
    ("a pool that makes its callers wait", |token, eyes| {
        Box::pin(async move {
            let pool = pool(&eyes);
            for how in [How::Turns, How::Fails, How::Panics, How::Ends] {
                let nosy = Nosy(eyes.clone());
                let spawned = async { pool.spawn(|token| limited(token, how, nosy)).await };
                _ = token.run_until_cancelled(spawned).await;
                let Some(Ok(slot)) = token.run_until_cancelled(pool.reserve()).await else {
                    return;
                };
                let nosy = Nosy(eyes.clone());
                slot.spawn(|token| free(token, how, nosy));
            }
            _ = pool.drain(Duration::from_millis(10)).await;
        })
    }),
    ("a pool that is dropped", |_, eyes| {
        Box::pin(async move {
            let pool = Pool::new(9);
            for how in ALL {
                let nosy = Nosy(eyes.clone());
                _ = pool.try_spawn(|token| free(token, how, nosy));
            }
            yield_now().await;
            drop(pool);
        })
    }),
    ("a map", |token, eyes| {
        Box::pin(async move {
            let nosy = Nosy(eyes.clone());
            let all = map(&token, Items::all(&eyes), move |token, how| {
                nosy.0.look();
                free(token, how, Nosy(nosy.0.clone()))
            });
            drop(all.limit(3).await);
        })
    }),
    ("a settled map", |token, eyes| {
        Box::pin(async move {
            let nosy = Nosy(eyes.clone());
            let all = map(&token, Items::all(&eyes), move |token, how| {
                nosy.0.look();
                limited(token, how, Nosy(nosy.0.clone()))
            });
            drop(all.limit(3).settled().await);
        })
    }),
    ("a settled map whose closure panics", |token, eyes| {
        Box::pin(async move {
            let nosy = Nosy(eyes.clone());
            let all = map(&token, Items::all(&eyes), move |token, how| {
                let eyes = nosy.0.clone();
                if how == How::Fails {
                    resume_unwind(Box::new(Nosy(eyes)));
                }
                free(token, how, Nosy(eyes))
            });
            drop(all.limit(2).settled().await);
        })
    }),
    ("a map whose errors cannot be made", |token, eyes| {
        Box::pin(async move {
            let nosy = Nosy(eyes.clone());
            let all = map(&token, Items::all(&eyes), move |token, _| {
                explodes(token, Nosy(nosy.0.clone()))
            });
            drop(AssertUnwindSafe(all.limit(3)).catch_unwind().await);
        })
    }),
    ("a map that is dropped", |token, eyes| {
        Box::pin(async move {
            let nosy = Nosy(eyes.clone());
            let all = map(&token, Items::all(&eyes), move |token, _| {
                free(token, How::Holds, Nosy(nosy.0.clone()))
            });
            let mut all = Box::pin(all.limit(3));
            for _ in 0..4 {
                _ = poll_fn(|cx| Poll::Ready(all.as_mut().poll(cx).map(drop))).await;
                yield_now().await;
            }
            drop(all);
        })
    }),
];

/// Runs an operation, and fires its token if it does not end by itself.
fn carry_out(runtime: &Runtime, begin: Begin, eyes: &Eyes) {
    runtime.block_on(async {
        CONVERTS.set(Some(eyes.clone()));
        let token = CancellationToken::new();
        let mut operation = begin(token.clone(), eyes.clone());
        for turn in 0..200 {
            if turn == 50 {
                token.cancel();
            }
            let ended = poll_fn(|cx| {
                // Each poll has a new waker, and drops the previous one.
                let waker: Waker =
                    Arc::new(NosyWaker(Nosy(eyes.clone()), cx.waker().clone())).into();
                Poll::Ready(operation.as_mut().poll(&mut Context::from_waker(&waker)))
            });
            if ended.await.is_ready() {
                break;
            }
            // The clock of a drain continues.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(operation);
        for _ in 0..20 {
            yield_now().await;
        }
    });
    // The hooks are part of a reference cycle.
    let at = std::mem::take(&mut *eyes.at.lock().unwrap());
    drop(at);
}

fn all_operations(runtime: fn() -> Runtime, with_subscriber: bool) {
    for (name, begin) in OPERATIONS {
        let eyes = Eyes::default();
        let calls = eyes.calls.clone();
        eprintln!("{name}");
        let outcome = outcome(move || {
            let _guard = with_subscriber
                .then(|| tracing::subscriber::set_default(NosySubscriber(eyes.clone())));
            let runtime = runtime();
            carry_out(&runtime, *begin, &eyes);
            drop(runtime);
        });
        if let Err(failure) = outcome {
            let (calls, live) = (calls.load(SeqCst), tasks());
            panic!("{name}: the operation {failure}\n{calls} hooks were called; live:\n{live}");
        }
        assert!(calls.load(SeqCst) > 0, "{name}: no hook was called");
    }
}

#[test]
fn hooks_may_call_the_crate_in_every_operation() {
    all_operations(|| Builder::new_current_thread().enable_all().build().unwrap(), false);
}

#[test]
fn hooks_may_call_the_crate_in_every_operation_on_two_workers() {
    let two = || Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    all_operations(two, false);
}

#[test]
fn hooks_and_subscribers_may_call_the_crate_everywhere() {
    all_operations(|| Builder::new_current_thread().enable_all().build().unwrap(), true);
}
