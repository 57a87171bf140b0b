use tokio_supervised::{Pool, supervised};

#[supervised]
async fn save() -> anyhow::Result<u32> {
    Ok(1)
}

#[supervised::main]
async fn main() -> anyhow::Result<()> {
    let pool = Pool::new(1);
    let saved = pool.spawn(|token| save(token)).await?;
    saved.await?;
    saved.await?;
    Ok(())
}
