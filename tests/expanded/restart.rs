impl Consumer {
    #[supervised(restart = "on-failure", backoff = "1s..1m")]
    async fn consume(self: Arc<Self>, mut queue: Queue) {
        while let Some(job) = queue.next().await {
            self.work(job).await;
        }
    }
}
