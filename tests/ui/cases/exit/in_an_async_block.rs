use tokio_supervised::{supervised, TaskError};

#[supervised]
async fn work() -> Result<(), TaskError> {
    async {
        loop {
            std::hint::spin_loop();
        }
    }
    .await
}

fn main() {}
