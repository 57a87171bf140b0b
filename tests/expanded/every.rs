#[supervised(
    every = "30s",
    restart = "on-failure",
    restart_if = Error::is_transient,
    log = "warn"
)]
async fn refresh(cache: Arc<Cache>) -> Result<(), Error> {
    cache.reload().await
}
