use tokio_supervised::{TaskError, supervised};

#[supervised]
async fn work() -> Result<u32, TaskError> {
    tokio::spawn(async {});
    let size: u32 = "a page";
    Ok(size)
}

fn main() {}
