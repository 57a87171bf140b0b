//! Services that a handle starts and stops, their states and readiness.

use super::*;

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
