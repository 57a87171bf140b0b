use tokio_supervised::supervised;

#[supervised::test(worker_threads = 2, leak = "allow", start_paused = 1)]
#[test]
async fn works<T>(token: tokio_supervised::CancellationToken, case: u32) {
    token.cancelled().await;
}

fn main() {}
