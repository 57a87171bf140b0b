use tokio_supervised::{CancellationToken, Services, TaskError, supervised};

#[supervised]
async fn count() -> Result<u32, TaskError> {
    Ok(1)
}

fn main() {
    let token = CancellationToken::new();
    _ = Services::new(&token).step("count", |token| count(token));
}
