use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work(items: Vec<u64>) -> Result<(), TaskError> {
    loop {
        for item in &items {
            if *item == 0 {
                break;
            }
        }
    }
}

fn main() {}
