//! Services whose functions restart: alone, all together, or with those that start after them.
//!
//! The cases are those of OTP's supervisors: one for one, one for all, rest for one, escalation, permanent, transient
//! and temporary children.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_supervised::{
    CancellationToken, Ready, ServiceState, Services, TaskError, is_cancelled, supervised,
};

use testkit::in_time;

const SECOND: Duration = Duration::from_secs(1);

/// The events, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Runs until its token fires.
#[supervised(name = "restarts: run")]
async fn run(token: &CancellationToken, log: Log, name: &'static str) -> anyhow::Result<()> {
    log.add(format!("start {name}"));
    token.cancelled().await;
    log.add(format!("stop {name}"));
    Ok(())
}

/// Fails after a second, so many times.
async fn fail_first(
    token: &CancellationToken,
    log: Log,
    name: &'static str,
    failures: Arc<AtomicU32>,
) -> anyhow::Result<()> {
    log.add(format!("start {name}"));
    let fails = failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
    if fails {
        sleep(SECOND).await;
        anyhow::bail!("{name} is broken");
    }
    token.cancelled().await;
    log.add(format!("stop {name}"));
    Ok(())
}

#[supervised(name = "restarts: once", restart = "on-failure", backoff = "1s..1s")]
async fn restarts(
    token: &CancellationToken,
    log: Log,
    name: &'static str,
    failures: Arc<AtomicU32>,
) -> anyhow::Result<()> {
    fail_first(token, log, name, failures).await
}

#[supervised(name = "restarts: fails")]
async fn fails(
    token: &CancellationToken,
    log: Log,
    name: &'static str,
    failures: Arc<AtomicU32>,
) -> anyhow::Result<()> {
    fail_first(token, log, name, failures).await
}

/// One for all: if one of them fails, all stop, and start again.
#[supervised(
    name = "restarts: all",
    restart = "on-failure",
    backoff = "1s..1s",
    max_restarts = "2/1m"
)]
async fn all(token: CancellationToken, log: Log, failures: Arc<AtomicU32>) -> anyhow::Result<()> {
    Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a"))
        .service("b", |token| fails(token, log.clone(), "b", failures.clone()))
        .service("c", |token| run(token, log.clone(), "c"))
        .run()
        .await?;
    Ok(())
}

fn stop_after(token: &CancellationToken, after: Duration) {
    let token = token.clone();
    tokio::spawn(async move {
        sleep(after).await;
        token.cancel();
    });
}

fn failures(count: u32) -> Arc<AtomicU32> {
    Arc::new(AtomicU32::new(count))
}

#[tokio::test(start_paused = true)]
async fn a_function_that_restarts_leaves_the_others_alone() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, 10 * SECOND);
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a"))
        .service("b", |token| restarts(token, log.clone(), "b", failures(2)));
    in_time(services.run()).await.unwrap();
    assert_eq!(log.lines(), ["start a", "start b", "start b", "start b", "stop b", "stop a"]);
}

#[tokio::test(start_paused = true)]
async fn one_failure_restarts_all() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, 10 * SECOND);
    let services = Services::new(&token)
        .service("store", |token| run(token, log.clone(), "store"))
        .service("all", |token| all(token, log.clone(), failures(1)));
    in_time(services.run()).await.unwrap();
    let (first, then) = (["start a", "start b", "start c"], ["stop c", "stop a"]);
    let last = ["stop c", "stop b", "stop a", "stop store"];
    let expected = [&["start store"][..], &first, &then, &first, &last].concat();
    assert_eq!(log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn too_many_restarts_stop_the_services_around() {
    let (token, log) = (CancellationToken::new(), Log::default());
    let services = Services::new(&token)
        .service("store", |token| run(token, log.clone(), "store"))
        .service("all", |token| all(token, log.clone(), failures(9)));
    let error = in_time(services.run()).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "service `all` failed: service `all/b` failed: b is broken");
    assert_eq!(log.lines().iter().filter(|line| *line == "start b").count(), 3);
    assert_eq!(log.lines().last().unwrap(), "stop store");
    assert!(!is_cancelled(&error));
}

/// Rest for one: `b`, and what starts after it.
#[supervised(name = "restarts: rest", restart = "on-failure", backoff = "1s..1s")]
async fn rest(
    token: CancellationToken,
    ready: Ready,
    log: Log,
    failures: Arc<AtomicU32>,
) -> anyhow::Result<()> {
    Services::new(&token)
        .ready(ready)
        .service("b", |token| fails(token, log.clone(), "b", failures.clone()))
        .service("c", |token| run(token, log.clone(), "c"))
        .run()
        .await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_failure_restarts_what_starts_after_it() {
    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, 10 * SECOND);
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a"))
        .service_with_ready("rest", |token, ready| rest(token, ready, log.clone(), failures(1)));
    let handle = services.handle();
    let watch = async {
        sleep(SECOND + SECOND / 2).await;
        let status = handle.status();
        assert_eq!((&*status[1].name, status[1].state), ("rest", ServiceState::Restarting));
        sleep(2 * SECOND).await;
        assert_eq!(
            (handle.status()[1].state, handle.status()[1].restarts),
            (ServiceState::Ready, 1)
        );
        drop(handle);
    };
    let (ran, ()) = in_time(async { tokio::join!(services.run(), watch) }).await;
    ran.unwrap();
    let starts = ["start b", "start c"];
    let last = ["stop c", "stop b", "stop a"];
    let expected = [&["start a"][..], &starts, &["stop c"], &starts, &last].concat();
    assert_eq!(log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_again_stops_what_has_restarted() {
    #[supervised(name = "restarts: start", restart = "on-failure", backoff = "1s..1s")]
    async fn both(token: CancellationToken, log: Log, tries: Arc<AtomicU32>) -> anyhow::Result<()> {
        #[supervised(name = "restarts: ready at the third")]
        async fn third(
            token: &CancellationToken,
            ready: Ready,
            tries: Arc<AtomicU32>,
        ) -> anyhow::Result<()> {
            anyhow::ensure!(tries.fetch_add(1, SeqCst) >= 2, "not yet");
            ready.set();
            token.cancelled().await;
            Ok(())
        }

        Services::new(&token)
            .service("a", |token| run(token, log.clone(), "a"))
            .service_with_ready("b", |token, ready| third(token, ready, tries.clone()))
            .service("c", |token| run(token, log.clone(), "c"))
            .run()
            .await?;
        Ok(())
    }

    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, 10 * SECOND);
    let services =
        Services::new(&token).service("both", |token| both(token, log.clone(), Arc::default()));
    in_time(services.run()).await.unwrap();
    let failed = ["start a", "stop a"];
    let last = ["start a", "start c", "stop c", "stop a"];
    assert_eq!(log.lines(), [&failed[..], &failed, &last].concat());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_waits_for_its_restart_stops_at_once() {
    #[supervised(name = "restarts: hangs", restart = "on-failure", backoff = "1h..1h")]
    async fn hangs() -> Result<(), anyhow::Error> {
        anyhow::bail!("no connection")
    }

    let (token, log) = (CancellationToken::new(), Log::default());
    stop_after(&token, SECOND);
    let started = Instant::now();
    let services = Services::new(&token)
        .service("a", |token| run(token, log.clone(), "a"))
        .service("b", hangs);
    in_time(services.run()).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_always_restarts_is_no_end() {
    #[supervised(name = "restarts: always", restart = "always", backoff = "1s..1s")]
    async fn always(runs: Arc<AtomicU32>) -> Result<(), TaskError> {
        runs.fetch_add(1, SeqCst);
        sleep(SECOND).await;
        Ok(())
    }

    #[supervised(name = "restarts: transient", restart = "on-failure")]
    async fn transient() -> Result<(), TaskError> {
        Ok(())
    }

    let (token, runs) = (CancellationToken::new(), Arc::new(AtomicU32::new(0)));
    stop_after(&token, 9 * SECOND);
    let services = Services::new(&token)
        .service("permanent", |token| always(token, runs.clone()))
        .background("transient", transient);
    in_time(services.run()).await.unwrap();
    assert!(runs.load(SeqCst) >= 4, "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_periodic_service_is_ready_between_ticks() {
    #[supervised(
        name = "restarts: periodic",
        every = "10s",
        restart = "on-failure",
        backoff = "1s..1s"
    )]
    async fn periodic(failures: Arc<AtomicU32>) -> anyhow::Result<()> {
        let fails = failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        anyhow::ensure!(!fails, "no connection");
        Ok(())
    }

    let (token, failures) = (CancellationToken::new(), failures(1));
    let services = Services::new(&token).service("ticks", |token| periodic(token, failures));
    let handle = services.handle();
    let watch = async {
        sleep(SECOND / 2).await;
        assert_eq!(handle.status()[0].state, ServiceState::Restarting);
        sleep(10 * SECOND).await;
        let status = &handle.status()[0];
        assert_eq!((status.state, status.restarts), (ServiceState::Ready, 1));
        token.cancel();
    };
    let (ran, ()) = in_time(async { tokio::join!(services.run(), watch) }).await;
    ran.unwrap();
}
