//! A main that runs services.

use std::{future::pending, time::Duration};

use super::common::{block, say, wanted};
use tokio::time::sleep;
use tokio_supervised::{
    CancellationToken, Ready, ServiceState, Services, ServicesHandle, is_ready, supervised,
};

#[supervised(name = "obey")]
async fn obey(token: &CancellationToken, name: &'static str) -> anyhow::Result<()> {
    token.cancelled().await;
    say(&format!("STOPPED {name}"));
    Ok(())
}

/// Is ready once it is, and obeys.
#[supervised(name = "serve")]
async fn serve(token: &CancellationToken, ready: Ready) -> anyhow::Result<()> {
    assert!(!is_ready(), "it has not said so");
    ready.set();
    token.cancelled().await;
    assert!(!is_ready(), "it stops");
    Ok(())
}

#[supervised(name = "say ready")]
async fn say_ready(token: &CancellationToken, line: &'static str) -> anyhow::Result<()> {
    // The services before it are ready; this one is the last.
    while !is_ready() {
        sleep(Duration::from_millis(1)).await;
    }
    say(line);
    token.cancelled().await;
    Ok(())
}

#[supervised(name = "never ready")]
async fn never_ready(token: &CancellationToken, _ready: Ready) -> anyhow::Result<()> {
    say("READY");
    token.cancelled().await;
    assert!(!is_ready(), "it never was");
    Ok(())
}

#[supervised(name = "migrate")]
async fn migrate() -> anyhow::Result<()> {
    say("READY");
    pending().await
}

#[supervised(name = "flaky", restart = "on-failure", backoff = "1h..1h")]
async fn flaky() -> anyhow::Result<()> {
    anyhow::bail!("no connection")
}

#[supervised(name = "see restart")]
async fn see_restart(token: &CancellationToken, handle: ServicesHandle) -> anyhow::Result<()> {
    while handle.status()[0].state != ServiceState::Restarting {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(!is_ready(), "a service restarts");
    say("READY");
    token.cancelled().await;
    Ok(())
}

#[supervised(name = "stubborn", grace = "none")]
async fn stubborn(token: &CancellationToken) -> anyhow::Result<()> {
    token.cancelled().await;
    say("STOPPING");
    pending().await
}

#[supervised(name = "blocked", grace = "none", allow(unused_token))]
async fn blocked(token: &CancellationToken) -> anyhow::Result<()> {
    let _ = token;
    say("READY");
    block()
}

#[supervised(name = "fail")]
async fn fail() -> anyhow::Result<()> {
    anyhow::bail!("no disk")
}

#[supervised(name = "panic")]
async fn panics() -> anyhow::Result<()> {
    panic!("broken")
}

#[supervised(name = "api")]
async fn api(token: CancellationToken, ready: Ready) -> anyhow::Result<()> {
    Services::new(&token)
        .ready(ready)
        .service("cache", |token| obey(token, "cache"))
        .service_with_ready("http", serve)
        .run()
        .await?;
    Ok(())
}

#[supervised::main(grace = "3s", worker_threads = 2)]
pub(crate) async fn main(token: CancellationToken) -> anyhow::Result<()> {
    let services = Services::new(&token);
    let handle = services.handle();
    let services = match wanted().as_str() {
        "nested" => services
            .service("store", |token| obey(token, "store"))
            .service_with_ready("api", api)
            .service("last", |token| say_ready(token, "READY")),
        "starts" => services
            .service("store", |token| obey(token, "store"))
            .service_with_ready("slow", never_ready)
            .service("late", |token| say_ready(token, "LATE")),
        "step" => services
            .service("store", |token| obey(token, "store"))
            .step("migrations", migrate)
            .service("late", |token| say_ready(token, "LATE")),
        "restarts" => {
            services.service("flaky", flaky).service("watch", |token| see_restart(token, handle))
        }
        "stubborn" => services
            .service("store", |token| obey(token, "store"))
            .service("consumer", stubborn)
            .service("last", |token| say_ready(token, "READY")),
        "blocked" => {
            services.service("store", |token| obey(token, "store")).service("consumer", blocked)
        }
        "fails" => {
            services.service("store", |token| obey(token, "store")).service("consumer", fail)
        }
        "panics" => {
            services.service("store", |token| obey(token, "store")).service("consumer", panics)
        }
        "fails and is stubborn" => services
            .grace(Duration::from_secs(1))
            .service("consumer", stubborn)
            .service("bad", fail),
        other => anyhow::bail!("no body {other}"),
    };
    services.run().await?;
    Ok(())
}
