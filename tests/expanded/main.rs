#[supervised::main(grace = "10s")]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    serve(&token).await
}
