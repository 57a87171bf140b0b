use tokio_supervised::{Pool, supervised};

#[supervised::main]
async fn main() -> anyhow::Result<()> {
    let pool = Pool::new(1);
    for n in 0..3 {
        let label = format!("part {n}");
        pool.spawn_blocking(&label, |_| anyhow::Ok(())).await?;
    }
    Ok(())
}
