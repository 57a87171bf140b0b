//! Services inside services, and what a service cannot do to the others.

use super::*;

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
