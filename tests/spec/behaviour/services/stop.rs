//! The ends of services, the stop of the others, and what `run` returns.

use super::*;

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
