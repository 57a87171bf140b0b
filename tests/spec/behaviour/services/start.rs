//! The order of the starts, and what fails a start.

use super::*;

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
