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
struct Hooks {
    at: Arc<Mutex<Vec<Look>>>,
    calls: Arc<AtomicUsize>,
}

thread_local! {
    /// A hook does not call hooks.
    static LOOKS: Cell<bool> = const { Cell::new(false) };
}

impl Hooks {
    fn run(&self) {
        if LOOKS.replace(true) {
            return;
        }
        self.calls.fetch_add(1, SeqCst);
        _ = (tasks().to_string(), stats(), recent_panics());
        _ = set_limit("locks: limited", 1);
        let at = self.at.lock().unwrap().clone();
        for run in at {
            run();
        }
        LOOKS.set(false);
    }

    fn add(&self, run: impl Fn() + Send + Sync + 'static) {
        self.at.lock().unwrap().push(Arc::new(run));
    }
}

/// A value, an error, a payload, an iterator or a closure's capture that calls the hooks when it is dropped or
/// formatted.
struct CallsHooks(Hooks);

impl Drop for CallsHooks {
    fn drop(&mut self) {
        self.0.run();
    }
}

thread_local! {
    /// The hooks that the conversion of an error calls.
    static CONVERTS: Cell<Option<Hooks>> = const { Cell::new(None) };
}

fn hooks_of_this_thread() -> Option<Hooks> {
    let hooks = CONVERTS.take();
    CONVERTS.set(hooks.clone());
    hooks
}

struct Failure(CallsHooks);

impl From<TaskError> for Failure {
    fn from(_: TaskError) -> Self {
        let hooks = hooks_of_this_thread().unwrap_or_default();
        hooks.run();
        Self(CallsHooks(hooks))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.run();
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
        resume_unwind(Box::new(CallsHooks(hooks_of_this_thread().unwrap_or_default())))
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

async fn work(how: How, hooked: CallsHooks) -> Result<CallsHooks, Failure> {
    match how {
        How::Ends => {}
        How::Turns => yield_now().await,
        How::Fails => return Err(Failure(hooked)),
        How::Panics => resume_unwind(Box::new(hooked)),
        How::Holds => pending().await,
    }
    Ok(hooked)
}

#[supervised(name = "locks: free")]
async fn free(how: How, hooked: CallsHooks) -> Result<CallsHooks, Failure> {
    work(how, hooked).await
}

#[supervised(name = "locks: limited", limit = 1)]
async fn limited(how: How, hooked: CallsHooks) -> Result<CallsHooks, Failure> {
    work(how, hooked).await
}

#[supervised(name = "locks: explodes")]
async fn explodes(hooked: CallsHooks) -> Result<CallsHooks, Explodes> {
    resume_unwind(Box::new(hooked))
}

/// An iterator that calls the hooks in each method.
struct Items(CallsHooks, std::vec::IntoIter<How>);

impl Items {
    fn all(hooks: &Hooks) -> Self {
        Self(CallsHooks(hooks.clone()), Vec::from(ALL).into_iter())
    }
}

impl Iterator for Items {
    type Item = How;

    fn next(&mut self) -> Option<How> {
        self.0.0.run();
        self.1.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.0.run();
        self.1.size_hint()
    }
}

/// The waker that the operation is polled with.
struct HookWaker(CallsHooks, Waker);

impl Wake for HookWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.0.run();
        self.1.wake_by_ref();
    }
}

/// A subscriber that calls the hooks for each span and event.
struct HookSubscriber(Hooks);

impl Subscriber for HookSubscriber {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.0.run();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.0.run();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {
        self.0.run();
    }

    fn event(&self, _: &Event<'_>) {
        self.0.run();
    }

    fn enter(&self, _: &Id) {
        self.0.run();
    }

    fn exit(&self, _: &Id) {
        self.0.run();
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.run();
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        self.0.run();
        true
    }
}

type Operation = Pin<Box<dyn Future<Output = ()> + Send>>;
type Start = fn(CancellationToken, Hooks) -> Operation;

/// A group whose hooks use its handle and spawn through it.
fn group(token: &CancellationToken, hooks: &Hooks) -> Group<CallsHooks, Failure> {
    let group = Group::new(token);
    let (handle, hooked) = (group.handle(), hooks.clone());
    hooks.add(move || {
        _ = format!("{handle:?}");
        let mut spawn =
            pin!(handle.spawn(|token| free(token, How::Ends, CallsHooks(hooked.clone()))));
        _ = spawn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    });
    group
}

/// A pool whose hooks read it, change its limit and spawn into it.
fn pool(hooks: &Hooks) -> Pool {
    let pool = Pool::new(2);
    let (shared, hooked) = (pool.clone(), hooks.clone());
    hooks.add(move || {
        _ = format!("{shared:?} {}", shared.len());
        _ = shared.set_limit(2);
        _ = shared.try_spawn(|token| free(token, How::Ends, CallsHooks(hooked.clone())));
    });
    pool
}

const OPERATIONS: &[(&str, Start)] = &[
    ("calls", |token, hooks| {
        Box::pin(async move {
            for how in [How::Ends, How::Turns, How::Fails, How::Panics] {
                drop(free(&token, how, CallsHooks(hooks.clone())).await);
                drop(limited(&token, how, CallsHooks(hooks.clone())).await);
            }
            _ = AssertUnwindSafe(explodes(&token, CallsHooks(hooks))).catch_unwind().await;
        })
    }),
    ("calls that wait for a permit", |token, hooks| {
        Box::pin(async move {
            let call = |how| limited(token.clone(), how, CallsHooks(hooks.clone()));
            let (a, b, c) = tokio::join!(call(How::Turns), call(How::Panics), call(How::Turns));
            drop((a, b, c));
        })
    }),
    ("calls whose limit is raised", |token, hooks| {
        Box::pin(async move {
            let call = |how| limited(token.clone(), how, CallsHooks(hooks.clone()));
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
    ("a section", |token, hooks| {
        Box::pin(async move {
            drop(
                shield(Duration::from_secs(9), |_| free(&token, How::Turns, CallsHooks(hooks)))
                    .await,
            );
        })
    }),
    ("a group that is joined", |token, hooks| {
        Box::pin(async move {
            let group = group(&token, &hooks);
            for how in ALL {
                let hooked = CallsHooks(hooks.clone());
                _ = group.spawn(|token| free(token, how, hooked)).await;
            }
            drop(group.join().await);
        })
    }),
    ("a group with a limit", |token, hooks| {
        Box::pin(async move {
            let group: Group<CallsHooks, Failure> = Group::new(&token).limit(1);
            for how in [How::Turns, How::Ends, How::Turns] {
                let hooked = CallsHooks(hooks.clone());
                _ = group.spawn(|token| limited(token, how, hooked)).await;
            }
            drop(group.join().await);
        })
    }),
    ("a group that ends with its first task", |token, hooks| {
        Box::pin(async move {
            let group: Group<CallsHooks, Failure> = Group::new(&token).until_first_exit();
            for how in [How::Holds, How::Turns, How::Fails] {
                let hooked = CallsHooks(hooks.clone());
                _ = group.spawn(|token| free(token, how, hooked)).await;
            }
            drop(group.join().await);
        })
    }),
    ("a group that is dropped", |token, hooks| {
        Box::pin(async move {
            let group = group(&token, &hooks);
            for how in ALL {
                let hooked = CallsHooks(hooks.clone());
                _ = group.spawn(|token| free(token, how, hooked)).await;
            }
            yield_now().await;
            drop(group);
        })
    }),
    ("a group of closures that panic", |token, hooks| {
        Box::pin(async move {
            let group = group(&token, &hooks);
            for _ in 0..2 {
                let hooked = CallsHooks(hooks.clone());
                _ = group
                    .spawn(|token| {
                        if !token.is_cancelled() {
                            resume_unwind(Box::new(hooked));
                        }
                        free(token, How::Ends, hooked)
                    })
                    .await;
            }
            drop(group.join().await);
        })
    }),
    ("a group whose errors cannot be made", |token, hooks| {
        Box::pin(async move {
            let group: Group<CallsHooks, Explodes> = Group::new(&token);
            let handle = group.handle();
            hooks.add(move || _ = format!("{handle:?}"));
            for _ in 0..3 {
                let hooked = CallsHooks(hooks.clone());
                _ = group.spawn(|token| explodes(token, hooked)).await;
            }
            drop(AssertUnwindSafe(group.join()).catch_unwind().await);
        })
    }),
    ("a group of blocking closures", |token, hooks| {
        Box::pin(async move {
            let group = group(&token, &hooks);
            for fails in [false, true, true] {
                let hooked = CallsHooks(hooks.clone());
                let run = move |_| if fails { Err(Failure(hooked)) } else { Ok(hooked) };
                _ = group.spawn_blocking("locks: blocking", run).await;
            }
            drop(group.join().await);
        })
    }),
    ("a pool that is drained", |_, hooks| {
        Box::pin(async move {
            let pool = pool(&hooks);
            for how in ALL {
                let hooked = CallsHooks(hooks.clone());
                _ = pool.try_spawn(|token| free(token, how, hooked));
                yield_now().await;
            }
            _ = pool.drain(Duration::from_millis(10)).await;
        })
    }),
    ("a pool that makes its callers wait", |token, hooks| {
        Box::pin(async move {
            let pool = pool(&hooks);
            for how in [How::Turns, How::Fails, How::Panics, How::Ends] {
                let hooked = CallsHooks(hooks.clone());
                let spawned = async { pool.spawn(|token| limited(token, how, hooked)).await };
                _ = token.run_until_cancelled(spawned).await;
                let Some(Ok(slot)) = token.run_until_cancelled(pool.reserve()).await else {
                    return;
                };
                let hooked = CallsHooks(hooks.clone());
                slot.spawn(|token| free(token, how, hooked));
            }
            _ = pool.drain(Duration::from_millis(10)).await;
        })
    }),
    ("a pool that is dropped", |_, hooks| {
        Box::pin(async move {
            let pool = Pool::new(9);
            for how in ALL {
                let hooked = CallsHooks(hooks.clone());
                _ = pool.try_spawn(|token| free(token, how, hooked));
            }
            yield_now().await;
            drop(pool);
        })
    }),
    ("a map", |token, hooks| {
        Box::pin(async move {
            let hooked = CallsHooks(hooks.clone());
            let all = map(&token, Items::all(&hooks), move |token, how| {
                hooked.0.run();
                free(token, how, CallsHooks(hooked.0.clone()))
            });
            drop(all.limit(3).await);
        })
    }),
    ("a settled map", |token, hooks| {
        Box::pin(async move {
            let hooked = CallsHooks(hooks.clone());
            let all = map(&token, Items::all(&hooks), move |token, how| {
                hooked.0.run();
                limited(token, how, CallsHooks(hooked.0.clone()))
            });
            drop(all.limit(3).settled().await);
        })
    }),
    ("a settled map whose closure panics", |token, hooks| {
        Box::pin(async move {
            let hooked = CallsHooks(hooks.clone());
            let all = map(&token, Items::all(&hooks), move |token, how| {
                let hooks = hooked.0.clone();
                if how == How::Fails {
                    resume_unwind(Box::new(CallsHooks(hooks)));
                }
                free(token, how, CallsHooks(hooks))
            });
            drop(all.limit(2).settled().await);
        })
    }),
    ("a map whose errors cannot be made", |token, hooks| {
        Box::pin(async move {
            let hooked = CallsHooks(hooks.clone());
            let all = map(&token, Items::all(&hooks), move |token, _| {
                explodes(token, CallsHooks(hooked.0.clone()))
            });
            drop(AssertUnwindSafe(all.limit(3)).catch_unwind().await);
        })
    }),
    ("a map that is dropped", |token, hooks| {
        Box::pin(async move {
            let hooked = CallsHooks(hooks.clone());
            let all = map(&token, Items::all(&hooks), move |token, _| {
                free(token, How::Holds, CallsHooks(hooked.0.clone()))
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
fn carry_out(runtime: &Runtime, start: Start, hooks: &Hooks) {
    runtime.block_on(async {
        CONVERTS.set(Some(hooks.clone()));
        let token = CancellationToken::new();
        let mut operation = start(token.clone(), hooks.clone());
        for turn in 0..200 {
            if turn == 50 {
                token.cancel();
            }
            let ended = poll_fn(|cx| {
                // Each poll has a new waker, and drops the previous one.
                let waker: Waker =
                    Arc::new(HookWaker(CallsHooks(hooks.clone()), cx.waker().clone())).into();
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
    let at = std::mem::take(&mut *hooks.at.lock().unwrap());
    drop(at);
}

fn all_operations(runtime: fn() -> Runtime, with_subscriber: bool) {
    for (name, start) in OPERATIONS {
        let hooks = Hooks::default();
        let calls = hooks.calls.clone();
        eprintln!("{name}");
        let outcome = outcome(move || {
            let _guard = with_subscriber
                .then(|| tracing::subscriber::set_default(HookSubscriber(hooks.clone())));
            let runtime = runtime();
            carry_out(&runtime, *start, &hooks);
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
