#[supervised::main(signals = "int term hup")]
async fn main(token: CancellationToken) -> anyhow::Result<()> {
    serve(&token).await
}
