use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work(mut count: u64) -> Result<(), TaskError> {
    loop {
        count += 1;
        drop(count.to_string());
    }
}

fn main() {}
