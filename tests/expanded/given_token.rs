impl Store for Disk {
    #[supervised]
    async fn save(&self, token: CancellationToken, name: &str) -> Result<(), StoreError> {
        self.write(&token, name).await
    }
}
