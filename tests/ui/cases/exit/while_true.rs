use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work(mut count: u64) -> Result<(), TaskError> {
    #[allow(while_true)]
    while true {
        count += 1;
        drop(count.to_string());
    }
    Ok(())
}

fn main() {}
