//! Services: the order of their starts and stops, their ends, their handle.

use std::{
    error::Error as _,
    future::{pending, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_supervised::{
    CancellationToken, Cause, Group, Ready, ServiceState, Services, ServicesError, ServicesHandle,
    ServicesHandleError, TaskError, Unfinished, is_cancelled, shield, supervised, task, tasks,
};

use testkit::{in_time, poll_once};

const SECOND: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(30);

/// The events, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Runs until its token fires, and takes a while to stop.
#[supervised(name = "services: run", grace = "10s")]
async fn run(
    token: &CancellationToken,
    log: Log,
    name: &'static str,
    takes: Duration,
) -> anyhow::Result<()> {
    log.add(format!("start {name}"));
    token.cancelled().await;
    sleep(takes).await;
    log.add(format!("stop {name}"));
    Ok(())
}

/// Returns `Ok` after a while.
#[supervised(name = "services: return")]
async fn return_after(log: Log, name: &'static str, takes: Duration) -> anyhow::Result<()> {
    log.add(format!("start {name}"));
    sleep(takes).await;
    log.add(format!("end {name}"));
    Ok(())
}

#[supervised(name = "services: fail")]
async fn fail_after(takes: Duration, text: &'static str) -> anyhow::Result<()> {
    sleep(takes).await;
    anyhow::bail!(text)
}

/// Fails once it is asked to stop.
#[supervised(name = "services: fail to stop")]
async fn fail_to_stop(token: &CancellationToken, text: &'static str) -> anyhow::Result<()> {
    token.cancelled().await;
    anyhow::bail!(text)
}

/// Ignores its token for longer than a test lasts.
#[supervised(name = "services: stubborn", grace = "1h")]
async fn stubborn(token: &CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    pending().await
}

/// Exceeds the grace of its function.
#[supervised(name = "services: overdue", grace = "2s")]
async fn overdue(token: &CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    pending().await
}

#[derive(Clone, Default)]
struct Causes(Arc<Mutex<Vec<Cause>>>);

impl Causes {
    fn get(&self) -> Vec<Cause> {
        self.0.lock().unwrap().clone()
    }
}

/// Notes why it was cancelled.
#[supervised(name = "services: note the cause")]
async fn note_cause(token: &CancellationToken, causes: Causes) -> anyhow::Result<()> {
    #[supervised(name = "services: cause")]
    async fn wait() -> Result<(), TaskError> {
        pending().await
    }

    let Err(TaskError::Cancelled(cancelled)) = wait(token).await else { panic!("it waits") };
    causes.0.lock().unwrap().push(cancelled.cause());
    Ok(())
}

fn stop_after(token: &CancellationToken, after: Duration) {
    let token = token.clone();
    tokio::spawn(async move {
        sleep(after).await;
        token.cancel();
    });
}

fn unfinished(error: &ServicesError) -> &Unfinished {
    error.source().and_then(|source| source.downcast_ref()).expect("an `Unfinished`")
}

#[tokio::test(start_paused = true)]
async fn services_start_in_order_and_stop_in_reverse() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let started = Instant::now();
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .service("b", |token| run(token, log.clone(), "b", SECOND))
        .service("c", |token| run(token, log.clone(), "c", SECOND));
    in_time(services.run()).await.unwrap();
    assert_eq!(log.lines()[3..], ["stop c", "stop b", "stop a"]);
    let mut starts = log.lines()[..3].to_vec();
    starts.sort();
    assert_eq!(starts, ["start a", "start b", "start c"]);
    // One after the other.
    assert_eq!(started.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_step_returns_before_the_next_service_starts() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, LATER);
    let services = Services::new(&token)
        .step("a", |token| return_after(token, log.clone(), "a", SECOND))
        .step("b", |token| return_after(token, log.clone(), "b", SECOND))
        .service("c", |token| run(token, log.clone(), "c", SECOND));
    in_time(services.run()).await.unwrap();
    assert_eq!(log.lines(), ["start a", "end a", "start b", "end b", "start c", "stop c"]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_stops_what_has_started() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .step("b", |token| fail_after(token, SECOND, "no disk"))
        .service("c", |token| run(token, log.clone(), "c", SECOND));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "service `b` failed: no disk");
    assert_eq!(log.lines(), ["start a", "stop a"]);
    assert!(!token.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_holds_the_next() {
    #[supervised(name = "services: slow to be ready")]
    async fn slow(token: &CancellationToken, log: Log, ready: Ready) -> anyhow::Result<()> {
        sleep(SECOND).await;
        log.add("ready");
        ready.set();
        ready.clone().set();
        token.cancelled().await;
        Ok(())
    }

    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, LATER);
    let services = Services::new(&token)
        .service_with_ready("a", |token, ready| slow(token, log.clone(), ready))
        .service("b", |token| run(token, log.clone(), "b", SECOND));
    in_time(services.run()).await.unwrap();
    assert_eq!(log.lines(), ["ready", "start b", "stop b"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_become_ready_fails_the_start() {
    let token = CancellationToken::new();
    let log = Log::default();
    let started = Instant::now();
    let services = Services::new(&token)
        .start_timeout(3 * SECOND)
        .service_with_ready("a", |token, _| run(token, log.clone(), "a", SECOND))
        .service("b", |token| run(token, log.clone(), "b", SECOND));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "service `a` was not ready within 3s");
    assert_eq!(error.service(), "a");
    assert_eq!(log.lines(), ["start a", "stop a"]);
    assert_eq!(started.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ends_before_it_is_ready_fails_the_start() {
    let token = CancellationToken::new();
    let log = Log::default();
    let services = Services::new(&token)
        .service_with_ready("a", |token, _| fail_after(token, SECOND, "no port"))
        .service("b", |token| run(token, log.clone(), "b", SECOND));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "service `a` failed: no port");
    assert!(log.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_background_service_may_return_at_any_time() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, LATER);
    let services = Services::new(&token)
        .background("a", |token| return_after(token, log.clone(), "a", SECOND))
        .background("b", |token| return_after(token, log.clone(), "b", Duration::ZERO))
        .service("c", |token| run(token, log.clone(), "c", SECOND));
    in_time(services.run()).await.unwrap();
    assert_eq!(log.lines().last().unwrap(), "stop c");
}

#[tokio::test(start_paused = true)]
async fn a_background_service_that_fails_stops_the_rest() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .background("b", |token| fail_after(token, SECOND, "no cache"));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "service `b` failed: no cache");
    assert_eq!(log.lines(), ["start a", "stop a"]);
}

#[tokio::test(start_paused = true)]
async fn without_services_left_run_returns() {
    let (token, log) = (CancellationToken::new(), Log::default());
    in_time(Services::new(&token).run()).await.unwrap();
    let services = Services::new(&token)
        .background("a", |token| return_after(token, log.clone(), "a", SECOND))
        .step("b", |token| return_after(token, log.clone(), "b", SECOND));
    in_time(services.run()).await.unwrap();
    assert_eq!(log.lines().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_returns_unasked_is_an_error() {
    let (token, causes) = (CancellationToken::new(), Causes::default());
    let services = Services::new(&token)
        .service("a", |token| note_cause(token, causes.clone()))
        .service("b", |token| return_after(token, Log::default(), "b", SECOND));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "service `b` returned before it was asked to stop");
    assert!(error.source().is_none() && !is_cancelled(&error));
    assert_eq!(causes.get(), [Cause::SiblingExited { task: "b" }]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_stops_the_rest_with_its_name_as_the_cause() {
    let (token, causes) = (CancellationToken::new(), Causes::default());
    let services = Services::new(&token)
        .service("a", |token| note_cause(token, causes.clone()))
        .service("b", |token| fail_after(token, SECOND, "no queue"))
        .service("c", |token| note_cause(token, causes.clone()));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.service(), "b");
    assert_eq!(error.to_string(), "service `b` failed");
    assert_eq!(error.source().unwrap().to_string(), "no queue");
    assert_eq!(causes.get(), [Cause::SiblingFailed { task: "b" }; 2]);
    assert!(!token.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_cause_of_the_token_is_handed_on() {
    let (token, causes) = (CancellationToken::new(), Causes::default());
    stop_after(&token, SECOND);
    let services = Services::new(&token).service("a", |token| note_cause(token, causes.clone()));
    in_time(services.run()).await.unwrap();
    assert_eq!(causes.get(), [Cause::Token]);

    #[supervised(name = "services: in a group")]
    async fn in_a_group(token: CancellationToken, causes: Causes) -> anyhow::Result<()> {
        Services::new(&token)
            .service("a", |token| note_cause(token, causes.clone()))
            .service("b", |token| note_cause(token, causes.clone()))
            .run()
            .await?;
        Ok(())
    }

    let causes = Causes::default();
    let group = Group::new(&CancellationToken::new());
    group.spawn(|token| in_a_group(token, causes.clone())).await;
    group.spawn(|token| fail_after(token, SECOND, "in the group")).await;
    assert_eq!(in_time(group.join()).await.unwrap_err().to_string(), "in the group");
    assert_eq!(causes.get(), [Cause::SiblingFailed { task: "services: fail" }; 2]);
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_returned() {
    let token = CancellationToken::new();
    let services = Services::new(&token)
        .service("a", |token| fail_to_stop(token, "second"))
        .service("b", |token| fail_after(token, SECOND, "first"))
        .service("c", |token| fail_to_stop(token, "second"));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "service `b` failed: first");
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_it_stops_is_returned() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .service("b", |token| fail_to_stop(token, "cannot flush"));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "service `b` failed: cannot flush");
    assert_eq!(log.lines(), ["start a", "stop a"]);
}

#[tokio::test(start_paused = true)]
async fn a_fired_token_starts_nothing() {
    let (token, log) = (CancellationToken::new(), Log::default());
    token.cancel();
    let services = Services::new(&token).service("a", |token| run(token, log.clone(), "a", SECOND));
    in_time(services.run()).await.unwrap();
    let services =
        Services::new(&token).step("b", |token| return_after(token, log.clone(), "b", SECOND));
    let error = in_time(services.run()).await.unwrap_err();
    assert!(is_cancelled(&error), "{error:?}");
    assert_eq!(error.to_string(), "step `b` did not finish");
    assert!(log.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_step_that_the_token_cuts_is_a_cancellation() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .step("b", |token| return_after(token, log.clone(), "b", LATER));
    let error = in_time(services.run()).await.unwrap_err();
    assert!(is_cancelled(&error), "{error:?}");
    assert_eq!(error.service(), "b");
    assert_eq!(log.lines(), ["start a", "start b", "stop a"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stops_at_an_await_is_orderly() {
    let token = CancellationToken::new();
    stop_after(&token, SECOND);
    let services = Services::new(&token)
        .service("a", task!("services: dropped", |_| pending::<anyhow::Result<()>>()))
        .service("b", |token| return_after(token, Log::default(), "b", LATER));
    in_time(services.run()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_service_may_stop_for_the_token_that_run_was_given() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let outer = token.clone();
    let services = Services::new(&token)
        .service("a", move |_| run(outer, log.clone(), "a", Duration::ZERO))
        .service("b", |token| run(token, Log::default(), "b", SECOND));
    in_time(services.run()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_service_past_the_grace_of_its_function_is_unfinished() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let started = Instant::now();
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .service("b", overdue);
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "service `b` did not stop in time");
    let [task] = unfinished(&error).tasks() else { panic!("{error:?}") };
    assert_eq!((task.name, task.service.as_deref()), ("services: overdue", Some("b")));
    assert!(unfinished(&error).to_string().contains("dropped after its grace of 2s"), "{error:?}");
    assert_eq!(log.lines(), ["start a", "stop a"]);
    assert_eq!(started.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_service_leaves_a_second_for_each_that_stops_after_it() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let started = Instant::now();
    let services = Services::new(&token)
        .grace(10 * SECOND)
        .service("a", |token| run(token, log.clone(), "a", SECOND / 2))
        .service("b", |token| run(token, log.clone(), "b", SECOND / 2))
        .service("c", stubborn);
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "service `c` did not stop in time");
    let found = unfinished(&error);
    assert_eq!((found.tasks().len(), found.grace().as_secs()), (1, 8));
    assert_eq!(found.tasks()[0].service.as_deref(), Some("c"));
    assert_eq!(log.lines()[2..], ["stop b", "stop a"]);
    assert_eq!(started.elapsed().as_secs(), 10);
    assert!(tasks().iter().all(|task| task.name != "services: stubborn"));
}

#[tokio::test(start_paused = true)]
async fn a_short_grace_is_shared() {
    let token = CancellationToken::new();
    stop_after(&token, SECOND);
    let started = Instant::now();
    let log = Log::default();
    let services = Services::new(&token)
        .grace(2 * SECOND)
        .service("a", |token| run(token, log.clone(), "a", SECOND / 4))
        .service("b", stubborn)
        .service("c", stubborn)
        .service("d", stubborn);
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "service `d` and 2 others did not stop in time");
    assert_eq!(unfinished(&error).tasks().len(), 3);
    assert_eq!(log.lines(), ["start a", "stop a"]);
    assert!(started.elapsed() <= 3 * SECOND + SECOND / 4, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_stop_is_named_with_the_first_failure() {
    let token = CancellationToken::new();
    let services = Services::new(&token)
        .grace(5 * SECOND)
        .service("a", stubborn)
        .service("b", |token| fail_after(token, SECOND, "no queue"));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "service `a` did not stop in time; service `b` failed: no queue");
    let first = error.first_failure().unwrap();
    assert_eq!((first.service(), first.source().unwrap().to_string()), ("b", "no queue".into()));
    let error = io::Error::from(error);
    assert!(error.source().is_some() && error.to_string().starts_with("service `a` did not"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_blocks_its_thread_does_not_hold_the_rest() {
    let (unblock, blocked) = std::sync::mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let ran = runtime.spawn(async move {
        let (token, log) = (CancellationToken::new(), Log::default());
        stop_after(&token, SECOND / 10);
        let services = Services::new(&token)
            .grace(SECOND / 2)
            .service("a", |token| run(token, log.clone(), "a", Duration::ZERO))
            .service(
                "b",
                task!("services: blocked", |_| async move {
                    yield_now().await;
                    _ = blocked.recv();
                    anyhow::Ok(())
                }),
            );
        let error = services.run().await.unwrap_err();
        assert_eq!(error.to_string(), "service `b` did not stop in time");
        assert_eq!(log.lines(), ["start a", "stop a"]);
    });
    let ran = tokio::task::spawn_blocking(move || {
        let ran = runtime.block_on(ran);
        drop(unblock);
        runtime.shutdown_timeout(SECOND);
        ran
    });
    ran.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_wherever_it_happens() {
    let token = CancellationToken::new();
    let log = Log::default();
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .service("b", |_| -> NeverMade { panic!("in the closure") })
        .service("c", |token| run(token, log.clone(), "c", SECOND));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.service(), "b");
    let source = error.source().unwrap().downcast_ref::<TaskError>();
    assert!(
        matches!(source, Some(TaskError::Panicked(panic)) if panic.message() == "in the closure")
    );
    // Its token had fired before its first poll.
    assert!(log.lines().is_empty());

    #[supervised(name = "services: panic in stop")]
    async fn panic_in_stop(token: &CancellationToken) -> Result<(), TaskError> {
        token.cancelled().await;
        panic!("in the stop")
    }

    stop_after(&token, SECOND);
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .service("b", panic_in_stop);
    let error = in_time(services.run()).await.unwrap_err();
    assert!(format!("{error:?}").contains("in the stop"), "{error:?}");
    assert_eq!(log.lines(), ["start a", "stop a"]);
}

type NeverMade = tokio_supervised::Supervised<std::future::Ready<anyhow::Result<()>>>;

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_conversion_is_a_failure() {
    #[derive(Debug)]
    struct Bad;

    impl From<TaskError> for Bad {
        fn from(_: TaskError) -> Self {
            Self
        }
    }

    impl From<Bad> for Box<dyn std::error::Error + Send + Sync> {
        fn from(_: Bad) -> Self {
            panic!("in the conversion")
        }
    }

    #[supervised(name = "services: unconvertible")]
    async fn bad() -> Result<(), Bad> {
        Err(Bad)
    }

    let error = in_time(Services::new(&CancellationToken::new()).service("a", bad).run());
    let error = error.await.unwrap_err();
    assert!(format!("{error:?}").contains("in the conversion"), "{error:?}");
}

#[tokio::test]
async fn a_name_that_is_used_twice_starts_nothing() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .step("a", |token| return_after(token, log.clone(), "a", SECOND));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "two services have the name `a`");
    assert!(log.lines().is_empty());
}

#[tokio::test]
async fn closures_may_borrow_and_errors_may_differ() {
    #[supervised(name = "services: other errors")]
    async fn other(n: usize) -> io::Result<()> {
        ready(n).await;
        Ok(())
    }

    #[supervised(name = "services: no error")]
    async fn quiet() {}

    let (token, words) = (CancellationToken::new(), vec!["borrowed"]);
    let services = Services::new(&token)
        .step("a", |token| other(token, words.len()))
        .step("b", quiet)
        .step("c", |token| return_after(token, Log::default(), words[0], Duration::ZERO));
    in_time(services.run()).await.unwrap();
    assert_eq!(words, ["borrowed"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_cancels_and_aborts() {
    let (token, causes) = (CancellationToken::new(), Causes::default());
    let services = Services::new(&token)
        .service("a", |token| note_cause(token, causes.clone()))
        .service("dropped b", stubborn);
    let handle = services.handle();
    let mut running = Box::pin(services.run());
    assert!(poll_once(running.as_mut()).is_pending());
    yield_now().await;
    drop(running);
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(tasks().iter().all(|task| task.service.as_deref() != Some("dropped b")));
    assert!(!token.is_cancelled());
    assert!(matches!(handle.stop("a").await, Err(ServicesHandleError::Ended)));
    assert!(handle.status().iter().all(|service| service.state == ServiceState::Stopped));
}

#[tokio::test]
async fn a_run_that_is_dropped_unpolled_starts_nothing() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token).service("a", |token| run(token, log.clone(), "a", SECOND));
    let handle = services.handle();
    drop(services.run());
    yield_now().await;
    assert!(log.lines().is_empty());
    let refused = handle.start("b", |token| run(token, Log::default(), "b", SECOND)).await;
    assert!(matches!(refused, Err(ServicesHandleError::Ended)));
}

/// Runs services with a handle, and stops them after `code`.
async fn with_handle<F: Future<Output = ()>>(
    services: Services<'_>,
    token: &CancellationToken,
    code: impl FnOnce(ServicesHandle) -> F,
) -> Result<(), ServicesError> {
    let handle = services.handle();
    let code = code(handle);
    let code = async {
        code.await;
        token.cancel();
    };
    let (ran, ()) = in_time(async { tokio::join!(services.run(), code) }).await;
    ran
}

fn states(handle: &ServicesHandle) -> Vec<(String, ServiceState)> {
    handle.status().into_iter().map(|each| (each.name.to_string(), each.state)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_handle_starts_and_stops_services() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token).service("a", |token| run(token, log.clone(), "a", SECOND));
    let (l, c) = (log.clone(), log.clone());
    with_handle(services, &token, |handle| async move {
        handle.start("b", move |token| run(token, l, "b", SECOND)).await.unwrap();
        sleep(SECOND).await;
        handle.start("c", move |token| run(token, c, "c", SECOND)).await.unwrap();
        assert_eq!(states(&handle).len(), 3);
        assert!(states(&handle).iter().all(|(_, state)| *state == ServiceState::Ready));
        handle.stop("b").await.unwrap();
        assert_eq!(states(&handle)[1], ("b".into(), ServiceState::Stopped));
        handle.stop("b").await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(
        log.lines(),
        ["start a", "start b", "start c", "stop b", "stop c", "stop a"],
        "a stop by the handle stops nothing else"
    );
}

#[tokio::test(start_paused = true)]
async fn a_handle_refuses_what_it_cannot_do() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token).service("a", |token| run(token, log.clone(), "a", SECOND));
    let kept = services.handle();
    with_handle(services, &token, |handle| async move {
        let used = handle.start("a", |token| run(token, Log::default(), "a", SECOND)).await;
        assert!(matches!(used, Err(ServicesHandleError::NameUsed)));
        assert!(matches!(handle.stop("z").await, Err(ServicesHandleError::Unknown)));
        handle.stop("a").await.unwrap();
        // A service that has ended gives its name free.
        handle.start("a", |token| run(token, Log::default(), "a", SECOND)).await.unwrap();
        assert_eq!(states(&handle), [("a".to_owned(), ServiceState::Ready)]);
    })
    .await
    .unwrap();
    assert!(matches!(kept.stop("a").await, Err(ServicesHandleError::Ended)));
    assert_eq!(kept.stop("a").await.unwrap_err().to_string(), "the services have ended");
}

#[tokio::test(start_paused = true)]
async fn the_caller_of_stop_gets_the_failure() {
    let (token, causes) = (CancellationToken::new(), Causes::default());
    let services = Services::new(&token)
        .grace(20 * SECOND)
        .service("a", |token| fail_to_stop(token, "cannot flush"))
        .service("b", |token| note_cause(token, causes.clone()))
        .service("c", stubborn)
        .service("d", overdue);
    with_handle(services, &token, |handle| async move {
        yield_now().await;
        let error = handle.stop("a").await.unwrap_err();
        assert_eq!(error.to_string(), "service `a` failed");
        assert_eq!(error.source().unwrap().to_string(), "cannot flush");
        handle.stop("b").await.unwrap();
        for (name, within) in [("c", 20), ("d", 2)] {
            let asked = Instant::now();
            let Err(ServicesHandleError::Failed(error)) = handle.stop(name).await else {
                panic!("it does not stop")
            };
            assert_eq!(error.to_string(), format!("service `{name}` did not stop in time"));
            assert_eq!(unfinished(&error).tasks()[0].service.as_deref(), Some(name));
            assert_eq!(asked.elapsed().as_secs(), within);
        }
    })
    .await
    .unwrap();
    assert_eq!(causes.get(), [Cause::Handle]);
}

#[tokio::test(start_paused = true)]
async fn commands_during_the_stop_are_refused() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services =
        Services::new(&token).service("a", |token| run(token, log.clone(), "a", 5 * SECOND));
    let handle = services.handle();
    let stop = token.clone();
    let late = async {
        sleep(SECOND).await;
        stop.cancel();
        sleep(SECOND).await;
        assert_eq!(states(&handle), [("a".to_owned(), ServiceState::Stopping)]);
        assert!(matches!(handle.stop("a").await, Err(ServicesHandleError::Stopping)));
        let refused = handle.start("b", |token| run(token, Log::default(), "b", SECOND)).await;
        assert!(matches!(refused, Err(ServicesHandleError::Stopping)));
    };
    let (ran, ()) = in_time(async { tokio::join!(services.run(), late) }).await;
    ran.unwrap();
    assert_eq!(log.lines(), ["start a", "stop a"]);
}

#[tokio::test(start_paused = true)]
async fn run_waits_for_a_handle() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token);
    let handle = services.handle();
    let l = log.clone();
    let later = async move {
        sleep(LATER).await;
        handle.start("a", move |token| run(token, l, "a", SECOND)).await.unwrap();
        sleep(SECOND).await;
        handle.stop("a").await.unwrap();
    };
    let (ran, ()) = in_time(async { tokio::join!(services.run(), later) }).await;
    ran.unwrap();
    assert_eq!(log.lines(), ["start a", "stop a"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_resets_the_readiness() {
    #[supervised(name = "services: restarts", restart = "on-failure", backoff = "10s..10s")]
    async fn flaky(
        token: &CancellationToken,
        ready: Ready,
        runs: Arc<AtomicU32>,
    ) -> anyhow::Result<()> {
        sleep(SECOND).await;
        ready.set();
        if runs.fetch_add(1, SeqCst) == 0 {
            sleep(SECOND).await;
            anyhow::bail!("connection lost");
        }
        token.cancelled().await;
        Ok(())
    }

    let token = CancellationToken::new();
    let services = Services::new(&token)
        .service_with_ready("a", |token, ready| flaky(token, ready, Arc::default()));
    with_handle(services, &token, |handle| async move {
        let mut seen = Vec::new();
        for _ in 0..300 {
            let status = &handle.status()[0];
            if seen.last() != Some(&status.state) {
                seen.push(status.state);
            }
            sleep(SECOND / 10).await;
        }
        let (starting, ready) = (ServiceState::Starting, ServiceState::Ready);
        assert_eq!(seen, [starting, ready, ServiceState::Restarting, starting, ready]);
        let status = &handle.status()[0];
        assert_eq!(status.restarts, 1);
        assert_eq!(status.last_failure.as_deref(), Some("connection lost"));
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_names_of_nested_services_are_joined() {
    #[supervised(name = "services: api")]
    async fn api(token: CancellationToken, ready: Ready, log: Log) -> anyhow::Result<()> {
        Services::new(&token)
            .ready(ready)
            .service("store", |token| run(token, log.clone(), "store", SECOND))
            .service("cache", |token| fail_after(token, LATER, "cold"))
            .run()
            .await?;
        Ok(())
    }

    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token)
        .service_with_ready("api", |token, ready| api(token, ready, log.clone()))
        .service("http", |token| run(token, log.clone(), "http", SECOND));
    let check = async {
        sleep(SECOND).await;
        let tasks = tasks();
        let mut found: Vec<_> = tasks.iter().filter_map(|task| task.service.as_deref()).collect();
        found.retain(|name| ["api", "api/store", "api/cache", "http"].contains(name));
        assert_eq!(found, ["api", "api/store", "api/cache", "http"]);
        let drawn = tasks.to_string();
        assert!(drawn.contains(", service api/cache)"), "{drawn}");
    };
    let (ran, ()) = in_time(async { tokio::join!(services.run(), check) }).await;
    let error = ran.unwrap_err();
    assert_eq!(format!("{error:?}"), "service `api` failed: service `api/cache` failed: cold");
    assert_eq!(log.lines(), ["start store", "start http", "stop store", "stop http"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_cannot_cancel_the_others() {
    #[supervised(name = "services: fires its token")]
    async fn fires(token: CancellationToken) -> anyhow::Result<()> {
        token.cancel();
        Ok(())
    }

    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let started = Instant::now();
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .background("b", fires);
    in_time(services.run()).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!(log.lines(), ["start a", "stop a"]);
}

#[tokio::test(start_paused = true)]
async fn a_shield_delays_the_stop() {
    #[supervised(name = "services: shielded")]
    async fn shielded(log: Log) -> anyhow::Result<()> {
        shield(5 * SECOND, |_| async move {
            sleep(3 * SECOND).await;
            log.add("saved");
        })
        .await;
        pending().await
    }

    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a", SECOND))
        .service("b", |token| shielded(token, log.clone()));
    in_time(services.run()).await.unwrap();
    assert_eq!(log.lines(), ["start a", "saved", "stop a"]);
}

#[tokio::test(start_paused = true)]
async fn services_keep_nothing_of_what_has_ended() {
    let token = CancellationToken::new();
    let services = Services::new(&token);
    with_handle(services, &token, |handle| async move {
        for _ in 0..1_000 {
            handle
                .start("again", |token| run(token, Log::default(), "a", Duration::ZERO))
                .await
                .unwrap();
            handle.stop("again").await.unwrap();
        }
        assert_eq!(handle.status().len(), 1);
    })
    .await
    .unwrap();
}
