use tokio_supervised::supervised;

#[supervised]
async fn work() -> Result<(), Box<dyn std::error::Error + Send>> {
    Ok(())
}

fn main() {}
