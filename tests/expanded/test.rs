/// Orders are kept.
#[supervised::test(start_paused = true)]
#[should_panic(expected = "lost")]
async fn keeps_orders(token: &CancellationToken) -> anyhow::Result<()> {
    serve(token).await
}

#[supervised::test(flavor = "multi_thread", worker_threads = 2, leaks = "allow")]
async fn begins() {
    begin().await;
}
